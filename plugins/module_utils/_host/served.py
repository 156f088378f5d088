# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a port really serves: the certificate chain that it sends in a TLS handshake.

The handshake runs through two memory buffers, so that the bytes of the server pass through our hands.
Up to TLS 1.2 the Certificate message is sent in clear (RFC 5246, 7.4.2), and the chain is read from it:
Python's ssl gives the leaf alone before 3.10. A server that speaks TLS 1.3 only shows its leaf.
"""

import hashlib
import socket
import ssl
import time
import typing as t

# Whatever the policy of the host forbids: what is there is to be seen. Without a certificate there is nothing to see.
ALL_CIPHERS = "ALL:!aNULL:@SECLEVEL=0"
_HANDSHAKE_RECORD = 22
_CERTIFICATE_MESSAGE = 11
_MOST_BYTES = 1 << 20


class Served(t.NamedTuple):
    """What a port answered.

    C(status): C(tls), C(plain_http), C(closed) (nobody listens), C(silent) (no answer in time) or
    C(not_tls). C(chain): DER, leaf first; only the leaf where C(chain_seen) is false.
    """

    status: str
    reason: str = ""
    chain: t.Sequence[bytes] = ()
    chain_seen: bool = False
    protocol: str = ""

    @property
    def leaf(self) -> t.Optional[bytes]:
        return self.chain[0] if self.chain else None


def look(address: str, port: int, timeout: float) -> Served:
    """Do a TLS handshake and say what was served; whom the certificate names is not judged here.

    :param timeout: seconds for the whole of it.
    """
    deadline = time.monotonic() + timeout
    seen = _connect(address, port, deadline, with_chain=True)
    if seen.status != "not_tls":
        return seen
    # Perhaps a server without TLS 1.2: its chain cannot be read, its leaf can.
    other = _connect(address, port, deadline, with_chain=False)
    return other if other.status == "tls" else seen


def client_context() -> ssl.SSLContext:
    """A context that accepts every certificate: it is to be seen, not to be trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ALL_CIPHERS)
    return context


def fingerprint(der: bytes) -> str:
    """The SHA-256 fingerprint of a certificate, in lower case hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def _connect(address: str, port: int, deadline: float, with_chain: bool) -> Served:
    context = client_context()
    versions = getattr(ssl, "TLSVersion", None)  # Not in Python 3.6.
    if with_chain and versions is not None:
        context.maximum_version = versions.TLSv1_2
    elif with_chain:
        context.options |= getattr(ssl, "OP_NO_TLSv1_3", 0)
    try:
        connection = socket.create_connection((address, port), _left(deadline))
    except socket.timeout:
        return Served("silent", "nothing answers on %s port %d" % (address, port))
    except OSError as exc:
        return Served("closed", "%s port %d: %s" % (address, port, exc.strerror or exc))
    with connection:
        return _shake_hands(connection, context, deadline, with_chain)


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _shake_hands(connection: socket.socket, context: ssl.SSLContext, deadline: float, with_chain: bool) -> Served:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing)
    received = bytearray()
    try:
        while not _is_done(session):
            connection.settimeout(_left(deadline))
            connection.sendall(outgoing.read())
            data = connection.recv(1 << 16)
            received += data
            if time.monotonic() > deadline:
                raise socket.timeout
            if not data or len(received) > _MOST_BYTES:
                return _not_tls(received, "the connection was closed during the handshake")
            incoming.write(data)
    except socket.timeout:
        return Served("silent", "the port accepts the connection and does not answer")
    except OSError as exc:  # ssl.SSLError is one
        return _not_tls(received, str(exc.strerror or exc))
    leaf = session.getpeercert(binary_form=True)
    if leaf is None:
        return Served("not_tls", "the server sent no certificate")
    chain = _chain_in(bytes(received)) if with_chain else []
    _take_leave(connection, session, outgoing)
    seen = bool(chain) and chain[0] == leaf
    return Served("tls", "", chain if seen else [leaf], seen, session.version() or "")


def _is_done(session: ssl.SSLObject) -> bool:
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _not_tls(received: bytearray, reason: str) -> Served:
    if received.startswith(b"HTTP/"):
        return Served("plain_http", "the port answers without TLS")
    return Served("not_tls", reason)


def _take_leave(connection: socket.socket, session: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
    """Finish and close in good order, so that the server has nothing to complain about in its log."""
    try:
        session.unwrap()
    except ssl.SSLError:
        pass
    try:
        connection.sendall(outgoing.read())
    except OSError:
        pass


def _chain_in(stream: bytes) -> t.List[bytes]:
    """The certificates of the Certificate message in what a TLS 1.2 server sent."""
    handshake = _handshake_bytes(stream)
    position = 0
    while position + 4 <= len(handshake):
        end = position + 4 + int.from_bytes(handshake[position + 1:position + 4], "big")
        if handshake[position] == _CERTIFICATE_MESSAGE and end <= len(handshake):
            return _vector(handshake[position + 7:end])
        position = end
    return []


def _handshake_bytes(stream: bytes) -> bytes:
    """The contents of the leading handshake records; what follows them is encrypted."""
    parts = []
    position = 0
    while position + 5 <= len(stream) and stream[position] == _HANDSHAKE_RECORD:
        end = position + 5 + int.from_bytes(stream[position + 3:position + 5], "big")
        parts.append(stream[position + 5:end])
        position = end
    return b"".join(parts)


def _vector(data: bytes) -> t.List[bytes]:
    """The items of a vector, each behind its length in 24 bits."""
    items = []
    while len(data) >= 3:
        end = 3 + int.from_bytes(data[:3], "big")
        items.append(data[3:end])
        data = data[end:]
    return items
