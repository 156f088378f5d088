# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user gets: the tarball, installed into an empty folder without a network."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from workbench import matrix, package, tree, venvs

OWN = venvs.Venv().bin
MODULES = sorted(path.stem for path in (tree.ROOT / "plugins" / "modules").glob("[!_]*.py"))
ROLES = sorted(path.name for path in (tree.ROOT / "roles").iterdir())


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collections")
    _ansible("galaxy", "collection", "install", "--offline", "-p", folder, tarball, collections=folder)
    return folder


@pytest.fixture(params=["oldest", "own", "newest"])
def controller(request: pytest.FixtureRequest) -> Path:
    """The folder with the commands of one ansible-core."""
    if request.param == "own":
        return OWN
    place = matrix.read(matrix.OLDEST if request.param == "oldest" else matrix.NEWEST)
    if place.missing:
        pytest.skip(place.missing)
    return Path(place.controller).parent


def _ansible(command: str, *arguments: str | Path, collections: Path, folder: Path = OWN) -> str:
    """What a command prints that sees the given collections alone; its warnings are for pytest to show."""
    env = venvs.Venv().environment() | {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    argv = [folder / f"ansible-{command}", *arguments]
    return subprocess.run(argv, env=env, cwd=collections, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_tarball_holds_every_file_for_users_and_no_other(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        packed = {member.name for member in archive.getmembers() if member.isfile()}
    shipped = {str(path) for path in tree.files() if path.parts[0] in tree.SHIPPED}
    # ansible-galaxy turns galaxy.yml into the two manifests.
    assert packed == shipped - {"galaxy.yml"} | {"MANIFEST.json", "FILES.json"}


@pytest.mark.parametrize("name", [name for name in tree.SHIPPED if name != "galaxy.yml"])
def test_installed_collection_has(installed: Path, name: str) -> None:
    assert (installed / "ansible_collections" / "sep" / "sesam" / name).exists()


def test_there_are_modules_and_roles() -> None:
    assert MODULES
    assert ROLES


def test_modules_are_listed_with_a_description(installed: Path, controller: Path) -> None:
    listing = json.loads(
        _ansible("doc", "--json", "-t", "module", "-l", "sep.sesam", collections=installed, folder=controller)
    )
    assert sorted(listing) == [f"sep.sesam.{name}" for name in MODULES]
    assert all(listing.values())


@pytest.mark.parametrize("name", MODULES)
def test_module_is_documented(installed: Path, controller: Path, name: str) -> None:
    text = _ansible("doc", "-t", "module", f"sep.sesam.{name}", collections=installed, folder=controller)
    assert "EXAMPLES:" in text
    assert "RETURN VALUES:" in text


@pytest.mark.parametrize("name", ROLES)
def test_role_is_documented(installed: Path, controller: Path, name: str) -> None:
    documents = json.loads(
        _ansible("doc", "--json", "-t", "role", f"sep.sesam.{name}", collections=installed, folder=controller)
    )
    assert documents[f"sep.sesam.{name}"]["entry_points"]["main"]["options"]
