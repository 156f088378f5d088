# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pairs that were replaced on this host: kept, listed, restored, made fewer.

Each is a folder with both files, 0600, and C(facts): what they were, and which run replaced them. Its name is the
time in UTC and the id of the run.
"""

import calendar
import hashlib
import json
import os
import re
import shutil
import stat
import time
import typing as t

from . import files, pair_files, refusal

_FACTS = "facts"
_SIZE_LIMIT = 4 << 20
# A backup that can be called for: its name is part of a path, and of what a person reads and types.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_UNFINISHED = ".new"
_MOST_LISTED = 50
_MOST_SHOWN = 200


class Backups:
    """The folder of them all; nothing is made before it is asked for."""

    def __init__(self, path: str, held: str) -> None:
        self._path = path
        # The same folder by a name that nobody can lead elsewhere; whatever is touched is touched by this one.
        self._held = held

    def keep(self, pair: pair_files.Copies, run: dict, what: dict) -> t.Optional[str]:
        """Keep a pair, durable; the answer is the path of the backup, C(None) where there is nothing to keep.

        One that the newest backup holds is not kept twice: runs that fail again and again would push out others.
        """
        if not pair:
            return None
        files.make_private_folder(self._held)
        newest = self._newest()
        if newest is not None and self._holds(newest, pair):
            files.sync_folder(self._held)  # Who made it may have died just before that.
            return self._named(newest)
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = "%s-%s" % (moment, run["id"][:8])
        unfinished = self._at(name + _UNFINISHED)
        os.mkdir(unfinished, 0o700)
        try:
            self._fill(unfinished, pair, dict(what, run=run))
            os.rename(unfinished, self._at(name))
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        files.sync_folder(self._held)
        return self._named(name)

    def _newest(self) -> t.Optional[str]:
        """The name of the last one that was finished."""
        return next((name for name, status in self._newest_first()
                     if _time_in(name) is not None and not _why_no_backup(name, status)), None)

    def _holds(self, name: str, pair: pair_files.Copies) -> bool:
        """Whether a backup holds this very pair, owners and modes too: the way back may take it for it."""
        try:
            return self.pair_in(name) == pair
        except Exception:  # pylint: disable=broad-except
            return False  # Whatever is wrong with it, another one is made.

    def _fill(self, folder: str, pair: pair_files.Copies, what: dict) -> None:
        for name, copy in pair.items():
            files.write_new(os.path.join(folder, name), copy.content)
        entries = {name: {"mode": copy.mode, "uid": copy.owner[0], "gid": copy.owner[1],
                          "sha256": _digest(copy.content)} for name, copy in pair.items()}
        content = json.dumps(dict(what, files=entries), sort_keys=True)
        files.write_new(os.path.join(folder, _FACTS), content.encode("utf-8"))
        files.sync_folder(folder)

    def pair_in(self, path: t.Optional[str]) -> pair_files.Copies:
        """The pair in a backup; no path stands for a pair that was not there.

        :raises ValueError: it is not what was kept.
        """
        if path is None:
            return {}
        folder = self._at(os.path.basename(path))
        facts = json.loads(files.read_regular(os.path.join(folder, _FACTS), _SIZE_LIMIT).content.decode("utf-8"))
        pair = {}
        for name, entry in facts["files"].items():
            content = files.read_regular(os.path.join(folder, name), _SIZE_LIMIT).content
            if entry.get("sha256") not in (None, _digest(content)):  # Former versions noted none.
                raise ValueError("%s is damaged" % os.path.join(path, name))
            pair[name] = pair_files.Copy(content, entry["mode"], (entry["uid"], entry["gid"]))
        return pair

    def listed(self) -> t.Optional[t.List[dict]]:
        """The backups as plain data, newest first, at most 50; C(None) where there is no right to look.

        C(name), C(path), C(private_key) (the path of its key), C(made) (seconds since the epoch), C(by) and C(run)
        (empty where its facts are damaged), C(chain) (base64 of DER), C(works) and C(reason): whether its pair is whole
        and loads, and why not. Whatever lies there is listed, and nothing of it is followed.
        """
        try:
            found = self._newest_first()
        except OSError as exc:
            return None if files.unreadable(exc).status == "no_permission" else []
        return [self._facts(name, status) for name, status in found[:_MOST_LISTED]]

    def _newest_first(self) -> t.List[t.Tuple[str, os.stat_result]]:
        """All that lies there; within one second, which is as much as a name tells, by the time of the folder."""
        found = [(name, _status(self._at(name))) for name in os.listdir(self._held)]
        return sorted(found, key=lambda one: (_made(*one), one[1].st_mtime_ns, one[0]), reverse=True)

    def _facts(self, name: str, status: os.stat_result) -> dict:
        path = self._named(_shown(name))
        listed = {"name": _shown(name), "path": path,
                  "private_key": os.path.join(path, pair_files.PRIVATE_KEY), "made": _made(name, status),
                  "by": "", "run": "", "chain": [], "works": False, "reason": _why_no_backup(name, status)}
        if listed["reason"]:
            return listed
        run = _run_noted_in(os.path.join(self._at(name), _FACTS))
        listed.update(by=_shown(run.get("by")), run=_shown(run.get("id")))
        try:
            with pair_files.Folder(self._at(name)) as folder:
                pair = folder.read().facts()
        except OSError as exc:
            return dict(listed, reason=refusal.in_words(exc))
        return dict(listed, chain=pair["certificate"]["chain"], works=pair["works"], reason=pair["reason"])

    def remove_unfinished(self) -> None:
        """Remove what was to become a backup when the run died that made it."""
        try:
            names = os.listdir(self._held)
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith(_UNFINISHED) and _time_in(name) is not None:
                shutil.rmtree(self._at(name), ignore_errors=True)

    def prune(self, keep: int, spared: t.Optional[str]) -> None:
        """Remove all backups but the newest ones. One that got another name from somebody is kept, and not counted.

        :param spared: counts as the newest, whatever a clock that was set back says.
        """
        try:
            names = [name for name, _status in reversed(self._newest_first()) if _time_in(name) is not None]
        except FileNotFoundError:
            return
        names.sort(key=lambda name: self._named(name) == spared)
        for name in names[:max(len(names) - keep, 0)]:
            shutil.rmtree(self._at(name), ignore_errors=True)

    def _at(self, name: str) -> str:
        return os.path.join(self._held, name)

    def _named(self, name: str) -> str:
        """The path of a backup for a person, and for what is written down."""
        return os.path.join(self._path, name)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
