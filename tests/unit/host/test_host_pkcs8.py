# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys are wrapped as PKCS#8 by the standard library; openssl and Java say whether that is right."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import der, key_form, pem, pkcs8
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import pki
from unit.host import keys
from workbench import tree

Make = t.Callable[[str], bytes]


def in_der(name: str, form: pki.Form = "PKCS8") -> bytes:
    return pki.key_bytes(keys.key(name), form, encoding="DER")


@pytest.mark.parametrize(("name", "form", "make"), keys.ALL_PLAIN)
def test_every_plain_form(name: str, form: str, make: Make) -> None:
    content = make(name)
    wrapped = pkcs8.from_file(content)
    text = pkcs8.to_pem(wrapped)
    assert key_form.of(text) == key_form.PKCS8
    # openssl has the last word: it is unencrypted PKCS#8, and the public key is the one that the maker says.
    assert keys.spki_by_openssl(text) == pki.spki(keys.key(name))
    # What openssl makes of the wrapped key and of the maker's PKCS#8 is the same text.
    assert keys.openssl("pkey", stdin=text) == keys.openssl("pkey", stdin=pki.key_bytes(keys.key(name)))
    assert pkcs8.same_key(wrapped, in_der(name))
    known = pkcs8.spki(wrapped)
    assert known == (pki.spki(keys.key(name)) if name in keys.TRADITIONAL else None)


@pytest.mark.parametrize("name", keys.TRADITIONAL)
def test_the_bytes_of_the_key_are_unchanged(name: str) -> None:
    inner = in_der(name, "TraditionalOpenSSL")
    wrapped = pkcs8.wrap(inner)
    assert wrapped.endswith(inner)
    assert hashlib.sha256(wrapped[-len(inner):]).digest() == hashlib.sha256(inner).digest()


@pytest.mark.parametrize("name", keys.TYPES)
def test_pkcs8_stays_as_it_is(name: str) -> None:
    assert pkcs8.wrap(in_der(name)) == in_der(name)
    assert pkcs8.to_pem(in_der(name)) == pki.key_bytes(keys.key(name))


@pytest.mark.parametrize("name", keys.TRADITIONAL)
def test_java_reads_it(name: str, tmp_path: Path) -> None:
    if not shutil.which("javac"):
        pytest.skip("no JDK is installed")
    certificate, private_key = tmp_path / "crt", tmp_path / "key"
    certificate.write_bytes(pki.make(key=keys.key(name)).pem)
    private_key.write_bytes(pkcs8.to_pem(pkcs8.wrap(in_der(name, "TraditionalOpenSSL"))))
    program = tree.ROOT / "tests/integration/ReadPair.java"
    done = subprocess.run(["java", program, certificate, private_key], capture_output=True, text=True, timeout=100,
                          check=False)
    assert done.stdout.strip() == ("RSA" if "RSA" in name else "EC"), done.stderr


def ec_without(name: str, *tags: int) -> bytes:
    """A SEC1 key without its curve or its public key."""
    version, secret, *rest = der.members(in_der(name, "TraditionalOpenSSL"), 9)
    return der.encode(der.SEQUENCE, *[member.whole for member in (version, secret, *rest) if member.tag not in tags])


def curve_of(name: str) -> bytes:
    return der.members(in_der(name, "TraditionalOpenSSL"), 9)[2].content


@pytest.mark.parametrize("name", ["P-256", "P-384", "P-521"])
def test_a_curve_in_a_block_of_its_own(name: str) -> None:
    """As `openssl ecparam -genkey` writes it, and as some programs do who leave it out of the key then."""
    parameters = pem.encode("EC PARAMETERS", curve_of(name))
    short = pem.encode("EC PRIVATE KEY", ec_without(name, der.FIRST))
    wrapped = pkcs8.from_file(parameters + short)
    assert keys.spki_by_openssl(pkcs8.to_pem(wrapped)) == pki.spki(keys.key(name))
    assert pkcs8.from_file(parameters + pki.key_bytes(keys.key(name), "TraditionalOpenSSL"))
    with pytest.raises(der.Damaged, match="names no elliptic curve"):
        pkcs8.from_file(short)


def test_what_the_key_says_of_its_curve_counts() -> None:
    other = pem.encode("EC PARAMETERS", curve_of("P-384"))
    wrapped = pkcs8.from_file(other + pki.key_bytes(keys.key("P-256"), "TraditionalOpenSSL"))
    assert keys.spki_by_openssl(pkcs8.to_pem(wrapped)) == pki.spki(keys.key("P-256"))
    assert pkcs8.same_key(wrapped, in_der("P-256"))  # openssl looks at the inner one alone.


def test_a_curve_written_out_in_full() -> None:
    explicit = keys.openssl("ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout")
    with pytest.raises(der.Damaged, match="has no name"):
        pkcs8.from_file(explicit)
    with pytest.raises(der.Damaged, match="has no name"):
        pkcs8.from_file(keys.openssl("pkcs8", "-topk8", "-nocrypt", stdin=explicit))


def test_same_key_by_meaning() -> None:
    ec_der = in_der("P-256")
    bare = pkcs8.wrap(ec_without("P-256", der.SECOND, der.FIRST), curve_of("P-256"))
    assert pkcs8.spki(bare) is None
    assert keys.spki_by_openssl(pkcs8.to_pem(bare)) == pki.spki(keys.key("P-256"))
    full = pkcs8.wrap(in_der("P-256", "TraditionalOpenSSL"))
    assert bare != full != ec_der
    assert all(pkcs8.same_key(one, other) for one in (ec_der, bare, full) for other in (ec_der, bare, full))


