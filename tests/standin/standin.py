# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The one program of the stand-in: its command line, an instance's sm_main, and the daemon rmi.

It runs by its path and isolated from the caller's Python (``-I``), so it finds the package by itself.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"sm_main": "standin.sm_main", "rmi": "standin.server"}

if __name__ in ("__main__", "standin"):
    # This folder must not be searched itself: it would give this file when asked for the package.
    sys.path[:] = [os.path.dirname(FOLDER), *(path for path in sys.path if os.path.abspath(path or ".") != FOLDER)]

if __name__ == "standin":
    del sys.modules["standin"]  # `tests/standin` was on the search path: give way to the package
    importlib.import_module("standin")

if __name__ == "__main__":
    name = PROGRAMS.get("".join(sys.argv[1:2]))
    program = importlib.import_module(name or "standin.cli")
    if name != PROGRAMS["rmi"]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `standin.py switches | head` ends quietly
    try:
        sys.exit(program.main(sys.argv[2 if name else 1 :]))
    except KeyboardInterrupt:
        sys.exit(130)
