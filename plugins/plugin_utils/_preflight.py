# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pair that was handed in, checked before any host is touched. Private to this collection."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form
from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _catalogue,
    _certificates,
    _checks,
    _contents,
    _findings,
    _keys,
    _lookup,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input

if t.TYPE_CHECKING:
    from cryptography import x509

# Told by the host, whose clock it is that counts (RFC 5280, 4.1.2.5).
_BY_THE_HOST = ("expired", "not-yet-valid")


@dataclasses.dataclass(frozen=True)
class Sources:
    """The inputs that hold a pair between them: a PKCS#12 alone may do, or one file with everything."""

    certificate: Input | None = None
    private_key: Input | None = None
    chain: Input | None = None
    pkcs12: Input | None = None
    passphrase: str | None = None


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a certificate is checked for, of what a user may choose, and what is known of the server.

    C(names) may be a guess.
    """

    names: t.Sequence[str] = ()
    names_are_given: bool = False
    trusted: t.Sequence[x509.Certificate] | None = None
    expiring_days: int = 30
    levels: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    behaviour: _lookup.Behaviour = dataclasses.field(default_factory=_lookup.Behaviour)

    def findings(
        self, chain: t.Sequence[x509.Certificate], subject: _findings.Subject, moment: datetime.datetime
    ) -> list[Finding]:
        """All that is to be said of a chain, leaf first, at a moment; the levels are the usual ones."""
        return [
            *_checks.of_chain(chain, subject=subject, names=self.names, names_are_given=self.names_are_given,
                              trusted=self.trusted),
            *_checks.of_validity(chain, subject=subject, moment=moment, expiring_days=self.expiring_days,
                                 trusted=self.trusted),
        ]

    def weighed(self, findings: t.Iterable[Finding]) -> list[Finding]:
        """Findings with the levels that the user has set."""
        return _catalogue.apply_levels(findings, self.levels)


_Wanted = t.TypeVar("_Wanted", bound="WantedChain")


@dataclasses.dataclass(frozen=True)
class WantedChain:
    """A chain, leaf first, and what was noticed about it; its key is not at hand."""

    chain: list[x509.Certificate]
    findings: list[Finding]

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the server."""
        return self.chain[0]

    def checked(self: _Wanted, policy: Policy) -> _Wanted:
        """The same with all findings.

        :raises Refused: one of them is an error.
        """
        now = datetime.datetime.now(datetime.timezone.utc)
        found = [f for f in policy.findings(self.chain, "wanted", now) if f.id not in _BY_THE_HOST]
        findings = policy.weighed([*self.findings, *found])
        if _findings.errors(findings):
            raise Refused(*findings)
        return dataclasses.replace(self, findings=findings)


@dataclasses.dataclass(frozen=True)
class WantedPair(WantedChain):
    """A chain and the key of its leaf. Without any certificate, where a key alone is converted."""

    private_key: _keys.Pkcs8


def convert(sources: Sources) -> WantedPair:
    """Read a key and the certificates that come with it; where there are any, one has to be that of the key.

    The leaf is the certificate with the key's SubjectPublicKeyInfo, wherever it stands.

    :raises Refused: for what cannot be read, and for a key that does not belong.
    """
    opened = _open(sources)
    where = next(opened[name] for name in ("private_key", "pkcs12", "certificate") if name in opened)
    key = _keys.to_pkcs8(_keys.one_of(where), sources.passphrase)
    findings = [
        *(finding for contents in opened.values() for finding in contents.findings),
        *_key_findings(where.name, key),
        *_stray_key_findings(opened, where),
    ]
    certificates = _certificates_in(opened)
    if not certificates:
        return WantedPair([], findings, key)
    leaf = next((c for c in certificates if _certificates.spki(c) == key.spki), None)
    if leaf is None:
        raise Refused(_mismatch(certificates[0], where.name))
    return WantedPair(*_in_order(certificates, leaf, findings), key)


def pair(sources: Sources) -> WantedPair:
    """The same for a pair, which has a certificate.

    :raises Refused: as C(convert).
    """
    found = convert(sources)
    if not found.chain:
        where = next(source for source in (sources.pkcs12, sources.certificate, sources.private_key) if source)
        raise Refused(_catalogue.finding(
            "input-unrecognised", "wanted", f"{where.name} holds a private key and no certificate.",
            fix="Give the certificate too, in the same container or as certificate."))
    return found


def certificates_alone(sources: Sources) -> WantedChain:
    """A chain whose key is not asked for, or is on the host."""
    opened = _open(sources)
    certificates = _certificates_in(opened)
    findings = [finding for contents in opened.values() for finding in contents.findings]
    return WantedChain(*_in_order(certificates, None, findings))


def _in_order(
    certificates: list[x509.Certificate], leaf: x509.Certificate | None, findings: list[Finding]
) -> tuple[list[x509.Certificate], list[Finding]]:
    path, strangers = _certificates.in_order(certificates, leaf)
    return path + strangers, [*findings, *_checks.of_order(certificates, path, strangers, subject="wanted")]


def _open(sources: Sources) -> dict[str, _contents.Contents]:
    """What each of the inputs holds, by the name of its option."""
    opened = {}
    for name in ("certificate", "private_key", "chain", "pkcs12"):
        source: Input | None = getattr(sources, name)
        if source is not None:
            read = _contents.certificates_of if name in ("certificate", "chain") else _contents.of
            opened[name] = read(source, sources.passphrase)
    return opened


def _certificates_in(opened: t.Mapping[str, _contents.Contents]) -> list[x509.Certificate]:
    """All certificates, those that stand beside the key last."""
    names = ("certificate", "pkcs12", "chain", "private_key")
    return [c for name in names if name in opened for c in opened[name].certificates]


def _mismatch(certificate: x509.Certificate, key_name: str) -> Finding:
    facts = _certificates.facts(certificate)
    return _catalogue.finding(
        "pair-mismatch", "wanted",
        f"The private key in {key_name} does not belong to the certificate: "
        f"{facts['subject']}, issued by {facts['issuer']}, {facts['public_key']}.")


def _key_findings(name: str, key: _keys.Pkcs8) -> list[Finding]:
    if key.form == key_form.PKCS8:
        return []
    return [_catalogue.finding(
        "key-converted", "wanted",
        f"{name} is {key.form}; it is placed as unencrypted PKCS#8, the same key (SubjectPublicKeyInfo SHA-256 "
        f"{_keys.fingerprint(key.spki)} before and after).")]


def _stray_key_findings(opened: t.Mapping[str, _contents.Contents], where: _contents.Contents) -> list[Finding]:
    return [_catalogue.finding("key-in-certificate-file", "wanted",
                               f"{contents.name} carries a private key too; it is not written to the certificate file.")
            for name, contents in opened.items()
            if name in ("certificate", "chain") and contents.keys and contents is not where]
