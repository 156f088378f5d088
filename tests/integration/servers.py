# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in as the tests use it: what an inventory says of it, what it serves and holds, read independently."""

from __future__ import annotations

import hashlib
import os
import socket
import typing as t
from pathlib import Path

import standin

from . import addresses, readers
from .certificates import Files, Pair
from .processes import wait_until

# What the old rmi has from whoever started it; some of it has to survive a replacement.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TZ": "Europe/Berlin", "JAVA_TEST": "kept"}


class Server:
    """One host with SEP sesam."""

    def __init__(self, instance: standin.Instance) -> None:
        self.instance = instance
        self.state_folder = Path(instance.sesam_var) / "ini" / ".sep-sesam"
        self.journal = self.state_folder / "journal"

    def put(self, pair: Pair, key_pem: bytes | None = None, owner: int = -1) -> None:
        """Put a pair in place by hand, as somebody did some time ago."""
        certificate, private_key = Path(self.instance.certificate), Path(self.instance.private_key)
        certificate.parent.mkdir(exist_ok=True)
        certificate.write_bytes(pair.pem)
        private_key.touch(mode=0o600)
        private_key.write_bytes(key_pem or pair.key_pem())
        os.chown(private_key, owner, owner)

    def variables(self, files: Files | None = None, **others: t.Any) -> dict[str, t.Any]:
        """What an inventory says of this host: its places are discovered."""
        values: dict[str, t.Any] = {
            "sesam2000_ini": self.instance.sesam2000_ini,
            "port": self.instance.port,
            "start_timeout": 20,
            "stop_timeout": 20,
            **({"certificate": str(files.certificate), "private_key": str(files.private_key)} if files else {}),
            **others,
        }
        return {f"sesam_https_{name}": value for name, value in values.items()}

    def served(self) -> str | None:
        """The fingerprint of the leaf that the port serves, as openssl sees it."""
        return readers.served(self.instance.address, self.instance.port)

    def listens(self) -> bool:
        """Whether anybody answers on the port: quick, for waiting."""
        try:
            socket.create_connection((self.instance.address, self.instance.port), 1).close()
        except OSError:
            return False
        return True

    def await_stop(self, seconds: float) -> None:
        """Wait until rmi is told to end: its port is closed, its process may have some time still."""
        wait_until(lambda: not self.listens(), seconds, "rmi is being stopped")

    def tree(self) -> dict[str, tuple[object, ...]]:
        """Everything in the folder of SEP sesam: kinds, modes, owners, times and contents."""
        found = {}
        for folder, _folders, files in os.walk(self.instance.sesam_var):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                found[path] = _facts(path)
        return found

    def starts(self) -> int:
        """How often rmi was started, by its log."""
        return Path(self.instance.log_file).read_text().count("Starting SEP sesam REST server")


def _facts(path: str) -> tuple[object, ...]:
    status = os.lstat(path)
    content = Path(path).read_bytes() if os.path.isfile(path) else b""
    return (
        oct(status.st_mode), status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns, status.st_ctime_ns,
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def create(folder: Path, number: int, **switches: object) -> Server:
    """Lay out a stand-in that does not run yet."""
    values = {"address": addresses.address(number), "port": addresses.free_port(), **switches}
    return Server(standin.create(folder, **t.cast("dict[str, t.Any]", values)))
