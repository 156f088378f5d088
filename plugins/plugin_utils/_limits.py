# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that a hostile input could make endless, done in a child with limits. Private to this collection.

Whoever encrypts a file chooses how much work its passphrase costs: 2^31 rounds of PBKDF2 are a valid PKCS#12
(RFC 8018, 4.2), and so are gigabytes for scrypt. The library cannot be interrupted, a child can.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import select
import signal
import time
import typing as t
import warnings

# Of processor time: a million rounds for each part of a PKCS#12 take half of it.
SECONDS = 1.8
# A child that is not given the processor has to end at some time too.
_MOST_SECONDS = 30.0
# Beside what it shares with this process: with the 100 MiB of a worker of Ansible, less than 300.
MEMORY = 192 << 20
_STATM = "/proc/self/statm"


class TooMuch(Exception):
    """The work took more than it may."""


def bounded(work: t.Callable[[], list[bytes]]) -> list[bytes]:
    """Do the work in a child, a copy of this process, and return what it returns.

    :raises ValueError: what the work raises, with its text; other exceptions become this one too.
    :raises TooMuch: it was ended at the limit of time or memory.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Threads of a test runner; the workers of Ansible have none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(work, writing)
    os.close(writing)
    try:
        content = _read(reading, time.monotonic() + _MOST_SECONDS)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return _understood(content)


def _be_the_child(work: t.Callable[[], list[bytes]], writing: int) -> t.NoReturn:
    """Never returns, and runs nothing that the copied process wanted to do at its end."""
    try:
        _limit()
        try:
            answer: dict[str, t.Any] = {"done": [base64.b64encode(part).decode("ascii") for part in work()]}
        except MemoryError:
            answer = {"too_much": True}
        except Exception as exc:
            answer = {"too_much": True} if _is_about_memory(exc) else {"failed": f"{exc}" or type(exc).__name__}
        left = memoryview(json.dumps(answer).encode("ascii"))
        while left:
            left = left[os.write(writing, left):]
    finally:
        os._exit(0)


def _is_about_memory(exc: Exception) -> bool:
    """The library's InternalError has it in a list beside its words."""
    return any(word in f"{error}" for error in getattr(exc, "err_code", ()) for word in ("malloc", "memory"))


def _limit() -> None:
    # A panic of the library would be shown on the terminal, with a backtrace.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # No such file: a controller that is no Linux.
        with open(_STATM, encoding="ascii") as stream:
            now = int(stream.read().split()[0]) * resource.getpagesize()
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))


def _read(descriptor: int, deadline: float) -> bytes:
    parts = []
    while select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))[0]:
        part = os.read(descriptor, 1 << 16)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _understood(content: bytes) -> list[bytes]:
    try:
        answer = json.loads(content)
    except ValueError:  # It was ended before it could say anything, or while it did.
        raise TooMuch from None
    if "too_much" in answer:
        raise TooMuch
    if "failed" in answer:
        raise ValueError(answer["failed"])
    return [base64.b64decode(part) for part in answer["done"]]
