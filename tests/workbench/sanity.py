# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test sanity, which wants a folder .../ansible_collections/sep/sesam of its own, outside of a venv."""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
import typing as t
from contextlib import contextmanager
from pathlib import Path

from . import commands, matrix, pythons, tree, venvs

GET_PIP = Path(__file__).resolve().parent / "get_pip.py"
# The newest ansible-core no longer knows the oldest Python of our hosts; the oldest still does.
OLD_HOST = matrix.OLDEST.hosts[0]


def sanity() -> None:
    """All sanity tests with the newest ansible-core that this machine can have, and the oldest host with the oldest."""
    newest = matrix.controller(matrix.NEWEST) or venvs.main_venv("demo")
    checks: dict[venvs.Venv, tuple[str, ...]] = {newest: ()}
    oldest = matrix.controller(matrix.OLDEST)
    if oldest and pythons.find(OLD_HOST):
        checks[oldest] = ("--test", "compile", "--test", "import", "--python", OLD_HOST)
    else:
        commands.say(f"sanity: not run for Python {OLD_HOST}: it was not found, or no Python for {matrix.OLDEST.name}")
    with _pip_scripts_lent(*checks):
        commands.all_at_once(*(functools.partial(_check, venv, arguments) for venv, arguments in checks.items()))


def _check(venv: venvs.Venv, arguments: tuple[str, ...]) -> None:
    env = venv.environment()
    env["PATH"] = os.pathsep.join([env["PATH"], *_folders_of_pythons()])
    # By its interpreter: pip leaves it a first line that a blank in the path breaks.
    argv: list[str | Path] = [venv.python, venv.bin / "ansible-test", "sanity", *arguments]
    with tempfile.TemporaryDirectory(prefix="sep-sesam-sanity-") as folder:
        collection = Path(folder) / "ansible_collections" / "sep" / "sesam"
        tree.copy(collection)
        with commands.timed(f"sanity: clean with {' '.join([venv.path.name, *arguments])}"):
            output = commands.run(argv, env=env, cwd=collection)
    for line in dict.fromkeys(output.splitlines()):
        if "Skipping sanity test" in line:
            commands.say(line)


def _folders_of_pythons() -> list[str]:
    return [str(path.parent) for path in map(pythons.find, pythons.VERSIONS) if path]


@contextmanager
def _pip_scripts_lent(*borrowers: venvs.Venv) -> t.Iterator[None]:
    """Put our own script where ansible-test would download one to get pip, for as long as it runs.

    The download comes from a host that many networks do not reach, and ensurepip does the same.
    """
    lent = {path for venv in borrowers for path in _pip_scripts(venv) if not path.exists()}
    for path in lent:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(GET_PIP, path)
    if lent:
        commands.say("sanity: ansible-test gets pip from ensurepip instead of downloading it")
    try:
        yield
    finally:
        for path in lent:
            path.unlink()


def _pip_scripts(venv: venvs.Venv) -> list[Path]:
    """The names of the scripts hold the versions of pip, which ansible-test has in its source."""
    source = next(venv.path.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py"))
    versions = sorted(set(re.findall(r"\bpip='([\d.]+)'", source.read_text())))
    return [Path.home() / f".ansible/test/cache/get_pip_{version.replace('.', '_')}.py" for version in versions]
