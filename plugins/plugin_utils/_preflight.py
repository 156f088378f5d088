# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pair that was handed in, checked before any host is touched. Private to this collection."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _contents, _keys
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input

if t.TYPE_CHECKING:
    from cryptography import x509


@dataclasses.dataclass(frozen=True)
class Sources:
    """The inputs that hold a pair between them: a PKCS#12 alone may do, or one file with everything."""

    certificate: Input | None = None
    private_key: Input | None = None
    chain: Input | None = None
    pkcs12: Input | None = None
    passphrase: str | None = None


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


def pair(sources: Sources) -> WantedPair:
    """Read a pair, put its chain in order and prove that the key belongs to the leaf.

    The leaf is the certificate with the key's SubjectPublicKeyInfo, wherever it stands.

    :raises Refused: with every error that was found.
    """
    opened = _open(sources)
    where = opened.get("private_key") or opened.get("pkcs12") or opened["certificate"]
    certificates = _certificates_in(opened)
    key = _keys.to_pkcs8(_keys.one_of(where), sources.passphrase)
    leaf = next((c for c in certificates if _certificates.spki(c) == key.spki), None)
    if leaf is None:
        raise Refused(_mismatch(certificates[0], where.name))
    ordered, strangers = _certificates.in_order(certificates, leaf)
    findings = [
        *(finding for contents in opened.values() for finding in contents.findings),
        *_key_findings(where.name, key),
        *_stray_key_findings(opened, where),
        *_order_findings(certificates, ordered, strangers),
    ]
    return WantedPair(ordered + strangers, key, findings)


def certificates_alone(sources: Sources) -> list[x509.Certificate]:
    """The same chain, leaf first, where the key is not at hand."""
    ordered, strangers = _certificates.in_order(_certificates_in(_open(sources)))
    return ordered + strangers


def _open(sources: Sources) -> dict[str, _contents.Contents]:
    """What each of the inputs holds, by the name of its option."""
    return {
        name: _contents.of(source, sources.passphrase) if name == "private_key"
        else _contents.certificates_of(source, sources.passphrase)
        for name in ("certificate", "private_key", "chain", "pkcs12") if (source := getattr(sources, name))
    }


def _certificates_in(opened: t.Mapping[str, _contents.Contents]) -> list[x509.Certificate]:
    """All certificates, those that stand beside the key last."""
    names = ("certificate", "pkcs12", "chain", "private_key")
    return [c for name in names if name in opened for c in opened[name].certificates]


def _mismatch(certificate: x509.Certificate, key_name: str) -> Finding:
    facts = _certificates.facts(certificate)
    return Finding(
        "pair-mismatch", "wanted", "error",
        f"The private key in {key_name} does not belong to the certificate: "
        f"{facts['subject']}, issued by {facts['issuer']}, {facts['public_key']}.",
        "Give the key from which this certificate was requested.")


def _key_findings(name: str, key: _keys.Pkcs8) -> list[Finding]:
    if key.form == key_form.PKCS8:
        return []
    return [Finding("key-converted", "wanted", "info",
                    f"{name} is {key.form}; it is placed as unencrypted PKCS#8, the same key (SubjectPublicKeyInfo "
                    f"SHA-256 {_keys.fingerprint(key.spki)} before and after).")]


def _stray_key_findings(opened: t.Mapping[str, _contents.Contents], where: _contents.Contents) -> list[Finding]:
    return [Finding("key-in-certificate-file", "wanted", "warning",
                    f"{contents.name} carries a private key too; it is not written to the certificate file.",
                    "Keep certificates and keys in files of their own.")
            for name, contents in opened.items() if name in ("certificate", "chain") and contents.keys
            and contents is not where]


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
