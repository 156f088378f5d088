# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in several files says the same in each; what must stand nowhere does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from workbench import lint, matrix, tree, venvs

FILES = tree.files()
GENERATED = {Path("LICENSE"), Path("CHANGELOG.rst"), Path("changelogs/changelog.yaml")}
MODULES = {path.stem for path in (tree.ROOT / "plugins" / "modules").glob("[!_]*.py")}


def _text(path: Path | str) -> str:
    """A file's text; empty for what is no text."""
    try:
        return (tree.ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _requirement(name: str, package: str) -> str:
    """The version that a requirements file asks of a package, as "2.16"."""
    text = (venvs.REQUIREMENTS / f"{name}.txt").read_text()
    found = re.search(rf"^{package}[>=]=([\d.]+?)(\.\*)?$", text, re.MULTILINE)
    assert found
    return found[1]


OLDEST_CORE = _requirement("core-2.16", "ansible-core")
OLDEST_CRYPTOGRAPHY = _requirement("demo", "cryptography")
OLDEST_HOST = matrix.OLDEST.hosts[0]
OLDEST_CONTROLLER = matrix.OLDEST.controllers[0]


def test_oldest_ansible_core_is_the_one_tested() -> None:
    assert yaml.safe_load(_text("meta/runtime.yml"))["requires_ansible"] == f">={OLDEST_CORE}.0"
    assert _requirement("demo", "ansible-core") == OLDEST_CORE
    assert matrix.OLDEST.name == f"core-{OLDEST_CORE}"


def test_oldest_python_of_hosts_is_the_one_tested() -> None:
    assert yaml.safe_load(_text("tests/config.yml"))["modules"]["python_requires"] == f">={OLDEST_HOST}"
    assert f"--target={OLDEST_HOST}-" in lint.TOOLS["vermin"]


@pytest.mark.parametrize(
    ("what", "version"),
    [
        ("ansible-core", OLDEST_CORE),
        ("cryptography", OLDEST_CRYPTOGRAPHY),
        ("Python", OLDEST_HOST),
        ("Python", OLDEST_CONTROLLER),
    ],
)
def test_readme_names_the_oldest(what: str, version: str) -> None:
    assert re.search(rf"{what}\W{{1,4}}{re.escape(version)}(?![\d.]*\d)", _text("README.md"))


def test_action_plugins_are_those_of_the_modules() -> None:
    assert {path.stem for path in (tree.ROOT / "plugins" / "action").glob("[!_]*.py")} == MODULES


def test_action_groups_name_modules() -> None:
    groups = yaml.safe_load(_text("meta/runtime.yml"))["action_groups"]
    assert set().union(*groups.values()) <= MODULES


def test_version_stands_in_galaxy_yml_alone() -> None:
    version = yaml.safe_load(_text("galaxy.yml"))["version"]
    elsewhere = re.compile(rf"^(?!.*version_added).*(?<![\d.]){re.escape(version)}(?![\d.])", re.MULTILINE)
    others = [path for path in FILES if path.parts[0] not in ("galaxy.yml", "changelogs", "CHANGELOG.rst")]
    assert [str(path) for path in others if elsewhere.search(_text(path))] == []


def test_every_source_names_its_licence() -> None:
    sources = [path for path in FILES if path not in GENERATED and path.suffix not in (".md", ".rst")]
    written = [path for path in sources if _text(path).strip()]
    assert written
    lacking = [path for path in written if "SPDX-License-Identifier: GPL-3.0-or-later" not in _text(path)[:600]]
    assert [str(path) for path in lacking] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    place = re.compile(rf"(?<![\w.])/(home|Users)/\w|{re.escape(str(tree.ROOT))}/|{re.escape(str(Path.home()))}/\.")
    assert [str(path) for path in FILES if place.search(_text(path))] == []
