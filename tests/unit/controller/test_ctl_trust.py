# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths to a CA, with C(openssl verify) as the second opinion: what it takes, what it takes under -x509_strict."""

from __future__ import annotations

import datetime
import statistics
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _trust
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from unit import pki

Certificates = list[x509.Certificate]


def under(issuer: pki.Pair, name: str = "leaf.example", **keywords: t.Any) -> pki.Pair:
    """A leaf with the identifiers that strict clients want."""
    key = keywords.pop("key", None) or pki.ec_key()
    extra = [*pki.identifiers(key, issuer), *keywords.pop("extra", ())]
    return pki.make(name, key=key, issuer=issuer, extra=extra, **keywords)


ROOT = pki.make_strict_ca("Root")
MIDDLE = pki.make_strict_ca("Middle", issuer=ROOT)
LEAF = under(MIDDLE)
OTHER = pki.make_strict_ca("Root")


def limited(path_length: int) -> pki.Pair:
    """A root below which there may be so many CAs, and one more below it."""
    extra = [(x509.BasicConstraints(True, path_length), True), pki.usage("key_cert_sign")]
    key = pki.ec_key()
    root = pki.make("Root", key=key, ca=None, names=[], extra=[*extra, *pki.identifiers(key, None)])
    return under(pki.make_strict_ca("Middle", issuer=root))


def constrained(allowed: str) -> pki.Pair:
    """A CA that may issue for one domain alone."""
    return under(pki.make_strict_ca(extra=[(x509.NameConstraints([x509.DNSName(allowed)], None), True)]))


def purposes(*oids: x509.ObjectIdentifier) -> pki.Extension:
    return x509.ExtendedKeyUsage(oids), False


def with_root(pair: pki.Pair) -> tuple[pki.Pair, Certificates, Certificates]:
    """A leaf, its intermediates and its root."""
    return pair, pair.chain[1:-1], pair.chain[-1:]


PLAIN_CA = pki.make_ca("Plain", key=pki.rsa_key())
ED_KEY, ED448_KEY = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()
SELF_SIGNED_CA = pki.make(ca=True, names=["sesam.example"])
CROSSED = pki.make_strict_ca("Middle", key=MIDDLE.key, issuer=OTHER, begins=-0.25)
NOT_CA = pki.make("Not a CA", issuer=ROOT)
MAY_NOT_SIGN = pki.make("No signer", ca=True, names=[], extra=[pki.usage("digital_signature")])
YOUNG_ROOT = pki.make_strict_ca("Root", begins=-0.5)

# Leaf, what is sent with it, what is trusted; whether it builds, and whether strict clients take it too.
PATHS: dict[str, tuple[tuple[pki.Pair, Certificates, Certificates], bool, bool]] = {
    "three": (with_root(LEAF), True, True),
    "root is sent": ((LEAF, LEAF.chain[1:], [ROOT.certificate]), True, True),
    "order of the rest": ((LEAF, [*reversed(LEAF.chain[1:])], [ROOT.certificate]), True, True),
    "strangers beside": ((LEAF, [OTHER.certificate, *LEAF.chain[1:]], [OTHER.certificate, ROOT.certificate]),
                         True, True),
    "no intermediate": ((LEAF, [], [ROOT.certificate]), False, False),
    "another root of that name": ((LEAF, [MIDDLE.certificate], [OTHER.certificate]), False, False),
    "plain CA": (with_root(pki.make(issuer=PLAIN_CA)), True, False),
    "plain CA, IP alone": (with_root(pki.make(issuer=PLAIN_CA, names=["192.0.2.7"])), True, False),
    "IPv6 alone": (with_root(under(ROOT, names=["2001:db8::7"])), True, True),
    "no SAN": (with_root(under(ROOT, names=[])), True, True),
    "client purpose": (with_root(under(ROOT, extra=[purposes(ExtendedKeyUsageOID.SERVER_AUTH)])), True, True),
    "leaf without AKI": (with_root(pki.make(issuer=ROOT)), True, False),
    "leaf that is a CA": (with_root(under(
        ROOT, ca=True, names=["leaf.example"], extra=[pki.usage("digital_signature", "key_cert_sign")])), True, True),
    "P-521 and RSA": (with_root(under(pki.make_strict_ca(key=pki.rsa_key()), key=pki.rsa_key(1))), True, True),
    "issued by a leaf": (with_root(pki.make(issuer=NOT_CA)), False, False),
    "issued by a leaf that is trusted": (with_root(pki.make(issuer=pki.make("Not a CA"))), False, False),
    "intermediate without AKI": (with_root(under(pki.make(
        "Middle", key=MIDDLE.key, issuer=ROOT, ca=True, names=[],
        extra=[pki.usage("key_cert_sign"), pki.identifiers(MIDDLE.key, ROOT)[0]]))), True, False),
    "root without AKI": (with_root(under(pki.make("Root", key=MIDDLE.key, ca=True, names=[], extra=[
        pki.usage("key_cert_sign"), pki.identifiers(MIDDLE.key, None)[0]]))), True, True),
    "issuer may not sign": (with_root(pki.make(issuer=MAY_NOT_SIGN)), False, False),
    "path length 0": (with_root(limited(0)), False, False),
    "path length 1": (with_root(limited(1)), True, True),
    "foreign domain": (with_root(constrained("other.example")), False, False),
    "own domain": (with_root(constrained("leaf.example")), True, True),
    "begins before its root": (with_root(under(YOUNG_ROOT)), True, True),
    "CA of servers": (with_root(under(pki.make_strict_ca(
        "M", issuer=ROOT, extra=[purposes(ExtendedKeyUsageOID.SERVER_AUTH)]))), True, True),
    "CA of clients": (with_root(under(pki.make_strict_ca(
        "M", issuer=ROOT, extra=[purposes(ExtendedKeyUsageOID.CLIENT_AUTH)]))), False, False),
    "Ed25519 leaf": (with_root(under(ROOT, key=ED_KEY)), True, True),
}


