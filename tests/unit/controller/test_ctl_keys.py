# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys: any form in, unencrypted PKCS#8 out, the same key; read back by OpenSSL's own program."""

from __future__ import annotations

import shutil
import subprocess
import typing as t
import warnings

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _keys
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dh, dsa, ec, ed25519
from cryptography.hazmat.primitives.serialization import pkcs12
from unit import pki

Refused = t.Callable[[t.Callable[[], object]], str]
RSA, EC, P384 = pki.rsa_key(), pki.ec_key(), ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def convert(content: bytes, passphrase: str | None = None) -> _keys.Pkcs8:
    contents = _contents.of(Input(content, "private_key (a.key)"), passphrase)
    return _keys.to_pkcs8(_keys.one_of(contents), passphrase)


def public_key_by_openssl(pem: str) -> bytes:
    """The SubjectPublicKeyInfo as another reader sees it."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl was not found")
    return subprocess.run([program, "pkey", "-pubout", "-outform", "DER"], input=pem.encode(), capture_output=True,
                          check=True).stdout


FORMS: list[tuple[pki.Key, pki.Form, str]] = [
    (RSA, "PKCS8", "PKCS#8"), (RSA, "TraditionalOpenSSL", "PKCS#1"), (EC, "PKCS8", "PKCS#8"),
    (EC, "TraditionalOpenSSL", "SEC1"), (P384, "TraditionalOpenSSL", "SEC1"), (ED25519, "PKCS8", "PKCS#8"),
]


@pytest.mark.parametrize(("key", "form", "called"), FORMS)
def test_every_form_becomes_pkcs8(key: pki.Key, form: pki.Form, called: str) -> None:
    found = convert(pki.key_bytes(key, form))
    assert found.pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert found.pem == pki.key_bytes(key).decode()
    assert (found.form, found.spki) == (called, pki.spki(key))


@pytest.mark.parametrize("key", [RSA, EC, P384, ED25519])
def test_openssl_reads_the_same_key(key: pki.Key) -> None:
    form: pki.Form = "PKCS8" if key is ED25519 else "TraditionalOpenSSL"
    assert public_key_by_openssl(convert(pki.key_bytes(key, form)).pem) == pki.spki(key)


@pytest.mark.parametrize(("form", "called"), [
    ("PKCS8", "encrypted PKCS#8"), ("TraditionalOpenSSL", "traditional encrypted"),
])
@pytest.mark.parametrize("key", [RSA, EC])
@pytest.mark.parametrize("passphrase", ["secret", "pässwörter", "with blank "])
def test_encrypted(refused: Refused, key: pki.Key, form: pki.Form, called: str, passphrase: str) -> None:
    content = pki.key_bytes(key, form, passphrase.encode())
    found = convert(content, passphrase)
    assert (found.form, found.spki) == (called, pki.spki(key))
    assert "ENCRYPTED" not in found.pem
    wrong, missing = refused(lambda: convert(content, "n0t the one")), refused(lambda: convert(content))
    assert wrong.startswith("wanted error key-passphrase-wrong")
    assert missing.startswith("wanted error key-passphrase-missing")
    assert called in missing
    assert "n0t the one" not in wrong
    assert refused(lambda: convert(content, "")).startswith("wanted error key-passphrase-")


def test_encrypted_by_openssl_of_old() -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl was not found")
    content = subprocess.run([program, "ec", "-aes128", "-passout", "pass:secret"], input=pki.key_bytes(EC),
                             capture_output=True, check=True).stdout
    assert convert(content, "secret").spki == pki.spki(EC)


def test_a_wrong_passphrase_that_makes_garbage_is_told_as_one(refused: Refused) -> None:
    """A stream cipher makes some of every passphrase (AES-CBC of one in 256): it is not seen at the padding."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl was not found")
    options = ["-v1", "PBE-SHA1-RC4-128", "-provider", "legacy", "-provider", "default", "-passout", "pass:secret"]
    done = subprocess.run([program, "pkcs8", "-topk8", *options], input=pki.key_bytes(EC), capture_output=True,
                          check=False)
    if done.returncode:
        pytest.skip("this openssl has no RC4")
    assert convert(done.stdout, "secret").spki == pki.spki(EC)
    text = refused(lambda: convert(done.stdout, "wrong"))
    assert text.startswith("wanted error key-passphrase-wrong"), text


