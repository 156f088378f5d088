# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and chains: by signature, never by name."""

from __future__ import annotations

import base64
import itertools
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from unit import pki

Refused = t.Callable[[t.Callable[[], object]], str]
ROOT = pki.make_ca("Root")
MIDDLE = pki.make_ca("Middle", issuer=ROOT)
LEAF = pki.make("leaf.example", issuer=MIDDLE)
# The same names, and other keys: after a CA was renewed.
TWIN = pki.make_ca("Middle", issuer=pki.make_ca("Root"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("leaf", [LEAF.certificate, None])
def test_order(order: tuple[int, ...], leaf: t.Any) -> None:
    given = [LEAF.chain[number] for number in order]
    assert _certificates.in_order(given, leaf) == (LEAF.chain, [])


def test_order_goes_by_signature_where_the_names_are_the_same() -> None:
    strangers = TWIN.chain
    found = _certificates.in_order([*strangers, *reversed(LEAF.chain)], LEAF.certificate)
    assert found == (LEAF.chain, strangers)


@pytest.mark.parametrize("key", [pki.ec_key(), pki.rsa_key()])
def test_order_knows_weak_signatures_too(key: pki.Key) -> None:
    """To tell that a chain has one, its path has to be known; the names have to fit as with any other."""
    root = pki.make_ca("Root", key=key)
    leaf = pki.make_by_openssl("leaf.example", "sha1", issuer=root)
    assert _certificates.in_order([root.certificate, leaf.certificate], leaf.certificate) == (leaf.chain, [])
    for stranger in (pki.make_ca("Other", key=key), pki.make_ca("Root"), pki.make_ca("Root", key=pki.rsa_key(1))):
        found = _certificates.in_order([leaf.certificate, stranger.certificate], leaf.certificate)
        assert found == ([leaf.certificate], [stranger.certificate])


def test_order_ends_where_two_have_signed_each_other() -> None:
    one, other = pki.make_ca("One"), pki.make_ca("Other")
    crossed = [pki.make_ca("One", key=one.key, issuer=other), pki.make_ca("Other", key=other.key, issuer=one)]
    leaf = pki.make(issuer=one)
    chain, left = _certificates.in_order([leaf.certificate, *(c.certificate for c in crossed)])
    assert (chain, left) == ([leaf.certificate, *(c.certificate for c in crossed)], [])


def test_order_knows_one_certificate_once() -> None:
    assert _certificates.in_order(LEAF.chain + LEAF.chain) == (LEAF.chain, [])


def test_the_leaf_that_is_meant_comes_first() -> None:
    chain, left = _certificates.in_order(LEAF.chain, MIDDLE.certificate)
    assert (chain, left) == (MIDDLE.chain, [LEAF.certificate])


def test_from_base64_ends_at_what_cannot_be_parsed() -> None:
    assert _certificates.from_base64(LEAF.base64_chain) == LEAF.chain
    version_8 = LEAF.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")
    for damaged in ("!", base64.b64encode(version_8).decode(), base64.b64encode(b"\x30\x00").decode(), "A"):
        given = [LEAF.base64_chain[0], damaged, LEAF.base64_chain[1]]
        assert _certificates.from_base64(given) == [LEAF.certificate]


def test_pem_holds_certificates_alone() -> None:
    assert _certificates.to_pem(LEAF.chain).encode() == LEAF.pem


def test_facts() -> None:
    pair = pki.make("leaf.example", issuer=ROOT, names=["leaf.example", "*.example", "192.0.2.7", "2001:db8::7"])
    facts = _certificates.facts(pair.certificate)
    certificate = pair.certificate
    assert facts == {
        "subject": "CN=leaf.example",
        "issuer": "CN=Root",
        "names": ["leaf.example", "*.example", "192.0.2.7", "2001:db8::7"],
        "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "serial_number": f"{certificate.serial_number:x}",
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "public_key": "EC secp256r1",
        "self_signed": False,
    }


@pytest.mark.parametrize(("key", "words"), [
    (pki.rsa_key(), "RSA 2048"), (ec.generate_private_key(ec.SECP384R1()), "EC secp384r1"),
    (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
])
def test_public_key_in_words(key: pki.Key, words: str) -> None:
    pair = pki.make(key=key)
    assert _certificates.facts(pair.certificate)["public_key"] == words
    assert _certificates.spki(pair.certificate) == pki.spki(key)
    assert _certificates.is_self_signed(pair.certificate)


def test_self_signed_is_told_by_the_signature() -> None:
    same_name = pki.make("Root", issuer=ROOT)
    assert same_name.certificate.subject == same_name.certificate.issuer
    assert not _certificates.is_self_signed(same_name.certificate)


def test_a_certificate_without_names() -> None:
    assert _certificates.facts(pki.make(names=[]).certificate)["names"] == []


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\rb", "a\u202eb", "a\x07b", "a\u2028b"])
def test_nothing_in_a_name_is_obeyed_by_a_terminal(name: str) -> None:
    facts = _certificates.facts(pki.make(name, names=[]).certificate)
    assert facts["subject"].isprintable()
    assert facts["issuer"].isprintable()
    assert "a" in facts["subject"]


def test_names_that_people_have_stay_readable() -> None:
    assert _certificates.facts(pki.make("Zoë Müller GmbH", names=[]).certificate)["subject"] == "CN=Zoë Müller GmbH"
