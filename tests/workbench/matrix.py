# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-core with which Python on the host, and how the one reaches the other.

The ends of what we support are the oldest with the oldest and the newest with the newest. `make test` makes a
controller for each end where this machine has the Pythons for it, and leaves a note of their places for the tests.
Where it has not, the tests skip with the reason given here. `make matrix` runs every integration test in each cell.
"""

from __future__ import annotations

import functools
import json
import typing as t

from . import commands, pythons, tree, venvs

# What tells the integration tests which cell they are in: the commands of an ansible-core, the Python of the hosts.
COMMANDS, PYTHON, TRANSPORT = "MATRIX_COMMANDS", "MATRIX_PYTHON", "SEP_SESAM_TRANSPORT"
# Set where ordinary modules do not run: the newest ansible-core has none for Python 3.6.
NO_MODULES = "MATRIX_NO_MODULES"
NOTE = tree.ROOT / ".venv" / "matrix.json"


class End(t.NamedTuple):
    """One end: its name is that of its requirements and of its venv; the first Python found wins."""

    name: str
    controllers: tuple[str, ...]
    hosts: tuple[str, ...]


class Place(t.NamedTuple):
    """Where one end is on this machine: both interpreters, or what is missing."""

    controller: str = ""
    host: str = ""
    missing: str = ""


OLDEST = End("core-2.16", controllers=("3.10", "3.11", "3.12"), hosts=("3.6",))
NEWEST = End("core-newest", controllers=("3.14", "3.13", "3.12"), hosts=("3.14", "3.13"))
_MIDDLE = End("core-2.19", controllers=("3.11", "3.12", "3.13"), hosts=("3.9",))


class Cell(t.NamedTuple):
    """An ansible-core, a Python on the host, and the transport."""

    end: End
    python: str
    transport: str
    has_modules: bool = True

    def __str__(self) -> str:
        return f"{self.end.name}, host on Python {self.python}, by {self.transport}"


CELLS = (*(Cell(end, python, transport) for end, python in ((OLDEST, "3.6"), (_MIDDLE, "3.9"), (NEWEST, "3.13"))
           for transport in ("stdin", "module")), Cell(NEWEST, "3.6", "stdin", has_modules=False))


def read(end: End) -> Place:
    """For the tests: where that end is."""
    if not NOTE.exists():
        return Place(missing=f"{end.name} has not been made: `make test` makes it")
    return Place(**json.loads(NOTE.read_text())[end.name])


def ensure() -> None:
    """Make both ends if this machine can have them, and note their places."""
    places = {end: _place(end) for end in (OLDEST, NEWEST)}
    found = [end for end, place in places.items() if not place.missing]
    commands.all_at_once(*(functools.partial(controller, end) for end in found))
    NOTE.write_text(json.dumps({end.name: place._asdict() for end, place in places.items()}, indent=2))


def environment(cell: Cell) -> dict[str, str]:
    """What tells the tests that they are in this cell; its controller is made.

    :raises WorkbenchError: a Python that it needs is not here.
    """
    venv, python = controller(cell.end), pythons.find(cell.python)
    if venv is None or python is None:
        raise commands.WorkbenchError(f"{cell}: a Python that it needs is not on this machine")
    return {COMMANDS: str(venv.bin), PYTHON: str(python), TRANSPORT: cell.transport,
            **({} if cell.has_modules else {NO_MODULES: "1"})}


def controller(end: End) -> venvs.Venv | None:
    """The venv of one end, made if there is a Python for it."""
    base = _first(end.controllers, venv=True)
    if base is None:
        return None
    venv = venvs.Venv(end.name)
    venv.ensure(end.name, interpreter=base)
    return venv


def _place(end: End) -> Place:
    if not _first(end.controllers, venv=True):
        return Place(missing=f"{end.name}: no Python {' or '.join(end.controllers)} for the controller was found")
    host = _first(end.hosts)
    if not host:
        return Place(missing=f"{end.name}: no Python {' or '.join(end.hosts)} for the host was found")
    return Place(controller=str(venvs.Venv(end.name).python), host=str(host.path))


def _first(versions: tuple[str, ...], *, venv: bool = False) -> pythons.Interpreter | None:
    return next(filter(None, (pythons.interpreter(version, venv=venv) for version in versions)), None)
