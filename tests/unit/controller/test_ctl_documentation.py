# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written in two places says the same: argument specs, documentation, the role's variables."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import types
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program, _verdict
from workbench import tree, venvs

PLUGINS = "ansible_collections.sep.sesam.plugins"
MODULES = sorted(path.stem for path in (tree.ROOT / "plugins" / "modules").glob("[!_]*.py"))
# What a user sees; those with an underscore are parts of them.
SPECS = {name: asked.arguments for name, asked in _arguments.OF_MODULE.items()}
ROLE = tree.ROOT / "roles" / "sesam_https"
Options = dict[str, dict[str, t.Any]]


def module(name: str) -> types.ModuleType:
    return importlib.import_module(f"{PLUGINS}.modules.{name}")


def spec(name: str) -> t.Mapping[str, t.Mapping[str, t.Any]]:
    return t.cast("t.Mapping[str, t.Mapping[str, t.Any]]",
                  importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule.ARGUMENTS)


def documented(name: str) -> Options:
    documentation = yaml.safe_load(module(name).DOCUMENTATION)
    options: Options = dict(documentation["options"])
    for fragment in documentation["extends_documentation_fragment"]:
        source = importlib.import_module(f"{PLUGINS}.doc_fragments.{fragment.rpartition('.')[2]}")
        options.update(yaml.safe_load(source.ModuleDocFragment.DOCUMENTATION)["options"])
    return options


def read(path: str) -> t.Any:
    return yaml.safe_load((ROLE / path).read_text())


