# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and keys for the unit tests, made by C(cryptography): never by the code under test."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import ipaddress
import subprocess
import tempfile
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
Extension = tuple[x509.ExtensionType, bool]
Form = t.Literal["PKCS8", "TraditionalOpenSSL", "OpenSSH"]

# What `openssl ecparam -name prime256v1 -genkey` writes before the key.
EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A new key, quick to make."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(number: int = 0, *, size: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key for each number: they are slow to make."""
    return rsa.generate_private_key(65537, size)


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
    ca: bool | None = False,
    names: t.Sequence[str] | None = None,
    begins: float | datetime.datetime = -1.0,
    ends: float | datetime.datetime = 30.0,
    public_key: t.Any = None,
    extra: t.Sequence[Extension] = (),
    subject: x509.Name | None = None,
) -> Pair:
    """Make a pair; C(begins) and C(ends) are dates or days from now, C(public_key) is one that is not that of the key.

    C(ca=None): it does not say whether it is a CA. C(extra): more extensions, and whether each is critical.
    """
    key = key or ec_key()
    if subject is None:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_date(begins))
        .not_valid_after(_date(ends))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    for extension, is_critical in extra:
        builder = builder.add_extension(extension, is_critical)
    if names := [name] if names is None and not ca else names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
    signer = issuer.key if issuer else key
    hash_ = None if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    return Pair(builder.sign(signer, hash_), key, issuer)


def _date(date: float | datetime.datetime) -> datetime.datetime:
    if isinstance(date, datetime.datetime):
        return date
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=date)


def usage(*names: str) -> Extension:
    """The extension keyUsage with the usages named."""
    usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
              "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in names for name in usages}), True


def identifiers(key: Key, issuer: Pair | None) -> list[Extension]:
    """The key identifiers of a certificate, in the way of the public web."""
    issuer_key = issuer.key if issuer else key
    return [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)]


def make_strict_ca(name: str = "Strict CA", *, issuer: Pair | None = None, **keywords: t.Any) -> Pair:
    """A certification authority with which the strictest client is content."""
    key = keywords.pop("key", None) or ec_key()
    extra = [usage("key_cert_sign", "crl_sign"), *identifiers(key, issuer), *keywords.pop("extra", ())]
    return make(name, key=key, issuer=issuer, ca=True, extra=extra, **keywords)


def patched(pair: Pair, old: bytes, new: bytes) -> x509.Certificate:
    """The certificate with some of its bytes replaced: what no library makes."""
    assert len(old) == len(new)
    assert pair.der.count(old) >= 1
    return x509.load_der_x509_certificate(pair.der.replace(old, new))


def make_by_openssl(name: str, hash_name: str, *, issuer: Pair | None = None, ca: bool = False) -> Pair:
    """A pair whose certificate is signed with a hash that C(cryptography) does not sign with."""
    key = ec_key()
    signer = Pair(issuer.certificate, issuer.key) if issuer else None
    with tempfile.TemporaryDirectory() as folder:
        file = functools.partial(Path, folder)
        file("key").write_bytes(key_bytes(key))
        file("extensions").write_text(f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}\n"
                                      f"subjectAltName=DNS:{name}\n")
        how: list[str | Path] = ["-signkey", file("key")]
        if signer:
            file("issuer").write_bytes(signer.pem)
            file("issuer.key").write_bytes(signer.key_pem)
            how = ["-CA", file("issuer"), "-CAkey", file("issuer.key"), "-set_serial", "7"]
        request = subprocess.run(["openssl", "req", "-new", "-key", file("key"), "-subj", f"/CN={name}"],
                                 capture_output=True, check=True)
        done = subprocess.run(["openssl", "x509", "-req", f"-{hash_name}", "-days", "20", *how, "-extfile",
                               file("extensions")], input=request.stdout, capture_output=True, check=True)
    return Pair(x509.load_pem_x509_certificate(done.stdout), key, issuer)


def make_ca(name: str = "Test CA", **keywords: t.Any) -> Pair:
    """A certification authority."""
    return make(name, ca=True, **keywords)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
