# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the host code says no: a finding, raised before anything is touched."""

import os
import typing as t


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
                   "Mend what it names and run again.")


def in_words(exc: Exception) -> str:
    """An exception as one line for a person."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror if exc.filename is None else "%s: %s" % (exc.strerror, by_name(exc.filename))
    return "%s: %s" % (type(exc).__name__, exc)


def by_name(path: t.Any) -> t.Any:
    """A path that leads through an open folder, by the name of that folder."""
    folder, name = os.path.split(str(path))
    return os.path.join(os.path.realpath(folder), name) if folder.startswith("/proc/self/fd/") else path


def finding(id: str, subject: str, level: str, message: str, fix: str) -> dict:
    """One finding as plain data; C(level) is C(error), C(warning) or C(info)."""
    return {"id": id, "subject": subject, "level": level, "message": message, "fix": fix}
