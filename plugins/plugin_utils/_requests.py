# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, self-signed certificates and certificate signing requests, made right. Private to this collection.

What is to be signed (RFC 5280, 4.1.1.1; RFC 2986, 4.1) is made from the public key alone: the private key signs it
wherever it is, here or on a host that it never leaves.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import ipaddress
import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import der
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _names
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused, printable, refused

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
except ImportError:  # _base tells it, before anything here is called.
    pass

if t.TYPE_CHECKING:
    PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    Builder = t.TypeVar("Builder", x509.CertificateBuilder, x509.CertificateSigningRequestBuilder)

KeyType = t.Literal["RSA", "EC"]
SMALLEST, LARGEST = 2048, 8192
CURVES = ("secp256r1", "secp384r1", "secp521r1")
# A century; beyond it a year has five digits sooner or later.
MOST_DAYS = 36500
# What a clock may be behind and still see the certificate as valid: findings begin to warn of clocks at five minutes.
_BACKDATED = datetime.timedelta(minutes=5)
# The upper bound of a CN (RFC 5280, appendix A).
_LONGEST_CN = 64

# Curve -> digest of its strength (RFC 5480, 4), and ecdsa-with-SHA256, -384, -512 (RFC 5758, 3.2).
_ECDSA = {
    "secp256r1": ("sha256", bytes.fromhex("300a06082a8648ce3d040302")),
    "secp384r1": ("sha384", bytes.fromhex("300a06082a8648ce3d040303")),
    "secp521r1": ("sha512", bytes.fromhex("300a06082a8648ce3d040304")),
}
# sha256WithRSAEncryption (RFC 4055, 5).
_RSA = ("sha256", bytes.fromhex("300d06092a864886f70d01010b0500"))

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# IDNA 2003 and IDNA 2008 (RFC 5891) make different names of them.
_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")

# What a CA writes anew, and what belongs to a CA's own certificate.
_LEFT_OUT = {
    "2.5.29.14": "subjectKeyIdentifier", "2.5.29.35": "authorityKeyIdentifier", "2.5.29.18": "issuerAltName",
    "2.5.29.31": "cRLDistributionPoints", "2.5.29.46": "freshestCRL", "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
    "1.3.6.1.5.5.7.1.11": "subjectInfoAccess", "2.5.29.32": "certificatePolicies", "2.5.29.33": "policyMappings",
    "2.5.29.36": "policyConstraints", "2.5.29.54": "inhibitAnyPolicy", "2.5.29.30": "nameConstraints",
    "1.3.6.1.4.1.11129.2.4.2": "signed certificate timestamps", "1.3.6.1.4.1.11129.2.4.3": "precertificate poison",
}


