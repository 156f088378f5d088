# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks that the kernel holds for a process (flock): a dead one leaves none. And what to say where one does not end."""

import errno
import fcntl
import time
import typing as t

from . import processes, refusal


def take(descriptor: int) -> bool:
    """Take the lock on what a descriptor leads to; whether nobody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def moment(seconds: t.Optional[float] = None) -> str:
    """A time by the clock of this host, as it is told; that of now where none is given."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def held(where: str, waited: float, pid: t.Optional[int], by: str = "", since: str = "") -> refusal.Refused:
    """What to say of a lock that does not end: who has it, since when, and what to do.

    C(by) and C(since) as the holder has written them down, where it has: else, how long its process is there.
    """
    began = processes.started(pid) if pid else None
    since = since or (moment(began) if began else "")
    who = [by and "started by %s" % by, "process %s of this host" % (pid or "unknown"), since and "since %s" % since]
    return refusal.Refused(
        "locked", "Another run works %s: %s. It was waited for %.0f s." % (where, ", ".join(filter(None, who)), waited),
        "Wait for it to end and run again; a replacement waits as long as lock_timeout (sesam_https_lock_timeout) "
        "says. %sIf it hangs, or is none of Ansible, end it: the next run finishes or undoes what it left." % (
            "On the host, this shows what it is: ps -fp %d. " % pid if pid else ""))
