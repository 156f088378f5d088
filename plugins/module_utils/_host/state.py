# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection keeps on a host, in C(<SESAM_VAR>/ini/.sep-sesam), 0700.

C(lock): held by the kernel for the process that works here, so a dead process leaves none; its text says who.
C(journal): an unfinished replacement and what it takes to undo it.
C(result): the answer of the last run, for a second call with the same run id.
C(backups): the pairs that were replaced, each in a folder of its own, the newest last by name.
C(pending): the key of a certificate that was requested and has not come yet, and the request (CSR).
"""

import calendar
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import time
import typing as t

from . import files, layout, pair_files, pairs, pkcs8, refusal

_LOCK, _JOURNAL, _RESULT, _BACKUPS, _PENDING = "lock", "journal", "result", "backups", "pending"
_FACTS = "facts"
_SIZE_LIMIT = 4 << 20
# A backup that can be called for: its name is part of a path, and of what a person reads and types.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_UNFINISHED = ".new"
_MOST_LISTED = 50
_MOST_SHOWN = 200


class State:
    """The folder; nothing is made before it is asked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: t.Optional[int] = None

    # The lock

    def lock(self, run: dict, timeout: float, timeout_same_run: float) -> None:
        """Take the lock for a run (C(id), C(by)), or wait for it.

        :param timeout_same_run: seconds to wait for a run with the same id: its answer is ours.
        :raises refusal.Refused: another run holds it and does not end in time.
        """
        make_private_folder(self.path)
        self._lock = os.open(self._at(_LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        begin = time.monotonic()
        while not _try_lock(self._lock):
            holder = self._read(_LOCK) or {}
            limit = timeout_same_run if holder.get("id") == run["id"] else timeout
            if time.monotonic() - begin >= limit:
                self.unlock()
                raise refusal.Refused(
                    "locked", "Another run works on this host: %s, process %s, since %s (lock %s)." % (
                        holder.get("by", "unknown"), holder.get("pid", "unknown"), holder.get("since", "unknown"),
                        self._at(_LOCK)),
                    "Wait for it to end, or raise lock_timeout (now %.0f s)." % timeout)
            time.sleep(0.1)
        holder = dict(run, pid=os.getpid(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps(holder).encode("utf-8"), 0)

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Journal and result

    def journal(self) -> t.Optional[dict]:
        """The journal of an unfinished replacement, C(None) where there is none or no right to look.

        :raises refusal.Refused: it is there and cannot be understood.
        """
        entry = self._read(_JOURNAL)
        if entry is None and os.path.lexists(self._at(_JOURNAL)):
            raise refusal.Refused(
                "journal-damaged", "The journal of an unfinished replacement cannot be read: %s." % self._at(_JOURNAL),
                "Look at the pair in place and at the backups beside the journal, then remove the journal.",
                subject="current")
        return entry

    def write_journal(self, entry: dict) -> None:
        self._write(_JOURNAL, entry)

    def clear_journal(self) -> None:
        files.remove(self._at(_JOURNAL))
        files.sync_folder(self.path)

    def result_of(self, run_id: str) -> t.Optional[dict]:
        """The answer of the last run, if it had this id."""
        last = self._read(_RESULT) or {}
        return last.get("result") if last.get("id") == run_id else None

    def keep_result(self, run_id: str, result: dict) -> None:
        self._write(_RESULT, {"id": run_id, "result": result})

    # Backups

    def back_up(self, pair: pair_files.Copies, run: dict, what: dict) -> t.Optional[str]:
        """Keep a pair, durable; the answer is the path of the backup, C(None) where there is nothing to keep."""
        if not pair:
            return None
        make_private_folder(self._at(_BACKUPS))
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = os.path.join(self._at(_BACKUPS), "%s-%s" % (moment, run["id"][:8]))
        unfinished = path + _UNFINISHED
        os.mkdir(unfinished, 0o700)
        try:
            self._fill(unfinished, pair, dict(what, run=run))
            os.rename(unfinished, path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        files.sync_folder(self._at(_BACKUPS))
        return path

    def _fill(self, folder: str, pair: pair_files.Copies, what: dict) -> None:
        for name, copy in pair.items():
            files.write_new(os.path.join(folder, name), copy.content)
        modes = {name: {"mode": copy.mode, "uid": copy.owner[0], "gid": copy.owner[1]} for name, copy in pair.items()}
        content = json.dumps(dict(what, files=modes), sort_keys=True)
        files.write_new(os.path.join(folder, _FACTS), content.encode("utf-8"))
        files.sync_folder(folder)

    def backup(self, path: t.Optional[str]) -> pair_files.Copies:
        """The pair in a backup; no path stands for a pair that was not there."""
        if path is None:
            return {}
        facts = json.loads(files.read_regular(os.path.join(path, _FACTS), _SIZE_LIMIT).content.decode("utf-8"))
        return {
            name: pair_files.Copy(files.read_regular(os.path.join(path, name), _SIZE_LIMIT).content,
                                  entry["mode"], (entry["uid"], entry["gid"]))
            for name, entry in facts["files"].items()}

    def backups(self) -> t.Optional[t.List[dict]]:
        """The backups as plain data, newest first, at most 50; C(None) where there is no right to look.

        C(name), C(path), C(private_key) (the path of its key), C(made) (seconds since the epoch), C(by) and C(run)
        (empty where its facts are damaged), C(chain) (base64 of DER), C(works) and C(reason): whether its pair is whole
        and loads, and why not. Whatever lies there is listed, and nothing of it is followed.
        """
        try:
            found = self._newest_first()
        except OSError as exc:
            return None if files.unreadable(exc).status == "no_permission" else []
        return [self._listed(name, status) for name, status in found[:_MOST_LISTED]]

    def _newest_first(self) -> t.List[t.Tuple[str, os.stat_result]]:
        """All that lies there; within one second, which is as much as a name tells, by the time of the folder."""
        found = [(name, _status(self._at(os.path.join(_BACKUPS, name)))) for name in os.listdir(self._at(_BACKUPS))]
        return sorted(found, key=lambda one: (_made(*one), one[1].st_mtime_ns, one[0]), reverse=True)

    def _listed(self, name: str, status: os.stat_result) -> dict:
        path = self._at(os.path.join(_BACKUPS, _shown(name)))
        listed = {"name": _shown(name), "path": path,
                  "private_key": os.path.join(path, pair_files.PRIVATE_KEY), "made": _made(name, status),
                  "by": "", "run": "", "chain": [], "works": False, "reason": _why_no_backup(name, status)}
        if listed["reason"]:
            return listed
        run = _run_noted_in(os.path.join(path, _FACTS))
        listed.update(by=_shown(run.get("by")), run=_shown(run.get("id")))
        try:
            with pair_files.Folder(path) as folder:
                pair = folder.read().facts()
        except OSError as exc:
            return dict(listed, reason=refusal.in_words(exc))
        return dict(listed, chain=pair["certificate"]["chain"], works=pair["works"], reason=pair["reason"])

    def prune(self, keep: int, spared: t.Optional[str]) -> None:
        """Remove all backups but the newest ones. One that got another name from somebody is kept, and not counted.

        :param spared: counts as the newest, whatever a clock that was set back says.
        """
        try:
            names = [name for name, _status in reversed(self._newest_first()) if _time_in(name) is not None]
        except FileNotFoundError:
            return
        names.sort(key=lambda name: self._at(os.path.join(_BACKUPS, name)) == spared)
        for name in names[:max(len(names) - keep, 0)]:
            shutil.rmtree(os.path.join(self._at(_BACKUPS), name), ignore_errors=True)

    # The pending request

    @property
    def pending_key(self) -> str:
        return self._at(os.path.join(_PENDING, layout.PRIVATE_KEY_NAME))

    @property
    def pending_csr(self) -> str:
        return self._at(os.path.join(_PENDING, layout.CSR_NAME))

    def make_pending(self) -> None:
        """Make the folder of the pending request; the lock is held, so its parent is there."""
        make_private_folder(self._at(_PENDING))

    def clear_pending(self) -> None:
        """The certificate has come: forget the request and its key."""
        shutil.rmtree(self._at(_PENDING))
        files.sync_folder(self.path)

    def is_answered(self, private_key: str) -> bool:
        """Whether the pending key is in place: the run that placed it had no time to forget the request."""
        try:
            pending, placed = [pkcs8.from_file(files.read_regular(path, pairs.SIZE_LIMIT).content)
                               for path in (self.pending_key, private_key)]
        except (files.Unreadable, ValueError):
            return False
        return pkcs8.same_key(pending, placed)

    def pending(self) -> t.Optional[dict]:
        """The pending request as plain data; C(None) where there is none, or no right to look."""
        try:
            made: t.Optional[float] = os.lstat(self.pending_key).st_mtime
        except OSError:
            made = None
        try:
            csr = pairs.csr_in(files.read_regular(self.pending_csr, pairs.SIZE_LIMIT).content)
        except files.Unreadable:
            csr = None
        if made is None and csr is None:
            return None
        return {"csr": pairs.as_base64([csr])[0] if csr else None, "has_key": made is not None, "made": made}

    # Files

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read(self, name: str) -> t.Optional[dict]:
        try:
            data = json.loads(files.read_regular(self._at(name), _SIZE_LIMIT).content.decode("utf-8"))
        except (files.Unreadable, ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None

    def _write(self, name: str, data: dict) -> None:
        new = self._at(name + ".new")
        files.remove(new)
        files.write_new(new, json.dumps(data, sort_keys=True).encode("utf-8"))
        os.rename(new, self._at(name))
        files.sync_folder(self.path)


def make_private_folder(path: str) -> None:
    """Make a folder that is ours alone, if it is not there.

    :raises refusal.Refused: what is there is not.
    """
    try:
        os.mkdir(path, 0o700)
        files.sync_folder(os.path.dirname(path))
    except FileExistsError:
        pass
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise refusal.Refused(
            "state-folder-unsafe", "%s is not a folder of our own alone: it is %s, uid %d, mode %04o." % (
                path, files.kind(status.st_mode), status.st_uid, stat.S_IMODE(status.st_mode)),
            "Look who made it, then move it away; it is made anew with mode 0700.")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


_NOTHING = os.stat_result([0] * 10)


def _status(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError:
        return _NOTHING  # It has just been removed.


def _made(name: str, status: os.stat_result) -> float:
    """When a backup was made: its name says it, unless somebody has given it another one."""
    moment = _time_in(name)
    return status.st_mtime if moment is None else moment


def _time_in(name: str) -> t.Optional[float]:
    """The time in the name of a backup; C(None) where the name is another one."""
    try:
        return float(calendar.timegm(time.strptime(name[:16], "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


def _why_no_backup(name: str, status: os.stat_result) -> str:
    """Why something that lies among the backups is none, empty if it may be one."""
    if not stat.S_ISDIR(status.st_mode):
        return "it is %s, and no folder" % files.kind(status.st_mode)
    if name.endswith(_UNFINISHED):
        return "it was not finished: the run that made it was interrupted"
    return "" if _NAME.match(name) else "its name has other characters than letters, digits, '.', '_' and '-'"


def _run_noted_in(path: str) -> dict:
    """Which run made a backup; nothing, where that cannot be read: what the pair is, it proves itself."""
    try:
        facts = json.loads(files.read_regular(path, _SIZE_LIMIT).content.decode("utf-8"))
    except (files.Unreadable, OSError, ValueError, RecursionError):
        return {}
    run = facts.get("run") if isinstance(facts, dict) else None
    return run if isinstance(run, dict) else {}


def _shown(text: t.Any) -> str:
    """Text that may be anything as one that can be sent: half of a surrogate pair cannot."""
    return text[:_MOST_SHOWN].encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(text, str) else ""
