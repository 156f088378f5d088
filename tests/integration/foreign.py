# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS server that is no rmi: another program that has taken its port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import typing as t

if t.TYPE_CHECKING:
    from .certificates import Files

_BACKLOG = 16
_PATIENCE = 5.0


@contextlib.contextmanager
def running(address: str, port: int, files: Files) -> t.Iterator[None]:
    """Run it on a port; it ends with the block, by its own process."""
    command = [sys.executable, __file__, address, str(port), str(files.certificate), str(files.private_key)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"listens\n"
            yield
        finally:
            process.kill()


def main(address: str, port: str, certificate: str, private_key: str) -> None:
    """Shake hands with one client after the other, and say nothing until it goes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private_key)
    with socket.create_server((address, int(port)), backlog=_BACKLOG) as listener:
        print("listens", flush=True)
        while True:
            connection, _peer = listener.accept()
            connection.settimeout(_PATIENCE)
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as client:
                client.recv(1)
            connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
