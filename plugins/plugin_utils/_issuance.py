# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be made, of key, self-signed certificate and request, given what is there. Private to this collection.

Decides, and makes what is to be signed. Where the key is on the host, the host signs.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _keys, _renewal, _requests
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, refused

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
except ImportError:  # _base tells it, before anything here is called.
    pass

_LABELS = {"certificate": "CERTIFICATE", "request": "CERTIFICATE REQUEST"}


@dataclasses.dataclass(frozen=True)
class Wish:
    """What was asked for."""

    identity: _requests.Identity
    key: _requests.KeySpec
    days: int
    window: _renewal.Window


@dataclasses.dataclass(frozen=True)
class There:
    """What is there: a certificate, the public half of a private key, a request; each may be missing.

    C(unusable_key) is the form of a private key that is there and gave no public half; C(is_loose) says that others
    than its owner may read it.
    """

    certificate: x509.Certificate | None = None
    spki: bytes | None = None
    request: x509.CertificateSigningRequest | None = None
    unusable_key: str = ""
    is_loose: bool = False

    @classmethod
    def of(cls, answer: dict[str, t.Any]) -> There:
        """Take what the host code says of its files."""
        chain = _certificates.from_base64(answer["certificate"]["chain"][:1]) if answer["certificate"] else []
        key, csr = answer["private_key"] or {}, answer["csr"] or {}
        spki = base64.b64decode(key["spki"]) if key.get("spki") else None
        is_unusable = spki is None and key.get("status", "absent") != "absent"
        return cls(
            chain[0] if chain else None, spki,
            _requests.load_csr(base64.b64decode(csr["der"])) if csr.get("der") else None,
            (key.get("form") or key["status"]) if is_unusable else "", bool(int(key.get("mode") or "0", 8) & 0o077))

    def is_pair(self) -> bool:
        """Whether the private key belongs to the certificate."""
        return self.certificate is not None and self.spki == _certificates.spki(self.certificate)

    def require_usable_key(self, renew_key: bool) -> None:
        """Refuse to put a new key in the place of one that is there and cannot be read: it may be all there is of it.

        :raises Refused: C(key-not-usable).
        """
        if self.unusable_key and not renew_key:
            raise refused(
                "key-not-usable", f"The private key that is there cannot be used as it is: {self.unusable_key}.",
                "Convert it first with sesam_pkcs8_convert, where src and dest are paths on the host; or set "
                "renew_key: true to make a new one in its place.")

    def public_key(self) -> t.Any:
        """The public half of the private key; None without one that can be read."""
        try:
            return serialization.load_der_public_key(self.spki) if self.spki else None
        except _certificates.UNREADABLE:
            return None


@dataclasses.dataclass
class Plan:
    """What to make, and why. C(key), C(certificate) and C(request) are what is made of each; None leaves it."""

    reasons: list[str]
    key: _requests.PrivateKey | None = None
    certificate: _requests.Unsigned | None = None
    request: _requests.Unsigned | None = None
    findings: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether all may stay as it is."""
        return not (self.reasons or self.key or self.certificate or self.request)

    @property
    def key_pem(self) -> str:
        """The new key as PKCS#8; empty without one."""
        return _keys.pem_of(self.key) if self.key else ""

    def signed_here(self) -> tuple[str, x509.Certificate]:
        """The new key, and the new certificate signed by it in this process."""
        certificate = t.cast("_requests.Unsigned", self.certificate)
        der = certificate.signed_by(t.cast("_requests.PrivateKey", self.key))
        return self.key_pem, x509.load_der_x509_certificate(der)

    def order(self) -> dict[str, t.Any]:
        """What the host is to write: content where the key is at hand, else what its own key has to sign."""
        return {"key": {"content": self.key_pem} if self.key else None,
                "certificate": self._part(self.certificate), "csr": self._part(self.request)}

    def _part(self, unsigned: _requests.Unsigned | None) -> dict[str, str] | None:
        if unsigned is None:
            return None
        if self.key:
            return {"content": pem(unsigned.kind, unsigned.signed_by(self.key))}
        return {"tbs": base64.b64encode(unsigned.tbs).decode("ascii"),
                "algorithm": base64.b64encode(unsigned.algorithm).decode("ascii")}


def renew(wish: Wish, there: There, *, keep_key: bool, with_request: bool = False, now: datetime.datetime) -> Plan:
    """A self-signed certificate, made anew only for a reason; its request beside it where one is wished.

    With C(keep_key) the key that is there stays, if it is of the kind that was asked for; a key that has no certificate
    yet stays anyway.
    """
    reasons = _renewal.reasons(there.certificate, wish.identity, wish.key, wish.window, now)
    if there.certificate and not there.is_pair():
        reasons.append("The private key in place does not belong to the certificate." if there.spki
                       else "There is no private key that can be used.")
    plan = Plan(reasons)
    public_key = there.public_key()
    if reasons:
        if not ((keep_key or there.certificate is None) and wish.key.fits(public_key)):
            plan.key = wish.key.generate()
            public_key = plan.key.public_key()
        plan.certificate = _requests.self_signed(wish.identity, public_key, days=wish.days, now=now)
    if with_request and (plan.key or _is_other_request(wish, there)):
        plan.request = _requests.csr(wish.identity, public_key)
    return plan


def request(wish: Wish, there: There) -> Plan:
    """A request for the key that is there, which has to be of the kind that was asked for.

    :raises Refused: C(pending-differs): an answer to it may be on its way.
    """
    if not wish.key.fits(there.public_key()):
        raise refused("pending-differs", f"The key that is there is {_certificates.key_in_words(there.public_key())}, "
                      f"and {wish.key.in_words()} was asked for.",
                      "Ask for the same kind of key, or set renew_key: true (sesam_https_renew_key) to make a new key; "
                      "an answer to the pending request would not fit it.")
    reasons = _renewal.request_differs(there.request, wish.identity, wish.key)
    if there.request and _certificates.spki(there.request) != there.spki:
        reasons.append("The request is for another key than the one that is there.")
    return Plan(reasons, request=_requests.csr(wish.identity, there.public_key()) if reasons else None)


def request_of_certificate(there: There) -> Plan:
    """A request with the subject, names and usages of the certificate that is there (the vendor's x509toreq)."""
    if there.certificate is None or not there.is_pair():
        raise refused("pair-mismatch", "csr_from_certificate needs a certificate and its private key, and they are "
                      "not there, or do not belong together.",
                      "Look at certificate_path and private_key_path; without csr_from_certificate the request is "
                      "made from names and subject.")
    made = _requests.csr_from_certificate(there.certificate)
    findings = [Finding("request-notes", "wanted", "info", note) for note in made.notes]
    if there.request and _is_same_request(there.request, made.unsigned):
        return Plan([], findings=findings)
    return Plan(["There is no request of this certificate."], request=made.unsigned, findings=findings)


def pem(kind: str, der: bytes) -> str:
    """A certificate or a request as PEM."""
    return _keys.as_pem(_LABELS[kind], der)


def request_pem(request: x509.CertificateSigningRequest) -> str:
    """A request as PEM."""
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _is_other_request(wish: Wish, there: There) -> bool:
    return there.request is None or _certificates.spki(there.request) != there.spki or bool(
        _renewal.request_differs(there.request, wish.identity, wish.key))


def _is_same_request(request: x509.CertificateSigningRequest, unsigned: _requests.Unsigned) -> bool:
    return request.tbs_certrequest_bytes == unsigned.tbs
