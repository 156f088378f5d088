# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each finding about certificates: what raises it, and what nearly does and must not."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import ipaddress
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _checks
from ansible_collections.sep.sesam.plugins.plugin_utils._catalogue import CATALOGUE
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Level, Subject
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import pki

Findings = list[Finding]
Make = t.Callable[[], Findings]

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
CA = pki.make_ca("Root", ends=99)
MIDDLE = pki.make_ca("Middle", issuer=CA, ends=90)
LEAF = pki.make("leaf.example", issuer=MIDDLE)
# What is handed in rightly: without the root.
GOOD = LEAF.chain[:-1]
STRICT_CA = pki.make_strict_ca()
STRANGER = pki.make_ca("Somebody else")
RSA3072 = pki.rsa_key(3072, size=3072)


def of(pair: pki.Pair | x509.Certificate | t.Sequence[x509.Certificate], **keywords: t.Any) -> Make:
    """The findings of a chain; of a pair all but its root."""
    if isinstance(pair, pki.Pair):
        chain = pair.chain[:-1] or pair.chain
    else:
        chain = [pair] if isinstance(pair, x509.Certificate) else list(pair)
    return lambda: _checks.of_chain(chain, **{"subject": "wanted", **keywords})


def issued(name: str = "leaf.example", *, issuer: pki.Pair = MIDDLE, **keywords: t.Any) -> pki.Pair:
    """A leaf below an intermediate, with one thing that is special."""
    return pki.make(name, issuer=issuer, **keywords)


def usage(key: pki.Key, *names: str) -> pki.Pair:
    return issued(key=key, extra=[pki.usage(*names)])


def purposes(*oids: x509.ObjectIdentifier) -> pki.Pair:
    return issued(extra=[(x509.ExtendedKeyUsage(oids), False)])


def raw(oid: x509.ObjectIdentifier, der: bytes, **keywords: t.Any) -> x509.Certificate:
    """A certificate with an extension that no library would make."""
    pair = issued(names=keywords.pop("names", []), extra=[(x509.UnrecognizedExtension(oid, der), False)], **keywords)
    return x509.load_der_x509_certificate(pair.der)


def cn(name: str, names: t.Sequence[str] = ("leaf.example",)) -> pki.Pair:
    """A subject with a CN that may be longer than allowed."""
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)
    return issued(names=names, subject=x509.Name([attribute]))


def general(*names: x509.GeneralName) -> pki.Pair:
    return issued(names=[], extra=[(x509.SubjectAlternativeName(names), False)])


def rsa_exponent(old: int, new: bytes) -> x509.Certificate:
    """A key whose exponent is what no library would take."""
    key = rsa.generate_private_key(old, 2048)
    was = (b"\x02\x01\x03" if old == 3 else b"\x02\x03\x01\x00\x01")
    return pki.patched(issued(key=key), was, was[:2] + new)


def even_modulus() -> x509.Certificate:
    key = pki.rsa_key()
    modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
    return pki.patched(issued(key=key), modulus, modulus[:-1] + bytes([modulus[-1] & 0xFE]))


