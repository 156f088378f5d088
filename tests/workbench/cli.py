# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the workbench, each named as its target in the Makefile."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

from . import commands, docs, fuzz, lint, matrix, neighbours, package, sanity, tree, venvs

# More than cores: the tests wait for servers and for time limits as long as they compute.
WORKERS = str(2 * (os.cpu_count() or 1))


def demo(*arguments: str) -> None:
    """Show the main job on the embedded stand-in."""
    venv = venvs.main_venv("demo")
    commands.become([venv.python, tree.ROOT / "tests" / "demo" / "demo.py", *arguments], env=venv.environment())


def _venv_of_tests() -> venvs.Venv:
    """With all that tests need, the ends of the matrix and the collections of others among it."""
    venv = venvs.main_venv("demo", "test")
    matrix.ensure()
    neighbours.ensure(venv)
    os.chdir(tree.ROOT)
    return venv


def _pytest(venv: venvs.Venv, *arguments: str) -> list[str | Path]:
    # One test at a time for whoever is free: some take a minute, most of them none.
    return [venv.bin / "pytest", "-n", WORKERS, "--dist", "load", "--maxschedchunk", "1", *arguments]


def _become_program(package: str, *arguments: str) -> t.NoReturn:
    """Turn into a package of the folder tests."""
    venv = venvs.main_venv("demo", "test")
    os.chdir(tree.ROOT)
    commands.become([venv.python, "-m", package, *arguments], env=venv.environment_of_packages())


def test(*arguments: str) -> None:
    """Run every test, or those that arguments for pytest pick."""
    venv = _venv_of_tests()
    # All tests have more fuzzing among them; some of them are for somebody who waits.
    env = {**venv.environment(), **({} if arguments else {"FUZZ_SECONDS": "20"})}
    commands.become(_pytest(venv, *arguments), env=env)


def run_matrix(*words: str) -> None:
    """Run every integration test in each cell of the matrix, or in those whose names have all of the words."""
    cells = [cell for cell in matrix.CELLS if all(word in str(cell) for word in words)]
    venv = _venv_of_tests()
    failed = []
    tests = _pytest(venv, "-q", "tests/integration")
    for cell in cells:
        commands.say(f"== {cell}")
        try:
            commands.show(tests, env={**venv.environment(), **matrix.environment(cell)})
        except commands.WorkbenchError as error:
            failed.append(f"{cell}: {error}")
    if failed or not cells:
        raise commands.WorkbenchError("\n".join(failed) or f"no cell has all of: {' '.join(words)}")
    commands.say(f"all integration tests passed in {len(cells)} cells")


def faults(*arguments: str) -> None:
    """Try every fault, and print what came of each."""
    _become_program("faults", *arguments)


def bench(*arguments: str) -> None:
    """Measure what the collection costs, on this machine."""
    neighbours.ensure(venvs.main_venv("demo", "test"))
    _become_program("bench", *arguments)


def build() -> None:
    """Build the tarball and say where it is."""
    commands.say(str(package.build()))


COMMANDS: dict[str, t.Callable[..., None]] = {
    "bench": bench,
    "build": build,
    "clean": tree.clean,
    "demo": demo,
    "docs": docs.docs,
    "faults": faults,
    "fuzz": fuzz.fuzz,
    "lint": lint.lint,
    "matrix": run_matrix,
    "sanity": sanity.sanity,
    "test": test,
}


def main(arguments: list[str]) -> int:
    """Run one command; what stops it is told without a traceback."""
    if not arguments or arguments[0] not in COMMANDS:
        commands.say(f"usage: workbench {{{','.join(COMMANDS)}}}")
        return 2
    try:
        COMMANDS[arguments[0]](*arguments[1:])
    except commands.WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
