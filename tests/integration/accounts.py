# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throwaway users: one who may use sudo with a password, as an administrator of a real host does, and others.

And the user without rights that every system has.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

_TOOLS = ("useradd", "chpasswd", "userdel", "sudo")
_SUDOERS = Path("/etc/sudoers.d")
NOBODY = 65534


class Account(t.NamedTuple):
    """A user of this machine."""

    name: str
    password: str

    @property
    def home(self) -> Path:
        """The home folder."""
        return Path(f"~{self.name}").expanduser()

    def variables(self) -> dict[str, t.Any]:
        """What an inventory says to become root from this user."""
        return {"ansible_become": True, "ansible_become_method": "sudo", "ansible_become_password": self.password}


@contextlib.contextmanager
def throwaway(*rights: str, shell: str | Path = "/bin/sh", uid: int | None = None) -> t.Iterator[Account]:
    """Make a user and remove it again, or skip the test and say what is missing.

    :param rights: lines for sudoers, where C({name}) is the user; without any, sudo asks for the password.
    :param uid: of another user, as whom this one works.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can make a user")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if missing := [tool for tool in _TOOLS if not shutil.which(tool, path=path)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    account = Account(f"sesam-{secrets.token_hex(4)}", secrets.token_hex(12))
    file = _SUDOERS / account.name
    environment = {**os.environ, "PATH": path}
    same = [] if uid is None else ["--non-unique", "--uid", str(uid)]
    subprocess.run(
        ["useradd", "--create-home", "--shell", shell, *same, account.name], env=environment, check=True)
    try:
        line = f"{account.name}:{account.password}\n".encode()
        subprocess.run(["chpasswd"], input=line, env=environment, check=True)
        file.touch(mode=0o440)
        lines = rights or ("{name} ALL=(ALL) ALL",)
        file.write_text("".join(f"{line}\n" for line in lines).replace("{name}", account.name))
        yield account
    finally:
        file.unlink(missing_ok=True)
        subprocess.run(
            ["userdel", "--force", "--remove", account.name], env=environment, stderr=subprocess.DEVNULL, check=False
        )


def open_the_way(folder: Path) -> list[tuple[Path, int]]:
    """Let everybody reach a folder of ours; the folders that were closed, with the modes that they had."""
    opened = []
    for one in [folder, *folder.parents]:
        status = one.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o001:
            opened.append((one, stat.S_IMODE(status.st_mode)))
            one.chmod(stat.S_IMODE(status.st_mode) | 0o011)
    return opened


def start_as_nobody(work: t.Callable[[int], object]) -> tuple[int, int]:
    """Let a process without rights work; its PID, and where to read what it writes to the descriptor that it is given.

    Only root can do it.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    return pid, reading
