# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, self-signed certificates and requests; OpenSSL and Python's ssl read them, and OpenSSL signs some of them."""

from __future__ import annotations

import datetime
import functools
import hashlib
import re
import ssl
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _requests, _subjects
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused as Refusal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import openssl, pki

Refused = t.Callable[[t.Callable[[], object]], str]
NOW = datetime.datetime.now(datetime.timezone.utc)
# The names by which OpenSSL and this collection call a curve.
KINDS = ["RSA", "secp256r1", "secp384r1", "secp521r1"]
SIGNATURES = {
    "RSA": ("sha256", "sha256WithRSAEncryption"), "secp256r1": ("sha256", "ecdsa-with-SHA256"),
    "secp384r1": ("sha384", "ecdsa-with-SHA384"), "secp521r1": ("sha512", "ecdsa-with-SHA512"),
}
HOST = "backup.example.com"


@functools.cache
def key_of(kind: str) -> t.Any:
    if kind == "RSA":
        return pki.rsa_key()
    return ec.generate_private_key(
        {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}[kind])


def names(identity: _requests.Identity) -> list[str]:
    return [str(name.value) for name in identity.san]


def certificate_of(kind: str = "secp256r1", days: int = 365, now: datetime.datetime = NOW) -> bytes:
    key = key_of(kind)
    identity = _requests.identity([HOST, "192.0.2.7"], _subjects.parse("/C=DE/CN=backup.example.com"))
    return _requests.self_signed(identity, key.public_key(), days=days, now=now).signed_by(key)


def extension(text: str, title: str) -> list[str]:
    """The line with an extension's title in OpenSSL's words, and the one below."""
    lines = [line.strip() for line in text.splitlines()]
    found = [number for number, line in enumerate(lines) if line.startswith(f"X509v3 {title}:")]
    assert len(found) == 1, text
    return [lines[found[0]].removeprefix(f"X509v3 {title}:").strip(), lines[found[0] + 1]]


# --- keys


@pytest.mark.parametrize(("options", "words", "data"), [
    ({}, "RSA 4096", {"type": "RSA", "size": 4096, "curve": None}),
    ({"size": 2048}, "RSA 2048", {"type": "RSA", "size": 2048, "curve": None}),
    ({"size": 8192, "curve": "none of them"}, "RSA 8192", {"type": "RSA", "size": 8192, "curve": None}),
    ({"type": "EC"}, "EC secp256r1", {"type": "EC", "size": None, "curve": "secp256r1"}),
    ({"type": "EC", "size": 1, "curve": "secp521r1"}, "EC secp521r1",
     {"type": "EC", "size": None, "curve": "secp521r1"}),
])
def test_key_spec(options: dict[str, t.Any], words: str, data: dict[str, t.Any]) -> None:
    spec = _requests.KeySpec.of(**options)
    assert (spec.in_words(), spec.as_data()) == (words, data)


@pytest.mark.parametrize(("options", "begins", "words"), [
    ({"size": 2047}, "key-rsa-too-small", ["2047 bits", "2048"]), ({"size": 1024}, "key-rsa-too-small", ["1024 bits"]),
    ({"size": 8193}, "option-value", ["8193 bits", "8192"]),
    ({"type": "EC", "curve": "secp256k1"}, "key-curve", ['"secp256k1"', "secp256r1, secp384r1, secp521r1"]),
    ({"type": "EC", "curve": "a\nb"}, "key-curve", ['"a\\nb"']),
    ({"type": "Ed25519"}, "option-value", ['"Ed25519"', "RSA or EC"]),
])
def test_key_spec_refuses(refused: Refused, options: dict[str, t.Any], begins: str, words: list[str]) -> None:
    text = refused(lambda: _requests.KeySpec.of(**options))
    assert text.startswith(f"wanted error {begins}: ")
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("options", [
    {"size": 2048}, {"type": "EC"}, {"type": "EC", "curve": "secp384r1"}, {"type": "EC", "curve": "secp521r1"}])
