# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a CA sent: the certificate for a key, found among any number of files. Private to this collection.

Files are matched by public key, never by their names: every CA names them in another way.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, printable

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
except ImportError:  # _base tells it, before anything here is called.
    pass


class Offered(t.NamedTuple):
    """A certificate, and where it was found."""

    certificate: x509.Certificate
    source: str


class Answer(t.NamedTuple):
    """The chain for a key, leaf first and without the root; where its leaf was found; whose key it is."""

    chain: list[x509.Certificate]
    source: str
    spki: bytes


def pick(
    offered: t.Sequence[Offered], keys: t.Sequence[bytes], now: datetime.datetime,
    further: t.Sequence[x509.Certificate] = (),
) -> Answer | None:
    """The newest valid certificate for the first of some keys (SubjectPublicKeyInfo in DER) that has one.

    Give the pending key first, then that on disk. One that is not valid counts only if there is no other: the
    findings tell then what is wrong with it. A self-signed one is no answer of a CA: it lies beside the request that
    was made from it.

    The chain is completed from everything offered and from C(further); certificates of other hosts stay out. So does
    the root: who trusts it has it, and who has not gains nothing by it (RFC 8446, 4.4.2).
    """
    offered = [o for o in offered if _has_dates(o.certificate)]
    leaves = [leaf for leaf in offered
              if _certificates.spki(leaf.certificate) in keys and not _certificates.is_self_signed(leaf.certificate)]
    if not leaves:
        return None

    def rank(leaf: Offered) -> tuple[t.Any, ...]:
        preference = -keys.index(_certificates.spki(leaf.certificate))
        return _is_valid(leaf.certificate, now), preference, *_age(leaf.certificate)

    best = max(leaves, key=rank)
    pool = [o.certificate for o in offered] + list(filter(_has_dates, further))
    # The newest valid one first, where a CA was renewed with the same key.
    pool.sort(key=lambda c: (_is_valid(c, now), *_age(c)), reverse=True)
    path, _strangers = _certificates.in_order([best.certificate, *pool], best.certificate)
    chain = [c for c in path if not _certificates.is_self_signed(c)]
    return Answer(chain, best.source, _certificates.spki(best.certificate))


def explain_foreign(
    certificate: x509.Certificate, request: x509.CertificateSigningRequest, source: str = "The certificate"
) -> Finding:
    """Why a certificate does not answer a request: whose it is, and whose the request."""
    theirs, ours = _names(certificate), _names(request)
    whose = "for the same names but for another key" if sorted(theirs) == sorted(ours) else f"for {', '.join(theirs)}"
    return Finding(
        "answer-foreign", "wanted", "error",
        f"{printable(source)} is {whose} (public key {_beginning(_certificates.spki(certificate))}); "
        f"the pending request is for {', '.join(ours)} (public key {_beginning(_certificates.spki(request))}).",
        "Give the certificate that the CA made from the pending request. If it made none yet, or made this one from "
        "an earlier request, send it the pending one.")


def _has_dates(certificate: x509.Certificate) -> bool:
    """Whether the dates of a certificate can be read: DER can hold the year 0."""
    try:
        _age(certificate)
    except ValueError:
        return False
    return True


def _is_valid(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _age(certificate: x509.Certificate) -> tuple[datetime.datetime, datetime.datetime, bytes]:
    """Orders certificates by age, and always in the same way."""
    return (certificate.not_valid_before_utc, certificate.not_valid_after_utc,
            certificate.public_bytes(serialization.Encoding.DER))


def _names(holder: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """The names of the SAN in lower case; without one, the subject."""
    if names := _certificates.names(holder):
        return [name.lower() for name in names]
    try:
        return [printable(holder.subject.rfc4514_string()) or "(no name)"]
    except _certificates.UNREADABLE:
        return ["(an unreadable subject)"]


def _beginning(spki: bytes) -> str:
    """The beginning of a key's fingerprint, enough to tell two apart."""
    return f"SHA-256 {hashlib.sha256(spki).hexdigest()[:16]}..." if spki else "of an unknown kind"
