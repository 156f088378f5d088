# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running ansible-playbook as a user does, and reading what came of it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from workbench import matrix, pythons, venvs

from . import processes

# Of the cell of the matrix; else those of the venv of the tests, and hosts with the Python that made it.
OWN = Path(os.environ.get(matrix.COMMANDS) or venvs.Venv().bin)
HOST_PYTHON = Path(os.environ.get(matrix.PYTHON) or pythons.this().path)
REPLACE = "sep.sesam.replace"
_PLUGINS = Path(__file__).with_name("plugins")
_SECONDS = 120.0
needs_modules = pytest.mark.skipif(
    bool(os.environ.get(matrix.NO_MODULES)),
    reason="this ansible-core runs no ordinary module on the Python of these hosts",
)
# More Pythons at once do two cores no good.
MOST_FORKS = 20

Variables = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of one task on one host."""

    status: str
    host: str
    task: str
    action: str
    result: dict[str, t.Any]

    @property
    def message(self) -> str:
        """What a person reads."""
        return str(self.result.get("msg", ""))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run left: exit code, everything printed, every result, and the dump of the results as text."""

    rc: int
    output: str
    dump: str
    seconds: float

    @property
    def results(self) -> list[Result]:
        """Every result, in their order."""
        return [Result(**json.loads(line)) for line in self.dump.splitlines()]

    def of(self, action: str, host: str = "one") -> Result | None:
        """The result of a module of the collection (C(replace), C(resolve)), None if it did not run."""
        name = f"sep.sesam.sesam_cert_{action}"
        found = [r for r in self.results if r.action == name and r.host == host and r.status != "skipped"]
        return found[-1] if found else None

    def replace(self, host: str = "one") -> Result:
        """The result of the replacement."""
        result = self.of("replace", host)
        assert result, f"the replacement did not run:\n{self.output}"
        return result

    def recap(self, host: str = "one") -> dict[str, int]:
        """The numbers of the recap."""
        return next(r.result for r in self.results if r.status == "recap" and r.host == host)


class Run:
    """A run in progress, a session of its own."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._folder = folder
        self._begin = time.monotonic()

    def finish(self, seconds: float = _SECONDS) -> Outcome:
        """Wait for its end; a run that does not end is killed, and that fails the test."""
        try:
            rc = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"no end after {seconds} s:\n{self._read('output')}") from None
        except KeyboardInterrupt:
            self.kill()
            raise
        return Outcome(rc, self._read("output"), self._read("results"), time.monotonic() - self._begin)

    def kill(self) -> None:
        """SIGKILL to every process of the run: its workers are in sessions of their own."""
        processes.kill_tree(self.process.pid)
        self.process.wait()

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text(errors="replace") if path.exists() else ""


class Controller:
    """An ansible-core with a folder to work in, which is its home too."""

    def __init__(self, folder: Path, bin: Path = OWN) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._bin = bin
        self._runs = 0

    def run(self, hosts: dict[str, Variables], *arguments: str | Path, **keywords: t.Any) -> Outcome:
        """Run a playbook on some hosts to its end."""
        return self.start(hosts, *arguments, **keywords).finish()

    def start(
        self,
        hosts: dict[str, Variables],
        *arguments: str | Path,
        playbook: str | Path = REPLACE,
        env: dict[str, str] | None = None,
        wrapper: t.Sequence[str] = (),
    ) -> Run:
        """Start it; C(wrapper) is a program that runs another one."""
        self._runs += 1
        hosts = {name: {**self._places(variables), **variables} for name, variables in hosts.items()}
        folder = self.folder / f"run {self._runs}"
        folder.mkdir()
        inventory = folder / "inventory.json"
        inventory.touch(mode=0o600)
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        program = [*wrapper, self._bin / "ansible-playbook", playbook]
        with open(folder / "output", "wb") as output:
            process = subprocess.Popen(
                [*program, "-i", inventory, "--forks", str(min(len(hosts), MOST_FORKS)), *arguments],
                env={**self.environment(), "DUMP_RESULTS": str(folder / "results"), **(env or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Run(folder, process)

    def _places(self, variables: Variables) -> Variables:
        """A local host would put its temporary files into the home of whoever runs the tests."""
        is_local = variables["ansible_connection"] == "local"
        return {"ansible_remote_tmp": str(self.home / "remote")} if is_local else {}

    def environment(self) -> dict[str, str]:
        """That of the workbench, with our own callback, and a home that tests can look into."""
        return {
            **venvs.Venv().environment(),
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "ANSIBLE_CALLBACK_PLUGINS": str(_PLUGINS / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "dump_results",
            # Connections end soon after the test.
            "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=5s",
        }


def works_there(code: str) -> bool:
    """Whether some lines of Python work for the ansible-core that is tested."""
    return subprocess.run([OWN / "python", "-c", code], capture_output=True, check=False).returncode == 0


def local(python: str | Path = "") -> Variables:
    """What an inventory says of a host that is this machine; its Python is not that of a virtual environment."""
    return {"ansible_connection": "local", "ansible_python_interpreter": str(python or HOST_PYTHON)}
