# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in on which faults are tried, one after the other: what is in place takes turns with what is wanted."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path

from integration import host_program, servers
from integration.certificates import Authority, Pair
from integration.secret_text import PASSPHRASE, Secrets
from integration.watch import Watch
from workbench import pythons

from . import disk, promises

_SHIM = Path(__file__).with_name("shim.py")
_SECONDS = 200.0
_PAUSE = 0.25
_MOST_READ = 1 << 20
Answer = dict[str, t.Any]


# Set when somebody wants the faults to end before they have all been tried.
stopping = threading.Event()


class Stopped(Exception):
    """Ends the faults where the host is to be brought to rest, so that all that they have made is taken away."""


def go_on() -> None:
    """Between two faults.

    :raises Stopped: somebody wants them to end.
    """
    if stopping.is_set():
        raise Stopped


class Ran(t.NamedTuple):
    """A run of the host program in the shim: how it ended, its answer if it had one, the calls that it made."""

    code: int
    answer: Answer | None
    said: str
    calls: list[dict[str, t.Any]]

    @property
    def was_killed(self) -> bool:
        """Whether it died where it was told to."""
        return self.code == -signal.SIGKILL


class Site:
    """One host. C(current) is in place and served, C(other) is wanted next."""

    def __init__(self, folder: Path, number: int, authority: Authority, is_watched: bool = True) -> None:
        go_on()
        self.server = servers.create(folder / f"sesam no {number}", number)
        self.instance = self.server.instance
        self.ini = Path(self.instance.sesam_var) / "ini"
        self.temporary = folder / f"temporary {number}"
        self.temporary.mkdir()
        # Where whoever makes a fault keeps what he takes away.
        self.aside = folder / f"aside {number}"
        self.aside.mkdir()
        self._log = folder / f"calls {number}"
        self.current, self.other = (_large_pair(authority, name) for name in ("one.example", "two.example"))
        self._secrets = Secrets(self.current, PASSPHRASE)
        self._secrets.add(self.other)
        # Somebody who looks at processes and temporary folders all the time.
        self._watch = Watch(self._secrets, [self.temporary], ignore=[folder], pause=_PAUSE)
        self._at_end = contextlib.ExitStack()
        if is_watched:
            self._at_end.enter_context(self._watch)
        self._said: list[bytes] = []
        self.server.put(self.current)
        self.start()
        # A host at rest: one replacement has been, and its backup is there.
        self._rest: dict[str, disk.Tree] = {}
        for _turn in (1, 2):
            answer = self.ask("replace", self.parameters())
            if answer["action"] != "replaced":
                raise RuntimeError(f"the host cannot be prepared: {answer}")
            self.turn()
            self._rest[self.current.fingerprint] = disk.read(self.ini)

    def turn(self) -> None:
        """What was wanted is in place now."""
        self.current, self.other = self.other, self.current

    def start(self) -> None:
        """Start rmi, as at boot."""
        self.instance.start(env=servers.ENVIRONMENT)

    def rest(self) -> None:
        """Bring the host to rest, whatever a fault has left: a pair in place and served, a backup of the other."""
        go_on()
        self.instance.unset()
        served = self.served()
        if served == self.other.fingerprint:
            self.turn()
        disk.write(self.ini, self._rest[self.current.fingerprint])
        if served != self.current.fingerprint:
            self.instance.end_processes()
            self.start()

    def close(self) -> None:
        """End and remove everything."""
        self._at_end.close()
        self.instance.remove()

    # Running

    def parameters(self, pair: Pair | None = None, **others: t.Any) -> dict[str, t.Any]:
        """What the controller sends for a replacement, by another run each time."""
        others = {"keep_backups": 1, **others}
        return host_program.parameters(self.server, pair or self.other, **others)

    def ask(self, question: str, parameters: dict[str, t.Any]) -> Answer:
        """Run the host program to its end."""
        answer = host_program.start(parameters, question, TMPDIR=str(self.temporary)).answer(_SECONDS)
        self._said.append(json.dumps(answer).encode())
        return answer

    def run(self, question: str, parameters: dict[str, t.Any], **plan: t.Any) -> Ran:
        """Run it in the shim; C(plan) says where it dies or fails."""
        self._log.unlink(missing_ok=True)
        done = subprocess.run(
            [pythons.this().path, "-S", _SHIM, json.dumps({"log": str(self._log), **plan}), question],
            cwd=host_program.FOLDER, input=json.dumps(parameters).encode(), capture_output=True, timeout=_SECONDS,
            env={**os.environ, "TMPDIR": str(self.temporary)}, check=False,
        )  # fmt: skip
        self._said += [done.stdout, done.stderr]
        calls = [json.loads(line) for line in self._log.read_text().splitlines()]
        answer = json.loads(done.stdout) if done.stdout else None
        return Ran(done.returncode, answer, done.stderr.decode(errors="replace"), calls)

    # Looking

    def tree(self) -> disk.Tree:
        """What is on its disk."""
        return disk.read(self.ini)

    def served(self) -> str | None:
        """The fingerprint of what the port serves."""
        try:
            pem = ssl.get_server_certificate((self.instance.address, self.instance.port), timeout=10)
        except OSError:
            return None
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def served_in_words(self) -> str:
        """As a cell of the table."""
        served = self.served()
        words = {None: "nothing", self.current.fingerprint: "old", self.other.fingerprint: "new"}
        return words.get(served, "another")

    def gave_away(self) -> list[str]:
        """Where a key or a passphrase was seen that has no place there, since it was asked last.

        Processes and temporary folders at any time; answers; whatever has no place for keys below the folder of
        SEP sesam, the log among it. What the ini folder may hold, promises.py knows.
        """
        places = [(f"the answer {answer[:40]!r}", answer) for answer in self._said]
        for top in (self.temporary, Path(self.instance.folder)):
            for folder, names, files in os.walk(top):
                names[:] = [name for name in names if Path(folder, name) != self.ini]
                places += [(path, _end_of(path)) for path in (os.path.join(folder, name) for name in files)]
        found = [f"{self._secrets.found_in(content) or 'a private key'} in {place}" for place, content in places
                 if promises.BEGINS_KEY in content or self._secrets.found_in(content)]
        found += sorted(self._watch.found)
        self._said.clear()
        self._watch.found.clear()
        return found

    def is_locked(self) -> bool:
        """Whether somebody holds the lock of the host."""
        try:
            with open(self.server.state_folder / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False


def _large_pair(authority: Authority, name: str) -> Pair:
    """One whose certificate takes two blocks of a disk, so that it may be written by half."""
    return authority.issue(name, others=[f"{number}.{name}" for number in range(200)])


def _end_of(path: str) -> bytes:
    """The last of a file, which may be a huge one; nothing of what is none."""
    if not os.path.isfile(path):
        return b""
    with open(path, "rb") as stream:
        stream.seek(max(os.path.getsize(path) - _MOST_READ, 0))
        return stream.read()