@pytest.mark.parametrize("passphrase", ["n0t\0the one", "n0t the one\ud800"])
def test_a_passphrase_nobody_can_have(refused: Refused, capfd: pytest.CaptureFixture[str], passphrase: str) -> None:
    """The library ends in a panic for a PKCS#12, and prints it."""
    keystore = pkcs12.serialize_key_and_certificates(
        None, EC, None, None, serialization.BestAvailableEncryption(b"secret"))
    for content in (pki.key_bytes(EC, passphrase=b"secret"), keystore):
        text = refused(lambda content=content: convert(content, passphrase))
        assert text.startswith("wanted error key-passphrase-wrong: The passphrase given holds a NUL or half of a char")
        assert "n0t" not in text
    assert capfd.readouterr() == ("", "")


def test_a_passphrase_that_is_not_needed_does_no_harm() -> None:
    assert convert(pki.key_bytes(EC), "secret").spki == pki.spki(EC)


def test_what_stands_around_a_key() -> None:
    key = pki.key_bytes(EC, "TraditionalOpenSSL")
    for content in (pki.EC_PARAMETERS + key, pki.make(key=EC).pem + key, b"Bag Attributes\n\n" + key + b"\n\n",
                    key + pki.make_ca().pem):
        assert convert(content).pem == pki.key_bytes(EC).decode()


def test_two_keys(refused: Refused) -> None:
    text = refused(lambda: convert(pki.key_bytes(EC) + pki.key_bytes(RSA)))
    assert text.startswith("wanted error key-count: private_key (a.key) holds 2 private keys")


@pytest.mark.parametrize(("content", "called"), [
    (b"text", "cannot be read"), (pki.make().pem, "it is a certificate"), (pki.EC_PARAMETERS, "nothing that is known"),
    (pki.key_bytes(EC)[:-40], "is cut off: BEGIN PRIVATE KEY has no END"),
    (pki.key_bytes(EC).replace(b"M", b"N"), "no private key"),
    (pki.key_bytes(EC).replace(b"M", b"!"), "is no base64"),
])
def test_not_a_key_that_can_be_read(refused: Refused, content: bytes, called: str) -> None:
    text = refused(lambda: convert(content, "secret"))
    assert text.startswith("wanted error input-unrecognised: private_key (a.key) ")
    assert called in text


def integer(value: int) -> bytes:
    return tagged(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def tagged(tag: int, content: bytes) -> bytes:
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag, *([len(content)] if len(content) < 128 else [0x80 | len(length), *length])]) + content


@pytest.mark.parametrize("n", [1 << 14, 1 << 18, 1 << 24, 1 << 40, 1 << 62])
def test_scrypt_takes_no_more_memory_than_it_may(refused: Refused, n: int) -> None:
    """Of 16 MiB, 256 MiB, 16 GiB and more (RFC 7914, 2: 128 * r * N), the first alone is tried."""
    aes = tagged(0x30, bytes.fromhex("060960864801650304012a") + tagged(4, bytes(16)))
    costs = tagged(0x30, tagged(4, bytes(8)) + integer(n) + integer(8) + integer(1))
    scrypt = tagged(0x30, bytes.fromhex("06092b06010401da47040b") + costs)
    pbes2 = tagged(0x30, bytes.fromhex("06092a864886f70d01050d") + tagged(0x30, scrypt + aes))
    text = refused(lambda: convert(tagged(0x30, pbes2 + tagged(4, bytes(160))), "secret"))
    called = "key-passphrase-wrong" if n == 1 << 14 else "input-too-large"
    assert text.startswith(f"wanted error {called}: private_key (a.key) "), text


