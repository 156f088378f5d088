# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clone: where it is, which files belong to it, and how Ansible sees it as a collection."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import commands

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
COLLECTIONS = ROOT / ".venv" / "collections"

# What a user of the collection gets. Links to these alone keep Ansible from
# walking in circles: the folder with the links lies inside the clone.
SHIPPED = ("LICENSE", "README.md", "changelogs", "docs", "galaxy.yml", "meta", "playbooks", "plugins", "roles")


def files() -> list[Path]:
    """Files of the clone, relative to its root: tracked ones and new ones, none that is ignored."""
    listing = commands.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        env=commands.clean_environment(),
    )
    return [Path(name) for name in sorted(set(listing.split("\0")) - {""}) if (ROOT / name).is_file()]


def copy(target: Path) -> None:
    """Copy the files of the clone."""
    for name in files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def link() -> None:
    """Make the clone importable as ansible_collections.sep.sesam, always as it is now."""
    folder = COLLECTIONS / "ansible_collections" / "sep" / "sesam"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / name: ROOT / name for name in SHIPPED if (ROOT / name).exists()}
    for path in folder.iterdir():
        if not path.is_symlink() or wanted.get(path) != path.readlink():
            path.unlink()
    for path, target in wanted.items():
        if not path.is_symlink():
            path.symlink_to(target)


def clean() -> None:
    """Remove what the workbench and the tools have made, and nothing else."""
    made = [BUILD, *ROOT.glob(".venv"), *ROOT.glob(".venv-*")]
    caches = [ROOT / f".{name}" for name in ("ansible", "hypothesis", "mypy_cache", "pytest_cache", "ruff_cache")]
    for path in made + caches:
        shutil.rmtree(path, ignore_errors=True)
