# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pair that was handed in, checked before any host is touched. Private to this collection."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _keys
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input

if t.TYPE_CHECKING:
    from cryptography import x509


@dataclasses.dataclass(frozen=True)
class WantedPair:
    """A chain, leaf first, the key of its leaf, and what was noticed about them."""

    chain: list[x509.Certificate]
    private_key: _keys.Pkcs8
    findings: list[Finding]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the server."""
        return self.chain[0]


def pair(certificate: Input, private_key: Input, chain: Input | None, passphrase: str | None) -> WantedPair:
    """Read a pair, put its chain in order and prove that the key belongs to the leaf.

    The leaf is the certificate with the key's SubjectPublicKeyInfo, wherever it stands.

    :raises Refused: with every error that was found.
    """
    certificates = _load_certificates(certificate, chain)
    key = _keys.to_pkcs8(private_key, passphrase)
    leaf = next((c for c in certificates if _certificates.spki(c) == key.spki), None)
    if leaf is None:
        raise Refused(_mismatch(certificates[0], certificate.name, private_key.name))
    ordered, strangers = _certificates.in_order(certificates, leaf)
    findings = [
        *_key_findings(private_key, key),
        *(finding for source in (certificate, chain) if source for finding in _certificate_findings(source)),
        *_order_findings(certificates, ordered, strangers),
    ]
    return WantedPair(ordered + strangers, key, findings)


def certificates_alone(certificate: Input, chain: Input | None) -> list[x509.Certificate]:
    """The same chain, leaf first, where the key is not at hand."""
    ordered, strangers = _certificates.in_order(_load_certificates(certificate, chain))
    return ordered + strangers


def _load_certificates(certificate: Input, chain: Input | None) -> list[x509.Certificate]:
    certificates = _certificates.load(certificate)
    return certificates + _certificates.load(chain) if chain else certificates


def _mismatch(certificate: x509.Certificate, certificate_name: str, key_name: str) -> Finding:
    facts = _certificates.facts(certificate)
    return Finding(
        "pair-mismatch", "wanted", "error",
        f"The private key in {key_name} does not belong to the certificate in {certificate_name}: "
        f"{facts['subject']}, issued by {facts['issuer']}, {facts['public_key']}.",
        "Give the key from which this certificate was requested.")


def _key_findings(source: Input, key: _keys.Pkcs8) -> list[Finding]:
    if key.form == key_form.PKCS8:
        return []
    return [Finding("key-converted", "wanted", "info",
                    f"{source.name} is {key.form}; it is placed as unencrypted PKCS#8, the same key.")]


def _certificate_findings(source: Input) -> list[Finding]:
    if b"PRIVATE KEY-----" not in source.content:
        return []
    return [Finding("key-in-certificate-file", "wanted", "warning",
                    f"{source.name} carries a private key too; it is not written to the certificate file.",
                    "Keep certificates and keys in files of their own.")]


def _order_findings(
    given: list[x509.Certificate], ordered: list[x509.Certificate], strangers: list[x509.Certificate]
) -> list[Finding]:
    findings = []
    if given[: len(ordered)] != ordered:
        findings.append(Finding("chain-order", "wanted", "info", "The chain was put in order, leaf first."))
    if strangers:
        subjects = ", ".join(_certificates.facts(stranger)["subject"] for stranger in strangers)
        findings.append(Finding("chain-stranger", "wanted", "warning",
                                f"Not in the path of the certificate, and placed behind it: {subjects}.",
                                "Give the chain of this certificate alone."))
    return findings
