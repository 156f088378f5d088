# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Instances on ports of their own, pairs made by ``cryptography``, and a client that only knows TLS and HTTP."""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import time
import typing as t

import pytest
import standin
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _address() -> str:
    """One address for each worker of xdist, so that their ports can't meet."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return f"127.0.20.{10 + int(worker[2:])}"


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., standin.Instance]]:
    """Makes instances, in folders whose names hold a blank and a quote; all are removed at the end."""
    with contextlib.ExitStack() as stack:

        def one(**values: object) -> standin.Instance:
            folder = tmp_path / f"sesam's no {len(list(tmp_path.iterdir()))}"
            values = {"address": _address(), "port": _free_port(_address()), **values}
            return stack.enter_context(standin.create(folder, **t.cast("dict[str, t.Any]", values)))

        yield one


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    """One RSA key for the whole session: they are slow to make."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def yardstick() -> t.Callable[[], float]:
    """How long this machine takes, just now, to start a Python: limits of time stretch with it."""

    def seconds() -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-I", "-c", "import ssl, cryptography.x509"], check=True)
        return time.monotonic() - began

    return seconds


class Pair:
    """A certificate and its key, which can be put anywhere in any form."""

    def __init__(self, name: str = "sesam.example", key: Key | None = None) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=9))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self.key, None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        )

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, form: str = "PKCS8", passphrase: bytes | None = None) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            getattr(serialization.PrivateFormat, form),
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption(),
        )

    def put(self, folder: str | pathlib.Path, key_pem: bytes | None = None) -> tuple[str, str]:
        """Write both files under the product's names; their paths."""
        target = pathlib.Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        certificate, key = target / "sesam.https.crt", target / "sesam.https.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem() if key_pem is None else key_pem)
        return str(certificate), str(key)


@pytest.fixture(scope="session")
def pair() -> type[Pair]:
    """The class that makes pairs (a conftest can't be imported)."""
    return Pair


class Client:
    """What a stranger on the network sees of an instance."""

    def __init__(self, instance: standin.Instance) -> None:
        self.place = (instance.address, instance.port)

    def connect(self, timeout: float = 15.0) -> socket.socket:
        return socket.create_connection(self.place, timeout=timeout)

    @contextlib.contextmanager
    def tls(self, timeout: float = 15.0) -> t.Iterator[ssl.SSLSocket]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.connect(timeout) as plain, context.wrap_socket(plain) as connection:
            yield connection

    def certificate(self) -> x509.Certificate:
        with self.tls() as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")

    def der(self) -> bytes:
        return self.certificate().public_bytes(serialization.Encoding.DER)

    def get(self, path: str = "/", method: str = "GET") -> bytes:
        with self.tls() as connection:
            return self.ask(connection, path, method)

    def get_plain(self, path: str = "/") -> bytes:
        with self.connect() as connection:
            return self.ask(connection, path)

    def listens(self) -> bool:
        try:
            self.connect().close()
        except (ConnectionRefusedError, ConnectionResetError):
            return False
        return True

    @staticmethod
    def ask(connection: socket.socket, path: str, method: str = "GET") -> bytes:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


@pytest.fixture(scope="session")
def client() -> type[Client]:
    """The class of clients."""
    return Client
