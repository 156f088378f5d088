# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line to the host's syslog, in bounded time.

Not syslog(3): where the queue is full and its reader sleeps, that waits for ever, and we hold the lock of the host.
"""

import errno
import os
import socket
import time

_SOCKET = "/dev/log"
_SECONDS = 2.0
# Facility user (1), severity notice (5): RFC 3164, 4.1.1.
_PRIORITY = 1 << 3 | 5


def tell_change(what: str, run: dict) -> None:
    """Tell of a change: what was done, in which run, by whom."""
    tell("%s; run=%s by=%s" % (what, run["id"], run["by"]))


def tell(text: str, path: str = _SOCKET) -> None:
    """Send it; a host without a syslog, or with one that takes nothing, goes without the line."""
    # A path may hold anything: a line break would begin a line of somebody else's.
    printable = "".join(char if char.isprintable() else "?" for char in text)
    line = "<%d>%s sep.sesam[%d]: %s" % (_PRIORITY, time.strftime("%b %e %H:%M:%S"), os.getpid(), printable)
    for kind, end in ((socket.SOCK_DGRAM, b""), (socket.SOCK_STREAM, b"\0")):
        try:
            with socket.socket(socket.AF_UNIX, kind) as connection:
                connection.settimeout(_SECONDS)
                connection.connect(path)
                connection.sendall(line.encode("utf-8", "replace") + end)
                return
        except OSError as exc:
            if exc.errno != errno.EPROTOTYPE:  # A syslog of the other kind.
                return
