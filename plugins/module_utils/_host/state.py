# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection keeps on a host, in C(<SESAM_VAR>/ini/.sep-sesam), 0700.

C(lock): held by the kernel for the process that works here, so a dead process leaves none; its text says who.
C(journal): an unfinished replacement and what it takes to undo it.
C(result): the answers of the last runs, for a second call with the same run id.
C(backups): the pairs that were replaced; see there.
C(pending): the key of a certificate that was requested and has not come yet, and the request (CSR).

Beside them, for moments and after a run that died: what is not whole yet (C(.new)), what is not needed any more
(C(.done)). Whoever takes the lock takes it away.
"""

import json
import os
import shutil
import time
import typing as t

from . import backups, files, layout, locks, pairs, pkcs8, processes, refusal

_LOCK, _JOURNAL, _RESULT, _BACKUPS, _PENDING = "lock", "journal", "result", "backups", "pending"
_UNFINISHED, _DONE = ".new", ".done"
_SIZE_LIMIT = 4 << 20
# A call that a connection sends again comes soon: so many answers are kept, the last ones.
_ANSWERS = 4


class State:
    """The folder; nothing is made before it is asked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        # The folder, open while the lock is held: who owns the one above may put another one in its place.
        self._held: t.Optional[int] = None
        self._lock: t.Optional[int] = None
        self._holder: dict = {}
        # The program (C(pid), C(birth)) that a run had started which died: it may still run.
        self.left_alone: t.Optional[dict] = None

    @property
    def backups(self) -> backups.Backups:
        return backups.Backups(os.path.join(self.path, _BACKUPS), self._at(_BACKUPS))

    def hold(self) -> None:
        """Hold the folder if it is there, to look at it: nobody but root or ourselves has put anything into it.

        :raises refusal.Refused: it is that of somebody else.
        """
        try:
            held = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return  # What is in it cannot be seen either.
        self._held = held
        try:
            files.check_private(self.path, os.fstat(held), 0, os.geteuid())
        except refusal.Refused:
            self.unlock()
            raise

    # The lock

    def lock(self, run: dict, timeout: float, timeout_same_run: float) -> float:
        """Take the lock for a run (C(id), C(by)), or wait for it; the answer is the seconds that this took.

        :param timeout_same_run: seconds to wait for a run with the same id: its answer is ours.
        :raises refusal.Refused: another run holds it and does not end in time.
        """
        self.unlock()
        self._held = files.hold_private_folder(self.path)
        self._lock = os.open(self._at(_LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        begin = time.monotonic()
        while not locks.take(self._lock):
            holder = self._read(_LOCK) or {}
            limit = timeout_same_run if holder.get("id") == run["id"] else timeout
            if time.monotonic() - begin >= limit:
                raise self._held_by(holder, limit)
            time.sleep(0.1)
        waited = time.monotonic() - begin
        self.left_alone = _program_in(self._read(_LOCK) or {})
        self._holder = dict(run, pid=os.getpid(), since=locks.moment(), program=self.left_alone)
        self._write_holder()
        self._tidy()
        return waited

    def _held_by(self, holder: dict, waited: float) -> refusal.Refused:
        """Give up; the refusal says who has the lock, by what is written in it, else by what the kernel knows."""
        pid = holder.get("pid")
        if not isinstance(pid, int):
            pid = next(iter(processes.lock_holders(t.cast(int, self._lock))), None)
        self.unlock()
        return locks.held("on this host (lock %s)" % os.path.join(self.path, _LOCK), waited, pid,
                          *(str(holder.get(name) or "") for name in ("by", "since")))

    def note_program(self) -> None:
        """In a new process, before its program: write down who it is, so that it is not lost when we die."""
        self._holder["program"] = {"pid": os.getpid(), "birth": processes.birth(os.getpid())}
        self._write_holder()

    def _write_holder(self) -> None:
        if self._lock is not None:
            content = json.dumps(self._holder).encode("utf-8")
            with files.named(self._lock):
                os.pwrite(self._lock, content, 0)
                os.ftruncate(self._lock, len(content))

    def _tidy(self) -> None:
        """Take away what runs have left that died: nothing needs it, and not all is lost where that fails."""
        try:
            for name in (_JOURNAL, _RESULT):
                files.remove(self._at(name + _UNFINISHED))
            shutil.rmtree(self._at(_PENDING + _DONE), ignore_errors=True)
            self.backups.remove_unfinished()
        except OSError:
            pass

    def unlock(self) -> None:
        for descriptor in (self._lock, self._held):
            if descriptor is not None:
                os.close(descriptor)
        self._lock = self._held = None

    # Journal and result

    def journal(self) -> t.Optional[dict]:
        """The journal of an unfinished replacement, C(None) where there is none or no right to look.

        :raises refusal.Refused: it is there and cannot be understood.
        """
        entry = self._read(_JOURNAL)
        run = (entry or {}).get("run")
        if not isinstance(run, dict) or not all(isinstance(run.get(name), str) for name in ("id", "by")):
            entry = None
        if entry is None and os.path.lexists(self._at(_JOURNAL)):
            raise refusal.Refused(
                "journal-damaged", "The journal of an unfinished replacement cannot be read: %s." % (
                    os.path.join(self.path, _JOURNAL)),
                "Look at the pair in place and at the backups beside the journal, then remove the journal.",
                subject="current")
        return entry

    def write_journal(self, entry: dict) -> None:
        self._write(_JOURNAL, entry)

    def clear_journal(self) -> None:
        files.remove(self._at(_JOURNAL))
        files.sync_folder(self._at())

    def result_of(self, run_id: str) -> t.Optional[dict]:
        """The answer of a run with this id, if it is one of the last."""
        return next((one["result"] for one in self._results() if one["id"] == run_id), None)

    def keep_result(self, run_id: str, result: dict) -> None:
        kept = [{"id": run_id, "result": result}, *self._results()][:_ANSWERS]
        while len(kept) > 1 and len(json.dumps(kept)) >= _SIZE_LIMIT:
            kept.pop()  # The oldest: a file that is too large would not be read.
        self._write(_RESULT, {"runs": kept})

    def _results(self) -> t.List[dict]:
        """C(id) and C(result) of the last runs, the last one first; none where they cannot be read."""
        runs = (self._read(_RESULT) or {}).get("runs")
        return [one for one in runs if isinstance(one, dict) and {"id", "result"} <= set(one)] if isinstance(
            runs, list) else []

    # The pending request

    @property
    def pending_key(self) -> str:
        return os.path.join(self.path, _PENDING, layout.PRIVATE_KEY_NAME)

    @property
    def pending_csr(self) -> str:
        return os.path.join(self.path, _PENDING, layout.CSR_NAME)

    def make_pending(self) -> None:
        """Make the folder of the pending request; the lock is held, so its parent is there."""
        files.make_private_folder(self._at(_PENDING))

    def clear_pending(self) -> None:
        """The certificate has come: forget the request and its key, both or neither."""
        shutil.rmtree(self._at(_PENDING + _DONE), ignore_errors=True)
        os.rename(self._at(_PENDING), self._at(_PENDING + _DONE))
        files.sync_folder(self._at())
        shutil.rmtree(self._at(_PENDING + _DONE))

    def is_answered(self, private_key: str) -> bool:
        """Whether the pending key is in place: the run that placed it had no time to forget the request."""
        try:
            pending, placed = [pkcs8.from_file(files.read_regular(path, pairs.SIZE_LIMIT).content)
                               for path in (self.held(self.pending_key), private_key)]
        except (files.Unreadable, ValueError):
            return False
        return pkcs8.same_key(pending, placed)

    def pending(self) -> t.Optional[dict]:
        """The pending request as plain data; C(None) where there is none, or no right to look."""
        try:
            made: t.Optional[float] = os.lstat(self.held(self.pending_key)).st_mtime
        except OSError:
            made = None
        try:
            csr = pairs.csr_in(files.read_regular(self.held(self.pending_csr), pairs.SIZE_LIMIT).content)
        except files.Unreadable:
            csr = None
        if made is None and csr is None:
            return None
        return {"csr": pairs.as_base64([csr])[0] if csr else None, "has_key": made is not None, "made": made}

    # Files

    def held(self, path: str) -> str:
        """A path in this folder as one that nobody can lead elsewhere, while the lock is held; any other as it is."""
        beginning = os.path.join(self.path, "")
        return self._at(path[len(beginning):]) if path.startswith(beginning) else path

    def _at(self, name: str = "") -> str:
        return os.path.join(self.path, name) if self._held is None else files.through(self._held, name)

    def _read(self, name: str) -> t.Optional[dict]:
        try:
            data = json.loads(files.read_regular(self._at(name), _SIZE_LIMIT).content.decode("utf-8"))
        except (files.Unreadable, ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None

    def _write(self, name: str, data: dict) -> None:
        new = self._at(name + _UNFINISHED)
        files.remove(new)
        files.write_new(new, json.dumps(data, sort_keys=True).encode("utf-8"))
        os.rename(new, self._at(name))
        files.sync_folder(self._at())


def _program_in(holder: dict) -> t.Optional[dict]:
    """The program that the last holder of the lock has noted, where it is still the same process."""
    program = holder.get("program")
    if not isinstance(program, dict) or not isinstance(program.get("pid"), int) or program["pid"] <= 1:
        return None
    return program if processes.birth(program["pid"]) == program.get("birth") else None
