# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pair that was handed in: what belongs together, what is in order, what is worth saying."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _preflight
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input
from cryptography.hazmat.primitives.asymmetric import rsa
from unit import pki

Refused = t.Callable[[t.Callable[[], object]], str]
CA = pki.make_ca()
LEAF = pki.make("leaf.example", issuer=CA)


def check(certificate: bytes, key: bytes, chain: bytes | None = None) -> _preflight.WantedPair:
    return _preflight.pair(_preflight.Sources(
        certificate=Input(certificate, "certificate (a.crt)"), private_key=Input(key, "private_key (a.key)"),
        chain=Input(chain, "chain (b.crt)") if chain else None))


def pem(*pairs: pki.Pair) -> bytes:
    return _certificates.to_pem([pair.certificate for pair in pairs]).encode()


def ids(found: _preflight.WantedPair) -> list[tuple[str, str]]:
    return [(finding.id, finding.level) for finding in found.findings]


def test_a_good_pair() -> None:
    found = check(LEAF.pem, LEAF.key_pem)
    assert (found.chain, found.leaf, ids(found)) == (LEAF.chain, LEAF.certificate, [])


def test_the_chain_in_a_file_of_its_own() -> None:
    found = check(pem(LEAF), LEAF.key_pem, pem(CA))
    assert (found.chain, ids(found)) == (LEAF.chain, [])


@pytest.mark.parametrize("chain", [None, pem(CA)])
def test_the_leaf_is_where_the_key_says(chain: bytes | None) -> None:
    found = check(pem(CA, LEAF), LEAF.key_pem, chain)
    twice = [("chain-duplicate", "warning")] if chain else []
    assert (found.chain, ids(found)) == (LEAF.chain, [("chain-order", "info"), *twice])
    assert check(pem(CA), LEAF.key_pem, pem(LEAF)).chain == LEAF.chain


def same_modulus(exponent: int) -> pki.Pair:
    """A certificate for a key that has the modulus of another one."""
    numbers = pki.rsa_key().public_key().public_numbers()
    return pki.make(key=pki.rsa_key(), public_key=rsa.RSAPublicNumbers(exponent, numbers.n).public_key())


@pytest.mark.parametrize(("certificate", "key"), [
    (LEAF, pki.ec_key()), (LEAF, pki.rsa_key()), (pki.make(key=pki.rsa_key()), pki.ec_key()),
    (pki.make(key=pki.rsa_key()), pki.rsa_key(1)), (same_modulus(3), pki.rsa_key()), (same_modulus(17), pki.rsa_key()),
    (LEAF, pki.make(issuer=CA).key),
])
def test_a_key_that_does_not_belong(refused: Refused, certificate: pki.Pair, key: pki.Key) -> None:
    text = refused(lambda: check(certificate.pem, pki.key_bytes(key)))
    assert text.startswith("wanted error pair-mismatch: The private key in private_key (a.key) does not belong to the "
                           "certificate: CN=")


def test_the_same_modulus_and_exponent_belong() -> None:
    pair = same_modulus(65537)
    assert check(pair.pem, pki.key_bytes(pki.rsa_key(), "TraditionalOpenSSL")).leaf == pair.certificate


def test_strangers_are_told_and_stay_behind() -> None:
    stranger = pki.make_ca("Somebody else")
    found = check(pem(stranger, LEAF, CA), LEAF.key_pem)
    assert found.chain == [*LEAF.chain, stranger.certificate]
    assert ids(found) == [("chain-order", "info"), ("chain-stranger", "warning")]
    assert "CN=Somebody else" in found.findings[1].message


def test_a_key_in_the_certificate_file_is_told_and_never_written() -> None:
    found = check(LEAF.key_pem + LEAF.pem, LEAF.key_pem)
    assert ids(found) == [("key-in-certificate-file", "warning")]
    assert "PRIVATE" not in _certificates.to_pem(found.chain)


def test_a_key_in_the_chain_file_is_told_too() -> None:
    assert ids(check(pem(LEAF), LEAF.key_pem, LEAF.key_pem + pem(CA))) == [("key-in-certificate-file", "warning")]


def test_a_conversion_is_told() -> None:
    found = check(LEAF.pem, pki.key_bytes(LEAF.key, "TraditionalOpenSSL"))
    assert ids(found) == [("key-converted", "info")]
    assert "SEC1" in found.findings[0].message
    assert found.private_key.pem == LEAF.key_pem.decode()


def test_one_file_with_everything() -> None:
    both = LEAF.key_pem + LEAF.pem
    assert check(both, both).chain == LEAF.chain


def test_where_no_key_is_at_hand() -> None:
    together = _preflight.Sources(certificate=Input(pem(CA, LEAF), "wanted"))
    apart = _preflight.Sources(certificate=Input(pem(LEAF), "wanted"), chain=Input(pem(CA), "chain"))
    assert _preflight.certificates_alone(together).chain == LEAF.chain == _preflight.certificates_alone(apart).chain
