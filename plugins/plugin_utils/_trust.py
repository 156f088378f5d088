# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a chain builds to a CA (RFC 5280, 6), and whether strict clients take it too. Private to this collection.

The verifier is that of C(cryptography); it trusts what it is given and never the store of the system. Its own policy
is that of the public web, which refuses a CA made by C(openssl req -x509): so the extensions that such a CA lacks are
not asked for, and that they are missing is a result of its own.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import printable

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID
    from cryptography.x509.verification import (
        Criticality,
        ExtensionPolicy,
        Policy,
        PolicyBuilder,
        Store,
        VerificationError,
    )
except ImportError:  # _base tells it, before anything here is called.
    pass

# So many moments are tried, where none is given: a bundle may hold many CAs, and each search costs its time.
_MOMENTS = 5


@dataclasses.dataclass(frozen=True)
class Built:
    """Whether a chain builds to a CA, the library's words if not, the path (leaf first), what strict clients say."""

    builds: bool
    words: str
    path: list[x509.Certificate]
    strict_words: str = ""


def build(
    leaf: x509.Certificate,
    others: t.Sequence[x509.Certificate],
    trusted: t.Sequence[x509.Certificate],
    moment: datetime.datetime | None = None,
) -> Built:
    """Build a path from a leaf to one of the certificates that are trusted.

    Without a moment, one is taken at which the certificates of the path are valid: that they ended is told elsewhere.
    """
    path = path_by_signature(leaf, others, trusted)
    if not trusted:
        return Built(False, "no CA certificate is there to build to", path)
    moments = [moment] if moment else _moments(path, [*others, *trusted])
    refusals = []
    for when in moments:
        try:
            verified = _verifier(trusted, when, *_relaxed()).verify(leaf, list(others)).chain
        except (*_certificates.UNREADABLE, VerificationError) as exc:
            refusals.append(_own_words(exc))
        else:
            return Built(True, "", verified, strictness(verified, when))
    if path[-1] in trusted and _is_beyond_the_library(path) and _stands(path, moments[0]):
        return Built(True, "", path, strictness(path, moments[0]))
    return Built(False, refusals[0], path)


def path_by_signature(
    leaf: x509.Certificate, others: t.Sequence[x509.Certificate], trusted: t.Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """As far as signatures lead, and not beyond the first certificate that is trusted."""
    path, _left = _certificates.in_order([leaf, *trusted, *others], leaf)
    anchor = next((number for number, certificate in enumerate(path) if certificate in trusted), len(path) - 1)
    return path[: anchor + 1]


def strictness(path: t.Sequence[x509.Certificate], moment: datetime.datetime | None = None) -> str:
    """What a strict client refuses in a path to its root that others take; empty if nothing.

    A certificate alone is pinned: nobody builds a path from it.
    """
    if len(path) < 2:
        return ""
    try:
        _verifier(path[-1:], moment or _common_moment(path), *_strict()).verify(path[0], list(path[1:-1]))
    except (*_certificates.UNREADABLE, VerificationError) as exc:
        return "; ".join([*_lacking(path), _own_words(exc)])
    return ""


def _verifier(
    trusted: t.Sequence[x509.Certificate], moment: datetime.datetime, ca: ExtensionPolicy, leaf: ExtensionPolicy
) -> t.Any:
    """One without a name to look for: a name that is not covered is told elsewhere, one by one."""
    naive = moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    builder = PolicyBuilder().store(Store(list(trusted))).time(naive)
    return builder.extension_policies(ca_policy=ca, ee_policy=leaf).build_client_verifier()


def _relaxed() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """For CAs and for the leaf: what is there has to be right, what is missing may be missing."""
    ca = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_signs)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_serves)
    )
    return ca, ExtensionPolicy.permit_all()


def _strict() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """The library's own policies, but for what has a finding of its own and for the purpose, which is a server."""
    ca = (
        ExtensionPolicy.webpki_defaults_ca()
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_serves)
        .may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, _check_names_its_issuer)
    )
    leaf = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, None)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
        .may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    )
    return ca, leaf


