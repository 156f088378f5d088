# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a CA sent: found by public key among anything, its chain completed; a stranger's is explained."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import random
import time
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _answers, _certificates
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from unit import openssl, pki

NOW = datetime.datetime.now(datetime.timezone.utc)
ROOT = pki.make_ca("Root")
MIDDLE = pki.make_ca("Middle", issuer=ROOT)
PENDING, ON_DISK = pki.ec_key(), pki.ec_key()
KEYS = [pki.spki(PENDING), pki.spki(ON_DISK)]
ANSWER = pki.make("a.example", key=PENDING, issuer=MIDDLE)
OLD = pki.make("a.example", key=ON_DISK, issuer=MIDDLE, begins=-20, ends=10)
OTHERS = [pki.make(f"{name}.example", issuer=MIDDLE) for name in "bcd"]


def offered(*certificates: x509.Certificate) -> list[_answers.Offered]:
    return [_answers.Offered(c, f"{number}.crt") for number, c in enumerate(certificates)]


def pick(*certificates: x509.Certificate, further: list[x509.Certificate] | None = None) -> _answers.Answer | None:
    return _answers.pick(offered(*certificates), KEYS, NOW, further or [])


def leaf(*certificates: x509.Certificate) -> x509.Certificate:
    answer = pick(*certificates)
    assert answer is not None
    return answer.chain[0]


def test_a_folder_full_of_answers() -> None:
    everything = [ANSWER.certificate, OLD.certificate, *(o.certificate for o in OTHERS), MIDDLE.certificate,
                  ROOT.certificate, *pki.make(issuer=pki.make_ca("Middle", issuer=pki.make_ca("Root"))).chain]
    for seed in range(20):
        random.Random(seed).shuffle(everything)
        answer = pick(*everything)
        assert answer == ([ANSWER.certificate, MIDDLE.certificate],
                          f"{everything.index(ANSWER.certificate)}.crt", KEYS[0])


def test_the_chain_is_trusted_by_openssl(tmp_path: Path) -> None:
    answer = pick(*(o.certificate for o in OTHERS), ROOT.certificate, ANSWER.certificate, further=[MIDDLE.certificate])
    assert answer is not None
    chain, root = tmp_path / "chain.pem", tmp_path / "root.pem"
    chain.write_text(_certificates.to_pem(answer.chain))
    root.write_text(_certificates.to_pem([ROOT.certificate]))
    assert b": OK" in openssl.run(
        "verify", "-CAfile", root, "-untrusted", chain, "-verify_hostname", "a.example", chain)


@pytest.mark.parametrize("given_root", [True, False])
def test_the_root_is_left_out(given_root: bool) -> None:
    further = [ROOT.certificate] if given_root else []
    for issuer, chain in ((MIDDLE, [ANSWER.certificate, MIDDLE.certificate]), (ROOT, None)):
        certificate = ANSWER.certificate if chain else pki.make(key=PENDING, issuer=ROOT).certificate
        answer = pick(certificate, further=[*further, *([issuer.certificate] if issuer is MIDDLE else [])])
        assert answer is not None
        assert answer.chain == (chain or [certificate])


def test_a_chain_that_cannot_be_completed_ends_where_it_does() -> None:
    answer = pick(ANSWER.certificate, ROOT.certificate)
    assert answer is not None
    assert answer.chain == [ANSWER.certificate]


def test_the_key_on_disk_counts_where_the_pending_one_has_no_answer() -> None:
    answer = pick(OLD.certificate, OTHERS[0].certificate)
    assert answer is not None
    assert (answer.chain[0], answer.spki) == (OLD.certificate, KEYS[1])
    assert _answers.pick(offered(ANSWER.certificate, OLD.certificate), KEYS[::-1], NOW) == (
        [OLD.certificate], "1.crt", KEYS[1])


def test_nothing_fits() -> None:
    assert pick() is None
    assert pick(OTHERS[0].certificate, ROOT.certificate) is None
    assert _answers.pick(offered(ANSWER.certificate), [], NOW) is None


def test_a_self_signed_certificate_is_no_answer() -> None:
    """It lies where the request was made from it, and may well be newer than an answer."""
    own = pki.make("a.example", key=PENDING, begins=0).certificate
    assert pick(own) is None
    assert leaf(own, ANSWER.certificate) == ANSWER.certificate


def issued(begins: float, ends: float, key: pki.Key = PENDING) -> x509.Certificate:
    return pki.make("a.example", key=key, issuer=MIDDLE, begins=begins, ends=ends).certificate


@pytest.mark.parametrize("certificates", [
    # The best stands first: the newest, the one that ends last, a valid one for any key, any at all.
    [issued(-1, 9), issued(-2, 99)],
    [issued(-2, 20), issued(-2, 10)],
    [issued(-5, 5), issued(-20, -1), issued(1, 90)],
    [issued(-5, 5), issued(-3, 50, ON_DISK)],
    [issued(-50, 1, ON_DISK), issued(-20, -1), issued(1, 90)],
    [issued(-20, -10), issued(-30, -1)],
    [issued(-20, -10), issued(-9, -1, ON_DISK)],
])
def test_the_best_of_several(certificates: list[x509.Certificate]) -> None:
    for order in itertools.permutations(certificates):
        assert leaf(*order) == certificates[0]


def test_two_alike_are_told_apart_always_in_the_same_way() -> None:
    alike = [pki.make("a.example", key=PENDING, issuer=MIDDLE, begins=-1, ends=9).certificate for _turn in range(4)]
    first = leaf(*alike)
    assert all(leaf(*order) == first for order in itertools.permutations(alike))