def test_a_key_is_as_it_was_asked_for(options: dict[str, t.Any]) -> None:
    spec = _requests.KeySpec.of(**options)
    key = spec.generate()
    text = openssl.run("pkey", "-noout", "-text", content=pki.key_bytes(key)).decode()
    assert {"RSA 2048": "2048 bit", "EC secp256r1": "P-256", "EC secp384r1": "P-384", "EC secp521r1": "P-521"}[
        spec.in_words()] in text
    assert spec.fits(key.public_key())
    others = [_requests.KeySpec.of(size=3072), _requests.KeySpec.of(type="EC", curve="secp384r1"),
              _requests.KeySpec.of(type="EC", curve="secp521r1")]
    assert [other.in_words() for other in others if other.fits(key.public_key())] == [
        other.in_words() for other in others if other == spec]
    assert not spec.fits(ed25519.Ed25519PrivateKey.generate().public_key())


# --- names


@pytest.mark.parametrize(("given_names", "subject", "san", "common"), [
    ([HOST], "", [HOST], [HOST]),
    ([HOST, "192.0.2.7", "2001:DB8::7", "*.example.com"], "",
     [HOST, "192.0.2.7", "2001:db8::7", "*.example.com"], [HOST]),
    (["b.example", "a.example", "B.Example", "a.example."], "", ["b.example", "a.example"], ["b.example"]),
    (["192.0.2.7"], "", ["192.0.2.7"], ["192.0.2.7"]),
    (["müller.example", "Bücher.Example", "xn--mller-kva.example"], "",
     ["xn--mller-kva.example", "xn--bcher-kva.example"], ["xn--mller-kva.example"]),
    ([], "/CN=backup.example.com", [HOST], [HOST]), ([], "/CN=Backup01", ["backup01"], ["Backup01"]),
    ([], "/CN=192.0.2.7", ["192.0.2.7"], ["192.0.2.7"]), ([], "/CN=müller.example", ["xn--mller-kva.example"],
                                                          ["müller.example"]),
    ([], "/CN=*.example.com", ["*.example.com"], ["*.example.com"]),
    (["a.example"], "/CN=backup.example.com", ["a.example", HOST], [HOST]),
    (["a.example", HOST], "/CN=BACKUP.example.com", ["a.example", HOST], ["BACKUP.example.com"]),
    (["a.example"], "/CN=a/CN=b", ["a.example", "a", "b"], ["a", "b"]),
    (["a.example"], "/O=Example", ["a.example"], []),
    (["a.example"], "/CN=Backup Server 1", ["a.example"], ["Backup Server 1"]),
    (["a.example"], "/CN=Müller", ["a.example"], ["Müller"]),
    (["a.example"], "/CN=Server 1.5", ["a.example"], ["Server 1.5"]),
    (["a.example"], "/CN=version.5", ["a.example"], ["version.5"]),
    (["a.example"], r"/CN=https:\/\/b.example", ["a.example"], ["https://b.example"]),
    (["a_b.example", "_x.example"], "", ["a_b.example", "_x.example"], ["a_b.example"]),
    (["a" * 63 + ".example", "b.example"], "", ["a" * 63 + ".example", "b.example"], ["b.example"]),
    (["a" * 56 + ".example"], "", ["a" * 56 + ".example"], ["a" * 56 + ".example"]),
    (["a" * 57 + ".example"], "", ["a" * 57 + ".example"], []),
    ([".".join(["a" * 49] * 5) + ".bcd"], "", [".".join(["a" * 49] * 5) + ".bcd"], []),
])
def test_identity(given_names: list[str], subject: str, san: list[str], common: list[str]) -> None:
    identity = _requests.identity(given_names, _subjects.parse(subject))
    assert names(identity) == san
    assert [a.value for a in identity.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)] == common
    assert identity.subject_asked == bool(subject)
    kinds = [x509.IPAddress if text.startswith(("192.", "2001:")) else x509.DNSName for text in san]
    assert [type(name) for name in identity.san] == kinds


def test_identity_without_a_subject() -> None:
    assert _requests.identity([HOST]) == _requests.identity([HOST], x509.Name([]))


@pytest.mark.parametrize("subject", ["", "/CN=", "/O=Example", "/CN=Backup Server 1", "/CN=Müller", "/CN=10.0.0.256"])
def test_no_name_at_all(refused: Refused, subject: str) -> None:
    text = refused(lambda: _requests.identity([], _subjects.parse(subject)))
    assert text.startswith("wanted error names-missing: ")
    assert "sesam_https_names" in text


