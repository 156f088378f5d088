# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An sshd of our own on a loopback address, with keys of its own: it changes nothing of this machine's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from . import processes

_SECONDS_TO_LISTEN = 10.0
# What is run for whoever logs in with the second key, whatever was asked for.
_FORCED = r'command="echo Logged in by a forced command; eval \"$SSH_ORIGINAL_COMMAND\"; echo Logged out" '
_CONFIG = """\
Port {port}
{listen}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub {folder}/forced
StrictModes no
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
PrintMotd no
PrintLastLog no
MaxStartups 200
MaxSessions 200
"""


class Sshd:
    """A running sshd; the private key that logs in is C(folder)/client_key, C(forced_key) by a forced command."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.port = port
        self._process = process

    def variables(self, address: str, user: str) -> dict[str, t.Any]:
        """What an inventory says to log in here."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": address,
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.folder / "client_key"),
            # -F: no configuration of whoever runs the tests.
            "ansible_ssh_common_args": f"-F /dev/null -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder}/known"
            " -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null",
            "ansible_ssh_retries": 0,
            "ansible_control_path_dir": str(self.folder),
        }

    def sessions(self) -> list[int]:
        """The sshd processes of the connections; what they have started is not among them."""
        return [pid for pid in processes.descendants(self._process.pid) if processes.name(pid).startswith("sshd")]

    def drop(self) -> int:
        """End the connections, and nothing that runs in them; how many processes of sshd that were."""
        sessions = self.sessions()
        processes.kill(*sessions)
        return len(sessions)

    def logins(self) -> int:
        """How often somebody has logged in."""
        return (self.folder / "log").read_text(errors="replace").count("Accepted publickey")

    def end(self) -> None:
        """End it with its connections, and whatever still runs in them."""
        processes.kill_tree(self._process.pid)
        self._process.wait()


@contextlib.contextmanager
def running(port: int, addresses: t.Sequence[str]) -> t.Iterator[Sshd]:
    """Start one on some addresses, or skip the test and say what is missing."""
    if os.geteuid() != 0:
        pytest.skip("an sshd that lets others log in has to be started as root")
    program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not program or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip("sshd, ssh and ssh-keygen are not all installed")
    # Short, because it holds sockets whose names may have 100 characters, and open, because users log in.
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    folder.chmod(0o755)
    try:
        _write_files(folder, port, addresses)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [program, "-D", "-e", "-f", folder / "config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        server = Sshd(folder, port, process)
        try:
            _wait_until_it_listens(process, addresses[-1], port, folder)
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_files(folder: Path, port: int, addresses: t.Sequence[str]) -> None:
    for name in ("host_key", "client_key", "forced_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "forced").write_text(_FORCED + (folder / "forced_key.pub").read_text())
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known").write_text("".join(f"[{address}]:{port} {host_key}" for address in addresses))
    listen = "\n".join(f"ListenAddress {address}" for address in addresses)
    (folder / "config").write_text(_CONFIG.format(port=port, listen=listen, folder=folder))


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: str, port: int, folder: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_LISTEN
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.05)
    pytest.skip(f"sshd does not start here: {(folder / 'log').read_text().strip()}")
