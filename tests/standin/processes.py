# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Which processes belong to an instance.

A pid from a file may have been given to a stranger since. So nothing is ever signalled before the process's own
command line has shown that it runs a program of the stand-in for this very folder.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t

from .home import Home, read_text

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "standin.py")


def command(program: str, folder: str, *python: str) -> list[str]:
    """The command line of a program of the instance: isolated from the caller's PYTHON* variables."""
    return [sys.executable, "-I", "-X", "utf8", *python, LAUNCHER, program, folder]


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty if it is gone or only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return [os.fsdecode(part) for part in stream.read().split(b"\0")[:-1]]
    except OSError:
        return []


def belongs(pid: int, folder: str, *programs: str) -> bool:
    """Whether the process runs one of these programs for the instance in ``folder``."""
    words = arguments(pid)
    name = os.path.basename(LAUNCHER)
    places = [index for index, word in enumerate(words) if os.path.basename(word) == name]
    return any(words[index + 1 : index + 3] == [program, folder] for index in places for program in programs)


def rmi(home: Home) -> int | None:
    """The pid of the running rmi, or None."""
    text = (read_text(home.pid_file) or "").strip()
    if text.isdigit() and belongs(int(text), home.folder, "rmi"):
        return int(text)
    return None


def all_of(home: Home) -> list[int]:
    """Every process of the instance, hanging calls of sm_main included, whatever the pid file says."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if belongs(pid, home.folder, "rmi", "sm_main")]


def wait_until(condition: t.Callable[[], bool], seconds: float) -> bool:
    """Wait for ``condition``, at most so long; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.005)
    return True


def end_all(home: Home, grace: float = 1.0) -> None:
    """End every process of the instance: politely, then by force (a server may ignore SIGTERM, by order)."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in all_of(home):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if wait_until(lambda: not all_of(home), grace):
            return
