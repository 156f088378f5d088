# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The linters: each says one line when it is content, and all it has to say when it is not."""

from __future__ import annotations

import functools

from . import commands, tree, venvs

COLLECTION = "ansible_collections.sep.sesam.plugins"
# Typed strictly: all that runs on the controller, and with it the host code that it imports.
TYPED = ("workbench", "standin", f"{COLLECTION}.action", f"{COLLECTION}.filter", f"{COLLECTION}.plugin_utils")

TOOLS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "."],
    "mypy": ["mypy", *(f"--package={name}" for name in TYPED)],
    "vermin": ["vermin", "--target=3.6-", "--violations", "--no-tips", "plugins/module_utils", "plugins/modules"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "--nocolor"],
}


def lint() -> None:
    """Run all linters side by side."""
    venv = venvs.main_venv("demo", "test", "lint")
    commands.all_at_once(*(functools.partial(_run, venv, name) for name in TOOLS))


def _run(venv: venvs.Venv, name: str) -> None:
    command, *arguments = TOOLS[name]
    with commands.timed(f"{name}: clean"):
        commands.run([venv.bin / command, *arguments], env=venv.environment(), cwd=tree.ROOT)
