# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys: any form in, unencrypted PKCS#8 out, the same key; read back by OpenSSL's own program."""

from __future__ import annotations

import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _keys
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
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


def test_no_message_holds_a_piece_of_the_key(refused: Refused) -> None:
    content = pki.key_bytes(RSA)
    body = content.decode().splitlines()[1:-1]
    for damaged in (content + content, content.replace(b"\n", b"\n!", 5), content[:-300] + content[-200:]):
        text = refused(lambda damaged=damaged: convert(damaged))
        assert [line for line in body if line[:20] in text] == []