@pytest.mark.parametrize(("name", "words"), [
    ("", "neither a host name"), (" ", "neither a host name"), ("a b", "neither a host name"),
    (" a.example", "neither"), ("a..example", "neither"), (".example", "neither"), ("a.example..", "neither"),
    ("*", "neither a host name"), ("*.", "neither"), ("a*.example", "neither"), ("a.*.example", "neither"),
    ("*.*.example", "neither"), ("-a.example", "neither"), ("a-.example", "neither"), ("a\0.example", "neither"),
    ("https://a.example", "https://"), ("a.example:11401", "without a port"), ("root@a.example", "neither"),
    ("10.0.0.1/24", "neither"), ("[::1]", "neither"), ("10.0.0.256", "looks like an IP address"),
    ("192.168.1", "looks like an IP address"), ("fe80::1%eth0", "a zone"), ("a" * 64 + ".example", "neither"),
    ("ä" * 64 + ".example", "neither"),
    (".".join(["a" * 49] * 5) + ".bcde", "254 characters"),
    ("straße.example", "begins with xn--"), ("STRAẞE.example", "begins with xn--"), ("λόγος.example", "xn--"),
    ("a\u200db.example", "begins with xn--"), ("ä\0b.example", "neither"),
    ("a\nb", '"a\\nb"'), ("a.example\n", "neither"),
])
def test_no_name_of_a_host(refused: Refused, name: str, words: str) -> None:
    text = refused(lambda: _requests.identity(["ok.example", name]))
    assert text.startswith('wanted error name-syntax: The name "')
    assert words in text
    assert text.isprintable()
    assert len(text) < 400


@given(st.lists(st.from_regex(r"(\*\.)?[a-zA-Z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{1,4}){1,2}", fullmatch=True),
                min_size=1, max_size=6))
def test_names_stay_in_their_order_and_once(given_names: list[str]) -> None:
    assert names(_requests.identity(given_names)) == list(dict.fromkeys(name.lower() for name in given_names))


@given(st.text())
def test_any_text_is_a_name_or_refused(name: str) -> None:
    try:
        identity = _requests.identity([name])
    except Refusal as exc:
        assert [finding.id for finding in exc.findings] == ["name-syntax"]  # noqa: PT017
    else:
        assert names(identity)[0].isascii()


# --- self-signed certificates


@pytest.mark.parametrize("kind", KINDS)
def test_self_signed_by_openssl(kind: str, tmp_path: Path) -> None:
    der = certificate_of(kind)
    text = openssl.read("x509", der, "-text")
    assert extension(text, "Basic Constraints") == ["critical", "CA:FALSE"]
    usage = "Digital Signature, Key Encipherment" if kind == "RSA" else "Digital Signature"
    assert extension(text, "Key Usage") == ["critical", usage]
    assert extension(text, "Extended Key Usage") == ["", "TLS Web Server Authentication"]
    assert extension(text, "Subject Alternative Name") == ["", "DNS:backup.example.com, IP Address:192.0.2.7"]
    key_id = extension(text, "Subject Key Identifier")[1]
    assert extension(text, "Authority Key Identifier")[1].removeprefix("keyid:") == key_id
    assert text.count("X509v3 ") - text.count("X509v3 extensions") == 6
    assert re.findall(r"Signature Algorithm: (\S+)", text) == [SIGNATURES[kind][1]] * 2
    assert "Version: 3 (0x2)" in text
    for line in ("Subject: C = DE, CN = backup.example.com", "Issuer: C = DE, CN = backup.example.com"):
        assert line in text
    path = tmp_path / "a.crt"
    path.write_bytes(openssl.run("x509", "-inform", "DER", content=der))
    assert b": OK" in openssl.run("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", HOST,
                                  "-check_ss_sig", "-CAfile", path, path)
    assert b": OK" in openssl.run("verify", "-verify_ip", "192.0.2.7", "-CAfile", path, path)
    assert openssl.run("x509", "-pubkey", "-noout", "-in", path) == openssl.run(
        "pkey", "-pubout", content=pki.key_bytes(key_of(kind)))


def test_serial_numbers_are_long_and_never_the_same() -> None:
    serials = [int(openssl.read("x509", certificate_of(), "-serial").split("=")[1], 16) for _turn in range(5)]
    assert len(set(serials)) == 5
    assert max(serials).bit_length() > 100
    assert max(serials).bit_length() < 160