def test_same_number_on_another_curve_is_another_key() -> None:
    """The secret number alone says nothing: it is the same here, and shorter than it may be."""
    one, other = ec.derive_private_key(12345, ec.SECP256R1()), ec.derive_private_key(12345, ec.SECP384R1())
    assert not pkcs8.same_key(pki.key_bytes(one, encoding="DER"), pki.key_bytes(other, encoding="DER"))
    secret = der.encode(der.OCTETS, (12345).to_bytes(40, "big"))
    padded = der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\1"), secret)
    assert pkcs8.same_key(pkcs8.wrap(padded, curve_of("P-256")), pki.key_bytes(one, encoding="DER"))


@pytest.mark.parametrize("one", keys.TYPES)
def test_other_keys_are_not_the_same(one: str) -> None:
    for other in keys.TYPES:
        assert pkcs8.same_key(in_der(one), in_der(other)) == (one == other)
    again = {"RSA-2048": pki.rsa_key(1), "P-256": pki.ec_key()}.get(one)
    if again is not None:
        assert not pkcs8.same_key(in_der(one), pki.key_bytes(again, encoding="DER"))
    assert not pkcs8.same_key(in_der(one), in_der(one)[:-1])
    assert not pkcs8.same_key(b"", b"")


def test_one_number_of_rsa_makes_another_key() -> None:
    numbers = der.members(in_der("RSA-2048", "TraditionalOpenSSL"), 9)
    for at in range(1, 9):
        changed = [number.whole for number in numbers]
        changed[at] = changed[at][:-1] + bytes([changed[at][-1] ^ 2])
        assert not pkcs8.same_key(in_der("RSA-2048"), pkcs8.wrap(der.encode(der.SEQUENCE, *changed)))


def test_the_public_key_that_rfc_5958_adds() -> None:
    """OneAsymmetricKey, version 1: it is taken, and then the public key of Ed25519 stands there."""
    version, algorithm, inner = der.members(in_der("Ed25519"), 3)
    raw = pki.spki(keys.key("Ed25519"))[-32:]
    assert version.number == 0
    added = der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\1"), algorithm.whole, inner.whole,
                       der.encode(0x81, b"\0", raw))
    assert pkcs8.spki(added) == pki.spki(keys.key("Ed25519"))
    assert pkcs8.same_key(added, in_der("Ed25519"))


def test_a_compressed_point_is_not_the_public_key_of_a_certificate() -> None:
    point = keys.key("P-256").public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    version, secret, curve, _public = der.members(in_der("P-256", "TraditionalOpenSSL"), 9)
    short = der.encode(der.SEQUENCE, version.whole, secret.whole, curve.whole,
                       der.encode(der.SECOND, der.bit_string(point)))
    assert pkcs8.spki(pkcs8.wrap(short)) is None


@pytest.mark.parametrize("name", keys.TRADITIONAL)
def test_how_certificates_are_signed(name: str) -> None:
    algorithm, digest = pkcs8.signature_algorithm(in_der(name))
    assert digest == {"P-384": "sha384", "P-521": "sha512"}.get(name, "sha256")
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.sign(keys.key(name), getattr(hashes, digest.upper())())
    _tbs, used, _signature = der.members(made.public_bytes(serialization.Encoding.DER), 3)
    assert used.whole == algorithm


@pytest.mark.parametrize("name", ["Ed25519", "Ed448"])
def test_how_nothing_is_signed(name: str) -> None:
    with pytest.raises(der.Damaged, match="neither RSA nor"):
        pkcs8.signature_algorithm(in_der(name))


def dsa_key() -> bytes:
    return dsa.generate_private_key(1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


@pytest.mark.parametrize("content", [
    b"", b"text", b"\x30\x00", pki.make().pem, dsa_key(), pki.key_bytes(pki.ec_key(), passphrase=b"x"),
    pki.key_bytes(pki.ec_key(), "OpenSSH"), pki.key_bytes(pki.ec_key(), "TraditionalOpenSSL", b"x"),
    b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
])
def test_what_cannot_be_wrapped(content: bytes) -> None:
    with pytest.raises(der.Damaged) as raised:
        pkcs8.from_file(content)
    assert str(raised.value)


@pytest.mark.parametrize("name", ["RSA-2048", "P-256"])
@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_a_key_that_is_cut_off(name: str, form: pki.Form) -> None:
    whole = in_der(name, form)
    for end in range(len(whole)):
        with pytest.raises(der.Damaged):
            pkcs8.wrap(whole[:end])
    with pytest.raises(der.Damaged):
        pkcs8.wrap(whole + b"\0")


def test_rsa_with_three_primes() -> None:
    numbers = [number.whole for number in der.members(in_der("RSA-2048", "TraditionalOpenSSL"), 9)]
    more = der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\1"), *numbers[1:], der.encode(der.SEQUENCE))
    with pytest.raises(der.Damaged, match="more than two primes"):
        pkcs8.wrap(more)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(keys.TRADITIONAL), st.booleans(), st.integers(0), st.integers(1, 255))
def test_a_bit_that_is_wrong(name: str, is_old: bool, at: int, change: int) -> None:
    """Whatever is damaged, there is a clear answer: another key, or that it is none."""
    whole = bytearray(in_der(name, "TraditionalOpenSSL" if is_old else "PKCS8"))
    whole[at % len(whole)] ^= change
    try:
        wrapped = pkcs8.wrap(bytes(whole))
    except der.Damaged:
        return
    assert pkcs8.same_key(wrapped, wrapped)
    pkcs8.spki(wrapped)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    for call in (pkcs8.wrap, pkcs8.spki, pkcs8.from_file, pkcs8.signature_algorithm):
        with contextlib.suppress(der.Damaged):
            call(content)