@dataclasses.dataclass(frozen=True)
class KeySpec:
    """The key that was asked for: RSA has a size, EC a curve."""

    type: KeyType
    size: int | None
    curve: str | None

    @classmethod
    def of(cls, type: str = "RSA", size: int = 4096, curve: str = "secp256r1") -> KeySpec:
        """Take the options; that of the other type does not count.

        :raises Refused: C(key-rsa-too-small), C(key-curve), C(option-value).
        """
        if type == "RSA":
            if size < SMALLEST:
                raise refused("key-rsa-too-small", f"An RSA key of {size} bits was asked for.",
                              f"Ask for {SMALLEST} bits or more: 4096 is the vendor's choice.")
            if size > LARGEST:
                raise refused("option-value", f"An RSA key of {size} bits was asked for.",
                              f"Ask for at most {LARGEST} bits: larger ones slow every handshake down.")
            return cls("RSA", size, None)
        if type == "EC":
            if curve not in CURVES:
                raise refused("key-curve", f'A key on the curve "{printable(curve)}" was asked for.',
                              f"Ask for one that browsers and Java read: {', '.join(CURVES)}.")
            return cls("EC", None, curve)
        raise refused("option-value", f'A key of the type "{printable(type)}" was asked for.', "Ask for RSA or EC.")

    def generate(self) -> PrivateKey:
        """Make such a key in this process."""
        if self.size is not None:
            return rsa.generate_private_key(65537, self.size)
        curves: dict[str | None, ec.EllipticCurve] = {
            "secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
        return ec.generate_private_key(curves[self.curve])

    def fits(self, public_key: object) -> bool:
        """Whether a key is such a one."""
        return _certificates.key_in_words(public_key) == self.in_words()

    def in_words(self) -> str:
        """Type and size, as those of a certificate are told: C(RSA 4096), C(EC secp256r1)."""
        return f"{self.type} {self.size or self.curve}"

    def as_data(self) -> dict[str, t.Any]:
        """What the host has to know to make such a key."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Identity:
    """Whom a certificate is for. C(subject_asked): the subject was given and not made from the names."""

    subject: x509.Name
    san: tuple[x509.GeneralName, ...]
    subject_asked: bool


def identity(names: t.Sequence[str], subject: x509.Name | None = None) -> Identity:
    """Put names and subject together: a CN that is a host name joins the SAN, the only place where clients look.

    Without a subject the CN is the first name for which it has room.

    :raises Refused: C(name-syntax), C(names-missing).
    """
    san = [_general_name(name) for name in names]
    if subject:
        san += _from_common_names(subject)
    if not san:
        raise refused("names-missing", "There is no name for the certificate: neither names nor a CN that is a host "
                      "name were given.", "Set names (sesam_https_names) to the names by which clients call the "
                      "server, such as backup.example.com; IP addresses count too.")
    unique = tuple(dict.fromkeys(san))
    return Identity(subject or _subject_of(unique), unique, bool(subject))


def _subject_of(san: tuple[x509.GeneralName, ...]) -> x509.Name:
    texts = [str(name.value) for name in san]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in texts if len(text) <= _LONGEST_CN][:1])


def _from_common_names(subject: x509.Name) -> list[x509.GeneralName]:
    """The CNs that are host names or addresses, not names of people or things such as C(Backup Server 1)."""
    found = []
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        text = str(attribute.value)
        try:
            # One word with an umlaut is rather a name of people than one of DNS.
            if text.isascii() or "." in text:
                found.append(_general_name(text))
        except Refused:
            pass
    return found


def _general_name(name: str) -> x509.GeneralName:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return x509.DNSName(_dns_name(name))
    if "%" in name:
        raise _bad_name(name, "is an address with a zone, which only one machine knows")
    return x509.IPAddress(address)


def _dns_name(name: str) -> str:
    """A host name in lower case and A-labels (RFC 5890, 2.3.2.1), without the dot of the root."""
    if _DEVIATIONS & set(name):
        raise _bad_name(name, "has a character of which two standards make different names",
                        "Give the name as DNS holds it, with the label that begins with xn--.")
    dns_name = _names.to_a_labels(name.removesuffix(".")).lower()
    labels = dns_name.split(".")
    hosts = labels[1:] if labels[0] == "*" else labels
    if not hosts or not all(map(_LABEL.fullmatch, hosts)):
        raise _bad_name(name, "is neither a host name nor an IP address")
    if hosts[-1].isdigit():
        raise _bad_name(name, "looks like an IP address and is none")
    if len(dns_name) > 253:
        raise _bad_name(name, f"has {len(dns_name)} characters, and DNS takes 253")
    return dns_name


def _bad_name(name: str, why: str, fix: str = "") -> Refused:
    shown = printable(name if len(name) <= 80 else f"{name[:77]}...")
    return refused("name-syntax", f'The name "{shown}" {why}.', fix or
                   "Give host names such as backup.example.com, *.example.com for all of a domain, or IP addresses, "
                   "without a port or https://.")


@dataclasses.dataclass(frozen=True)
class Unsigned:
    """A certificate or a request without its signature.

    C(tbs) is what the private key signs: with the host's own program by
    C(openssl dgst -<digest> -sign <key>), whose output C(assemble) takes.
    """

    tbs: bytes
    public_key: PublicKey
    kind: t.Literal["certificate", "request"]

    @property
    def algorithm(self) -> bytes:
        """The AlgorithmIdentifier of the signature in DER (RFC 5280, 4.1.1.2)."""
        return _signature_of(self.public_key)[1]

    @property
    def digest(self) -> str:
        """The digest of the signature, as C(openssl) calls it."""
        return _signature_of(self.public_key)[0]

    def assemble(self, signature: bytes) -> bytes:
        """The whole in DER, its signature proved.

        :raises Refused: C(signature-invalid): it was not made by the key, or not of these bytes.
        """
        whole = der.encode(der.SEQUENCE, self.tbs, self.algorithm, der.bit_string(signature))
        if not self._is_valid(whole):
            raise refused("signature-invalid", f"The signature of the new {self.kind} does not belong to its key.",
                          "Nothing was placed. Was the key exchanged meanwhile? Run the task again.")
        return whole

    def signed_by(self, key: PrivateKey) -> bytes:
        """The same, signed by a key in this process."""
        digests: dict[str, hashes.HashAlgorithm] = {
            "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
        digest = digests[self.digest]
        if isinstance(key, rsa.RSAPrivateKey):
            return self.assemble(key.sign(self.tbs, padding.PKCS1v15(), digest))
        return self.assemble(key.sign(self.tbs, ec.ECDSA(digest)))

    def _is_valid(self, whole: bytes) -> bool:
        if self.kind == "certificate":
            return _certificates.is_self_signed(x509.load_der_x509_certificate(whole))
        return x509.load_der_x509_csr(whole).is_signature_valid


def self_signed(
    identity: Identity, public_key: PublicKey, *, days: int, now: datetime.datetime
) -> Unsigned:
    """A certificate of its own key for a server (RFC 5280, 4.1 and 4.2), valid for some days.

    It begins five minutes ago: clients whose clocks are that much behind take it at once. The first and the last
    second count (RFC 5280, 4.1.2.5), and its life is C(days) exactly: some clients refuse one that is longer than
    they allow.

    :raises Refused: C(option-value), C(subject-missing), C(key-curve).
    """
    if not 1 <= days <= MOST_DAYS:
        raise refused("option-value", f"days is {days}.", f"Give a number of days from 1 to {MOST_DAYS}.")
    if not identity.subject:
        raise refused("subject-missing", "No name is short enough for a CN, and the issuer of a certificate may not "
                      "be empty (RFC 5280, 4.1.2.4): Java reads none without.",
                      "Set the option subject, such as /O=Example/CN=Backup Server.")
    begins = now.replace(microsecond=0) - _BACKDATED
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(identity.subject)
        .issuer_name(identity.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=days, seconds=-1))
    )
    builder = _with_extensions(builder, identity, public_key).add_extension(key_id, critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    parts = _members(builder.sign(_throwaway(), hashes.SHA256()).tbs_certificate_bytes)
    parts[2] = _signature_of(public_key)[1]
    return Unsigned(der.encode(der.SEQUENCE, *parts), public_key, "certificate")


def csr(identity: Identity, public_key: PublicKey) -> Unsigned:
    """A certificate signing request (RFC 2986) that carries the SAN and the usages.

    :raises Refused: C(key-curve).
    """
    builder = _with_extensions(x509.CertificateSigningRequestBuilder(), identity, public_key)
    return _request(builder.subject_name(identity.subject), public_key)


@dataclasses.dataclass(frozen=True)
class FromCertificate:
    """A request made from a certificate, and in sentences what is not in it as it was there."""

    unsigned: Unsigned
    notes: list[str]


def csr_from_certificate(certificate: x509.Certificate) -> FromCertificate:
    """A request for the same subject, key, names and usages: C(openssl x509 -x509toreq) loses the extensions.

    Left out is what a CA writes anew. It always asks for CA:FALSE, since a CA refuses or ignores all else, and it
    has a SAN even if the certificate had none.

    :raises Refused: C(input-unrecognised), C(key-curve).
    """
    try:
        public_key = t.cast("PublicKey", certificate.public_key())
        subject, extensions = certificate.subject, list(certificate.extensions)
    except _certificates.UNREADABLE as exc:
        raise refused("input-unrecognised", f"No request can be made from the certificate: {printable(str(exc))}.",
                      "Make the request from the options names (sesam_https_names) and subject instead.") from exc
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True)
    notes = []
    if left_out := [_LEFT_OUT[oid] for extension in extensions if (oid := extension.oid.dotted_string) in _LEFT_OUT]:
        notes.append(f"Left out, since a CA writes it anew: {', '.join(left_out)}.")
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            if value.ca:
                notes.append("The certificate is that of a CA (CA:TRUE); the request asks for one of a server.")
        elif isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign):
            notes.append("The usages keyCertSign and cRLSign of a CA were exchanged for those of a server.")
            builder = builder.add_extension(_key_usage(public_key), critical=True)
        elif extension.oid.dotted_string not in _LEFT_OUT:
            builder = builder.add_extension(value, extension.critical)
    has_san = any(extension.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME for extension in extensions)
    if not has_san and (names := list(dict.fromkeys(_from_common_names(subject)))):
        notes.append(f"The certificate has no SAN; the request has one: {', '.join(str(n.value) for n in names)}.")
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return FromCertificate(_request(builder, public_key), notes)


def load_csr(content: bytes) -> x509.CertificateSigningRequest | None:
    """A request in PEM or DER; None when it cannot be read."""
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_csr(content)
        return x509.load_der_x509_csr(content)
    except _certificates.UNREADABLE:
        return None


def csr_der(request: x509.CertificateSigningRequest) -> bytes:
    """A request in DER."""
    return request.public_bytes(serialization.Encoding.DER)


def csr_facts(content: bytes) -> dict[str, t.Any] | None:
    """What a person wants to know of a request, as plain data; None when it cannot be read."""
    request = load_csr(content)
    if request is None:
        return None
    try:
        return {
            "subject": printable(request.subject.rfc4514_string()),
            "names": _certificates.names(request),
            "public_key": _certificates.key_in_words(request.public_key()),
            "public_key_sha256": hashlib.sha256(_certificates.spki(request)).hexdigest(),
            "signature_valid": is_csr_valid(request),
        }
    except _certificates.UNREADABLE:
        return None


def is_csr_valid(request: x509.CertificateSigningRequest) -> bool:
    """Whether a request is signed by the key that it asks for."""
    try:
        return request.is_signature_valid
    except _certificates.UNREADABLE:
        return False


def _with_extensions(builder: Builder, identity: Identity, public_key: PublicKey) -> Builder:
    """What a server's certificate has to say of itself; the SAN is critical where it stands alone (4.2.1.6)."""
    return (
        builder
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(public_key), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(identity.san), critical=not identity.subject)
    )


