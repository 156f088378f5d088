# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody on the machine who reads all that he can find while a run goes on: processes and temporary folders."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from . import processes
from .secret_text import Secrets

_PAUSE = 0.03
_SIZE_LIMIT = 1 << 20
_DEPTH = 4
# The folder of `make faults`; it and those of pytest are left alone, whoever has made them.
BEGINS_FOLDER = "sep-sesam-faults-"
_OF_TESTS = ("pytest-", BEGINS_FOLDER)


class Watch:
    """Looks again and again until its end; C(found) tells every place where a secret was seen."""

    def __init__(self, secrets: Secrets, folders: t.Iterable[Path], ignore: t.Iterable[Path] = (),
                 pause: float = _PAUSE) -> None:
        self.found: set[str] = set()
        self.rounds = 0
        self._secrets = secrets
        self._pause = pause
        self._folders = [*folders, *map(Path, {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"})]
        self._ignore = {str(path) for path in ignore}
        self._began = time.time() - 1
        self._seen: dict[str, tuple[int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        self._thread.join(30)
        self._look()

    def _run(self) -> None:
        while not self._end.wait(self._pause):
            self._look()

    def _look(self) -> None:
        self.rounds += 1
        for pid in processes.all_pids():
            for file in ("cmdline", "environ"):
                self._judge(f"/proc/{pid}/{file}", processes.read(pid, file))
        for folder in self._folders:
            self._look_into(folder, 0)

    def _look_into(self, folder: Path, depth: int) -> None:
        """Files that are newer than the watch; whoever else works on this machine is left alone."""
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.path in self._ignore or entry.name.startswith(_OF_TESTS):
                    continue
                with contextlib.suppress(OSError):
                    self._look_at(entry, depth)

    def _look_at(self, entry: os.DirEntry[str], depth: int) -> None:
        status = entry.stat(follow_symlinks=False)
        if status.st_ctime < self._began:
            return
        if entry.is_dir(follow_symlinks=False):
            if depth < _DEPTH:
                self._look_into(Path(entry.path), depth + 1)
        elif entry.is_file(follow_symlinks=False) and status.st_size < _SIZE_LIMIT:
            mark = (status.st_ino, status.st_ctime_ns)
            if self._seen.get(entry.path) != mark:
                self._seen[entry.path] = mark
                self._judge(entry.path, Path(entry.path).read_bytes())

    def _judge(self, place: str, content: bytes) -> None:
        what = self._secrets.found_in(content)
        if what:
            self.found.add(f"{place}: {what}")
