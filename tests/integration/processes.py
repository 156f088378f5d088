# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel tells about processes, and a way to wait for something with an end to it."""

from __future__ import annotations

import os
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


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    parents = {one: status(one).get("PPid", "0") for one in all_pids()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == str(one)]
    return found[1:]


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
