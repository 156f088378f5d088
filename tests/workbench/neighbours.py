# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collections of others, beside which ours is tested and measured: taken out of the package `ansible`."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from . import commands, tree, venvs

NAMES = ("community.crypto", "community.general", "community.hashi_vault")


def folder(venv: venvs.Venv) -> Path:
    """Where they are, as a path for ANSIBLE_COLLECTIONS_PATH."""
    return venv.path / "neighbours"


def environment(venv: venvs.Venv) -> dict[str, str]:
    """What lets Ansible find them, and ours."""
    return {"ANSIBLE_COLLECTIONS_PATH": f"{tree.COLLECTIONS}:{folder(venv)}"}


def missing(name: str, venv: venvs.Venv) -> str:
    """Why one of them cannot be used; empty if it can."""
    is_there = (folder(venv) / _inside(name)).exists()
    return "" if is_there else f"the collection {name} could not be had: `make test` says why"


def ensure(venv: venvs.Venv) -> None:
    """Get them if they are not there; without them the tests that need them are skipped."""
    if not any(missing(name, venv) for name in NAMES):
        return
    try:
        with commands.timed("collections of others: ready"), tempfile.TemporaryDirectory() as download:
            options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
            commands.run([venv.python, "-m", "pip", "download", *options, f"--dest={download}", "ansible"],
                         env=commands.clean_environment())
            (wheel,) = Path(download).glob("*.whl")
            _extract(wheel, folder(venv))
    except commands.WorkbenchError as error:
        commands.say(f"collections of others: not to be had, so nothing is tested with them: {error}")


def _extract(wheel: Path, target: Path) -> None:
    wanted = tuple(f"{_inside(name)}/" for name in NAMES)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(wanted) and "/tests/" not in name]
        archive.extractall(target, names)


def _inside(name: str) -> str:
    return f"ansible_collections/{name.replace('.', '/')}"
