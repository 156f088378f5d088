# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting files in place as one: staged beside their places, all or none, with a way back.

For keys and certificates outside of the pair that the server reads: no server is stopped for them. Names
are used relative to their open folders, so that nobody can lead them elsewhere on the way.
"""

import itertools
import os
import stat
import time
import typing as t

from . import files, locks, pair_files, pairs, processes, refusal, system_log

# Other endings than those of a replacement, which may work beside us.
NEW, OLD = ".sep-sesam-put", ".sep-sesam-back"
# To wait for others where no option says how long.
LOCK_SECONDS = 60.0

Copy = pair_files.Copy
# Paths and what shall be there, nothing for None. The first is what the others belong to.
Wanted = t.List[t.Tuple[str, t.Optional[Copy]]]


class Places:
    """The folders of some paths, open; one that is not there holds nothing."""

    def __init__(self, paths: t.Iterable[str], held: t.Callable[[str], str] = str) -> None:
        """C(held): see C(state.State.held)."""
        self._paths = list(paths)
        self._held = held
        self._folders: t.Dict[str, int] = {}
        self._is_stuck = False

    def __enter__(self) -> "Places":
        for folder in sorted({os.path.dirname(path) for path in self._paths}):
            try:
                self._folders[folder] = files.open_folder(self._held(folder))
            except FileNotFoundError:
                pass
        return self

    def __exit__(self, *exc_info: object) -> None:
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders = {}

    def lock(self, timeout: float) -> None:
        """Keep others out of these folders until the end, and take away what one of them left when it died.

        :param timeout: seconds to wait for others.
        :raises refusal.Refused: one of them does not end.
        """
        deadline = time.monotonic() + timeout
        for folder, descriptor in self._folders.items():
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    # Whoever may read a folder can lock it.
                    pid = next(iter(processes.lock_holders(descriptor)), None)
                    raise locks.held("in %s" % folder, timeout, pid)
                time.sleep(0.1)
        self._unstage()

    def copy(self, path: str) -> t.Optional[Copy]:
        """What a file holds, with its mode and owner; C(None) where there is none.

        :raises refusal.Refused: it is no regular file of a bounded size, or not ours to read.
        """
        folder = self._folders.get(os.path.dirname(path))
        if folder is None:
            return None
        try:
            read = files.read_regular(os.path.basename(path), pairs.SIZE_LIMIT, dir_fd=folder)
        except files.Unreadable as exc:
            if exc.status == "absent":
                return None
            raise refusal.Refused("destination-unreadable", "%s cannot be read: %s." % (path, exc.reason),
                                  "Look who made it, and move it away.") from exc
        return Copy(read.content, stat.S_IMODE(read.stat.st_mode), (read.stat.st_uid, read.stat.st_gid))

    def exchange(self, wanted: Wanted, keeps_backups: bool, run: dict) -> t.Dict[str, str]:
        """Put files in place, or leave all of them as they were; the answer has the paths of the backups.

        The ones that belong to the first are taken away before it is exchanged, and come after it: what stands
        there at any moment fits together.
        """
        old = [(path, self.copy(path)) for path, _copy in wanted]
        backups: t.Dict[str, str] = {}
        try:
            for path, copy in wanted:
                self._stage(path, NEW, copy)
            for path, copy in old:
                self._stage(path, OLD, copy)
            if keeps_backups:
                for (path, before), (_path, after) in zip(old, wanted):
                    if before is not None and (after is None or before.content != after.content):
                        backups[path] = self._back_up(path, before)
            self._place_or_go_back(wanted, old)
        except BaseException:
            if self._is_stuck:
                system_log.tell_change("Key files: neither the new nor the old in place %s" % _names(wanted), run)
            else:
                for path, backup in backups.items():
                    files.remove(os.path.basename(backup), self._folders[os.path.dirname(path)])
            raise
        finally:
            if not self._is_stuck:
                self._unstage()
        system_log.tell_change("Key files: %s" % _exchanged_in_words(dict(old), wanted), run)
        return backups

    def _stage(self, path: str, ending: str, copy: t.Optional[Copy]) -> None:
        if copy is not None:
            files.write_new(os.path.basename(path) + ending, copy.content, copy.mode, copy.owner,
                            self._folders[os.path.dirname(path)])

    def _unstage(self) -> None:
        for path in self._paths:
            folder = self._folders.get(os.path.dirname(path))
            if folder is not None:
                with files.named(folder):
                    for ending in (NEW, OLD):
                        files.remove(os.path.basename(path) + ending, folder)

    def _back_up(self, path: str, copy: Copy) -> str:
        folder, moment = self._folders[os.path.dirname(path)], time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for number in itertools.count(1):
            backup = "%s.%s%s~" % (path, moment, "" if number == 1 else "-%d" % number)
            name = os.path.basename(backup)
            try:
                files.write_new(name, copy.content, 0o600, copy.owner, folder)
                break
            except FileExistsError:
                continue
            except BaseException:
                files.remove(name, folder)
                raise
        return backup

    def _place_or_go_back(self, wanted: Wanted, old: Wanted) -> None:
        try:
            self._place(wanted, NEW)
        except OSError as exc:
            try:
                self._place(old, OLD)
            except OSError as further:
                self._is_stuck = True
                raise refusal.Refused(
                    "placing-failed", "%s could not be put in place (%s), and what was there could not be put back "
                    "(%s)." % (_names(wanted), refusal.in_words(exc), refusal.in_words(further)),
                    "Mend what it names. What was there stands beside its place, with the ending %s: "
                    "rename it, or run again for the new one." % OLD) from exc
            raise refusal.Refused(
                "placing-failed", "%s could not be put in place (%s). What was there is back." % (
                    _names(wanted), refusal.in_words(exc)), "Mend what it names and run again.") from exc

    def _place(self, wanted: Wanted, ending: str) -> None:
        for path, _copy in reversed(wanted[1:]):
            self._take_away(path)
        for path, copy in wanted:
            folder, name = self._folders[os.path.dirname(path)], os.path.basename(path)
            if copy is None:
                self._take_away(path)
            else:
                os.rename(name + ending, name, src_dir_fd=folder, dst_dir_fd=folder)
            files.sync_folder(folder)

    def _take_away(self, path: str) -> None:
        folder = self._folders[os.path.dirname(path)]
        files.remove(os.path.basename(path), folder)
        files.sync_folder(folder)


def _exchanged_in_words(old: t.Dict[str, t.Optional[Copy]], wanted: Wanted) -> str:
    """What was done with which file."""
    done: t.Dict[str, t.List[str]] = {}
    for path, copy in wanted:
        before = old[path]
        what = ("taken away" if copy is None else
                "owner and mode set" if before is not None and before.content == copy.content else "put in place")
        done.setdefault(what, []).append(path)
    return ", ".join("%s %s" % (what, " and ".join(paths)) for what, paths in done.items())


def _names(wanted: Wanted) -> str:
    return " and ".join(path for path, _copy in wanted)


def _try_lock(descriptor: int) -> bool:
    try:
        return locks.take(descriptor)
    except OSError:
        return True  # A file system without locks: two runs at once are rare enough.