@pytest.mark.parametrize(("days", "micro"), [(1, 0), (365, 999_999), (36500, 1)])
def test_dates(days: int, micro: int) -> None:
    """The first and the last second count: the life is as long as was asked for, and begins a little earlier."""
    now = datetime.datetime(2026, 11, 24, 12, 0, 0, micro, tzinfo=datetime.timezone.utc)
    text = openssl.read("x509", certificate_of(days=days, now=now), "-dates", "-dateopt", "iso_8601")
    begins, ends = re.findall(r"=(\S+ \S+)Z", text)
    assert begins == "2026-11-24 11:55:00"
    length = datetime.datetime.fromisoformat(ends) - datetime.datetime.fromisoformat(begins)
    assert length + datetime.timedelta(seconds=1) == datetime.timedelta(days=days)


@pytest.mark.parametrize("days", [0, -1, 36501, 10**9])
def test_days_that_make_no_sense(refused: Refused, days: int) -> None:
    text = refused(lambda: certificate_of(days=days))
    assert text.startswith(f"wanted error option-value: days is {days}.")


def test_a_time_in_another_zone() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5))
    now = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=zone)
    assert "notBefore=2026-11-24 06:55:00Z" in openssl.read(
        "x509", certificate_of(now=now), "-dates", "-dateopt", "iso_8601")


def test_no_certificate_without_an_issuer(refused: Refused) -> None:
    """Java refuses to read one."""
    identity = _requests.identity(["a" * 60 + ".example"])
    key = key_of("secp256r1")
    text = refused(lambda: _requests.self_signed(identity, key.public_key(), days=1, now=NOW))
    assert text.startswith("wanted error subject-missing: ")
    assert "option subject" in text


def handshake(certificate: Path, key: Path, name: str) -> None:
    """A handshake in memory, by a client that trusts the certificate and takes no name from the CN."""
    client = ssl.create_default_context(cafile=str(certificate))
    client.hostname_checks_common_name = False
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname=name),
            server.wrap_bio(to_server, to_client, server_side=True)]
    for _turn in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    for end in ends:
        end.do_handshake()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_takes_ours_by_every_name(kind: str, tmp_path: Path) -> None:
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    key.write_bytes(pki.key_bytes(key_of(kind)))
    certificate.write_bytes(openssl.run("x509", "-inform", "DER", content=certificate_of(kind)))
    handshake(certificate, key, HOST)
    handshake(certificate, key, "192.0.2.7")
    with pytest.raises(ssl.SSLCertVerificationError, match="other"):
        handshake(certificate, key, "other.example.com")


def test_a_client_refuses_the_plain_recipe(tmp_path: Path) -> None:
    """The subject alone, as it is documented: no SAN, CA:TRUE."""
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    openssl.run("req", "-x509", "-newkey", "rsa:2048", "-sha256", "-days", "365", "-nodes", "-keyout", key, "-out",
                certificate, "-subj", f"/C=DE/O=Example/CN={HOST}")
    assert b"Subject Alternative Name" not in openssl.run("x509", "-in", certificate, "-noout", "-text")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(certificate, key, HOST)


# --- requests


@pytest.mark.parametrize("kind", KINDS)
def test_csr_by_openssl(kind: str) -> None:
    key = key_of(kind)
    identity = _requests.identity([HOST, "2001:db8::7"], _subjects.parse("/C=DE/O=Zoë/CN=backup.example.com"))
    der = _requests.csr(identity, key.public_key()).signed_by(key)
    text = openssl.read("req", der, "-verify", "-text", "-nameopt", "utf8,sep_comma_plus_space")
    assert "Subject: C=DE, O=Zoë, CN=backup.example.com" in text
    assert extension(text, "Basic Constraints") == ["critical", "CA:FALSE"]
    usage = "Digital Signature, Key Encipherment" if kind == "RSA" else "Digital Signature"
    assert extension(text, "Key Usage") == ["critical", usage]
    assert extension(text, "Extended Key Usage") == ["", "TLS Web Server Authentication"]
    assert extension(text, "Subject Alternative Name") == [
        "", "DNS:backup.example.com, IP Address:2001:DB8:0:0:0:0:0:7"]
    assert re.findall(r"Signature Algorithm: (\S+)", text) == [SIGNATURES[kind][1]]
    assert openssl.run("req", "-inform", "DER", "-pubkey", "-noout", content=der) == openssl.run(
        "pkey", "-pubout", content=pki.key_bytes(key))


