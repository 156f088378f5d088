# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an input holds, in whatever container. The whole matrix of forms is tested elsewhere, against openssl."""

from __future__ import annotations

import base64
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _keys, _limits
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from unit import pki

Refused = t.Callable[[t.Callable[[], object]], str]
CA = pki.make_ca("CA")
LEAF = pki.make("leaf.example", issuer=CA)
CHAIN = LEAF.chain
KEY_DER = pki.key_bytes(LEAF.key, encoding="DER")
BOM = b"\xef\xbb\xbf"


def contents(content: bytes, passphrase: str | None = None) -> _contents.Contents:
    return _contents.of(Input(content, "pkcs12 (a.pfx)"), passphrase)


def pfx(passphrase: bytes | None = b"secret", key: t.Any = LEAF.key) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"a name", key, LEAF.certificate, [CA.certificate], encryption)


def request() -> x509.CertificateSigningRequest:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf.example")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(pki.ec_key(), hashes.SHA256())


def pkcs7_der() -> bytes:
    return pkcs7.serialize_certificates(CHAIN, serialization.Encoding.DER)


CHAINS = {
    "PEM": LEAF.pem,
    "a text before it that begins with a zero": b"0 s:CN = leaf.example\n  i:CN = CA\n" + LEAF.pem,
    "PKCS#7 PEM": pkcs7.serialize_certificates(CHAIN, serialization.Encoding.PEM),
    "PKCS#7 DER": pkcs7_der(),
    "PKCS#7 under the label CMS": pkcs7.serialize_certificates(CHAIN, serialization.Encoding.PEM).replace(
        b"PKCS7", b"CMS"),
    "PKCS#7 as base64 alone": base64.encodebytes(pkcs7_der()),
    "one PEM line": b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(c.public_bytes(serialization.Encoding.DER))
        + b"\n-----END CERTIFICATE-----" for c in CHAIN),
    "the old label": LEAF.pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
}
NORMALISED = {
    "a byte order mark": BOM + LEAF.pem,
    "CR LF line ends": LEAF.pem.replace(b"\n", b"\r\n"),
    "CR LF line ends ": LEAF.pem.replace(b"\n", b"\r"),
    "text around the blocks": b"Bag Attributes\n    friendlyName: x\n" + LEAF.pem,
    "UTF-16": LEAF.pem.decode().encode("utf-16"),
    "UTF-16, CR LF line ends": b"\xfe\xff" + LEAF.pem.replace(b"\n", b"\r\n").decode().encode(
        "utf-16-be"),
}


@pytest.mark.parametrize("form", CHAINS)
def test_chains(form: str) -> None:
    assert sorted(map(hash, contents(CHAINS[form]).certificates)) == sorted(map(hash, CHAIN))


@pytest.mark.parametrize("stripped", NORMALISED)
def test_what_is_stripped_is_told(stripped: str) -> None:
    found = contents(NORMALISED[stripped])
    assert found.certificates == CHAIN
    (finding,) = found.findings
    assert (finding.id, finding.level) == ("input-normalised", "info")
    assert f"stripped were {stripped.strip()}; clean PEM is written" in finding.message


@pytest.mark.parametrize("content", [LEAF.pem, LEAF.pem + b"\n\n", b"\n" + LEAF.pem, LEAF.der, pfx()])
def test_nothing_is_told_of_clean_ones(content: bytes) -> None:
    assert contents(content, "secret").findings == []


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n", b"\n\n"])
def test_der_with_a_line_end_behind_it(tail: bytes) -> None:
    assert contents(LEAF.der + tail).certificates == [LEAF.certificate]
    assert contents(KEY_DER + tail).keys[0].form == "PKCS#8"


@pytest.mark.parametrize("content", [
    LEAF.key_pem + LEAF.pem, LEAF.pem + LEAF.key_pem, LEAF.key_pem + b"x\n" + LEAF.pem,
    pki.EC_PARAMETERS + pki.key_bytes(LEAF.key, "TraditionalOpenSSL") + LEAF.pem,
])
def test_a_key_and_its_chain_in_one_file(content: bytes) -> None:
    found = contents(content)
    assert found.certificates == CHAIN
    assert _keys.to_pkcs8(_keys.one_of(found), None).spki == pki.spki(LEAF.key)


@pytest.mark.parametrize(("content", "passphrase"), [
    (pfx(), "secret"), (pfx(None), None), (pfx(None), "not needed"), (pfx("pässwört".encode()), "pässwört"),
    (base64.encodebytes(pfx()), "secret"),
])
def test_pkcs12(content: bytes, passphrase: str | None) -> None:
    found = contents(content, passphrase)
    assert found.certificates == CHAIN
    key = _keys.to_pkcs8(_keys.one_of(found), passphrase)
    assert (key.form, key.pem) == ("PKCS#12", LEAF.key_pem.decode())


def test_pkcs12_without_a_key(refused: Refused) -> None:
    found = contents(pfx(key=None), "secret")
    assert found.certificates == CHAIN
    assert "it is a certificate" in refused(lambda: _keys.one_of(found))


def test_pkcs12_does_not_open(refused: Refused) -> None:
    missing, wrong = refused(lambda: contents(pfx())), refused(lambda: contents(pfx(), "n0t the one"))
    assert missing.startswith("wanted error key-passphrase-missing: pkcs12 (a.pfx) is PKCS#12 and does not open w")
    assert wrong.startswith("wanted error key-passphrase-wrong: pkcs12 (a.pfx) is PKCS#12 and does not open with t")
    assert "n0t the one" not in wrong


