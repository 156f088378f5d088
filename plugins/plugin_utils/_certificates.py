# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and their chains. Private to this collection.

Names are read from the SAN alone (RFC 9525, 2); a chain is put in order by signatures and not by names.
"""

from __future__ import annotations

import base64
import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import printable

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
except ImportError:  # _base tells it, before anything here is called.
    pass


def from_base64(texts: t.Iterable[str]) -> list[x509.Certificate]:
    """Certificates as the host code sends them; what cannot be parsed ends the list."""
    certificates = []
    for text in texts:
        try:
            certificates.append(x509.load_der_x509_certificate(base64.b64decode(text)))
        except ValueError:
            break
    return certificates


def to_pem(chain: t.Iterable[x509.Certificate]) -> str:
    """A chain as clean PEM."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode("ascii") for c in chain)


def in_order(
    certificates: t.Sequence[x509.Certificate], leaf: x509.Certificate | None = None
) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """The chain, leaf first, each certificate followed by the one that signed it; and what is left over.

    Without a leaf, the first certificate that has signed no other one is taken for it.
    """
    left = list(dict.fromkeys(certificates))
    if leaf is None:
        leaf = next((c for c in left if not any(_has_signed(c, other) for other in left if other != c)), left[0])
    chain = [leaf]
    left.remove(leaf)
    while issuer := next((c for c in left if _has_signed(c, chain[-1])), None):
        chain.append(issuer)
        left.remove(issuer)
    return chain, left


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate is signed by its own key."""
    return _has_signed(certificate, certificate)


def spki(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo of a certificate in DER (RFC 5280, 4.1.2.7); empty for an unknown algorithm."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 fingerprint in lower case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def names(certificate: x509.Certificate) -> list[str]:
    """The DNS names and IP addresses of the SAN, in its order."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [printable(str(name.value)) for name in san if isinstance(name, (x509.DNSName, x509.IPAddress))]


def facts(certificate: x509.Certificate) -> dict[str, t.Any]:
    """What a person wants to know of a certificate, as plain data; dates in UTC (ISO 8601)."""
    return {
        "subject": _name(certificate, "subject"),
        "issuer": _name(certificate, "issuer"),
        "names": names(certificate),
        "not_before": in_utc(certificate.not_valid_before_utc),
        "not_after": in_utc(certificate.not_valid_after_utc),
        "serial_number": f"{certificate.serial_number:x}",
        "fingerprint_sha256": fingerprint(certificate),
        "public_key": _key_in_words(certificate),
        "self_signed": is_self_signed(certificate),
    }


def in_utc(moment: datetime.datetime) -> str:
    """A date as C(2026-11-23T18:00:00Z)."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(certificate: x509.Certificate, which: t.Literal["subject", "issuer"]) -> str:
    try:
        return printable(getattr(certificate, which).rfc4514_string())
    except ValueError as exc:
        return f"(unreadable: {exc})"


def _key_in_words(certificate: x509.Certificate) -> str:
    try:
        return key_in_words(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as exc:
        return f"(unreadable: {exc})"


def key_in_words(key: t.Any) -> str:
    """Type and size of a public key: C(RSA 2048), C(EC secp256r1), C(Ed25519)."""
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    kinds = {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    return next((word for kind, word in kinds.items() if isinstance(key, kind)), type(key).__name__)
