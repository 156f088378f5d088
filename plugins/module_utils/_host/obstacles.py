# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would end a replacement half way, although the server runs well with it: an audit tells it before.

A file that nobody can replace, a disk that is full, a log that cannot be written or read.
"""

import fcntl
import os
import struct
import typing as t

from . import files, layout, pairs, refusal, server_log

_SPARE_BYTES = 1 << 20
# Staged forth and back, backup, journal, result: so many files at most, and some for others.
_SPARE_FILES = 20
# FS_IOC_GETFLAGS and what it gives (linux/fs.h). Another number on a few processors: there, nothing is seen.
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16
_FLAGS = ((0x10, "immutable", "i"), (0x20, "append-only", "a"))


def found(places: layout.Layout, parameters: dict) -> t.List[dict]:
    """All of them, as findings."""
    told = []
    checks = [check_files, check_state_folder, check_space, check_log_space]
    # Who is not root may see less of the log than a replacement does.
    if needs_log(parameters) and os.geteuid() == 0:
        checks.append(check_log)
    for check in checks:
        try:
            check(places)
        except refusal.Refused as exc:
            told.append(exc.finding())
        except OSError:
            continue  # Not ours to look at.
    return told


def check_files(places: layout.Layout, are_replaced: bool = True) -> None:
    """Refuse a pair of which not even root can replace a file, or change its owner and mode."""
    for path in (places.certificate, places.private_key):
        check_replaceable(path, is_replaced=are_replaced)


def check_state_folder(places: layout.Layout) -> None:
    """Refuse a folder of state that somebody else has made: nothing in it is to be believed."""
    files.check_private(places.state_folder, os.lstat(places.state_folder), 0, os.geteuid())


def check_replaceable(path: str, is_replaced: bool = True) -> None:
    """Refuse a file that has a flag by which not even root can replace it, or is in a folder that has one.

    C(is_replaced): false where nothing but owner and mode change, for which the folder does not matter.
    """
    for place, is_what in ((path, "it"), (os.path.dirname(path), "its folder"))[:1 + is_replaced]:
        flags = _flags(place)
        for flag, word, letter in _FLAGS:
            if flags & flag:
                raise refusal.Refused(
                    "file-immutable", "%s cannot be replaced: %s is %s (lsattr)." % (path, is_what, word),
                    "Ask whoever set that, then take it away: chattr -%s %s" % (letter, refusal.as_word(place)))


def _flags(path: str) -> int:
    """The flags of a file or a folder (C(chattr)); none, where its file system has none or it cannot be read."""
    try:
        descriptor = files.open_folder(path) if os.path.isdir(path) else files.open_regular(path, pairs.SIZE_LIMIT)
    except (files.Unreadable, OSError):
        return 0
    try:
        # The kernel writes an int, whatever the number says.
        return int(struct.unpack_from("=I", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)))[0])
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def check_space(places: layout.Layout) -> None:
    """Refuse to begin on a disk that is full."""
    _check_room(places.ini_folder, os.geteuid())


def check_log_space(places: layout.Layout) -> None:
    """Refuse where rmi could log nothing of its start: it could not be proved, or rmi might not start at all."""
    _check_any(_logs(places) or _log_folders(places)[:1], lambda path: _check_room(path, os.stat(path).st_uid))


def _check_room(path: str, uid: int) -> None:
    """Refuse where a user has no room for further files."""
    space = os.statvfs(path)
    if space.f_flag & os.ST_RDONLY:
        raise refusal.Refused("disk-space", "Nothing can be written where %s is: it is mounted read-only." % path,
                              "Mount it writable.")
    left = (space.f_bavail if uid else space.f_bfree) * space.f_frsize
    # Some file systems count no blocks, and some make inodes as they need them and count none.
    if space.f_blocks and left < _SPARE_BYTES:
        raise refusal.Refused("disk-space", "There are %d bytes left where %s is." % (left, path),
                              "Free at least 1 MiB.")
    if space.f_files and space.f_ffree < _SPARE_FILES:
        raise refusal.Refused("disk-space", "There are inodes for %d more files left where %s is." % (
            space.f_ffree, path), "Remove at least %d files there (df -i)." % _SPARE_FILES)


def needs_log(parameters: dict) -> bool:
    """Whether a start has to be proved by the log: so, too, where nothing is said of it."""
    return bool(parameters.get("log_check", "required") == "required")


def check_log(places: layout.Layout) -> None:
    """Refuse a log that is there and cannot be read, so that the start could not be proved."""
    _check_any(_logs(places), lambda path: _check_readable(path, places.log_is_named))


def _check_readable(path: str, is_named: bool) -> None:
    reason = server_log.why_unread(path, is_named)
    if reason:
        raise refusal.Refused(
            "log-unreadable", "The log %s cannot be read: %s." % (path, reason),
            "Mend that, set log_file (sesam_https_log_file) to the log, or log_check (sesam_https_log_check) to warn.")


def _logs(places: layout.Layout) -> t.List[str]:
    return [path for path in places.log_files if os.path.exists(path)]


def _log_folders(places: layout.Layout) -> t.List[str]:
    return [folder for folder in map(os.path.dirname, places.log_files) if os.path.isdir(folder)]


def _check_any(paths: t.List[str], check: t.Callable[[str], None]) -> None:
    """Make a check of places of which one will do, and refuse what the first of them is refused for."""
    refused: t.List[refusal.Refused] = []
    for path in paths:
        try:
            check(path)
            return
        except refusal.Refused as exc:
            refused.append(exc)
    if refused:
        raise refused[0]