def build(case: tuple[pki.Pair, Certificates, Certificates], moment: datetime.datetime | None = None) -> _trust.Built:
    return _trust.build(case[0].certificate, case[1], case[2], moment)


@pytest.mark.parametrize(("case", "builds", "is_strict"), PATHS.values(), ids=PATHS)
def test_path(case: tuple[pki.Pair, Certificates, Certificates], builds: bool, is_strict: bool) -> None:
    built = build(case)
    assert (built.builds, built.builds and not built.strict_words) == (builds, is_strict), built
    assert bool(built.words) is not builds
    assert built.path[0] == case[0].certificate
    assert (built.path[-1] in case[2]) >= builds


@pytest.mark.parametrize(("case", "builds", "is_strict"), PATHS.values(), ids=PATHS)
def test_openssl_says_the_same(
    tmp_path: Path, case: tuple[pki.Pair, Certificates, Certificates], builds: bool, is_strict: bool
) -> None:
    leaf, others, trusted = case
    (tmp_path / "leaf").write_text(_certificates.to_pem([leaf.certificate]))
    (tmp_path / "others").write_text(_certificates.to_pem(others) or _certificates.to_pem([leaf.certificate]))
    (tmp_path / "trusted").write_text(_certificates.to_pem(trusted))

    def is_verified(*options: str) -> bool:
        command = ["openssl", "verify", *options, "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-CAfile",
                   tmp_path / "trusted", "-untrusted", tmp_path / "others", tmp_path / "leaf"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert (is_verified(), is_verified("-x509_strict")) == (builds, is_strict)


@pytest.mark.parametrize("pair", [pki.make(), SELF_SIGNED_CA, pki.make(key=ED_KEY), pki.make(names=["192.0.2.7"])])
def test_a_certificate_that_is_trusted_itself(pair: pki.Pair) -> None:
    built = _trust.build(pair.certificate, [], [pair.certificate])
    assert (built.builds, built.strict_words, built.path) == (True, "", [pair.certificate])


def test_another_way_is_found() -> None:
    """The signatures alone lead to the wrong root first, and there OpenSSL gives up."""
    built = _trust.build(LEAF.certificate, [MIDDLE.certificate, CROSSED.certificate], [OTHER.certificate])
    assert (built.builds, built.path) == (True, [LEAF.certificate, *CROSSED.chain])


def test_an_intermediate_may_be_what_is_trusted() -> None:
    built = _trust.build(LEAF.certificate, LEAF.chain[1:], [MIDDLE.certificate])
    assert (built.builds, built.path) == (True, [LEAF.certificate, MIDDLE.certificate])


def test_nothing_is_trusted_that_was_not_given() -> None:
    built = _trust.build(LEAF.certificate, LEAF.chain[1:], [])
    assert (built.builds, built.words) == (False, "no CA certificate is there to build to")


def test_the_documented_company_ca(tmp_path: Path) -> None:
    """As anybody makes it by hand: the root without keyUsage, the leaf without anything but its names."""
    (tmp_path / "names").write_text("subjectAltName=DNS:leaf.example,IP:192.0.2.7\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=CA -days 30 -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=leaf.example -keyout leaf.key -out leaf.csr",
        "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 20 -extfile names -out leaf.crt",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, capture_output=True, check=True)
    ca, leaf = (x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes()) for name in ("ca", "leaf"))
    built = _trust.build(leaf, [], [ca])
    assert (built.builds, built.words, built.path) == (True, "", [leaf, ca])
    assert "CN=CA has no keyUsage; " in built.strict_words


