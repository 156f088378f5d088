# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fuzzing: the engine of tests/fuzz, and with it atheris where that can be installed."""

from __future__ import annotations

import argparse
import os

from . import commands, tree, venvs

FOLDER = tree.BUILD / "fuzz"


def fuzz(*arguments: str) -> None:
    """Mutate inputs, for a number of them or for seconds; a fifth of the time is guided by coverage."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description="Mutated inputs for all that reads inputs.")
    parser.add_argument("--inputs", type=int, default=0, help="how many, 0 for any number")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 60 where neither is given")
    parser.add_argument("--seed", type=int, help="of the random numbers, to do the same once more")
    parser.add_argument("--report", help="a file for the report, written every minute")
    parser.add_argument("--guided", type=float, default=20, help="seconds with atheris beside those, 0 for none")
    options = parser.parse_args(arguments)
    venv = venvs.main_venv("demo", "test")
    env = venv.environment_of_packages()
    os.chdir(tree.ROOT)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.guided > 0 and _has_atheris(venv):
        commands.show([venv.python, "-m", "fuzz.guided", FOLDER, str(options.guided)], env=env)
    words = [f"--{name}={value}" for name in ("inputs", "seconds", "seed", "report") if (value := vars(options)[name])]
    commands.become([venv.python, "-m", "fuzz", "--folder", FOLDER, *words], env=env)


def _has_atheris(venv: venvs.Venv) -> bool:
    """Whether it is there, or can be installed; else it is said why there is no fuzzing guided by coverage."""
    env = commands.clean_environment()
    try:
        commands.run([venv.python, "-c", "import atheris"], env=env)
    except commands.WorkbenchError:
        requirements = venvs.REQUIREMENTS / "fuzz.txt"
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"]
        try:
            commands.run([venv.python, "-m", "pip", "install", *options, f"--requirement={requirements}"], env=env)
        except commands.WorkbenchError as error:
            reason = str(error).splitlines()[-2:][0]
            commands.say(f"atheris is not there and cannot be installed ({reason}): no fuzzing guided by coverage")
            return False
    return True
