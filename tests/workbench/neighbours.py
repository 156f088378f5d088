# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collections of others that the guides show beside ours: taken out of the package `ansible`, for the tests alone."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from . import commands, venvs

NAMES = ("community.crypto", "community.hashi_vault")


def folder(venv: venvs.Venv) -> Path:
    """Where they are, as a path for ANSIBLE_COLLECTIONS_PATH."""
    return venv.path / "neighbours"


def ensure(venv: venvs.Venv) -> None:
    """Get them if they are not there; without them the tests that need them are skipped."""
    if all((folder(venv) / _inside(name)).exists() for name in NAMES):
        return
    try:
        with commands.timed("collections of others: ready"), tempfile.TemporaryDirectory() as download:
            options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
            commands.run([venv.python, "-m", "pip", "download", *options, f"--dest={download}", "ansible"],
                         env=commands.clean_environment())
            (wheel,) = Path(download).glob("*.whl")
            _extract(wheel, folder(venv))
    except commands.WorkbenchError as error:
        commands.say(f"collections of others: not to be had, so their guides are not tested: {error}")


def _extract(wheel: Path, target: Path) -> None:
    wanted = tuple(f"{_inside(name)}/" for name in NAMES)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(wanted) and "/tests/" not in name]
        archive.extractall(target, names)


def _inside(name: str) -> str:
    return f"ansible_collections/{name.replace('.', '/')}"