def test_the_first_and_the_last_second_count() -> None:
    certificate, other = issued(-5, 5), issued(-9, 9, ON_DISK)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    tick = datetime.timedelta(seconds=1)
    for moment, wanted in ((begins, certificate), (ends, certificate), (ends + tick, other), (begins - tick, other)):
        answer = _answers.pick(offered(other, certificate), KEYS, moment)
        assert answer is not None
        assert answer.chain[0] == wanted


def test_a_ca_that_was_renewed_with_its_key() -> None:
    """All of them have signed the leaf: the newest valid one is sent."""
    key = pki.ec_key()
    ended, former, current, future = (
        pki.make_ca("Middle", key=key, issuer=ROOT, begins=begins, ends=ends)
        for begins, ends in ((-90, -1), (-60, 90), (-30, 60), (1, 99)))
    certificate = pki.make(key=PENDING, issuer=current).certificate
    for order in itertools.permutations([ended, former, current, future]):
        answer = pick(certificate, *(ca.certificate for ca in order))
        assert answer is not None
        assert answer.chain == [certificate, current.certificate]


def test_a_root_that_another_root_has_signed_too() -> None:
    other = pki.make_ca("Other root")
    crossed = pki.make_ca("Root", key=ROOT.key, issuer=other)
    for order in itertools.permutations([ROOT, crossed, other, MIDDLE]):
        answer = pick(ANSWER.certificate, *(ca.certificate for ca in order))
        assert answer is not None
        assert answer.chain == [ANSWER.certificate, MIDDLE.certificate, crossed.certificate]


def test_dates_that_make_no_sense_do_no_harm() -> None:
    far = issued(-2, 40 * 365)
    year = str(far.not_valid_after_utc.year).encode()
    broken = x509.load_der_x509_certificate(far.public_bytes(serialization.Encoding.DER).replace(year, b"0000"))
    assert leaf(broken, ANSWER.certificate, far) == ANSWER.certificate
    assert pick(broken) is None
    answer = pick(ANSWER.certificate, further=[broken, MIDDLE.certificate])
    assert answer is not None
    assert answer.chain == [ANSWER.certificate, MIDDLE.certificate]


def test_a_thousand_strangers_are_no_burden() -> None:
    key = pki.ec_key()
    strangers = [pki.make(f"host{number}.example", key=key, issuer=MIDDLE).certificate for number in range(1000)]
    start = time.monotonic()
    answer = pick(*strangers, ANSWER.certificate, MIDDLE.certificate, ROOT.certificate)
    assert time.monotonic() - start < 2
    assert answer is not None
    assert answer.source == "1000.crt"


# --- the certificate of another host


def request(key: pki.Key = PENDING, names: tuple[str, ...] = ("a.example",), subject: str = "a.example",
            ) -> x509.CertificateSigningRequest:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)] if subject else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(key, hashes.SHA256())


def beginning(key: pki.Key) -> str:
    return hashlib.sha256(pki.spki(key)).hexdigest()[:16]


def test_another_hosts_certificate_is_explained() -> None:
    other = pki.make("b.example", names=["b.example", "192.0.2.8"], issuer=MIDDLE)
    finding = _answers.explain_foreign(other.certificate, request(), "certificate (b.crt)")
    assert isinstance(finding, Finding)
    assert (finding.id, finding.subject, finding.level) == ("answer-foreign", "wanted", "error")
    assert finding.message == (
        f"certificate (b.crt) is for b.example, 192.0.2.8 (public key SHA-256 {beginning(other.key)}...); "
        f"the pending request is for a.example (public key SHA-256 {beginning(PENDING)}...).")
    assert "send it the pending one" in finding.fix


def test_an_answer_to_an_earlier_request_is_explained() -> None:
    finding = _answers.explain_foreign(
        pki.make(names=["A.example", "b.example"]).certificate, request(names=("b.example", "a.example")))
    assert finding.message.startswith("The certificate is for the same names but for another key (public key SHA-256 ")
    assert "earlier request" in finding.fix


def test_without_a_san_the_subject_is_told() -> None:
    finding = _answers.explain_foreign(pki.make("b.example", names=[]).certificate, request(names=()), "x\x1b.crt")
    assert "x\\x1b.crt is for CN=b.example (" in finding.message
    assert "request is for CN=a.example (" in finding.message
    finding = _answers.explain_foreign(pki.make("b.example").certificate, request(names=(), subject=""))
    assert "request is for (no name) (" in finding.message


@pytest.mark.parametrize(("old", "new", "words"), [
    (bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f"), "(public key of an unknown kind)"),
    (b"\x0c\x09b.example", b"\x0c\x09b.\xff\xff\xff\xff\xff\xff\xff", "is for (an unreadable subject) ("),
    (b"\x0c\x09b.example", b"\x07\x09b.example", "is for (an unreadable subject) ("),
    (b"\x0c\x09b.example", b"\x03\x09\0.example", "is for (an unreadable subject) ("),
])
def test_what_cannot_be_read_is_explained_too(old: bytes, new: bytes, words: str) -> None:
    der = pki.make("b.example", names=[]).certificate.public_bytes(serialization.Encoding.DER)
    assert old in der
    broken = x509.load_der_x509_certificate(der.replace(old, new))
    assert words in _answers.explain_foreign(broken, request()).message
    assert pick(broken, ANSWER.certificate) == ([ANSWER.certificate], "1.crt", KEYS[0])
