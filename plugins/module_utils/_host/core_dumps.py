# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core dumps: none of a process that may hold a key, and the limit of before for what works on without one."""

import contextlib
import resource
import typing as t

_BEFORE = resource.getrlimit(resource.RLIMIT_CORE)
LIMIT_BEFORE = {"RLIMIT_CORE": _BEFORE}


@contextlib.contextmanager
def none() -> t.Iterator[None]:
    """None of this process and of what it starts, until the end."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, _BEFORE[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, _BEFORE)
