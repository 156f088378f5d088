# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments in the clone, made when they are missing or out of date."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import commands, pythons, tree

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


@dataclass(frozen=True)
class Venv:
    """A virtual environment of the clone: `.venv`, or `.venv-<name>` when it has a name."""

    name: str | None = None

    @property
    def path(self) -> Path:
        """Its folder."""
        return tree.ROOT / (f".venv-{self.name}" if self.name else ".venv")

    @property
    def bin(self) -> Path:
        """The folder of its commands."""
        return self.path / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def environment(self) -> dict[str, str]:
        """The environment for its programs: its commands first, and our collection as the only one.

        The empty configuration keeps the user's own ansible.cfg out.
        """
        env = commands.clean_environment()
        return {
            **env,
            "VIRTUAL_ENV": str(self.path),
            "PATH": f"{self.bin}:{env.get('PATH', '')}",
            "ANSIBLE_CONFIG": str(tree.COLLECTIONS / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(tree.COLLECTIONS),
        }

    def environment_of_packages(self) -> dict[str, str]:
        """The same for the packages in the folder tests, run by name."""
        return {**self.environment(), "PYTHONPATH": os.pathsep.join([str(tree.COLLECTIONS), str(tree.ROOT / "tests")])}

    def ensure(self, *requirements: str, interpreter: pythons.Interpreter) -> None:
        """Make it hold the named requirements, at the cost of one small file read when it does.

        Whoever else makes it at that time is waited for.
        """
        with _alone_in(self.path):
            self._ensure(*requirements, interpreter=interpreter)

    def _ensure(self, *requirements: str, interpreter: pythons.Interpreter) -> None:
        wanted = {name: _digest(REQUIREMENTS / f"{name}.txt") for name in requirements}
        stamp = self._read_stamp()
        base = [str(self.path), str(interpreter.path), interpreter.version]
        if stamp["base"] != base:
            stamp = {"base": base, "requirements": {}}
        if wanted.items() <= stamp["requirements"].items():
            return
        commands.say(f"{self.path.name}: installing {', '.join(wanted)} with Python {interpreter.version} ...")
        with commands.timed(f"{self.path.name}: ready"):
            # Without a stamp while it works: what is interrupted is made anew from nothing.
            self._stamp.unlink(missing_ok=True)
            if not stamp["requirements"]:
                commands.run([interpreter.path, "-m", "venv", "--clear", self.path], env=commands.clean_environment())
            self._install(*wanted)
            self._stamp.write_text(json.dumps({"base": base, "requirements": stamp["requirements"] | wanted}))

    def _install(self, *requirements: str) -> None:
        options = ["--quiet", "--no-input", "--disable-pip-version-check"]
        files = [f"--requirement={REQUIREMENTS / name}.txt" for name in requirements]
        commands.run([self.python, "-m", "pip", "install", *options, *files], env=commands.clean_environment())

    @property
    def _stamp(self) -> Path:
        return self.path / "workbench.json"

    def _read_stamp(self) -> dict[str, t.Any]:
        try:
            return dict(json.loads(self._stamp.read_text()))
        except (OSError, ValueError):
            return {"base": None}


@contextmanager
def _alone_in(folder: Path) -> t.Iterator[None]:
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main_venv(*requirements: str) -> Venv:
    """`.venv` with the named requirements and our collection in it."""
    venv = Venv()
    venv.ensure(*requirements, interpreter=pythons.this())
    tree.link()
    (tree.COLLECTIONS / "ansible.cfg").touch()
    return venv


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
