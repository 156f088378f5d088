# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of a private key is told from its structure, for every form that people have."""

from __future__ import annotations

import base64
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import key_form
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519
from hypothesis import given
from hypothesis import strategies as st
from unit import pki

RSA = pki.rsa_key()
EC = pki.ec_key()
P521 = ec.generate_private_key(ec.SECP521R1())
ED25519, ED448 = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()
ALL: dict[str, t.Any] = {"RSA": RSA, "P-256": EC, "P-521": P521, "Ed25519": ED25519, "Ed448": ED448}


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl was not found")
    return subprocess.run([program, *arguments], input=stdin, capture_output=True, check=True).stdout


def pem(label: str, der: bytes) -> bytes:
    body = base64.encodebytes(der).replace(b"\n\n", b"\n").decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


@pytest.mark.parametrize("name", ALL)
def test_pkcs8(name: str) -> None:
    assert key_form.of(pki.key_bytes(ALL[name])) == key_form.PKCS8
    assert key_form.of(pki.key_bytes(ALL[name], encoding="DER")) == "PKCS#8 in DER"
    assert key_form.of(pki.key_bytes(ALL[name], passphrase=b"secret")) == key_form.PKCS8_ENCRYPTED
    assert key_form.of(pki.key_bytes(ALL[name], passphrase=b"secret", encoding="DER")) == "encrypted PKCS#8 in DER"


@pytest.mark.parametrize(("key", "form"), [(RSA, "PKCS#1"), (EC, "SEC1"), (P521, "SEC1")])
def test_traditional(key: pki.Key, form: str) -> None:
    assert key_form.of(pki.key_bytes(key, "TraditionalOpenSSL")) == form
    assert key_form.of(pki.key_bytes(key, "TraditionalOpenSSL", encoding="DER")) == f"{form} in DER"
    encrypted = pki.key_bytes(key, "TraditionalOpenSSL", b"secret")
    assert b"Proc-Type" in encrypted
    assert key_form.of(encrypted) == key_form.TRADITIONAL_ENCRYPTED


def test_sec1_after_its_parameters() -> None:
    assert key_form.of(pki.EC_PARAMETERS + pki.key_bytes(EC, "TraditionalOpenSSL")) == key_form.SEC1


def test_what_openssl_writes() -> None:
    assert key_form.of(openssl("ecparam", "-name", "prime256v1", "-genkey")) == key_form.SEC1
    assert key_form.of(openssl("genpkey", "-algorithm", "ed25519")) == key_form.PKCS8
    pkcs8 = pki.key_bytes(RSA)
    assert key_form.of(openssl("pkey", "-traditional", stdin=pkcs8)) == key_form.PKCS1
    encrypted = openssl("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "pass:secret", stdin=pkcs8)
    assert key_form.of(encrypted) == key_form.PKCS8_ENCRYPTED
    with_attributes = openssl("pkcs12", "-export", "-nocerts", "-inkey", "/dev/stdin", "-passout", "pass:x",
                              "-name", "x", stdin=pkcs8)
    from_pkcs12 = openssl("pkcs12", "-nodes", "-passin", "pass:x", stdin=with_attributes)
    assert b"Bag Attributes" in from_pkcs12
    assert key_form.of(from_pkcs12) == key_form.PKCS8


@pytest.mark.parametrize("key", [RSA, EC, ED25519])
def test_openssh(key: pki.Key) -> None:
    assert key_form.of(pki.key_bytes(key, "OpenSSH")) == key_form.OPENSSH


def test_a_label_proves_nothing() -> None:
    pkcs8, pkcs1 = (pki.key_bytes(RSA, form, encoding="DER") for form in ("PKCS8", "TraditionalOpenSSL"))
    assert key_form.of(pem("RSA PRIVATE KEY", pkcs8)) == "PKCS#8 labelled RSA PRIVATE KEY"
    assert key_form.of(pem("ENCRYPTED PRIVATE KEY", pkcs8)) == "PKCS#8 labelled ENCRYPTED PRIVATE KEY"
    assert key_form.of(pem("PRIVATE KEY", pkcs1)) == key_form.PKCS1
    sec1 = pki.key_bytes(EC, "TraditionalOpenSSL", encoding="DER")
    assert key_form.of(pem("PRIVATE KEY", sec1)) == key_form.SEC1
    encrypted = pki.key_bytes(RSA, passphrase=b"secret", encoding="DER")
    assert key_form.of(pem("PRIVATE KEY", encrypted)) == key_form.PKCS8_ENCRYPTED


def test_a_dsa_key_is_not_taken_for_pkcs1() -> None:
    key = dsa.generate_private_key(1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    assert key_form.of(key) == key_form.DSA


@pytest.mark.parametrize("change", [
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: b"Bag Attributes\n    friendlyName: x\n\n" + text,
    lambda text: text + b"\n\n",
    lambda text: text.replace(b"BEGIN PRIVATE KEY-----", b"BEGIN PRIVATE KEY-----  "),
])
def test_around_the_key(change: t.Callable[[bytes], bytes]) -> None:
    assert key_form.of(change(pki.key_bytes(EC))) == key_form.PKCS8


@pytest.mark.parametrize("content", [
    b"", b"0", b"\x30\x80\x00\x00", b"\x30\x85\x01\x01\x01\x01\x01", b"text", b"\0" * 100,
    pki.make(key=EC).pem,
    pki.make(key=EC).der,
    pem("PUBLIC KEY", pki.spki(EC)),
    pem("PRIVATE KEY", b""),
    b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
    b"-----BEGIN PRIVATE KEY-----\nMIIE\xff\n-----END PRIVATE KEY-----\n",
    pki.key_bytes(EC).replace(b"-----END", b"-----END RSA"),
])
def test_no_key(content: bytes) -> None:
    assert key_form.of(content) == key_form.NONE


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_a_truncated_key_is_none(form: pki.Form) -> None:
    der = pki.key_bytes(EC, form, encoding="DER")
    assert key_form.of_der(der) != key_form.NONE
    assert {key_form.of_der(der[:end]) for end in range(len(der))} == {key_form.NONE}
    text = pki.key_bytes(EC, form)
    # Without the last letters of its last line the text is whole PEM around damaged DER or damaged base64.
    cut = text.replace(text.splitlines()[-2], text.splitlines()[-2][:-4])
    assert key_form.of(cut) == key_form.NONE
    # What is cut behind the last dash of its end line is whole but for that.
    assert {key_form.of(text[:end]) for end in range(len(text) - 10)} == {key_form.NONE}


@given(st.binary(max_size=300))
def test_no_content_is_too_strange(content: bytes) -> None:
    assert isinstance(key_form.of(content), str)
    assert isinstance(key_form.of(pem("PRIVATE KEY", content)), str)
