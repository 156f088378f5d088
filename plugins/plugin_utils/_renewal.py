# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a certificate or a pending request has to be made anew. Private to this collection.

Nothing that changes from run to run is compared: no date computed now, no serial number.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _requests
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable

try:
    from cryptography import x509
except ImportError:  # _base tells it, before anything here is called.
    pass

_FORM = re.compile(r"\s*([0-9]{1,9})\s*([hdw%])\s*", re.ASCII | re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}
_FORMS = "Give 30d (days), 10h (hours), 2w (weeks), 15% (of the certificate's life) or 0d (when it has ended)."


@dataclasses.dataclass(frozen=True)
class Window:
    """How long before its end a certificate is renewed: a time, or a part of its life in per cent."""

    text: str
    before: datetime.timedelta
    percent: int = 0

    @classmethod
    def parse(cls, value: str) -> Window:
        """Read C(30d), C(10h), C(2w) or C(15%).

        :raises Refused: C(option-value).
        """
        match = _FORM.fullmatch(str(value))
        if match is None:
            raise _wrong(f'"{printable(str(value)[:80])}" is no time before the end of a certificate.', _FORMS)
        number, unit = int(match.group(1)), match.group(2).lower()
        text = f"{number}{unit}"
        if unit == "%":
            if number >= 100:
                raise _wrong(f"{text} of a certificate's life is all of it: it would be renewed at every run.",
                             _FORMS)
            return cls(text, datetime.timedelta(0), number)
        if number * _HOURS[unit] > _requests.MOST_DAYS * 24:
            raise _wrong(f"{text} is more than {_requests.MOST_DAYS} days.", _FORMS)
        return cls(text, datetime.timedelta(hours=number * _HOURS[unit]))

    def require_shorter_than(self, days: int) -> None:
        """Refuse a window in which a new certificate of so many days would lie at once.

        :raises Refused: C(option-value).
        """
        if self.before >= datetime.timedelta(days=days):
            raise _wrong(f"A certificate of {days} days that is renewed {self.text} before its end would be renewed "
                         "at every run.", "Give a shorter time before the end, or more days.")

    def opens(self, certificate: x509.Certificate) -> datetime.datetime:
        """From when on a certificate is to be renewed."""
        ends = certificate.not_valid_after_utc
        return ends - self.before - (ends - certificate.not_valid_before_utc) * self.percent / 100


def reasons(
    current: x509.Certificate | None, identity: _requests.Identity, key_spec: _requests.KeySpec, window: Window,
    now: datetime.datetime,
) -> list[str]:
    """Why a self-signed certificate has to be made anew, in sentences; none when it may stay.

    Only these count: none is there, its end is near, or it differs from what was asked for in names, subject or key.
    """
    if current is None:
        return ["There is no certificate that can be read."]
    return [*_ends(current, window, now), *_differs("certificate", current, identity, key_spec)]


def request_differs(
    request: x509.CertificateSigningRequest | None, identity: _requests.Identity, key_spec: _requests.KeySpec
) -> list[str]:
    """Why a pending request is not the one that was asked for, in sentences; none when it may stay."""
    if request is None:
        return ["There is no request that can be read."]
    found = _differs("request", request, identity, key_spec)
    return found if _requests.is_csr_valid(request) else ["The request is not signed by its own key.", *found]


def _ends(current: x509.Certificate, window: Window, now: datetime.datetime) -> list[str]:
    try:
        opens, ends = window.opens(current), current.not_valid_after_utc
    except (ValueError, OverflowError):  # The year 0, or 1.
        return ["The certificate has no dates that can be read."]
    if now < opens:
        return []
    when = _certificates.in_utc(ends)
    if ends < now:
        return [f"The certificate ended on {when}."]
    return [f"The certificate ends on {when}, and is renewed {window.text} before its end."]


def _differs(
    what: str, current: x509.Certificate | x509.CertificateSigningRequest, identity: _requests.Identity,
    key_spec: _requests.KeySpec,
) -> list[str]:
    found = []
    have, want = _in_words(_certificates.san(current)), _in_words(identity.san)
    if missing := [name for name in want if name not in have]:
        found.append(f"The {what} lacks names that were asked for: {', '.join(missing)}.")
    if surplus := [name for name in have if name not in want]:
        found.append(f"The {what} has names that were not asked for: {', '.join(surplus)}.")
    if identity.subject_asked and _comparable(_subject(current)) != _comparable(identity.subject):
        found.append(f"The {what} has the subject {_shown(_subject(current))}, "
                     f"and {_shown(identity.subject)} was asked for.")
    key = _public_key(current)
    if not key_spec.fits(key):
        found.append(f"The {what} has a key of {_certificates.key_in_words(key) if key else 'an unknown kind'}, "
                     f"and {key_spec.in_words()} was asked for.")
    return found


def _in_words(san: t.Iterable[x509.GeneralName]) -> list[str]:
    """Names as they are compared: DNS knows no letter case, and an address written as a DNS name is none."""
    return [printable(name.value.lower() if isinstance(name, x509.DNSName) else
                      f"IP address {name.value}" if isinstance(name, x509.IPAddress) else str(name)) for name in san]


def _comparable(subject: x509.Name | None) -> list[frozenset[tuple[str, str]]] | None:
    """A subject as RFC 5280, 7.1 compares it: neither letter case nor the kind of string nor runs of blanks count."""
    if subject is None:
        return None
    return [frozenset((a.oid.dotted_string, " ".join(str(a.value).casefold().split())) for a in rdn)
            for rdn in subject.rdns]


def _subject(holder: x509.Certificate | x509.CertificateSigningRequest) -> x509.Name | None:
    try:
        return holder.subject
    except _certificates.UNREADABLE:
        return None


def _shown(subject: x509.Name | None) -> str:
    return printable(subject.rfc4514_string()) or "(empty)" if subject is not None else "(unreadable)"


def _public_key(holder: x509.Certificate | x509.CertificateSigningRequest) -> object:
    try:
        return holder.public_key()
    except _certificates.UNREADABLE:
        return None


def _wrong(message: str, fix: str) -> Refused:
    return Refused(Finding("option-value", "wanted", "error", message, fix))
