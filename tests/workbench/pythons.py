# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python interpreters this machine has. A name on PATH proves nothing (pyenv): each is run."""

from __future__ import annotations

import functools
import glob
import os
import platform
import subprocess
import sys
import typing as t
from pathlib import Path

VERSIONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
PROBE = "import os, platform, sys; print(os.path.realpath(sys.executable)); print(platform.python_version())"


class Interpreter(t.NamedTuple):
    """A Python that has been run, outside of any virtual environment."""

    path: Path
    version: str


def this() -> Interpreter:
    """The Python that runs the workbench."""
    return Interpreter(Path(os.path.realpath(sys.executable)), platform.python_version())


@functools.cache
def interpreter(version: str, *, venv: bool = False) -> Interpreter | None:
    """The first Python of that version (as "3.6") that really runs, and can make a venv if asked to."""
    probe = f"import ensurepip, venv; {PROBE}" if venv else PROBE
    # Python 2, which some tests want a host to refuse, knows no -I.
    isolated = "-Es" if version.startswith("2") else "-I"
    return next(filter(None, (_probe(path, isolated, probe) for path in _candidates(version))), None)


def find(version: str) -> Path | None:
    """The path of a Python of that version (as "3.6"), if one is there."""
    found = interpreter(version)
    return found.path if found else None


def _candidates(version: str) -> t.Iterator[Path]:
    name = f"python{version}"
    on_path = (Path(folder) / name for folder in os.get_exec_path())
    pyenv = glob.escape(os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv"))
    yield from (path for path in on_path if os.access(path, os.X_OK))
    yield from map(Path, sorted(glob.glob(f"{pyenv}/versions/*/bin/{name}")))


def _probe(path: Path, isolated: str, code: str) -> Interpreter | None:
    """Run an interpreter; None when it does not start, as a shim of a version that is not chosen."""
    try:
        output = subprocess.run(
            [path, isolated, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            timeout=20,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    executable, version = output.splitlines()
    return Interpreter(Path(executable), version)