def _check_signs(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("it may not sign certificates (keyUsage without keyCertSign)")


def _check_serves(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    oids = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(oid in usage for oid in oids):
        raise ValueError("it may not issue for servers (extendedKeyUsage without serverAuth)")


def _check_names_its_issuer(
    _policy: Policy, certificate: x509.Certificate, identifier: x509.AuthorityKeyIdentifier | None
) -> None:
    if identifier is None and not _certificates.is_self_signed(certificate):
        raise ValueError("it does not name the key of its issuer (authorityKeyIdentifier)")


def _own_words(exc: Exception) -> str:
    """The library's own words, without the prefix that every one of them has."""
    return printable(str(exc)).removeprefix("validation failed: ")


def _moments(path: t.Sequence[x509.Certificate], others: t.Iterable[x509.Certificate]) -> list[datetime.datetime]:
    """When to look for a path: first for the one by signatures, then for one through younger certificates."""
    leaf = path[0]
    begins = {certificate.not_valid_before_utc for certificate in others}
    younger = sorted((b for b in begins if leaf.not_valid_before_utc <= b <= leaf.not_valid_after_utc), reverse=True)
    return list(dict.fromkeys([_common_moment(path), *younger]))[:_MOMENTS]


def _common_moment(path: t.Sequence[x509.Certificate]) -> datetime.datetime:
    """When the youngest of a path begins: if they are ever valid together, they are then."""
    return max(certificate.not_valid_before_utc for certificate in path)


def _is_beyond_the_library(path: t.Sequence[x509.Certificate]) -> bool:
    """Whether the library refuses a path for an algorithm or an old form of root, whatever the policy.

    Other clients take Ed25519 and roots of X.509 version 1; weak hashes are told by a finding of their own.
    """
    return any(_has_edwards_key(issuer) for issuer in path[1:]) or path[-1].version is x509.Version.v1 or any(
        _certificates.weak_hash(certificate) for certificate in path[:-1])


def _has_edwards_key(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.public_key(), (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))
    except _certificates.UNREADABLE:
        return False


def _stands(path: t.Sequence[x509.Certificate], moment: datetime.datetime) -> bool:
    """Whether a path by signatures holds where the library cannot say it: each issuer is a CA that may issue this.

    Constraints on names are not judged here: with them, what the library says is the last word.
    """
    return all(c.not_valid_before_utc <= moment <= c.not_valid_after_utc for c in path) and all(
        _may_issue(issuer, below) for below, issuer in enumerate(path[1:]))


def _may_issue(issuer: x509.Certificate, below: int) -> bool:
    """Whether a certificate is a CA with a given number of CAs between it and the leaf."""
    if issuer.version is x509.Version.v1:
        return _certificates.is_self_signed(issuer)
    basic = _certificates.extension(issuer, x509.BasicConstraints)
    usage = _certificates.extension(issuer, x509.KeyUsage)
    purpose = _certificates.extension(issuer, x509.ExtendedKeyUsage)
    return (
        basic is not None and basic.ca and (basic.path_length is None or below <= basic.path_length)
        and (usage is None or usage.key_cert_sign)
        and (purpose is None or ExtendedKeyUsageOID.SERVER_AUTH in purpose)
        and _certificates.extension(issuer, x509.NameConstraints) is None
        and not _certificates.unreadable_parts(issuer)
    )


def _lacking(path: t.Sequence[x509.Certificate]) -> list[str]:
    """Which certificate lacks which extension, by name: the library's words have neither."""
    found = []
    for certificate in path:
        kinds: list[tuple[str, type[x509.ExtensionType]]] = []
        if certificate is not path[0]:
            kinds += [("keyUsage", x509.KeyUsage), ("subjectKeyIdentifier", x509.SubjectKeyIdentifier)]
        if certificate is not path[-1] or not _certificates.is_self_signed(certificate):
            kinds.append(("authorityKeyIdentifier", x509.AuthorityKeyIdentifier))
        missing = [name for name, kind in kinds if _certificates.extension(certificate, kind) is None]
        if missing:
            found.append(f"{_certificates.called(certificate)} has no {' and no '.join(missing)}")
    return found
