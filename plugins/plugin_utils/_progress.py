# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""That a long wait is seen to be one. Private to this collection; knows nothing of Ansible."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

# The first pause and the longest, in seconds; each is twice the one before.
FIRST, _MOST = 5.0, 60.0


@contextlib.contextmanager
def told(say: t.Callable[[str], None]) -> t.Iterator[None]:
    """Say the seconds that have gone by, ever more rarely, until the work is done."""
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(say, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(say: t.Callable[[str], None], done: threading.Event) -> None:
    begin, pause = time.monotonic(), FIRST
    while not done.wait(pause):
        say(f"{time.monotonic() - begin:.0f} s")
        pause = min(2 * pause, _MOST)
