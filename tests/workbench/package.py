# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball that users install."""

from __future__ import annotations

from pathlib import Path

from . import commands, tree, venvs


def build(folder: Path = tree.BUILD) -> Path:
    """Build the tarball into a folder and return its path."""
    venv = venvs.main_venv("demo")
    folder.mkdir(exist_ok=True)
    output = commands.run(
        [venv.bin / "ansible-galaxy", "collection", "build", "--force", "--output-path", folder, tree.ROOT],
        env=venv.environment(),
    )
    return Path(output.partition("Created collection for sep.sesam at ")[2].splitlines()[0])
