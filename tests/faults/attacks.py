# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user without rights who owns the folders in which root works, and exchanges what is there all the time; or who
leads the log, which root shows, to the new key.

He exchanges folders for links and for folders of his own, files for links, second names of root's files and FIFOs, all
at once (renameat2), at random moments, and reads whatever he can. What he gains is what a round answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import random
import shlex
import shutil
import signal
import stat
import subprocess
import time
import typing as t
from pathlib import Path

from integration import orders
from integration.accounts import NOBODY, open_the_way, start_as_nobody
from integration.servers import Server

from .site import Site

_EXCHANGE = 2
_HERE = -100
_KEY_TEXT = b"PRIVATE KEY"
_STATE = ".sep-sesam"
_NAMES = ("sesam.https.crt", "sesam.https.key")
# How long what is right stays, and what is wrong, at most.
_RIGHT, _WRONG = 0.03, 0.004
_libc = ctypes.CDLL(None, use_errno=True)

Facts = dict[str, tuple[object, ...]]
Work = t.Callable[["Scene"], None]


class Scene:
    """A host whose folder ini belongs to nobody, and a folder outside of it that belongs to root."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.ini = site.ini
        self.outside = folder / "outside"
        self._fill_outside()
        open_the_way(folder)

    def _fill_outside(self) -> None:
        """What root has elsewhere, under all names that the host code has for its own."""
        for name in ("pending", "pending.done", "backups"):
            (self.outside / name).mkdir(parents=True)
            (self.outside / name / "kept").write_text("of root")
        for name in ("lock", "journal", "journal.new", "result", "planted", "other.crt", *_NAMES):
            (self.outside / name).write_text("of root")
        (self.outside / "other.key").write_bytes(self.site.other.key_pem())
        for path in self.outside.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def prepare(self) -> None:
        """What he puts beside the things that he exchanges; second names of root's files stand for a host that allows
        them (fs.protected_hardlinks = 0)."""
        # Without it nothing is refused: a profile in a folder of his is not sourced.
        (self.ini / "sesam2000.profile").unlink(missing_ok=True)
        ssl, state, other = self.ini / "ssl", self.ini / "x-state", self.ini / "x-ssl"
        self._fill_state(state)
        (self.ini / "x-link-state").symlink_to(self.outside)
        (self.ini / "x-link-ssl").symlink_to(self.outside)
        other.mkdir()
        for folder, name in itertools.product((ssl, other), _NAMES):
            ending = name[-3:]
            (folder / f"x-link-{ending}").symlink_to(self.outside / f"other.{ending}")
            os.link(self.outside / f"other.{ending}", folder / f"x-hard-{ending}")
            os.mkfifo(folder / f"x-fifo-{ending}")
            (folder / f"x-own-{ending}").write_text("his own")
        (other / _NAMES[0]).symlink_to(self.outside / "other.crt")
        (other / _NAMES[1]).symlink_to(self.outside / "other.key")
        for path in [self.ini, ssl, other, *state.rglob("*"), state, *self.ini.rglob("x-own-*")]:
            os.chown(path, NOBODY, NOBODY)

    def _fill_state(self, state: Path) -> None:
        """A state folder that would have root write elsewhere, and start rmi with what he likes."""
        backup = state / "backups" / "20260101T000000Z-evil"
        backup.mkdir(parents=True)
        (state / "pending").mkdir()
        (state / "pending" / _NAMES[1]).write_text("his own")
        (state / "lock").write_text("{}")
        entry = {"mode": 0o666, "uid": NOBODY, "gid": NOBODY}
        (backup / "facts").write_text(json.dumps({"files": {str(self.outside / "planted"): entry}}))
        context = {"uid": 0, "gid": 0, "umask": 0, "ignored_signals": 0, "limits": {},
                   "environment": {"SESAM_EVIL": "1"}}  # fmt: skip
        (state / "journal").write_text(json.dumps({
            "run": {"id": "evil", "by": "evil"}, "places_files": True, "backup": str(backup), "was_running": True,
            "address": None, "right": [], "served_from_disk": False, "new": "", "context": context}))  # fmt: skip

    def exchanges(self) -> list[tuple[str, str]]:
        """Two names each that he may exchange."""
        ini, ssl = self.ini, self.ini / "ssl"
        pairs = [(ini / _STATE, ini / "x-state"), (ini / _STATE, ini / "x-link-state"), (ini / "ssl", ini / "x-ssl"),
                 (ini / "ssl", ini / "x-link-ssl")]  # fmt: skip
        for name, kind, ending in itertools.product(
            _NAMES, ("link", "hard", "fifo", "own"), ("", ".sep-sesam-new", ".sep-sesam-old", ".sep-sesam-put")
        ):
            pairs.append((ssl / (name + ending), ssl / f"x-{kind}-{name[-3:]}"))
        return [(str(one), str(other)) for one, other in pairs]

    def gained(self, before: Facts) -> list[str]:
        """What he has now and must not have."""
        now = facts(self.outside)
        gained = [f"outside: {name}" for name in sorted(now | before) if now.get(name) != before.get(name)]
        for path in self.ini.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and _KEY_TEXT in path.read_bytes():
                is_open = status.st_uid != 0 or status.st_mode & 0o077
                gained += [f"{path} is not root's alone"] if is_open else []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if b"SESAM_EVIL=" in environment.read_bytes():
                    gained.append("rmi was started as he likes")
        return gained


def facts(folder: Path) -> Facts:
    """All that is in a folder: kinds, modes, owners, contents."""
    found: Facts = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def attacked(scene: Scene, work: Work, seed: int) -> list[str]:
    """Let him loose while root works; the answer says what he gained."""
    scene.site.rest()
    scene.prepare()
    if work is set_permissions:  # Not while he is at large: our own hand would follow his links.
        (scene.ini / "ssl" / _NAMES[1]).chmod(0o640)
    before = facts(scene.outside)
    with _at_large(scene, seed) as heard:
        work(scene)
    return heard + scene.gained(before)


@contextlib.contextmanager
def _at_large(scene: Scene, seed: int) -> t.Iterator[list[str]]:
    """His process; what it could read is in the list at the end."""
    heard: list[str] = []
    pid, reading = start_as_nobody(lambda writing: _exchange_for_ever(scene, random.Random(seed), writing))
    try:
        yield heard
    finally:
        os.kill(pid, signal.SIGKILL)
        _pid, status = os.waitpid(pid, 0)
        with open(reading) as stream:
            heard += stream.read().splitlines()
        if os.WIFEXITED(status):
            heard.append("he did not live to the end: the round proves nothing")


def _exchange_for_ever(scene: Scene, chance: random.Random, heard: int) -> t.NoReturn:
    exchanges = scene.exchanges()
    while True:
        one, other = chance.choice(exchanges[:4] if chance.random() < 0.5 else exchanges)
        if _exchange(one, other):
            time.sleep(chance.random() * _WRONG)
            _read_all(scene, heard)
            _exchange(one, other)
        time.sleep(chance.random() * _RIGHT)


def _exchange(one: str, other: str) -> bool:
    return bool(_libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _read_all(scene: Scene, heard: int) -> None:
    """Whatever he can."""
    for folder, _folders, names in os.walk(scene.ini):
        for name in names:
            with contextlib.suppress(OSError):
                descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK)
                try:
                    if _KEY_TEXT in os.read(descriptor, 1 << 16):
                        os.write(heard, f"he has read {name}\n".encode())
                finally:
                    os.close(descriptor)


# What root does meanwhile

def replace(scene: Scene) -> None:
    """To the end, or to a refusal."""
    scene.site.ask("replace", _order(scene))


def replace_and_go_back(scene: Scene) -> None:
    """The new rmi does not start."""
    scene.site.instance.set(start="fails@1")
    scene.site.ask("replace", _order(scene, start_timeout=3))


def set_permissions(scene: Scene) -> None:
    """The pair is the wanted one, and its key is open."""
    for _turn in range(3):
        scene.site.ask("replace", scene.site.parameters(scene.site.current, log_check="off"))


def convert(scene: Scene) -> None:
    """The key in service, in its place, and into a file of his."""
    for src, dest in itertools.product((_NAMES[1], "x-link-key"), (_NAMES[1], "x-own-key")):
        scene.site.ask("convert", orders.conversion(scene.ini / "ssl" / src, scene.ini / "ssl" / dest, backup=True))


def request(scene: Scene) -> None:
    """A key for a request that is pending."""
    for _turn in range(3):
        scene.site.ask("key_files", orders.key_files(
            sesam2000_ini=scene.site.instance.sesam2000_ini, pending=True,
            key={"generate": {"type": "EC", "curve": "secp256r1"}}))


WORKS: tuple[Work, ...] = (replace, replace_and_go_back, set_permissions, convert, request)


def _order(scene: Scene, **others: t.Any) -> dict[str, t.Any]:
    return scene.site.parameters(owner="root", group="root", lock_timeout=5, log_check="off", **others)


# The log that leads elsewhere

class Lead(t.NamedTuple):
    """How the log is led to a key, at the start of rmi or before the run; C(says): a part of the message.

    What he makes is his: see C(lead_log). Where a host forbids second names of root's files, he can move one still.
    """

    script: str
    says: str
    is_there_before: bool = False


_LINK = 'rm "$log"; ln -s "$key" "$log"'
_FOLLOWED_NOT = "is a symbolic link that others than root may have made (uid 65534, its folder uid 65534, mode 0755)"
_LEFT_OUT = "[left out: it may be a private key]"
# A key that is not whole: tests/unit/host/test_host_server_log.py.
LEADS = {
    "link": Lead(_LINK, _FOLLOWED_NOT),
    "link before the run": Lead(_LINK, _FOLLOWED_NOT, is_there_before=True),
    "link in the place of the folder": Lead(
        'cp "$key" "$outside/sm_gui_server.log"; mv "$folder" "$folder.x"; ln -s "$outside" "$folder"', _FOLLOWED_NOT),
    "second name": Lead('ln -f "$key" "$log"', "it has 2 names (hard links)"),
    "FIFO": Lead('rm "$log"; mkfifo "$log"', "it is a FIFO"),
    "moved": Lead('mv "$key" "$log"', _LEFT_OUT),
    "copied": Lead('cat "$key" >> "$log"; echo it ends >> "$log"', _LEFT_OUT),
}


def lead_log(server: Server, outside: Path, lead: Lead) -> None:
    """Have the log led elsewhere, and the start fail; the start after it finds the log as it was.

    The folder of the log and the one above are his, as is every link in them. A wrapper of sm_main does at the right
    moment what he would wait for.
    """
    log, before = Path(server.instance.log_file), outside.with_suffix(".before")
    real = f"{server.instance.sm_main}.real"
    outside.mkdir(mode=0o700)
    shutil.copytree(log.parent, before)
    for folder in (log.parent, log.parent.parent):
        os.chown(folder, NOBODY, NOBODY)
    names = {"log": log, "folder": log.parent, "key": server.instance.private_key, "outside": outside, "real": real,
             "before": before, "done": outside / "done"}  # fmt: skip
    begin = "".join(f"{name}={shlex.quote(str(path))}\n" for name, path in names.items())
    work = f'{lead.script}\nfor his in "$log" "$folder"; do [ -h "$his" ] && chown -h {NOBODY}:{NOBODY} "$his"; done\n'
    os.rename(server.instance.sm_main, real)
    sm_main = Path(server.instance.sm_main)
    sm_main.write_text(f"""#!/bin/sh
{begin}
if [ "$1" = start ] && [ ! -e "$done" ]; then
touch "$done"
{"" if lead.is_there_before else work}
elif [ "$1" = start ]; then
rm -rf "$folder"
cp -a "$before" "$folder"
fi
exec "$real" "$@"
""")
    sm_main.chmod(0o755)
    if lead.is_there_before:
        subprocess.run(["/bin/sh", "-c", begin + work], check=False)
    server.instance.set(start="fails@1")
