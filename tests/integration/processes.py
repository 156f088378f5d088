# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel tells about processes, and a way to wait for something with an end to it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from pathlib import Path


def wait_until(condition: t.Callable[[], object], seconds: float, what: str) -> None:
    """Wait until something is true.

    :raises TimeoutError: it did not become true in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.02)


def all_pids() -> list[int]:
    """Every process."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def read(pid: int, file: str) -> bytes:
    """A file of C(/proc/PID), empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


def name(pid: int) -> str:
    """The name of a process."""
    return read(pid, "comm").decode(errors="replace").strip()


def words(pid: int) -> str:
    """Its number and its command line, as much of it as names it."""
    return f"{pid} {read(pid, 'cmdline')[:200].decode(errors='replace')}".replace("\0", " ").strip()


def status(pid: int) -> dict[str, str]:
    """The lines of C(/proc/PID/status)."""
    lines = read(pid, "status").decode().splitlines()
    return {key: value.strip() for key, _colon, value in (line.partition(":") for line in lines)}


def environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    entries = read(pid, "environ").decode(errors="replace").split("\0")
    return {key: value for key, _equal, value in (entry.partition("=") for entry in entries) if key}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return status(pid).get("State", "X")[0] not in "XZ"


def awaits_alarm(pid: int) -> bool:
    """Whether it does something of its own when it gets SIGALRM."""
    return bool(int(status(pid).get("SigCgt", "0"), 16) & 1 << signal.SIGALRM - 1)


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    parents = {one: status(one).get("PPid", "0") for one in all_pids()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == str(one)]
    return found[1:]


# Long enough for a machine that is busy.
_SECONDS_TO_DIE = 30.0


def kill(*pids: int) -> None:
    """SIGKILL, and wait until they are gone.

    :raises TimeoutError: one of them cannot be killed.
    """
    for pid in pids:
        _send(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), _SECONDS_TO_DIE, "killed processes are gone")


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants, those too that it is just making, whatever their session.

    All are stopped first: what a process has started is found by its parent, as long as that is there, and what is
    stopped starts nothing more. So none is missed by a look in which there are only those that were stopped before.
    """
    stopped: set[int] = set()

    def all_stand_still() -> bool:
        found = {one for one in (pid, *descendants(pid)) if is_alive(one)}
        if found <= stopped:
            return True
        for one in found - stopped:
            _send(one, signal.SIGSTOP)
        stopped.update(one for one in found if status(one).get("State", "X")[0] not in "RSD")
        return False

    wait_until(all_stand_still, _SECONDS_TO_DIE, "all processes to be killed stand still")
    kill(*stopped)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def holders_of(path: str | Path) -> list[int]:
    """The processes that have a file open."""
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    return [pid for pid in all_pids() if pid != os.getpid() and _has_open(pid, wanted)]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return False
    return any(_is(f"{folder}/{descriptor}", wanted) for descriptor in descriptors)


def _is(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False