def test_the_san_is_critical_where_it_stands_alone() -> None:
    key = key_of("secp256r1")
    der = _requests.csr(_requests.identity(["a" * 60 + ".example"]), key.public_key()).signed_by(key)
    text = openssl.read("req", der, "-verify", "-text")
    assert extension(text, "Subject Alternative Name") == ["critical", f"DNS:{'a' * 60}.example"]
    assert re.search(r"Subject: *\n", text)


# --- signed elsewhere


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["certificate", "request"])
def test_a_key_that_stays_where_it_is(kind: str, what: str, tmp_path: Path) -> None:
    """The host is asked for nothing but a public key and a signature."""
    path = tmp_path / "a.key"
    path.write_bytes(pki.key_bytes(key_of(kind)))
    public_key: t.Any = serialization.load_pem_public_key(openssl.run("pkey", "-in", path, "-pubout"))
    identity = _requests.identity([HOST])
    unsigned = (_requests.self_signed(identity, public_key, days=30, now=NOW) if what == "certificate"
                else _requests.csr(identity, public_key))
    assert (unsigned.kind, unsigned.digest) == (what, SIGNATURES[kind][0])
    der = unsigned.assemble(openssl.sign(unsigned.digest, path, unsigned.tbs))
    if what == "request":
        assert "DNS:backup.example.com" in openssl.read("req", der, "-verify", "-text")
        return
    certificate = tmp_path / "a.crt"
    certificate.write_bytes(openssl.run("x509", "-inform", "DER", content=der))
    assert b": OK" in openssl.run("verify", "-check_ss_sig", "-x509_strict", "-CAfile", certificate, certificate)


@pytest.mark.parametrize("kind", ["RSA", "secp256r1"])
@pytest.mark.parametrize("make", [
    lambda identity, key: _requests.self_signed(identity, key, days=1, now=NOW), _requests.csr])
def test_a_signature_of_another_key(refused: Refused, kind: str, make: t.Any) -> None:
    unsigned = make(_requests.identity([HOST]), key_of(kind).public_key())
    other = pki.rsa_key(1) if kind == "RSA" else pki.ec_key()
    for attempt in (lambda: unsigned.signed_by(other), lambda: unsigned.assemble(b""),
                    lambda: unsigned.assemble(b"\x30\x03garbage" * 9)):
        text = refused(attempt)
        assert text.startswith("wanted error signature-invalid: ")


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1()),
                                 ec.generate_private_key(ec.BrainpoolP256R1())])
def test_keys_that_no_browser_takes(refused: Refused, key: t.Any) -> None:
    identity = _requests.identity([HOST])
    for attempt in (lambda: _requests.csr(identity, key.public_key()),
                    lambda: _requests.self_signed(identity, key.public_key(), days=1, now=NOW),
                    lambda: _requests.csr_from_certificate(pki.make(key=key).certificate)):
        text = refused(attempt)
        assert text.startswith("wanted error key-curve: The key is E")
        assert "make a new key" in text


# --- a request from a certificate


def by_recipe(tmp_path: Path, *words: str) -> tuple[x509.Certificate, t.Any]:
    """A certificate that OpenSSL made, and its key."""
    key = tmp_path / "recipe.key"
    pem = openssl.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-days", "30", *words)
    return x509.load_pem_x509_certificate(pem), serialization.load_pem_private_key(key.read_bytes(), None)


def from_certificate(certificate: x509.Certificate, key: t.Any) -> tuple[str, list[str]]:
    found = _requests.csr_from_certificate(certificate)
    der = found.unsigned.signed_by(key)
    return openssl.read("req", der, "-verify", "-text", "-nameopt", "utf8,sep_comma_plus_space"), found.notes


def test_the_plain_recipe_becomes_a_request_with_a_san(tmp_path: Path) -> None:
    text, notes = from_certificate(*by_recipe(tmp_path, "-subj", f"/C=DE/O=Example/CN={HOST}"))
    assert "Subject: C=DE, O=Example, CN=backup.example.com" in text
    assert extension(text, "Basic Constraints") == ["critical", "CA:FALSE"]
    assert extension(text, "Subject Alternative Name") == ["", f"DNS:{HOST}"]
    assert text.count("X509v3 ") == 2
    assert len(notes) == 3
    assert notes[0] == "Left out, since a CA writes it anew: subjectKeyIdentifier, authorityKeyIdentifier."
    assert "CA:TRUE" in notes[1]
    assert notes[2] == f"The certificate has no SAN; the request has one: {HOST}."


