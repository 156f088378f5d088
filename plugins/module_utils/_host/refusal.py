# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the host code says no: a finding, raised before anything is touched."""

import errno
import os
import shlex
import typing as t

_FIXES = {
    errno.ENOSPC: "Free space there, blocks and inodes (df, df -i), and run again.",
    errno.EDQUOT: "Raise the quota there, and run again.",
    errno.EROFS: "Mount it writable, and run again.",
    errno.EPERM: "Look for what forbids this to root, such as an immutable file (lsattr) or SELinux, and run again.",
    errno.EACCES: "Look for what forbids this to root, such as a network file system or SELinux, and run again.",
    errno.EIO: "Look whether the disk is broken (dmesg), and run again.",
}


class Refused(Exception):
    """Nothing was done. Says what was seen, and what mends it."""

    def __init__(self, id: str, message: str, fix: str, subject: str = "place") -> None:
        super().__init__(message)
        self.id = id
        self.message = message
        self.fix = fix
        self.subject = subject

    def finding(self) -> dict:
        """The refusal in the shape that every finding has."""
        return finding(self.id, self.subject, "error", self.message, self.fix)


def from_os_error(exc: OSError) -> Refused:
    """A refusal for what the operating system did not let us do."""
    return Refused("host-error", "The operating system refused: %s." % in_words(exc),
                   _FIXES.get(exc.errno or 0, "Mend what it names and run again."))


def in_words(exc: Exception) -> str:
    """An exception as one line for a person."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror if exc.filename is None else "%s: %s" % (exc.strerror, by_name(exc.filename))
    return "%s: %s" % (type(exc).__name__, exc)


def by_name(path: t.Any) -> t.Any:
    """A path that leads through an open folder, by the name of that folder."""
    folder, name = os.path.split(str(path))
    return os.path.join(os.path.realpath(folder), name) if folder.startswith("/proc/self/fd/") else path


def as_word(path: str) -> str:
    """A path as a part of a command that a person may copy into a shell."""
    return shlex.quote(path)


def finding(id: str, subject: str, level: str, message: str, fix: str) -> dict:
    """One finding as plain data; C(level) is C(error), C(warning) or C(info)."""
    return {"id": id, "subject": subject, "level": level, "message": message, "fix": fix}
