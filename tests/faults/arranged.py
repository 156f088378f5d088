# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the faults of a host are made, and mended again: files, disks, sm_main, rmi, and who else is there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

from ansible_collections.sep.sesam.plugins.module_utils._host import processes
from integration import accounts

from . import disk, promises
from .site import Site

Arrange = t.Callable[[Site, contextlib.ExitStack], None]
_ENOUGH = "size=4m,nr_inodes=1000"


class Impossible(Exception):
    """A fault that cannot be made here, for want of a tool or of rights; the words say which."""


def only_root() -> None:
    """Nobody else can.

    :raises Impossible: we are not root.
    """
    if os.geteuid() != 0:
        raise Impossible("only root can make it")


def _by_root(*words: str | Path) -> None:
    only_root()
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        raise Impossible(f"{words[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Impossible(error.stderr.decode(errors="replace").strip()) from None


def nothing(site: Site, mended: contextlib.ExitStack) -> None:
    """The fault is in the way in which the host program is run."""


def both(*arranged: Arrange) -> Arrange:
    """Several at once."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        for one in arranged:
            one(site, mended)

    return arrange


# Files and folders

def link(name: str, target: str) -> Arrange:
    """A symbolic link in the place of something, which is kept aside."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = site.ini / name
        kept = site.aside / "kept"
        place.rename(kept)
        place.symlink_to(target.format(kept=kept, place=place))

        def mend() -> None:
            place.unlink()
            kept.rename(place)

        mended.callback(mend)

    return arrange


def hard_link(site: Site, mended: contextlib.ExitStack) -> None:
    other = site.aside / "other name"
    os.link(site.instance.private_key, other)
    mended.callback(other.unlink)


def missing(site: Site, mended: contextlib.ExitStack) -> None:
    shutil.rmtree(site.instance.ssl_folder)
    # Nobody takes away what rmi has in its memory: it goes on with the old pair, which is nowhere else now.
    (site.server.state_folder / "backups").mkdir(exist_ok=True)
    kept = site.server.state_folder / "backups" / "kept by hand"
    kept.mkdir(mode=0o700)
    for name, content in zip(("sesam.https.crt", "sesam.https.key"), promises.contents(site.current), strict=True):
        (kept / name).touch(mode=0o600)
        (kept / name).write_bytes(content)


def other_owner(site: Site, mended: contextlib.ExitStack) -> None:
    only_root()
    os.chown(site.instance.private_key, accounts.NOBODY, accounts.NOBODY)


def moved(name: str) -> Arrange:
    """A folder is not there."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = site.ini / name
        kept = site.aside / "kept"
        place.rename(kept)
        mended.callback(kept.rename, place)

    return arrange


def changed(name: str, mode: int, owner: int = -1) -> Arrange:
    """Another mode and owner of a file or a folder."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = site.ini / name
        if owner != -1:
            only_root()
        before = place.stat()
        os.chown(place, owner, owner)
        place.chmod(mode)
        mended.callback(place.chmod, before.st_mode & 0o7777)
        mended.callback(os.chown, place, before.st_uid, before.st_gid)

    return arrange


def immutable(name: str, flag: str = "i") -> Arrange:
    """Not even root can change it, or do more than append to it."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = site.ini / name
        _by_root("chattr", f"+{flag}", place)
        mended.callback(subprocess.run, ["chattr", f"-{flag}", place], check=True)

    return arrange


def open_to_all(site: Site, mended: contextlib.ExitStack) -> None:
    """The way to the host's files, which a test keeps to itself: for a run without rights."""
    only_root()
    for folder, mode in accounts.open_the_way(site.ini):
        mended.callback(folder.chmod, mode)


def mounted(folder: t.Callable[[Site], Path], *options: str, fill: bool = False) -> Arrange:
    """A small file system of its own in the place of a folder, with the same contents."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = folder(site)
        place.mkdir(mode=0o700, exist_ok=True)
        _by_root("mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", place)
        mended.callback(subprocess.run, ["umount", "-l", place], check=True)
        if fill:
            with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 1024)
        for option in options:
            _by_root("mount", "-o", f"remount,{option}", place)

    return arrange


def read_only(site: Site, mended: contextlib.ExitStack) -> None:
    _by_root("mount", "--bind", site.ini, site.ini)
    mended.callback(subprocess.run, ["umount", "-l", site.ini], check=True)
    _by_root("mount", "-o", "remount,ro,bind", site.ini)


@contextlib.contextmanager
def on_small_disk(site: Site) -> t.Iterator[None]:
    """The ini folder is a file system of its own, with room for everything until C(room) takes it."""
    before = disk.read(site.ini)
    with contextlib.ExitStack() as mended:
        _by_root("mount", "-t", "tmpfs", "-o", f"{_ENOUGH},mode=0755", "tmpfs", site.ini)
        mended.callback(subprocess.run, ["umount", "-l", site.ini], check=True)
        disk.write(site.ini, before)
        yield


def room(pages: int | None = None, inodes: int | None = None) -> Arrange:
    """So many blocks (of 4 KiB), or so many new files, and not one more."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        space = os.statvfs(site.ini)
        options = []
        if pages is not None:
            options.append(f"size={(space.f_blocks - space.f_bfree + pages) * space.f_frsize}")
        if inodes is not None:
            options.append(f"nr_inodes={space.f_files - space.f_ffree + inodes}")
        mended.callback(_remount, site.ini, _ENOUGH)
        _remount(site.ini, ",".join(options))

    return arrange


def _remount(place: Path, options: str) -> None:
    _by_root("mount", "-o", f"remount,{options}", place)


# sm_main and rmi

def switches(**values: object) -> Arrange:
    return lambda site, mended: site.instance.set(**values)


def sm_main(text: str, mode: int = 0o755) -> Arrange:
    """Another program in its place; {real} in the text is the one that was there."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = Path(site.instance.sm_main)
        kept = place.with_name("sm_main.kept")
        place.rename(kept)
        late = Path(mended.enter_context(tempfile.TemporaryDirectory(dir=site.aside))) / "late"
        names = {"real": kept, "certificate": site.instance.certificate, "pid": site.temporary / "pid", "late": late,
                 "python": sys.executable, "address": site.instance.address, "port": site.instance.port}
        if text:
            place.write_text("#!/bin/sh\n" + text.format(**{n: shlex.quote(str(v)) for n, v in names.items()}) + "\n")
            place.chmod(mode)

        def mend() -> None:
            place.unlink(missing_ok=True)
            kept.rename(place)

        mended.callback(mend)

    return arrange


def swapped(site: Site, mended: contextlib.ExitStack) -> None:
    """Somebody puts a certificate of his own in place between stop and start; only once."""
    other = site.temporary / "somebody.crt"
    other.write_bytes(site.current.pem)
    mended.callback(other.unlink, missing_ok=True)
    sm_main(f'[ "$1" = start ] && mv {shlex.quote(str(other))} {{certificate}} 2>/dev/null\nexec {{real}} "$@"')(
        site, mended)  # fmt: skip


def ends_late(seconds: float) -> Arrange:
    """The first stop is claimed to be done, and rmi serves on for some seconds until it ends."""
    later = f'(sleep {seconds}; exec {{real}} "$@") >/dev/null 2>&1 & exit 0'
    return sm_main(f'if [ "$1" = stop ] && mkdir {{late}} 2>/dev/null; then {later}; fi\nexec {{real}} "$@"')


# Listens, and goes into the background when it does.
_STRANGER = """
import os, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
pid = os.fork()
if pid:
    open(sys.argv[3], "w").write(str(pid))
    os._exit(0)
os.setsid()
while True:
    listener.accept()[0].close()
"""


def taken_meanwhile(site: Site, mended: contextlib.ExitStack) -> None:
    """Another program takes the port between stop and start, and keeps it."""
    sm_main('[ "$1" = start ] && [ ! -e {pid} ] && {python} -c ' + shlex.quote(_STRANGER)
            + ' {address} {port} {pid}\nexec {real} "$@"')(site, mended)  # fmt: skip
    pid = site.temporary / "pid"

    def end() -> None:
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)
            pid.unlink()

    mended.callback(end)


def taken(site: Site, mended: contextlib.ExitStack) -> None:
    """rmi does not run, and another program has its port."""
    site.instance.stop()
    listener = mended.enter_context(socket.create_server((site.instance.address, site.instance.port)))
    mended.callback(listener.shutdown, socket.SHUT_RDWR)

    def close_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=close_all, daemon=True).start()


def deaf(site: Site, mended: contextlib.ExitStack) -> None:
    """rmi runs, and does not listen."""
    site.instance.stop()
    site.instance.set(listener="closed@1")
    site.start()


def stopped(site: Site, mended: contextlib.ExitStack) -> None:
    site.instance.stop()


def log(change: t.Callable[[Path], object]) -> Arrange:
    """Something happens to the log before the run."""
    return lambda site, mended: change(Path(site.instance.log_file)) and None


def named_log(site: Site) -> str:
    """A log that the user has named."""
    return str(site.temporary / "named.log")


def at_named_log(make: t.Callable[[str], object], unmake: t.Callable[[str], object] = os.unlink) -> Arrange:
    """What is there can be read by nobody."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        make(named_log(site))
        mended.callback(unmake, named_log(site))

    return arrange


# Who else is there

def _noted(site: Site, words: t.Callable[[int], dict[str, t.Any]], mended: contextlib.ExitStack) -> int:
    """A program that a run which died is said to have left; a stranger, whom nobody may end."""
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    mended.callback(stranger.wait)
    mended.callback(stranger.kill)
    lock = site.server.state_folder / "lock"
    lock.write_text(json.dumps({"id": "dead", "by": "somebody", "pid": 4711, "program": words(stranger.pid)}))
    return stranger.pid


def pid_reused(site: Site, mended: contextlib.ExitStack) -> None:
    pid = _noted(site, lambda pid: {"pid": pid, "birth": "another boot 1"}, mended)

    def check() -> None:
        if processes.birth(pid) is None:
            raise RuntimeError("a stranger was ended who has the PID of a program that is gone")

    mended.callback(check)


def hanging_program(site: Site, mended: contextlib.ExitStack) -> None:
    pid = _noted(site, lambda pid: {"pid": pid, "birth": processes.birth(pid)}, mended)

    def check() -> None:
        if processes.birth(pid) is not None:
            raise RuntimeError("a program that hangs was not ended")

    mended.callback(check)


def lock_held(site: Site, mended: contextlib.ExitStack) -> None:
    """Another run is at work."""
    lock = site.server.state_folder / "lock"
    lock.write_text(json.dumps({"id": "other", "by": "somebody@elsewhere", "pid": 4711, "since": "this morning"}))
    _hold(lock, mended)


def folder_held(site: Site, mended: contextlib.ExitStack) -> None:
    """A key is being converted in the ssl folder."""
    _hold(Path(site.instance.ssl_folder), mended)


def _hold(path: Path, mended: contextlib.ExitStack) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    mended.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