def unknown_key() -> x509.Certificate:
    """The algorithm id-ecPublicKey turned into one that nobody knows."""
    return pki.patched(issued(), bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209"))


def duplicate_extension() -> x509.Certificate:
    pair = issued(extra=[pki.usage("digital_signature"),
                         (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.16"), b"\x03\x02\x05\xa0"), True)])
    return pki.patched(pair, bytes.fromhex("0603551d10"), bytes.fromhex("0603551d0f"))


def at(pair: pki.Pair, days: float, *, chain: t.Sequence[x509.Certificate] | None = None,
       expiring_days: float = 30, seconds: float = 0) -> Make:
    """The findings of the dates, so many days after the leaf began."""
    moment = pair.certificate.not_valid_before_utc + days * DAY + datetime.timedelta(seconds=seconds)
    return lambda: _checks.of_validity(chain or pair.chain, subject="wanted", moment=moment,
                                       expiring_days=expiring_days)


def dated(begins: str, days: float, *, public: bool = True, seconds: float = 0) -> Make:
    """The findings of a certificate that begins on a day and lives so long; public by its policy."""
    start = datetime.datetime.fromisoformat(begins).replace(tzinfo=datetime.timezone.utc)
    policy = "2.23.140.1.2.2" if public else "1.3.6.1.4.1.99999.1"
    extra = [(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(policy), None)]), False)]
    return at(pki.make(issuer=MIDDLE, begins=start, extra=extra,
                       ends=start + days * DAY + datetime.timedelta(seconds=seconds)), 1)


def transparent(days: float) -> Make:
    """Public by an embedded proof of Certificate Transparency (here an empty list of them)."""
    start = datetime.datetime(2026, 4, 1, tzinfo=datetime.timezone.utc)
    oid = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
    extra = [(x509.UnrecognizedExtension(oid, b"\x04\x02\x00\x00"), False)]
    return at(pki.make(issuer=MIDDLE, begins=start, ends=start + days * DAY, extra=extra), 1)


def order(given: t.Sequence[x509.Certificate]) -> Make:
    """The findings of the order of some certificates."""
    path, strangers = _certificates.in_order(given, LEAF.certificate)
    return lambda: _checks.of_order(given, path, strangers, subject="wanted")


def replacement(leaf: pki.Pair, on_disk: pki.Pair | None = None, served: pki.Pair | None = None) -> Make:
    return lambda: _checks.of_replacement(
        leaf.certificate, on_disk=on_disk.certificate if on_disk else None,
        served=served.certificate if served else None)


def named(*names: str, san: t.Sequence[str] = ("leaf.example", "*.b.example", "192.0.2.7"), given: bool = True) -> Make:
    return of(issued(names=san), names=names, names_are_given=given)


SHA1_LEAF = pki.make_by_openssl("leaf.example", "sha1", issuer=MIDDLE)
SHA1_MIDDLE = pki.make_by_openssl("middle", "sha1", issuer=CA, ca=True)
SHA1_ROOT = pki.make_by_openssl("root", "sha1", ca=True)
CROSSED = pki.make_ca("Middle", key=MIDDLE.key, issuer=STRANGER)
LONG_CN = "a" * 62 + ".example"
YOUNG = pki.make("leaf.example", issuer=MIDDLE, key=LEAF.key, begins=0, ends=60)
LIVES_90 = pki.make(begins=0, ends=90, issuer=pki.make_ca(ends=100))
LIVES_365 = pki.make(begins=0, ends=365, issuer=pki.make_ca(ends=400))
ENDS_EARLY = pki.make(ends=30, issuer=pki.make_ca("Early", ends=20))


@dataclasses.dataclass(frozen=True)
class Case:
    """What raises a finding with a level and words in its message, and what nearly does."""

    id: str
    level: Level
    raised_by: Make
    words: str
    not_by: Make
    subject: Subject = "wanted"


CASES = [
    # Key
    Case("key-rsa-too-small", "error", of(issued(key=pki.rsa_key(2040, size=2040))), "RSA 2040",
         of(issued(key=RSA3072))),
    Case("key-rsa-too-small", "info", of(issued(key=pki.rsa_key())), "RSA 2048; advised are 3072 bits or more",
         of(issued(key=RSA3072))),
    Case("key-rsa-weak", "error", of(rsa_exponent(3, b"\x01")), "RSA key", of(issued(key=RSA3072))),
    Case("key-rsa-weak", "error", of(rsa_exponent(65537, b"\x01\x00\x00")), "odd",
         of(issued(key=rsa.generate_private_key(3, 2048)))),
    Case("key-rsa-weak", "error", of(even_modulus()), "an even modulus", of(issued(key=pki.rsa_key()))),
    Case("key-curve", "error", of(issued(key=ec.generate_private_key(ec.SECP256K1()))), "EC secp256k1",
         of(issued(key=ec.generate_private_key(ec.SECP521R1())))),
    Case("key-curve", "error", of(issued(key=ec.generate_private_key(ec.BrainpoolP256R1()))), "brainpoolP256r1",
         of(issued(key=ec.generate_private_key(ec.SECP384R1())))),
    Case("key-curve", "error", of(issued(public_key=x25519.X25519PrivateKey.generate().public_key())), "X25519",
         of(issued())),
    Case("key-curve", "warning", of(issued(key=ed25519.Ed25519PrivateKey.generate())), "Ed25519; browsers",
         of(issued())),
    Case("key-curve", "warning", of(issued(key=ed448.Ed448PrivateKey.generate())), "Ed448; browsers",
         of(issued(key=pki.rsa_key()))),
    Case("key-dsa", "error", of(issued(public_key=dsa.generate_private_key(1024).public_key())), "DSA 1024",
         of(issued(key=pki.rsa_key()))),

    # Identity
    Case("san-missing", "error", of(issued(names=[])), "CN=leaf.example has no DNS name and no IP address",
         of(issued(names=["192.0.2.7"]))),
    Case("san-missing", "error", of(general(x509.RFC822Name("a@leaf.example"), x509.UniformResourceIdentifier("x:y"))),
         "no DNS name", of(issued("No name", names=["2001:db8::7"]))),
    Case("name-not-covered", "error", named("LEAF.example", "a.b.example", "b.example", "other.example"),
         "is not for b.example, other.example; the names in its SAN are: leaf.example, *.b.example, 192.0.2.7",
         named("LEAF.example.", "a.b.example", "192.0.2.7")),
    Case("name-not-covered", "warning", named("192.0.2.8", given=False), "192.0.2.8",
         named("192.0.2.7", given=False)),
    Case("name-not-covered", "error", named("leaf.example", san=[]), "SAN are: none", named(san=[])),
    Case("name-not-covered", "error",
         of(general(x509.DNSName("192.0.2.7")), names=["192.0.2.7"], names_are_given=True), "is not for 192.0.2.7",
         of(general(x509.IPAddress(ipaddress.ip_address("192.0.2.7"))), names=["192.0.2.7"], names_are_given=True)),
    Case("name-syntax", "warning", of(issued(names=["leaf.example", "a_b.example"])), "'a_b.example'",
         of(issued(names=["leaf.example", "*.a-b.example"]))),
    Case("name-syntax", "warning", of(issued(names=["a" * 64 + ".example"])), "a label of 64 characters",
         of(issued(names=["a" * 63 + ".example"]))),
    Case("name-syntax", "warning", of(issued(names=[".leaf.example"])), "a leading dot", of(issued(names=["leaf"]))),
    Case("name-syntax", "warning", of(general(x509.DNSName("192.0.2.7"))), "an IP address that stands as a DNS name",
         of(issued(names=["192.0.2.7"]))),
    Case("name-syntax", "warning", of(issued(), names=["https://leaf.example"]), "'https://leaf.example'",
         of(issued(), names=["leaf.example.", "büro.example", "2001:db8::7"])),
    Case("cn-not-in-san", "warning", of(issued("other.example", names=["leaf.example"])),
         "The CN other.example is not among the names in the SAN: leaf.example",
         of(issued("LEAF.example", names=["leaf.example"]))),
    Case("cn-not-in-san", "warning", of(issued("SEP sesam", names=["192.0.2.7"])), "SEP sesam",
         of(issued("192.0.2.7", names=["192.0.2.7"]))),
    Case("cn-not-in-san", "warning", of(issued("a.b.example", names=["*.example"])), "a.b.example",
         of(issued("*.example", names=["*.example"]))),

    # Usage
    Case("is-ca", "error", of(issued(ca=True, names=["leaf.example"])), "CN=leaf.example is a certificate of a CA",
         of(issued(ca=None))),
    Case("is-ca", "warning", of(pki.make(ca=True, names=["sesam.example"])), "signed by itself", of(pki.make())),
    Case("eku-server-auth", "error", of(purposes(ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.2.3"))),
         "is for client auth, 1.2.3 alone", of(purposes(ExtendedKeyUsageOID.CLIENT_AUTH,
                                                        ExtendedKeyUsageOID.SERVER_AUTH))),
    Case("eku-server-auth", "error", of(purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), "any extended key usage",
         of(issued())),
    Case("key-usage", "error", of(usage(RSA3072, "key_encipherment")), "lacks digitalSignature",
         of(usage(RSA3072, "key_encipherment", "digital_signature"))),
    Case("key-usage", "warning", of(usage(RSA3072, "digital_signature")), "lacks keyEncipherment", of(issued())),
    Case("key-usage", "warning", of(usage(LEAF.key, "digital_signature", "key_encipherment")), "has keyEncipherment",
         of(usage(LEAF.key, "digital_signature", "key_agreement"))),
    Case("signature-weak", "error", of(SHA1_LEAF), "CN=leaf.example is signed by CN=Middle with SHA-1", of(LEAF)),
    Case("signature-weak", "error", of(issued(issuer=SHA1_MIDDLE)), "CN=middle is signed by CN=Root with SHA-1",
         of(issued(issuer=SHA1_ROOT).chain)),
    Case("signature-weak", "error", of(pki.make_by_openssl("sesam.example", "sha1")), "SHA-1",
         of(pki.make_by_openssl("sesam.example", "sha256"))),

    # Chain
    Case("certificate-unreadable-part", "error", of(unknown_key()), "public key: Unknown key type", of(LEAF)),
    Case("certificate-unreadable-part", "error", of(duplicate_extension()), "Duplicate 2.5.29.15",
         of(usage(LEAF.key, "digital_signature"))),
    Case("certificate-unreadable-part", "error", of(raw(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")),
         "extensions: error parsing", of(raw(x509.ObjectIdentifier("1.2.3.4"), b"garbage", names=["leaf.example"]))),
    Case("certificate-unreadable-part", "error", of(raw(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x02\x83\x00")),
         "extensions: error parsing", of(general(x509.DNSName("leaf.example"), x509.RFC822Name("a@b")))),
    Case("certificate-unreadable-part", "error", of(pki.patched(issued("?!?", names=["leaf.example"]), b"?!?",
                                                                b"?\xff?")),
         "subject: error parsing", of(issued("?!?"))),
    Case("certificate-unreadable-part", "warning", of([*GOOD, unknown_key()]), "Certificate 3 of the chain", of(GOOD)),
    Case("chain-incomplete", "warning", of([LEAF.certificate]),
         "The certificate of CN=Middle, which issued CN=leaf.example, is missing: it is not in the chain", of(GOOD)),
    Case("chain-incomplete", "warning", of([LEAF.certificate, CA.certificate]), "The certificate of CN=Middle",
         of(LEAF.chain)),
    Case("chain-incomplete", "warning", of([LEAF.certificate, pki.make_ca("Middle").certificate]),
         "there is one of that name, with another key", of(pki.make())),
    Case("chain-incomplete", "warning", of([*issued(issuer=pki.make_ca("Low", issuer=MIDDLE)).chain[:2],
                                            CA.certificate]),
         "The certificate of CN=Middle, which issued CN=Low", of([*GOOD, issued("other.example").certificate])),
    Case("chain-incomplete", "error", of(LEAF, trusted=[STRANGER.certificate]),
         "The chain of CN=leaf.example does not build to a CA of ca_bundle (CN=Somebody else); it leads to CN=Middle, "
         "issued by CN=Root. ", of(LEAF, trusted=[STRANGER.certificate, CA.certificate])),
    Case("chain-incomplete", "error", of([LEAF.certificate], trusted=[CA.certificate]), "it leads to CN=leaf.example",
         of([LEAF.certificate], trusted=[MIDDLE.certificate])),
    Case("chain-incomplete", "error", of(pki.make(), trusted=[CA.certificate]), "CN=sesam.example is signed by itself",
         of(GOOD, trusted=[CA.certificate])),
    Case("chain-incomplete", "error", of(GOOD, trusted=[]), "no CA certificate is there", of(GOOD, trusted=None)),
    Case("chain-strict", "warning", of(GOOD), "CN=Middle has no keyUsage and no subjectKeyIdentifier",
         of([pki.make(issuer=STRICT_CA).certificate])),
    Case("chain-strict", "warning", of(GOOD, trusted=[CA.certificate]), "CN=Root has no keyUsage",
         of(pki.make(key=LEAF.key, issuer=STRICT_CA, extra=pki.identifiers(LEAF.key, STRICT_CA)),
            trusted=[STRICT_CA.certificate])),
    Case("root-included", "warning", of(LEAF.chain), "CN=Root", of(GOOD)),
    Case("root-included", "warning", of(pki.make(issuer=CA).chain), "CN=Root", of(pki.make())),
    Case("chain-order", "info", order([MIDDLE.certificate, LEAF.certificate, CA.certificate]),
         "stood as CN=Middle > CN=leaf.example > CN=Root; in order, leaf first, they are CN=leaf.example > CN=Middle",
         order([LEAF.certificate, LEAF.certificate, MIDDLE.certificate])),
    Case("chain-order", "info", order([LEAF.certificate, STRANGER.certificate, MIDDLE.certificate]), "Somebody else",
         order([*LEAF.chain, STRANGER.certificate])),
    Case("chain-stranger", "warning", order([*LEAF.chain, STRANGER.certificate]),
         "Not in the path of CN=leaf.example: CN=Somebody else.", order(LEAF.chain)),
    Case("chain-duplicate", "warning", order([*LEAF.chain, MIDDLE.certificate]), "There more than once: CN=Middle.",
         order([*LEAF.chain, CROSSED.certificate])),

    # Validity
    Case("expired", "error", at(LIVES_90, 90, seconds=1), "CN=sesam.example ended on ", at(LIVES_90, 90)),
    Case("not-yet-valid", "error", at(LIVES_90, 0, seconds=-1), "begins on ", at(LIVES_90, 0)),
    Case("expiring", "warning", at(LIVES_90, 60, seconds=1), "in 30.0 days; this is told from 30.0 days before",
         at(LIVES_90, 60, seconds=-1)),
    Case("expiring", "warning", at(LIVES_365, 335, seconds=1), "from 30.0 days", at(LIVES_365, 335, seconds=-1)),
    Case("expiring", "warning", at(pki.make(begins=0, ends=6), 4, seconds=1), "in 2.0 days", at(
        pki.make(begins=0, ends=6), 4, seconds=-1)),
    Case("expiring", "warning", at(LIVES_365, 305, seconds=1, expiring_days=60), "from 60.0 days",
         at(LIVES_365, 364, expiring_days=0.5)),
    Case("expiring", "warning", at(LIVES_365, 335, seconds=1), "ends on", at(LIVES_365, 366)),
    Case("lifetime-public", "warning", dated("2026-03-15", 200, seconds=1), "lives 200.0 days; browsers accept 200",
         dated("2026-03-15", 200)),
    Case("lifetime-public", "warning", dated("2026-03-14", 399), "accept 398", dated("2026-03-14", 398)),
    Case("lifetime-public", "warning", dated("2027-03-15", 101), "accept 100", dated("2027-03-14", 101)),
    Case("lifetime-public", "warning", dated("2029-03-15", 48), "accept 47", dated("2029-03-14", 48)),
    Case("lifetime-public", "warning", dated("2026-04-01", 365), "2026-04-01T00:00:00Z",
         dated("2026-04-01", 365, public=False)),
    Case("lifetime-public", "warning", transparent(365), "lives 365.0 days", transparent(90)),
    Case("chain-ends-earlier", "warning", at(ENDS_EARLY, 1), "CN=Early ends on ", at(LEAF, 1)),
    Case("chain-expired-member", "error", at(ENDS_EARLY, 22), "CN=Early, in the path of CN=sesam.example, ended on",
         at(ENDS_EARLY, 20)),
    Case("chain-expired-member", "error", at(pki.make(issuer=pki.make_ca("Late", begins=5)), 2), "CN=Late, in the path",
         at(pki.make(issuer=pki.make_ca("Late", begins=5)), 7)),
    Case("chain-expired-member", "info", at(LEAF, 2, chain=[*LEAF.chain, pki.make_ca("Old", begins=-9, ends=-1).
                                                            certificate]),
         "CN=Old, outside of the path, ended on", at(LEAF, 2, chain=[*LEAF.chain, STRANGER.certificate])),

    # Against what is there, and the clock
    Case("key-reused", "info", replacement(YOUNG, LEAF), "CN=leaf.example has the same key", replacement(LEAF, LEAF)),
    Case("key-reused", "info", replacement(YOUNG, LEAF), "same key", replacement(issued(), LEAF)),
    Case("older-than-served", "warning", replacement(LEAF, served=YOUNG), "CN=leaf.example ends on ",
         replacement(YOUNG, served=LEAF)),
    Case("older-than-served", "warning", replacement(LEAF, served=YOUNG), "ends on", replacement(LEAF, served=LEAF)),
    Case("clock-skew", "warning", lambda: _checks.clock_skew(1301, 1000), "301 s ahead of",
         lambda: _checks.clock_skew(1300, 1000), "place"),
    Case("clock-skew", "warning", lambda: _checks.clock_skew(1000, 1301), "301 s behind",
         lambda: _checks.clock_skew(1000, 1300), "place"),
]


def found(findings: Findings, case: Case) -> Findings:
    return [finding for finding in findings if (finding.id, finding.level) == (case.id, case.level)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.level}-{case.words[:24]}")
def test_finding(case: Case) -> None:
    raised = found(case.raised_by(), case)
    assert len(raised) == 1, case.raised_by()
    assert case.words in raised[0].message
    assert raised[0].fix
    assert raised[0].subject == case.subject
    assert found(case.not_by(), case) == []


@pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")
def test_a_cn_that_is_too_long() -> None:
    """The library says it on the terminal too, when somebody else reads the name."""
    long, fits = cn(LONG_CN[:65], ["leaf.example"]), cn(LONG_CN[:64], ["leaf.example"])
    assert [f.message[:30] for f in of(long)() if f.id == "cn-too-long"] == ["The CN has 65 characters, at m"]
    assert "cn-too-long" not in {finding.id for finding in of(fits)()}


def test_a_cn_that_is_too_long_makes_no_noise(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.warns(UserWarning, match="length"):
        certificate = cn(LONG_CN[:65]).certificate
    again = x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))
    recwarn.clear()
    assert "cn-too-long" in {finding.id for finding in of(again)()}
    assert [str(warning.message) for warning in recwarn] == []


def raised_in_the_source() -> set[str]:
    """The ids with which the code under test makes findings."""
    tree = ast.parse(Path(str(_checks.__file__)).read_text())
    every_call = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in every_call if getattr(call.func, "id", "") == "finding"]
    assert len(calls) >= 20
    return {str(t.cast(ast.Constant, call.args[0]).value) for call in calls}


def test_every_finding_has_its_cases() -> None:
    shown = {(case.id, case.level) for case in CASES} | {("cn-too-long", "warning"), ("served-name", "warning")}
    assert shown == {(id, level) for id in raised_in_the_source() for level in CATALOGUE[id].levels}


@pytest.mark.parametrize(("names", "missing"), [
    ([], []), (["leaf.example"], []), (["other.example", "leaf.example"], ["other.example"]),
    (["a\x1b[31m.example"], ["a\\x1b[31m.example"]),
])
def test_names_of_a_certificate_that_is_served(names: list[str], missing: list[str]) -> None:
    found = _checks.of_served(cn("leaf.example", ["leaf.example"]).certificate, names)
    assert [f"is not for {', '.join(missing)}." in finding.message for finding in found] == [True] * bool(missing)
    assert [(finding.id, finding.level) for finding in found] == [("served-name", "warning")] * bool(missing)


# What is good, and what other checkers say of it.

NAMES = ["leaf.example", "192.0.2.7"]
GOOD_ONES = {
    "EC": issued(names=NAMES, extra=[pki.usage("digital_signature")]),
    "P-384": issued(key=ec.generate_private_key(ec.SECP384R1()), names=NAMES),
    "P-521": issued(key=ec.generate_private_key(ec.SECP521R1()), names=NAMES),
    "RSA": issued(key=RSA3072, names=NAMES, extra=[pki.usage("digital_signature", "key_encipherment")]),
    "self-signed": pki.make("leaf.example", names=NAMES),
    "without a CN": issued(names=NAMES, subject=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")])),
}


@pytest.mark.parametrize("pair", GOOD_ONES.values(), ids=GOOD_ONES)
@pytest.mark.parametrize("has_bundle", [True, False])
def test_nothing_to_say(pair: pki.Pair, has_bundle: bool) -> None:
    """But that this company CA is one by C(openssl req -x509)."""
    trusted = pair.chain[-1:] if has_bundle else None
    findings = of(pair, names=NAMES, names_are_given=True, trusted=trusted)() + at(pair, 2)()
    assert [finding for finding in findings if finding.id != "chain-strict"] == []


@pytest.mark.parametrize("subject", ["wanted", "current"])
def test_nothing_at_all_to_say(subject: Subject) -> None:
    key = pki.ec_key()
    middle = pki.make_strict_ca("Middle", issuer=STRICT_CA)
    leaf = pki.make("leaf.example", key=key, issuer=middle, extra=pki.identifiers(key, middle))
    for trusted in (None, [STRICT_CA.certificate]):
        assert _checks.of_chain(leaf.chain[:-1], subject=subject, names=["leaf.example"], names_are_given=True,
                                trusted=trusted) == []


@pytest.mark.parametrize("subject", ["wanted", "current"])
def test_the_subject_is_that_of_the_caller(subject: Subject) -> None:
    bad = pki.make_by_openssl("a_b", "sha1")
    chain = [bad.certificate, STRANGER.certificate, STRANGER.certificate]
    path, strangers = _certificates.in_order(chain, bad.certificate)
    findings = [*_checks.of_chain(chain, subject=subject, names=["x"], trusted=[CA.certificate]),
                *_checks.of_order(chain, path, strangers, subject=subject),
                *_checks.of_validity(chain, subject=subject, moment=NOW + 90 * DAY)]
    assert {"signature-weak", "chain-duplicate", "expired"} <= {finding.id for finding in findings}
    assert {finding.subject for finding in findings} == {subject}


def errors(findings: Findings) -> set[str]:
    return {finding.id for finding in findings if finding.level == "error"}


def test_mistake_a_good_ecdsa_certificate_refused() -> None:
    assert errors(of(GOOD_ONES["EC"], names=NAMES, names_are_given=True, trusted=[CA.certificate])()) == set()


def test_mistake_an_ip_only_san_called_no_san() -> None:
    pair = issued("192.0.2.7", names=["192.0.2.7"])
    assert errors(of(pair, names=["192.0.2.7"], names_are_given=True, trusted=[CA.certificate])()) == set()


def test_mistake_only_the_first_certificate_of_a_bundle_read() -> None:
    weak_and_over = pki.make_by_openssl("old", "sha1", issuer=CA, ca=True)
    chain = issued(issuer=weak_and_over).chain
    assert "signature-weak" in errors(of(chain)())
    assert "chain-expired-member" in errors(_checks.of_validity(chain, subject="wanted", moment=NOW + 25 * DAY))


def test_mistake_sha1_rsa_1024_and_one_day_left_passed() -> None:
    assert "signature-weak" in errors(of(SHA1_LEAF)())
    assert "key-rsa-too-small" in errors(of(issued(key=pki.rsa_key(1024, size=1024)))())
    assert [f.id for f in at(LIVES_365, 364)()] == ["expiring"]


def test_mistake_a_modulus_compared_for_ec() -> None:
    """Two EC keys have no modulus, and are not the same for that; nor is one of an unknown kind."""
    assert replacement(issued(), issued())() == []
    unknown = pki.Pair(unknown_key(), LEAF.key)
    other = pki.Pair(unknown_key(), LEAF.key)
    assert replacement(unknown, other)() == []


def test_mistake_a_certificate_for_another_host_passed_by_its_own_cn() -> None:
    pair = issued("other.example", names=["other.example"])
    assert "name-not-covered" in errors(of(pair, names=["leaf.example"], names_are_given=True)())


def test_mistake_a_cn_only_certificate_accepted() -> None:
    findings = of(issued("leaf.example", names=[]), names=["leaf.example"], names_are_given=True)()
    assert errors(findings) == {"san-missing", "name-not-covered"}
    assert "cn-not-in-san" not in {finding.id for finding in findings}


def test_a_company_ca_on_sha1_is_a_root_like_others() -> None:
    """Nobody checks the signature of a root; that it is one has to be seen nevertheless."""
    chain = issued(issuer=SHA1_ROOT).chain
    assert [f.id for f in of(chain)() if f.id not in ("chain-strict",)] == ["root-included"]
    assert errors(of(chain[:1], trusted=chain[1:])()) == set()


def test_what_is_over_is_told_once() -> None:
    assert [finding.id for finding in at(LIVES_90, 91)()] == ["expired"]
    assert errors(of(pki.make("leaf.example", issuer=CA, begins=-9, ends=-1), trusted=[CA.certificate])()) == set()


def test_a_san_that_cannot_be_read_is_not_called_missing() -> None:
    damaged = raw(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")
    assert errors(of(damaged, names=["x"], names_are_given=True)()) == {"certificate-unreadable-part"}
    odd = pki.patched(issued(names=[]), bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209"))
    assert errors(of(odd)()) == {"certificate-unreadable-part", "san-missing"}


def test_long_lists_are_short() -> None:
    strangers = [pki.make_ca(f"Somebody {number}").certificate for number in range(50)]
    message = of(GOOD, trusted=strangers)()[-1].message
    assert "(CN=Somebody 0, CN=Somebody 1, CN=Somebody 2 and 47 more)" in message


def test_no_name_is_obeyed_by_a_terminal() -> None:
    evil = pki.make_ca("Evil\x1b[31m\n")
    pair = issued("a\x1b[31m\nb", issuer=evil, names=["x y"])
    findings = [*of(pair, names=["\x1b[0m"], trusted=[evil.certificate])(),
                *of([issued("\x1b").certificate])(), *at(issued("\x1b", issuer=evil), 90)()]
    assert len(findings) >= 6
    assert [finding for finding in findings if not finding.message.isprintable()] == []


@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore")
@given(st.data())
def test_no_damage_ends_in_a_traceback(data: st.DataObject) -> None:
    """Bytes changed in a certificate that can still be loaded."""
    der = bytearray(data.draw(st.sampled_from([GOOD_ONES["EC"], GOOD_ONES["RSA"], SHA1_LEAF, MIDDLE])).der)
    for _change in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        certificate = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    for chain in ([certificate, *GOOD[1:]], [*GOOD, certificate]):
        findings = [
            *_checks.of_chain(chain, subject="wanted", names=NAMES),
            *_checks.of_chain(chain, subject="current", names=NAMES, trusted=[CA.certificate, certificate]),
            *_checks.of_validity(chain, subject="wanted", moment=NOW),
            *_checks.of_order(chain, *_certificates.in_order(chain, chain[0]), subject="wanted"),
            *_checks.of_replacement(certificate, on_disk=LEAF.certificate, served=certificate),
        ]
        assert all(finding.message.isprintable() for finding in findings)
    assert _certificates.facts(certificate)


def test_what_is_over_behind_the_trusted_root_is_no_error() -> None:
    """A root that is cross-signed by an older one, which has ended: as Let's Encrypt had it for years."""
    old_root = pki.make_ca("Old root", begins=-900, ends=-10)
    new_root = pki.make_strict_ca("New root")
    crossed = pki.make_ca("New root", key=new_root.key, issuer=old_root, begins=-900, ends=-5)
    middle = pki.make_strict_ca("Middle", issuer=new_root)
    leaf = pki.make("sesam.example", issuer=middle)
    chain = [leaf.certificate, middle.certificate, crossed.certificate]
    found = {trusted: [f.level for f in _checks.of_validity(
        chain, subject="wanted", moment=NOW, trusted=[new_root.certificate] if trusted else None)
        if f.id == "chain-expired-member"] for trusted in (True, False)}
    assert found == {True: ["info"], False: ["error"]}
