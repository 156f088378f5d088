# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the host program, counts every system call that changes anything, and dies where it is told to.

    python shim.py PLAN QUESTION < parameters.json      (in the folder that holds _host)

C(PLAN) is JSON: C(log), a file that gets one line of JSON for each call; C(kill), the number of the call (from 1), 0
for none, or the arguments of a program that is started; C(half), true to die after half of what that call writes, or
right after the start of a program, which goes on; C(fail), the number of a call that fails, with C(errno); C(uid), a
user without rights who runs it; C(lacks), a module that this Python has not; C(clock), seconds by which the clock is
off, and C(jumps), true where it is so from the stop of rmi on alone. A process that dies here dies by SIGKILL, between
two system calls: before the one with that number, and therefore after the one before it.

The functions of the standard library are replaced before the host code runs. Not counted: what goes into pipes,
sockets and files without a name, which end with the process, and what fails because there is nothing to remove. That
nothing else is missed, strace says (test_faults.py).
"""

from __future__ import annotations

import base64
import codecs
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

# Looked at before anything is replaced: they decide at their import what the platform can.
_IMPORTED_FIRST = (shutil, tempfile)
_Function = t.Callable[..., t.Any]


class Counter:
    """Every call in its order."""

    def __init__(self, plan: dict[str, t.Any]) -> None:
        self._kill: int | str = plan.get("kill", 0)
        self._is_half = bool(plan.get("half"))
        self._fail: int = plan.get("fail", 0)
        self._errno: int = plan.get("errno", errno.ENOSPC)
        self._log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._write = os.write
        self._number = 0
        self.has_stopped_rmi = False
        self._owner = os.getpid()

    def is_ours(self) -> bool:
        """Not a child on its way to another program: that is one call, its start."""
        return os.getpid() == self._owner

    def count(self, call: str, **facts: t.Any) -> bool:
        """Count a call that is about to be made; die here, or fail; the answer says whether to make half of it."""
        self._number += 1
        self.has_stopped_rmi |= facts.get("arguments") == "stop rmi"
        is_last = self._kill in (self._number, facts.get("arguments"))
        if is_last and not self._is_half:
            self.die()
        line = json.dumps({"n": self._number, "call": call, "half": is_last, **facts})
        self._write(self._log, line.encode() + b"\n")
        if self._number == self._fail:
            raise OSError(self._errno, os.strerror(self._errno), facts.get("path"))
        return is_last

    def die(self) -> None:
        """As by the kernel when memory is out, or by a hand."""
        os.kill(self._owner, signal.SIGKILL)

    def end(self) -> None:
        """After the last call."""
        if self._kill == self._number + 1:
            self.die()


def _full(name: t.Any, folder: int | None = None) -> str:
    """The absolute path of a name, or of what a descriptor leads to."""
    if isinstance(name, int):
        return os.readlink(f"/proc/self/fd/{name}")
    name = os.fsdecode(name)
    if folder is not None:
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
    if name.startswith("/proc/self/fd/"):
        above, _slash, below = name.partition("/fd/")[2].partition("/")
        return os.path.join(os.readlink(f"/proc/self/fd/{above}"), below)
    return os.path.abspath(name)


def _has_name(descriptor: int) -> bool:
    """Whether it is a file that others can find: not a pipe, not a socket, not one that was never linked."""
    path = _full(descriptor)
    return path.startswith("/") and not path.startswith("/dev/") and not path.endswith(" (deleted)")


def _install(counter: Counter) -> None:  # noqa: C901 (one small function for each call)
    real = {name: getattr(os, name) for name in dir(os) if callable(getattr(os, name))}

    def replaced(name: str) -> t.Callable[[_Function], _Function]:
        def put(function: _Function) -> _Function:
            def counted(*arguments: t.Any, **keywords: t.Any) -> t.Any:
                if not counter.is_ours():
                    return real[name](*arguments, **keywords)
                return function(real[name], *arguments, **keywords)

            setattr(os, name, counted)
            return function

        return put

    @replaced("open")
    def _open(call: _Function, path: t.Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC):
            counter.count("create", path=_full(path, dir_fd), mode=mode, exclusive=bool(flags & os.O_EXCL))
        return int(call(path, flags, mode, dir_fd=dir_fd))

    def written(call: _Function, descriptor: int, content: t.Any, offset: int | None) -> int:
        rest = () if offset is None else (offset,)
        if not _has_name(descriptor):
            return int(call(descriptor, content, *rest))
        place = os.lseek(descriptor, 0, os.SEEK_CUR) if offset is None else offset
        content = bytes(content)
        text = base64.b64encode(content).decode()
        if counter.count("write", path=_full(descriptor), content=text, offset=place):
            call(descriptor, content[: len(content) // 2], *rest)
            counter.die()
        return int(call(descriptor, content, *rest))

    @replaced("write")
    def _write(call: _Function, descriptor: int, content: t.Any) -> int:
        return written(call, descriptor, content, None)

    @replaced("pwrite")
    def _pwrite(call: _Function, descriptor: int, content: t.Any, offset: int) -> int:
        return written(call, descriptor, content, offset)

    for name in ("ftruncate", "truncate"):

        @replaced(name)
        def _truncate(call: _Function, path: t.Any, length: int) -> None:
            counter.count("truncate", path=_full(path), length=length)
            call(path, length)

    for name in ("fsync", "fdatasync"):

        @replaced(name)
        def _fsync(call: _Function, descriptor: int) -> None:
            counter.count("fsync", path=_full(descriptor))
            call(descriptor)

    for name in ("rename", "replace"):

        @replaced(name)
        def _rename(
            call: _Function, old: t.Any, new: t.Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
        ) -> None:
            counter.count("rename", path=_full(old, src_dir_fd), to=_full(new, dst_dir_fd))
            call(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    for name in ("unlink", "remove", "rmdir"):

        @replaced(name)
        def _unlink(call: _Function, path: t.Any, *, dir_fd: int | None = None, name: str = name) -> None:
            if os.path.lexists(_full(path, dir_fd)):
                counter.count("rmdir" if name == "rmdir" else "unlink", path=_full(path, dir_fd))
            call(path, dir_fd=dir_fd)

    @replaced("mkdir")
    def _mkdir(call: _Function, path: t.Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if not os.path.lexists(_full(path, dir_fd)):
            counter.count("mkdir", path=_full(path, dir_fd), mode=mode)
        call(path, mode, dir_fd=dir_fd)

    for name in ("chmod", "fchmod"):

        @replaced(name)
        def _chmod(call: _Function, path: t.Any, mode: int, **keywords: t.Any) -> None:
            counter.count("chmod", path=_full(path, keywords.get("dir_fd")), mode=mode)
            call(path, mode, **keywords)

    for name in ("chown", "fchown", "lchown", "link", "symlink", "mknod", "mkfifo", "utime", "kill", "killpg"):

        @replaced(name)
        def _other(call: _Function, *arguments: t.Any, name: str = name, **keywords: t.Any) -> t.Any:
            path = _full(arguments[0]) if "chown" in name else ""
            counter.count("chown" if "chown" in name else name, path=path, arguments=repr(arguments[1:]))
            return call(*arguments, **keywords)

    _install_starts(counter)


def _install_starts(counter: Counter) -> None:
    begin = subprocess.Popen.__init__

    def started(self: subprocess.Popen[bytes], *arguments: t.Any, **keywords: t.Any) -> None:
        words = [str(word) for word in (arguments[0] if arguments else keywords["args"])]
        dies = counter.count("start", path=words[0], arguments=" ".join(words[1:])[:60])
        begin(self, *arguments, **keywords)
        if dies:
            counter.die()

    subprocess.Popen.__init__ = started  # type: ignore[method-assign]


def _set_clock(counter: Counter, seconds: float, jumps: bool) -> None:
    """All that tells the time of day is off by so many seconds."""
    now, gmtime, localtime, strftime = time.time, time.gmtime, time.localtime, time.strftime

    def wrong() -> float:
        return now() + (seconds if counter.has_stopped_rmi or not jumps else 0)

    time.time = wrong
    time.gmtime = lambda moment=None: gmtime(wrong() if moment is None else moment)
    time.localtime = lambda moment=None: localtime(wrong() if moment is None else moment)
    time.strftime = lambda form, moment=None: strftime(form, time.localtime() if moment is None else moment)


def _become(uid: int) -> None:
    codecs.lookup("utf-8-sig")  # The Python itself may be out of reach then.
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def main() -> int:
    """Run one question."""
    plan = json.loads(sys.argv[1])
    sys.path.insert(0, os.getcwd())
    counter = Counter(plan)
    # What the import of the host code needs is not in the count: Python may write its own cache.
    sys.dont_write_bytecode = True
    from _host import answer

    if plan.get("lacks"):
        sys.modules[plan["lacks"]] = None  # type: ignore[assignment]
    else:
        for file, _function in answer.QUESTIONS.values():
            __import__("_host." + file)
    _install(counter)
    _set_clock(counter, plan.get("clock", 0), bool(plan.get("jumps")))
    if plan.get("uid"):
        _become(plan["uid"])
    result = answer.answer(sys.argv[2], json.load(sys.stdin))
    counter.end()
    json.dump(result, sys.stdout, sort_keys=True)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