def test_a_public_half_that_does_not_belong_to_the_private_one(refused: Refused) -> None:
    """Of a traditional DSA key, which nobody checks; an EC key is refused by the library."""
    numbers = dsa.generate_private_key(1024).private_numbers()
    parameters = numbers.public_numbers.parameter_numbers
    values = [0, parameters.p, parameters.q, parameters.g, numbers.public_numbers.y, numbers.x + 1]
    text = refused(lambda: convert(tagged(0x30, b"".join(map(integer, values)))))
    assert text.startswith("wanted error key-broken: private_key (a.key) is traditional DSA and another key as PKCS#8")


@pytest.mark.parametrize("damage", [
    "DEK-Info: AES-192-CBC,\n\nAAAA", "DEK-Info: AES-192-CBC,00\n\nAAAA", "DEK-Info: AES-192-CBC,\xfc\n\nAAAA",
    "DEK-Info: AES-192-CBC,000102030405060708090A0B0C0D0E0F\n\n",
    "DEK-Info: AES-192-CBC,000102030405060708090A0B0C0D0E0F\n\nAAAA",
    "DEK-Info: AES-192-CBC,000102030405060708090A0B0C0D0E0F\n\n%%%", "DEK-Info: AES-192-CBC,",
    "DEK-Info: AES-256-CBC,0001020304050607\n\nAAAA", "DEK-Info: DES-EDE3-CBC,00010203040506\n\nAAAA",
    "DEK-Info: AES-128-CBC,\n\nAAAA", "\nAAAA", "DEK-Info: AES-128-CBC\n\nAAAA",
])
def test_a_damaged_traditional_key(refused: Refused, damage: str) -> None:
    text = f"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n{damage}\n-----END EC PRIVATE KEY-----\n"
    assert "private_key (a.key)" in refused(lambda: convert(text.encode(), "secret"))


def test_an_ed448_key_of_a_wrong_length(refused: Refused) -> None:
    """To which the library answers with an InternalError."""
    content = tagged(0x30, integer(0) + tagged(0x30, bytes.fromhex("06032b6571")) + tagged(4, tagged(4, bytes(58))))
    text = refused(lambda: convert(content))
    assert text.startswith("wanted error input-unrecognised: private_key (a.key) is PKCS#8 and cannot be read: ")


def test_a_deprecated_kind_of_keys_says_nothing_beside_the_result(refused: Refused) -> None:
    """A warning of the library would stand between the tasks; here it would be an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = dh.generate_parameters(2, 512).generate_private_key()
        content = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
    assert convert(content).form == "PKCS#8"


@pytest.mark.parametrize("damage", [b"-----END X-----\n", b"X: -----END X-----\n"])
@pytest.mark.parametrize("form", ["TraditionalOpenSSL", "OpenSSH"])
def test_no_message_holds_a_piece_of_what_stands_between_dashes(
    refused: Refused, form: pki.Form, damage: bytes
) -> None:
    """Which the library repeats: all between another END and that of the key."""
    lines = pki.key_bytes(RSA, form, b"secret" if form == "TraditionalOpenSSL" else None).splitlines(keepends=True)
    lines.insert(5, damage)
    text = refused(lambda: convert(b"".join(lines), "secret"))
    assert [line for line in lines if line[:20].decode() in text and not line.startswith(b"--")] == []
    assert "is no base64" in text


def test_no_message_holds_a_piece_of_the_key(refused: Refused) -> None:
    content = pki.key_bytes(RSA)
    body = content.decode().splitlines()[1:-1]
    for damaged in (content + content, content.replace(b"\n", b"\n!", 5), content[:-300] + content[-200:]):
        text = refused(lambda damaged=damaged: convert(damaged))
        assert [line for line in body if line[:20] in text] == []