def _key_usage(public_key: PublicKey) -> x509.KeyUsage:
    """Signatures; an RSA key also takes the secret of the older key exchange (RFC 3279, 2.3.1; RFC 5480, 3)."""
    return x509.KeyUsage(
        digital_signature=True, key_encipherment=isinstance(public_key, rsa.RSAPublicKey), content_commitment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False,
        decipher_only=False)


def _request(builder: x509.CertificateSigningRequestBuilder, public_key: PublicKey) -> Unsigned:
    _signature_of(public_key)
    parts = _members(builder.sign(_throwaway(), hashes.SHA256()).tbs_certrequest_bytes)
    parts[2] = _spki(public_key)
    return Unsigned(der.encode(der.SEQUENCE, *parts), public_key, "request")


@functools.cache
def _throwaway() -> ec.EllipticCurvePrivateKey:
    """Signs what cryptography makes; its traces are replaced before the real key signs."""
    return ec.generate_private_key(ec.SECP256R1())


def _signature_of(public_key: object) -> tuple[str, bytes]:
    """The digest with which a key signs, and the AlgorithmIdentifier of both in DER."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return _RSA
    if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in _ECDSA:
        return _ECDSA[public_key.curve.name]
    raise refused("key-curve", f"The key is {_certificates.key_in_words(public_key)}.",
                  f"Use RSA or EC on a curve that browsers and Java read ({', '.join(CURVES)}): make a new key.")


def _members(sequence: bytes) -> list[bytes]:
    """The members of a SEQUENCE that cryptography wrote, each with its tag and length."""
    return [member.whole for member in der.members(sequence, most=len(sequence))]


def _spki(public_key: t.Any) -> bytes:
    return t.cast(bytes, public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