def openssl(*arguments: str, content: bytes = b"") -> bytes:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl was not found")
    return subprocess.run([program, *arguments], input=content, capture_output=True, check=True).stdout


def test_what_a_pkcs12_costs_is_bounded_once(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the ways to spell no passphrase nor a second container begin anew."""
    calls, bounded = [], _limits.bounded
    monkeypatch.setattr(_limits, "bounded", lambda work: calls.append(work) or bounded(work))
    assert "key-passphrase-wrong" in refused(lambda: contents(pfx(), "n0t the one"))
    assert len(calls) == 1
    block = b"-----BEGIN PKCS12-----\n" + base64.encodebytes(pfx()) + b"-----END PKCS12-----\n"
    assert len(contents(block, "secret").keys) == 1
    text = refused(lambda: contents(block * 2, "secret"))
    assert text.startswith("wanted error input-unrecognised: pkcs12 (a.pfx) holds more than one PKCS#12.")
    assert len(calls) == 3


def test_trusted_certificate_block() -> None:
    trusted = openssl("x509", "-trustout", "-addtrust", "serverAuth", "-setalias", "x", content=LEAF.pem)
    assert b"BEGIN TRUSTED CERTIFICATE" in trusted
    found = contents(trusted)
    assert (found.certificates, [f.id for f in found.findings]) == ([LEAF.certificate], ["trusted-certificate-block"])
    # Many of them are one thing to tell.
    assert [f.id for f in contents(trusted * 9).findings] == ["trusted-certificate-block"]


def test_thousands_of_kinds_are_not_all_named(refused: Refused) -> None:
    content = b"".join(b"-----BEGIN L%d-----\nAAAA\n-----END L%d-----\n" % (n, n) for n in range(5000))
    text = refused(lambda: _contents.certificates_of(Input(content, "certificate (a.crt)")))
    assert "it is a block BEGIN L0 that cannot be read (" in text
    assert " and 4997 more. Give the certificate" in text
    assert len(text) < 1000


@pytest.mark.parametrize(("content", "kind"), [
    (request().public_bytes(serialization.Encoding.PEM), "a certificate request (CSR)"),
    (request().public_bytes(serialization.Encoding.DER), "a certificate request (CSR)"),
    (LEAF.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo), "a public key"),
    (LEAF.key_pem, "PKCS#8"), (pki.key_bytes(LEAF.key, passphrase=b"x"), "encrypted PKCS#8"),
    (pki.key_bytes(LEAF.key, "OpenSSH"), "OpenSSH"), (b"text", "a file that cannot be read"),
    (LEAF.der[:-1], "a file that cannot be read"), (b"\x30\x02\x05\x00", "a file that cannot be read"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     "a block BEGIN CERTIFICATE that cannot be read"),
    (pki.EC_PARAMETERS, "nothing that is known"),
])
def test_what_is_no_certificate_is_named(refused: Refused, content: bytes, kind: str) -> None:
    text = refused(lambda: _contents.certificates_of(Input(content, "certificate (a.crt)")))
    assert text.startswith(
        f"wanted error input-unrecognised: certificate (a.crt) holds no certificate: it is {kind}"), text


@pytest.mark.parametrize(("content", "words"), [
    (b"\xfe\xed\xfe\xed\0\0\0\2rest", "keytool -importkeystore"), (b"\xce\xce\xce\xce\0\0\0\2rest", "(JCEKS)"),
    (LEAF.pem[:-30], "is cut off: BEGIN CERTIFICATE has no END CERTIFICATE"),
    (LEAF.pem.replace(b"M", b"%", 1), "what stands in BEGIN CERTIFICATE is no base64"),
    (b"-----BEGIN certificate-----\n", "has a BEGIN line that is damaged"),
    (b"-----BEGIN " + b"A" * 100, "has a BEGIN line that is damaged"),
    (pkcs7_der()[:-9], "is PKCS#7 and cannot be read"),
])
def test_what_cannot_be_read_is_refused_with_the_mend(refused: Refused, content: bytes, words: str) -> None:
    text = refused(lambda: contents(content))
    assert text.startswith("wanted error input-unrecognised: pkcs12 (a.pfx) ")
    assert words in text


def test_a_certificate_of_a_version_that_does_not_exist(refused: Refused) -> None:
    """To which the library answers with an exception of its own kind."""
    version = b"\xa0\x03\x02\x01\x02"
    damaged = LEAF.der.replace(version, version[:-1] + b"\x7f", 1)
    text = refused(lambda: _contents.certificates_of(Input(damaged, "certificate (a.crt)")))
    assert "it is a file that cannot be read (127 is not a valid X509 version)" in text
    packed = pkcs7_der().replace(version, version[:-1] + b"\x7f", 1)
    assert "is PKCS#7 and cannot be read: 127 is not a valid" in refused(lambda: contents(packed))


def test_too_many_certificates(refused: Refused) -> None:
    most = _contents.MOST_CERTIFICATES
    assert len(contents(pki.make().pem * most).certificates) == most
    assert "chain-too-long" in refused(lambda: contents(pki.make().pem * (most + 1)))
    many = pkcs7.serialize_certificates([CA.certificate] * (most + 1), serialization.Encoding.DER)
    assert "chain-too-long" in refused(lambda: contents(many))


def test_a_key_that_is_too_large(refused: Refused) -> None:
    der = b"\x30\x82\x40\x10\x02\x01\x00\x30\x00\x04\x82\x40\x07" + bytes(0x4007)
    text = refused(lambda: contents(der))
    assert "input-too-large: pkcs12 (a.pfx) holds a private key (PKCS#8) of 16404 bytes" in text
