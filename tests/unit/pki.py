# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and keys for the unit tests, made by C(cryptography): never by the code under test."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import ipaddress
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Form = t.Literal["PKCS8", "TraditionalOpenSSL", "OpenSSH"]

# What `openssl ecparam -name prime256v1 -genkey` writes before the key.
EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A new key, quick to make."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """One RSA key for each number: they are slow to make."""
    return rsa.generate_private_key(65537, 2048)


def key_bytes(
    key: Key, form: Form = "PKCS8", passphrase: bytes | None = None, encoding: t.Literal["PEM", "DER"] = "PEM"
) -> bytes:
    """A private key in one of its forms."""
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(
        getattr(serialization.Encoding, encoding), getattr(serialization.PrivateFormat, form), encryption)


def spki(key: Key) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, and the certificates of those who issued it."""

    certificate: x509.Certificate
    key: Key
    issuer: Pair | None = None

    @property
    def chain(self) -> list[x509.Certificate]:
        """Leaf first."""
        return [self.certificate, *(self.issuer.chain if self.issuer else [])]

    @property
    def der(self) -> bytes:
        """The leaf alone."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The whole chain."""
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain)

    @property
    def key_pem(self) -> bytes:
        """Unencrypted PKCS#8."""
        return key_bytes(self.key)

    @property
    def base64_chain(self) -> list[str]:
        """The chain as it travels between controller and host."""
        return [base64.b64encode(c.public_bytes(serialization.Encoding.DER)).decode() for c in self.chain]

    def key_lines(self) -> list[str]:
        """The lines of the key's text, which nobody else may ever see."""
        return [line for line in self.key_pem.decode().splitlines() if not line.startswith("-----")]


def make(
    name: str = "sesam.example",
    *,
    key: Key | None = None,
    issuer: Pair | None = None,
    ca: bool = False,
    names: t.Sequence[str] | None = None,
    begins: float = -1.0,
    ends: float = 30.0,
    public_key: t.Any = None,
) -> Pair:
    """Make a pair; C(begins) and C(ends) are days from now, C(public_key) is one that is not that of the key."""
    key = key or ec_key()
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=ends))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names := [name] if names is None and not ca else names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
    signer = issuer.key if issuer else key
    hash_ = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Pair(builder.sign(signer, hash_), key, issuer)


def make_ca(name: str = "Test CA", **keywords: t.Any) -> Pair:
    """A certification authority."""
    return make(name, ca=True, **keywords)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