def role_options() -> Options:
    return t.cast(Options, read("meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def text_of(entry: dict[str, t.Any]) -> str:
    return json.dumps(entry["description"])


def test_there_are_modules() -> None:
    assert len(MODULES) >= 2
    assert len(SPECS) >= 3


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_they_are(name: str) -> None:
    names = ("type", "default", "choices", "required", "elements")

    def essence(options: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
        return {option: {key: entry[key] for key in names if key in entry} for option, entry in options.items()
                if not option.startswith("_")}

    assert essence(documented(name)) == essence(spec(name))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_and_its_action_have_one_spec(name: str) -> None:
    assert any(spec(name) is value for value in SPECS.values())
    assert re.search(r"argument_spec=_arguments\.(\w+)", Path(str(module(name).__file__)).read_text())


def can_hold_a_key(entry: dict[str, t.Any]) -> bool:
    """By meaning: what takes content, a passphrase or a password may be a secret. One that is on or off is none."""
    words = re.search(r"\bcontent\b|passphrase|password", text_of(entry), re.IGNORECASE)
    return words is not None and entry.get("type") not in ("bool", "path")


@pytest.mark.parametrize("name", MODULES)
def test_every_option_that_can_hold_a_key_is_secret(name: str) -> None:
    secret = {option for option, entry in documented(name).items() if can_hold_a_key(entry)}
    assert secret & {"chain", "current"}
    assert [option for option in secret if spec(name)[option].get("no_log") is not True] == []


def test_secrets_have_no_choices_and_no_default() -> None:
    for options in (*SPECS.values(), role_options()):
        for option, entry in options.items():
            if entry.get("no_log") or can_hold_a_key({"description": "", **entry}):
                assert "choices" not in entry, option
                assert not entry.get("default"), option


def test_names_that_hold_keys_are_secret_in_every_spec() -> None:
    names = {"certificate", "chain", "private_key", "passphrase", "pkcs12", "wanted", "current", "ca_bundle"}
    open_ones = [(where, option) for where, options in SPECS.items() for option, entry in options.items()
                 if option in names and entry.get("no_log") is not True]
    assert open_ones == []


def test_no_task_of_the_role_hides_its_message() -> None:
    hides = re.compile(r"^\s*no_log:", re.MULTILINE)
    assert [str(path) for path in ROLE.rglob("*.yml") if hides.search(path.read_text())] == []


@pytest.mark.parametrize("name", MODULES)
def test_no_module_hides_more_than_it_should(name: str) -> None:
    """False would be a promise that nobody checks; it silences a warning about a name."""
    for option, entry in spec(name).items():
        if entry.get("no_log") is False:
            assert not can_hold_a_key(documented(name)[option])


def test_states_and_repairs_are_documented() -> None:
    returned = yaml.safe_load(module("sesam_cert_resolve").RETURN)
    states = re.findall(r"^V\((\w+)\)\.", "\n".join(returned["state"]["description"]), re.MULTILINE)
    assert sorted(states) == sorted(t.get_args(_verdict.State))
    assert set(re.findall(r"V\((\w+)\)", text_of(returned["repair"]))) == set(t.get_args(_verdict.Repair))


def test_defaults_of_the_role_are_those_of_its_specs() -> None:
    defaults, options = read("defaults/main.yml"), role_options()
    assert set(defaults) == set(options)
    for name, entry in options.items():
        assert defaults[name] == entry.get("default", ""), name
        assert text_of(entry)


def module_options() -> Options:
    return {**documented("sesam_selfsigned"), **documented("sesam_cert_resolve"), **documented("sesam_cert_replace")}


def test_the_role_has_the_words_of_the_modules() -> None:
    for name, entry in role_options().items():
        option = module_options().get(name.removeprefix("sesam_https_"))
        if option is None:
            assert name == "sesam_https_source"
            continue
        assert entry.get("choices") == option.get("choices"), name
        if option.get("default") is not None:
            assert entry["default"] == option["default"], name


@pytest.mark.parametrize(("tasks", "name"), [("resolve", "sesam_cert_resolve"), ("replace", "sesam_cert_replace")])
def test_the_role_passes_every_option(tasks: str, name: str) -> None:
    """Each from the variable of its name, and left out where that is empty and the module has no default."""
    task = next(task for task in read(f"tasks/{tasks}.yml") if f"sep.sesam.{name}" in task)
    passed = task[f"sep.sesam.{name}"]
    internal = {option for option in spec(name) if option.strip("_") == "order"}
    assert set(passed) == set(spec(name)) - internal
    for option in set(passed) - BY_SOURCE:
        check_passed(name, option, passed[option])


# What the role passes in these depends on where the pair comes from.
BY_SOURCE = {"chain", "wanted", "certificate", "private_key", "pkcs12", "passphrase", "pending", "remote_src", "backup",
             "backups"}


def check_passed(name: str, option: str, value: str) -> None:
    assert re.fullmatch(r"\{\{ (\w+)( \| default\(omit, true\))? \}\}", value), value
    assert value.split()[1] == f"sesam_https_{option}"
    assert ("omit" in value) == (spec(name)[option].get("default") is None), option


@pytest.mark.parametrize(("tasks", "set_here"), [
    ("request", {"pending"}), ("obtain", {"current", "private_key_path"}),
])
def test_the_role_asks_for_keys_with_its_own_variables(tasks: str, set_here: set[str]) -> None:
    task = next(task for task in read(f"tasks/{tasks}.yml") if "sep.sesam.sesam_selfsigned" in task)
    passed = task["sep.sesam.sesam_selfsigned"]
    assert {"names", "subject", "key_type", "key_size", "curve"} <= set(passed)
    for option in set(passed) - set_here - {"csr_folder"}:  # The role has a default for this one.
        check_passed("sesam_selfsigned", option, passed[option])


def test_every_variable_that_is_used_is_there() -> None:
    text = "\n".join(path.read_text() for folder in ("tasks", "vars") for path in (ROLE / folder).glob("*.yml"))
    used = set(re.findall(r"(?<![\w.])(?:__)?sesam_https_\w+", text))
    # Registered by a task, or set by vars: of a task or of the role.
    made = set(re.findall(r"register: (\w+)", text)) | set(re.findall(r"^\s*(\w*sesam_https_\w+):", text, re.MULTILINE))
    assert used - made - set(role_options()) == set()
    assert set(role_options()) - used == set()


def test_the_page_names_the_places_where_a_python_is_looked_for() -> None:
    text = (tree.ROOT / "docs" / "how-it-works.md").read_text()
    found = re.search(r"else the first\s+of (.*?) that is 3\.6 or later", text, re.DOTALL)
    assert found
    assert tuple(re.findall(r"`(\S+)`", found[1])) == _host_program.INTERPRETERS


def test_the_module_refuses_to_run_without_its_action(tmp_path: Path) -> None:
    arguments = {"certificate": "x", "private_key": "x"}
    (tmp_path / "arguments").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    code = "import runpy, sys; runpy.run_module(sys.argv.pop(1), run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, f"{PLUGINS}.modules.sesam_cert_replace", tmp_path / "arguments"], text=True,
        env={**venvs.Venv().environment(), "PYTHONPATH": str(tree.COLLECTIONS)}, capture_output=True, check=False)
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert (result["failed"], result["msg"]) == (
        True, "This module works through its action plugin alone: call sep.sesam.sesam_cert_replace.")
