# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and their chains. Private to this collection.

Names are read from the SAN alone (RFC 9525, 2); a chain is put in order by signatures and not by names.
"""

from __future__ import annotations

import base64
import datetime
import functools
import typing as t
import warnings

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import brief, printable

try:
    from cryptography import x509
    from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

    # What the library raises at a certificate, or at a part of a loaded one, that it cannot read; KeyError at a kind of
    # text in a name that it does not know (seen with 45).
    UNREADABLE = (ValueError, TypeError, KeyError, InternalError, UnsupportedAlgorithm, x509.DuplicateExtension,
                  x509.InvalidVersion, x509.UnsupportedGeneralNameType)
    # Who has a public key, a subject and extensions: a certificate, and a request for one (RFC 2986).
    Holder = x509.Certificate | x509.CertificateSigningRequest
    ExtensionKind = t.TypeVar("ExtensionKind", bound=x509.ExtensionType)
except ImportError:  # _base tells it, before anything here is called.
    pass

_WEAK_HASHES = ("md5", "sha1")
# Signature algorithms for which the library knows no hash: RSA with MD2 and with MD4 (RFC 8017, A.2.4).
_WEAK_SIGNATURES = {"1.2.840.113549.1.1.2": "md2", "1.2.840.113549.1.1.3": "md4"}


def from_base64(texts: t.Iterable[str]) -> list[x509.Certificate]:
    """Certificates as the host code sends them; what cannot be parsed ends the list."""
    certificates = []
    for text in texts:
        try:
            certificates.append(x509.load_der_x509_certificate(base64.b64decode(text)))
        except UNREADABLE:
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
    # Of certificates with the same name, only a signature tells which has signed which.
    left = list(dict.fromkeys(certificates))
    if leaf is None:
        leaf = next((c for c in left if not any(_has_signed(c, other) for other in left if other != c)), left[0])
    chain = [leaf]
    left.remove(leaf)
    while issuer := next((c for c in left if _has_signed(c, chain[-1])), None):
        chain.append(issuer)
        left.remove(issuer)
    return chain, left


@functools.lru_cache(maxsize=1024)
def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature):
        return _has_signed_weakly(issuer, certificate)
    return True


def _has_signed_weakly(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """The same for SHA-1 and MD5, which the library refuses: a weak signature has to be seen to be told."""
    try:
        algorithm = certificate.signature_hash_algorithm
        if algorithm is None or algorithm.name not in _WEAK_HASHES or certificate.issuer != issuer.subject:
            return False
        key, text = issuer.public_key(), certificate.tbs_certificate_bytes
        if isinstance(key, rsa.RSAPublicKey):
            parameters = certificate.signature_algorithm_parameters
            how = parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15()
            key.verify(certificate.signature, text, how, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(certificate.signature, text, ec.ECDSA(algorithm))
        else:
            return False
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def weak_hash(certificate: x509.Certificate) -> str:
    """The hash in the signature of a certificate if nobody trusts it any more, else nothing."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UNREADABLE:
        return _WEAK_SIGNATURES.get(certificate.signature_algorithm_oid.dotted_string, "")
    return algorithm.name if algorithm is not None and algorithm.name in _WEAK_HASHES else ""


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate is signed by its own key."""
    return _has_signed(certificate, certificate)


def spki(holder: Holder) -> bytes:
    """The SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7); empty for an unknown algorithm."""
    try:
        key = holder.public_key()
    except UNREADABLE:
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 fingerprint in lower case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def names(holder: Holder) -> list[str]:
    """The DNS names and IP addresses of the SAN, in its order."""
    return [printable(str(name.value)) for name in san(holder) if isinstance(name, (x509.DNSName, x509.IPAddress))]


def san(holder: Holder) -> list[x509.GeneralName]:
    """Every name of the SAN; none when it is absent or cannot be read."""
    return list(extension(holder, x509.SubjectAlternativeName) or ())


def extension(holder: Holder, kind: type[ExtensionKind]) -> ExtensionKind | None:
    """An extension; None where it is absent or cannot be read, which C(unreadable_parts) tells."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None


def unreadable_parts(certificate: x509.Certificate) -> dict[str, str]:
    """What the library cannot read of a certificate that it has loaded: the part, and its own words."""
    parts: dict[str, t.Callable[[], object]] = {
        "subject": lambda: _quietly(lambda: certificate.subject),
        "issuer": lambda: _quietly(lambda: certificate.issuer),
        "public key": certificate.public_key,
        "extensions": lambda: certificate.extensions,
    }
    found = {}
    for part, read in parts.items():
        try:
            read()
        except UNREADABLE as exc:
            found[part] = printable(str(exc))
    return found


def common_names(certificate: x509.Certificate) -> list[str]:
    """The CNs of the subject, as they stand there."""
    try:
        found = _quietly(lambda: certificate.subject).get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except UNREADABLE:
        return []
    return [str(attribute.value) for attribute in found]


def _quietly(read: t.Callable[[], x509.Name]) -> x509.Name:
    """Read a name; at one that is too long the library warns on the terminal, and here it is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return read()


def subject(certificate: x509.Certificate) -> str:
    """The subject in words: C(CN=sesam.example,O=Example)."""
    return _in_words(lambda: certificate.subject)


def issuer(certificate: x509.Certificate) -> str:
    """The issuer in words."""
    return _in_words(lambda: certificate.issuer)


def called(certificate: x509.Certificate) -> str:
    """How a message calls a certificate: by its subject, by its serial number if that is empty."""
    return brief(subject(certificate), 100) or f"the certificate {certificate.serial_number:x}"


def facts(certificate: x509.Certificate) -> dict[str, t.Any]:
    """What a person wants to know of a certificate, as plain data; dates in UTC (ISO 8601)."""
    return {
        "subject": subject(certificate),
        "issuer": issuer(certificate),
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


def _in_words(read: t.Callable[[], x509.Name]) -> str:
    try:
        return printable(_quietly(read).rfc4514_string())
    except UNREADABLE as exc:
        return printable(f"(unreadable: {exc})")


def _key_in_words(certificate: x509.Certificate) -> str:
    try:
        return key_in_words(certificate.public_key())
    except UNREADABLE as exc:
        return printable(f"(unreadable: {exc})")


def key_in_words(key: t.Any) -> str:
    """Type and size of a public key: C(RSA 2048), C(EC secp256r1), C(Ed25519)."""
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    kinds = {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    return next((word for kind, word in kinds.items() if isinstance(key, kind)), type(key).__name__)
