# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pairs of every kind, made by ``cryptography``."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Form = t.Literal["PKCS8", "TraditionalOpenSSL"]


class Files(t.NamedTuple):
    """A pair on the controller."""

    certificate: Path
    private_key: Path


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate, its key and what stands above it."""

    certificate: x509.Certificate
    key: Key
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> list[bytes]:
        """DER, leaf first."""
        return [c.public_bytes(serialization.Encoding.DER) for c in (self.certificate, *self.above)]

    @property
    def pem(self) -> bytes:
        """The whole chain."""
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (self.certificate, *self.above))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf."""
        return hashlib.sha256(self.chain[0]).hexdigest()

    def key_pem(self, form: Form = "PKCS8", passphrase: str = "") -> bytes:
        """The key: PKCS#8, or PKCS#1 (RSA) and SEC1 (EC), which are the traditional forms."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(
            serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), encryption
        )

    def write(self, folder: Path, form: Form = "PKCS8", passphrase: str = "") -> Files:
        """Both files in a folder of the controller."""
        folder.mkdir(parents=True, exist_ok=True)
        files = Files(folder / "wanted.crt", folder / "wanted.key")
        files.certificate.write_bytes(self.pem)
        files.private_key.write_bytes(self.key_pem(form, passphrase))
        return files


class Authority:
    """A CA of its own for every session; EC, because those keys are quick to make."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._rsa: rsa.RSAPrivateKey | None = None
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = _name("sep.sesam test CA")
        builder = _builder(subject, self._key.public_key(), (now - datetime.timedelta(days=9), 99), subject)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())

    def issue(self, name: str = "backup.example", key: Key | None = None, begins: int = -1, days: int = 90,
              others: t.Sequence[str] = ()) -> Pair:
        """A pair for a host name, and for others; its leaf is valid from so many days from now, for so many days."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=begins)
        builder = _builder(_name(name), key.public_key(), (begin, days), self.certificate.subject)
        names = x509.SubjectAlternativeName([x509.DNSName(one) for one in (name, *others)])
        leaf = builder.add_extension(names, critical=False)
        return Pair(leaf.sign(self._key, hashes.SHA256()), key, (self.certificate,))

    def key_pem(self) -> bytes:
        """Its key, for a CA that others play with it."""
        return Pair(self.certificate, self._key).key_pem()

    def answer(self, request: bytes) -> bytes:
        """What a CA makes of a request in PEM: its names for its key, and the CA's own ideas of all else."""
        csr = x509.load_pem_x509_csr(request)
        assert csr.is_signature_valid
        begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        builder = _builder(csr.subject, csr.public_key(), (begin, 90), self.certificate.subject)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        return leaf.public_bytes(serialization.Encoding.PEM)

    def rsa_key(self) -> rsa.RSAPrivateKey:
        """One RSA key: they are slow to make."""
        self._rsa = self._rsa or rsa.generate_private_key(65537, 2048)
        return self._rsa


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, public_key: t.Any, valid: tuple[datetime.datetime, int], issuer: x509.Name
) -> x509.CertificateBuilder:
    begin, days = valid
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
    )