def moment(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


@pytest.mark.parametrize(("days", "builds"), [(-1.1, False), (-0.9, True), (29.9, True), (30.1, False)])
def test_the_moment_of_the_caller(days: float, builds: bool) -> None:
    built = build(with_root(LEAF), moment(days).astimezone(datetime.timezone(datetime.timedelta(hours=14))))
    assert built.builds is builds
    assert ("validity" in built.words or "not valid" in built.words) is not builds


@pytest.mark.parametrize(("leaf", "root"), [((-60, -30), (-90, 90)), ((-60, 30), (-90, -30)), ((10, 20), (-1, 30)),
                                            ((-9, 9), (-5, 20))])
def test_without_a_moment_dates_do_not_count(leaf: tuple[float, float], root: tuple[float, float]) -> None:
    ca = pki.make_strict_ca(begins=root[0], ends=root[1])
    built = build(with_root(under(ca, begins=leaf[0], ends=leaf[1])))
    assert (built.builds, built.words, built.strict_words) == (True, "", "")


def test_certificates_that_were_never_valid_together_do_not_build() -> None:
    ca = pki.make_strict_ca(begins=10)
    assert not build(with_root(under(ca, ends=5))).builds


@pytest.mark.parametrize("key", [ED_KEY, ED448_KEY])
@pytest.mark.parametrize("issuer", [None, ROOT])
def test_an_edwards_ca_builds_though_the_library_has_no_word_for_it(key: t.Any, issuer: pki.Pair | None) -> None:
    built = build(with_root(under(pki.make_strict_ca("Edwards", key=key, issuer=issuer))))
    assert (built.builds, built.words) == (True, "")
    assert "lgorithm" in built.strict_words


@pytest.mark.parametrize("ca", [
    pki.make("Not a CA", key=ED_KEY), pki.make("Unsaid", key=ED_KEY, ca=None),
    pki.make("No signer", key=ED_KEY, ca=True, extra=[pki.usage("digital_signature")]),
    pki.make("Clients", key=ED_KEY, ca=True, extra=[purposes(ExtendedKeyUsageOID.CLIENT_AUTH)]),
    pki.make("Names", key=ED_KEY, ca=True, extra=[(x509.NameConstraints([x509.DNSName("leaf.example")], None), True)]),
    pki.make("Over", key=ED_KEY, ca=True, begins=-90, ends=-60),
    pki.make_strict_ca("Middle", issuer=pki.make(
        "Short", key=ED_KEY, ca=None, extra=[(x509.BasicConstraints(True, 0), True)])),
], ids=lambda ca: ca.certificate.subject.rfc4514_string())
def test_an_edwards_ca_is_no_way_around(ca: pki.Pair) -> None:
    built = build(with_root(under(ca)), moment(0))
    assert not built.builds
    assert built.words


def test_an_edwards_ca_that_is_not_trusted() -> None:
    ca = pki.make_strict_ca(key=ED_KEY)
    assert not _trust.build(under(ca).certificate, [ca.certificate], [ROOT.certificate]).builds


def test_a_root_of_x509_version_1(tmp_path: Path) -> None:
    """As OpenSSL makes it of a request without extensions."""
    key = pki.rsa_key()
    (tmp_path / "key").write_bytes(pki.key_bytes(key))
    request = ["openssl", "req", "-new", "-key", tmp_path / "key", "-subj", "/CN=Old"]
    text = subprocess.run(request, capture_output=True, check=True).stdout
    sign = ["openssl", "x509", "-req", "-days", "90", "-signkey", tmp_path / "key"]
    made = subprocess.run(sign, input=text, capture_output=True, check=True).stdout
    root = pki.Pair(x509.load_pem_x509_certificate(made), key)
    assert root.certificate.version is x509.Version.v1
    leaf = under(root, begins=0.01)
    built = build(with_root(leaf))
    assert (built.builds, built.path) == (True, leaf.chain)
    assert "X509v3" in built.strict_words


def test_weak_hashes_are_told_elsewhere() -> None:
    leaf = pki.make_by_openssl("leaf.example", "sha1", issuer=ROOT)
    built = build(with_root(leaf))
    assert (built.builds, built.path) == (True, leaf.chain)
    stranger = pki.make_by_openssl("leaf.example", "sha1", issuer=pki.make_strict_ca("Root"))
    assert not _trust.build(stranger.certificate, [], [ROOT.certificate]).builds


def test_a_small_key_of_a_ca_is_not() -> None:
    ca = pki.make_strict_ca(key=pki.rsa_key(1024, size=1024))
    assert not build(with_root(under(ca))).builds


def test_strictness_of_a_path_without_a_bundle() -> None:
    assert _trust.strictness(LEAF.chain) == ""
    assert _trust.strictness(LEAF.chain[:-1]) == ""
    assert _trust.strictness(LEAF.chain[:1]) == ""
    assert "CN=Plain has no keyUsage" in _trust.strictness(pki.make(issuer=PLAIN_CA).chain)


def test_it_is_quick() -> None:
    """With the whole set of CAs that a system may have."""
    bundle = [pki.make_strict_ca(f"CA {number}").certificate for number in range(150)] + [ROOT.certificate]

    def seconds() -> float:
        start = time.perf_counter()
        assert _trust.build(LEAF.certificate, [MIDDLE.certificate], bundle).builds
        return time.perf_counter() - start

    assert statistics.median(seconds() for _turn in range(5)) < 0.05