KEPT = {
    "keyUsage": "digitalSignature", "extendedKeyUsage": "critical,serverAuth,clientAuth",
    "subjectAltName": "critical,DNS:a.example,IP:192.0.2.7,email:a@example.com,URI:https://a.example/,"
                      "otherName:1.2.3;UTF8:x",
    "tlsfeature": "status_request", "1.2.3.4": "critical,ASN1:UTF8:own", "1.3.6.1.4.1.311.20.2": "ASN1:BMP:WebServer",
    "1.3.6.1.4.1.311.21.7": "ASN1:SEQUENCE:template", "nsComment": "a comment",
}
GONE = {
    "crlDistributionPoints": "URI:http://a.example/c", "authorityInfoAccess": "OCSP;URI:http://a.example/o",
    "certificatePolicies": "1.2.3.4.5", "issuerAltName": "DNS:ca.example", "freshestCRL": "URI:http://a.example/d",
    "subjectInfoAccess": "caRepository;URI:http://a.example/r", "nameConstraints": "permitted;DNS:example",
    "policyConstraints": "requireExplicitPolicy:3", "inhibitAnyPolicy": "2", "policyMappings": "1.2.3:1.2.4",
    "subjectKeyIdentifier": "hash", "1.3.6.1.4.1.11129.2.4.2": "ASN1:FORMAT:HEX,OCT:0000",
    "1.3.6.1.4.1.11129.2.4.3": "critical,ASN1:NULL",
}


def extensions(text: str) -> set[str]:
    """Each extension as OpenSSL's text shows it, in one line."""
    section = text.partition("extensions:\n" if "extensions:\n" in text else "Extensions:\n")[2]
    found: list[str] = []
    indent = len(section) - len(section.lstrip())
    for line in filter(str.strip, section.splitlines()):
        depth = len(line) - len(line.lstrip())
        if depth < indent:
            break
        if depth == indent:
            found.append("")
        found[-1] += " ".join(line.split()) + "|"
    return set(found)


def test_no_extension_is_lost(tmp_path: Path) -> None:
    config = tmp_path / "a.cnf"
    lines = [f"{name}={value}" for name, value in {**KEPT, **GONE}.items()]
    config.write_text("\n".join([
        "[req]", "distinguished_name=dn", "[dn]", "[all]", "basicConstraints=critical,CA:FALSE", *lines,
        "[template]", "a=OID:1.2.3.4.5", "b=INTEGER:100"]))
    certificate, key = by_recipe(tmp_path, "-config", str(config), "-extensions", "all", "-subj", f"/CN={HOST}")
    before = extensions(openssl.read("x509", certificate.public_bytes(serialization.Encoding.DER), "-text"))
    text, notes = from_certificate(certificate, key)
    assert len(before) == 1 + len(KEPT) + len(GONE)
    kept = extensions(text)
    assert len(kept) == 1 + len(KEPT)
    assert kept <= before
    left_out = notes[0].removeprefix("Left out, since a CA writes it anew: ").removesuffix(".").split(", ")
    assert len(set(left_out)) == len(before - kept)
    assert {"authorityInfoAccess", "subjectKeyIdentifier", "signed certificate timestamps"} < set(left_out)
    assert len(notes) == 1


def test_usages_of_a_ca_become_those_of_a_server(tmp_path: Path) -> None:
    for usage in ("keyCertSign", "cRLSign,digitalSignature"):
        text, notes = from_certificate(*by_recipe(
            tmp_path, "-subj", "/CN=a CA", "-addext", f"keyUsage={usage}", "-addext", "subjectAltName=DNS:a.example"))
        assert extension(text, "Key Usage") == ["critical", "Digital Signature, Key Encipherment"]
        assert extension(text, "Subject Alternative Name") == ["", "DNS:a.example"]
        assert [note for note in notes if "keyCertSign" in note]


def test_a_cn_that_is_no_host_name_gives_no_san(tmp_path: Path) -> None:
    text, notes = from_certificate(*by_recipe(tmp_path, "-subj", "/CN=Backup Server 1"))
    assert "Alternative" not in text
    assert [note for note in notes if "SAN" in note] == []


