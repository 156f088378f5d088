# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a port serves, asked of real servers that are good, odd or hostile."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import served
from cryptography.hazmat.primitives import hashes
from unit import pki

# OP_NO_TLSv1_3 is what Python 3.6 has; newer ones warn of it.

Talk = t.Callable[[socket.socket], object]


class Server(t.Protocol):
    def __call__(self, talk: Talk, address: str = ...) -> int: ...


@pytest.fixture
def serve() -> t.Iterator[Server]:
    """Starts servers that talk as they are told to each client, and ends them."""
    with contextlib.ExitStack() as stack:

        def start(talk: Talk, address: str = "127.0.0.1") -> int:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listening = socket.create_server((address, 0), family=family)
            listening.settimeout(0.05)
            over = threading.Event()

            def run() -> None:
                while not over.is_set():
                    with contextlib.suppress(OSError):
                        connection, _peer = listening.accept()
                        with connection:
                            connection.settimeout(5)
                            talk(connection)

            thread = threading.Thread(target=run)
            thread.start()
            stack.callback(listening.close)
            stack.callback(thread.join)
            stack.callback(over.set)
            return int(listening.getsockname()[1])

        yield start


def tls(pair: pki.Pair, folder: Path, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        chain: bytes | None = None) -> Talk:
    """A server's side of a handshake."""
    (folder / "pair").write_bytes((chain or pair.pem) + pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = oldest
    context.load_cert_chain(folder / "pair")

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(100)

    return talk


def test_the_whole_chain(serve: Server, tmp_path: Path, new: pki.Pair) -> None:
    seen = served.look("127.0.0.1", serve(tls(new, tmp_path)), 5)
    assert (seen.status, seen.chain_seen, seen.protocol) == ("tls", True, "TLSv1.2")
    assert list(seen.chain) == [pki.Pair(c, new.key).der for c in new.chain]
    assert len(seen.chain) == 2
    assert seen.leaf == new.der
    assert served.fingerprint(new.der) == new.certificate.fingerprint(hashes.SHA256()).hex()


def test_a_chain_that_fills_several_records(serve: Server, tmp_path: Path, old: pki.Pair) -> None:
    """A TLS record has at most 16 KiB; a message goes on in the next one (RFC 5246, 6.2.1)."""
    length = 60
    assert len(old.der) * length > 1 << 14
    seen = served.look("127.0.0.1", serve(tls(old, tmp_path, chain=old.pem * length)), 5)
    assert list(seen.chain) == [old.der] * length
    assert seen.chain_seen


def test_tls_1_3_alone_shows_the_leaf(serve: Server, tmp_path: Path, new: pki.Pair) -> None:
    seen = served.look("127.0.0.1", serve(tls(new, tmp_path, ssl.TLSVersion.TLSv1_3)), 5)
    assert (seen.status, seen.chain_seen, seen.protocol) == ("tls", False, "TLSv1.3")
    assert list(seen.chain) == [new.der]


@pytest.mark.parametrize("pair", [
    pki.make(key=pki.rsa_key()), pki.make(ends=-0.5), pki.make("another.example", names=[]),
])
def test_every_certificate_is_shown(serve: Server, tmp_path: Path, pair: pki.Pair) -> None:
    """It is looked at, not trusted: expired, self-signed, for another name."""
    assert served.look("127.0.0.1", serve(tls(pair, tmp_path)), 5).leaf == pair.der


def test_ipv6(serve: Server, tmp_path: Path, old: pki.Pair) -> None:
    try:
        port = serve(tls(old, tmp_path), "::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert served.look("::1", port, 5).leaf == old.der


def test_a_server_that_wants_a_client_certificate(serve: Server, tmp_path: Path, old: pki.Pair) -> None:
    (tmp_path / "pair").write_bytes(old.pem + old.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair")
    context.verify_mode = ssl.CERT_OPTIONAL

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(100)

    assert served.look("127.0.0.1", serve(talk), 5).leaf == old.der


def test_the_server_has_nothing_to_complain_about(serve: Server, tmp_path: Path, old: pki.Pair) -> None:
    (tmp_path / "pair").write_bytes(old.pem + old.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair")
    heard: list[object] = []

    def talk(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as session:
                heard.append(session.recv(100))
        except OSError as exc:
            heard.append(exc)

    served.look("127.0.0.1", serve(talk), 5)
    deadline = time.monotonic() + 5
    while not heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heard == [b""]


def sends(content: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(content)

    return talk


def test_plain_http(serve: Server) -> None:
    seen = served.look("127.0.0.1", serve(sends(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")), 5)
    assert (seen.status, seen.leaf) == ("plain_http", None)


@pytest.mark.parametrize("talk", [
    sends(b"SSH-2.0-OpenSSH_9.9\r\n"), sends(b"\0" * 5000), sends(b"\x16\x03\x03\xff\xff" + b"\x0b" * 40_000),
    sends(b"\x15\x03\x03\x00\x02\x02\x28"), lambda connection: connection.recv(4096), lambda connection: None,
])
def test_what_is_not_tls(serve: Server, talk: Talk) -> None:
    seen = served.look("127.0.0.1", serve(talk), 5)
    assert (seen.status, seen.leaf) == ("not_tls", None)
    assert seen.reason


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        seen = served.look("127.0.0.1", port, 5)
    assert seen.status == "closed"
    assert f"127.0.0.1 port {port}" in seen.reason


def test_an_address_that_does_not_exist() -> None:
    assert served.look("no such host.invalid", 1, 5).status == "closed"


def drips(connection: socket.socket) -> None:
    """Never lets a time limit of one read run out."""
    for _turn in range(100):
        connection.sendall(b"\x16")
        time.sleep(0.05)


class _Dripping:
    """A connection by which each byte comes before the shortest limit of a read."""

    def __init__(self) -> None:
        self._begins = iter(b"\x16\x03\x03\x40\x00")

    def settimeout(self, seconds: float) -> None:
        """It keeps to any."""

    def sendall(self, content: bytes) -> None:
        """It does not listen."""

    def recv(self, size: int) -> bytes:
        time.sleep(0.0002)
        return bytes([next(self._begins, 2)])


def test_the_time_limit_is_for_the_whole_however_fast_it_drips() -> None:
    begin = time.monotonic()
    connection = t.cast(socket.socket, _Dripping())
    seen = served._shake_hands(connection, served.client_context(), begin + 0.3, False)
    assert time.monotonic() - begin < 1
    assert seen.status == "silent"


@pytest.mark.parametrize("talk", [lambda connection: time.sleep(1.5), drips])
def test_the_time_limit_is_for_the_whole(serve: Server, talk: Talk) -> None:
    port = serve(talk)
    begin = time.monotonic()
    seen = served.look("127.0.0.1", port, 0.5)
    assert time.monotonic() - begin < 1.5
    assert seen.leaf is None
    assert seen.status in ("silent", "not_tls")