def test_what_a_ca_issued(tmp_path: Path) -> None:
    pair = pki.make(names=["a.example"], issuer=pki.make_ca())
    text, notes = from_certificate(pair.certificate, pair.key)
    assert extension(text, "Subject Alternative Name") == ["", "DNS:a.example"]
    assert "Subject: CN=sesam.example" in text
    assert notes == []


def test_a_certificate_whose_extensions_cannot_be_read(refused: Refused) -> None:
    key = pki.ec_key()
    for oid, value in (("2.5.29.17", b"garbage"), ("2.5.29.17", b"\x30\x02\xa3\x00"), ("2.5.29.15", b"")):
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([])).public_key(
            key.public_key()).serial_number(1).not_valid_before(NOW).not_valid_after(NOW).add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
        broken = x509.load_der_x509_certificate(
            builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        text = refused(lambda broken=broken: _requests.csr_from_certificate(broken))
        assert text.startswith("wanted error input-unrecognised: No request can be made from the certificate: ")


# --- facts of a request


def made_by_openssl(*words: str | Path) -> bytes:
    return openssl.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout",
                       "/dev/null", *words)


def test_facts_of_a_request() -> None:
    pem = made_by_openssl("-subj", "/O=Example/CN=a.example", "-addext", "subjectAltName=DNS:A.example,IP:192.0.2.7")
    der = openssl.run("req", "-outform", "DER", content=pem)
    public_key = openssl.run("pkey", "-pubin", "-outform", "DER",
                             content=openssl.run("req", "-pubkey", "-noout", content=pem))
    wanted = {
        "subject": "CN=a.example,O=Example", "names": ["A.example", "192.0.2.7"], "public_key": "EC secp384r1",
        "public_key_sha256": hashlib.sha256(public_key).hexdigest(), "signature_valid": True,
    }
    assert _requests.csr_facts(der) == wanted
    assert _requests.csr_facts(pem) == wanted
    assert _requests.csr_facts(der[:-1] + bytes([der[-1] ^ 1])) == {**wanted, "signature_valid": False}


def test_facts_of_a_request_without_anything() -> None:
    facts = _requests.csr_facts(made_by_openssl("-subj", "/"))
    assert facts is not None
    assert (facts["subject"], facts["names"]) == ("", [])


def test_nothing_in_a_request_is_obeyed_by_a_terminal() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x1b[31mb")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(pki.ec_key(), hashes.SHA256())
    facts = _requests.csr_facts(request.public_bytes(serialization.Encoding.DER))
    assert facts is not None
    assert facts["subject"].isprintable()


@pytest.mark.parametrize("content", [b"", b"text", pki.make().der, pki.make().pem, b"\x30\x80", pki.make().key_pem,
                                     b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"])
def test_what_is_no_request(content: bytes) -> None:
    assert _requests.load_csr(content) is None
    assert _requests.csr_facts(content) is None


def test_a_request_of_an_unknown_version() -> None:
    """The library has an exception of its own for it."""
    assert whole().count(b"\x02\x01\x00\x30") == 1
    assert _requests.csr_facts(whole().replace(b"\x02\x01\x00\x30", b"\x02\x01\x07\x30")) is None


def test_a_request_of_an_old_kind_of_key() -> None:
    key = dsa.generate_private_key(1024)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    facts = _requests.csr_facts(request.public_bytes(serialization.Encoding.DER))
    assert facts is not None
    assert facts["public_key"] == "DSA 1024"


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_certificate_becomes_a_request_or_is_refused(position: int, value: int) -> None:
    der = bytearray(certificate_of())
    der[position % len(der)] = value
    try:
        certificate = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    try:
        assert _requests.csr_from_certificate(certificate).unsigned.tbs
    except Refusal as exc:
        assert exc.findings[0].id in ("input-unrecognised", "key-curve")  # noqa: PT017


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_request_is_no_traceback(damages: list[tuple[int, int]]) -> None:
    der = bytearray(whole())
    for position, value in damages:
        der[position % len(der)] = value
    facts = _requests.csr_facts(bytes(der))
    assert facts is None or facts["subject"].isprintable()


@functools.cache
def whole() -> bytes:
    key = key_of("secp256r1")
    return _requests.csr(_requests.identity([HOST, "192.0.2.7"]), key.public_key()).signed_by(key)
