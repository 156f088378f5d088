# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""What create makes, the command line, and the ways to load it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import standin
from standin import cli

FOLDER = pathlib.Path(standin.__file__).parent
PROGRAM = str(FOLDER / "standin.py")


def call(*words: str, code: int = 0, **keywords) -> str:
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=30, check=False, **keywords
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1
    return done.stdout + done.stderr


def sourced(path: str, name: str) -> str:
    """What a shell that sources the file finds in the variable."""
    script = f'. "$0"; printf %s "${name}"'
    return subprocess.run(["/bin/sh", "-c", script, path], check=True, capture_output=True, text=True).stdout


def test_what_create_makes(make) -> None:
    instance = make()
    assert sourced(instance.sesam2000_ini, "SM_INI") == instance.sm_ini
    assert sourced(instance.sesam2000_ini, "SM_BIN_SESAM") == os.path.dirname(instance.sm_main) + "/"
    assert sourced(instance.sesam2000_ini, "SM_BIN_SMS").endswith("/")
    assert sourced(instance.sesam2000_profile, "PATH").startswith(os.path.dirname(instance.sm_main))
    assert instance.sesam_var == os.path.dirname(os.path.dirname(instance.sm_ini))
    lines = pathlib.Path(instance.sm_ini).read_text().splitlines()
    assert lines[0] == "[PATHES]"
    assert "[UI]" in lines
    assert f"gv_rw={os.path.dirname(instance.sesam_var)}/" in lines
    assert f"gv_rw_lgc={os.path.dirname(instance.log_file)}/" in lines
    assert os.path.isdir(instance.ssl_folder)
    assert os.path.dirname(instance.certificate) == os.path.dirname(instance.private_key) == instance.ssl_folder


def test_creation_switches(make) -> None:
    instance = make(ssl_folder="absent", sm_ini_lgc="no")
    assert not os.path.exists(instance.ssl_folder)
    assert "gv_rw_lgc" not in pathlib.Path(instance.sm_ini).read_text()
    instance.start()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"address": "localhost"}, "not an IP address"),
        ({"port": 70000}, "1 to 65535"),
        ({"strat": 1}, "no such switch"),
    ],
)
def test_create_refuses(make, values: dict, words: str) -> None:
    with pytest.raises(standin.StandinError, match=words):
        make(**values)


def test_create_takes_no_folder_that_is_in_use(tmp_path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(standin.StandinError, match="not an empty folder"):
        standin.create(tmp_path)
    with pytest.raises(standin.StandinError, match="not an empty folder"):
        standin.create(tmp_path / "mine")
    assert (tmp_path / "mine").exists()


def test_an_instance_ends_with_the_python_that_made_it(make, tmp_path) -> None:
    port = make().port
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import standin; "
        f"i = standin.create(sys.argv[2], address='127.0.20.8', port={port}); i.start(); print(i.pid())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(FOLDER.parent), str(tmp_path / "kept")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (
        not os.path.exists(f"/proc/{done.stdout.strip()}/environ")
        or not pathlib.Path(f"/proc/{done.stdout.strip()}/cmdline").read_bytes()
    )


def test_it_is_reached_by_another_name_too(make, tmp_path) -> None:
    instance = make()
    instance.start()
    link = tmp_path / "link"
    link.symlink_to(instance.folder)
    assert standin.Instance(link).pid() == instance.pid()


@pytest.mark.parametrize("path", [FOLDER, FOLDER.parent])
def test_the_package_is_found_from_its_folder_and_from_above(path, tmp_path) -> None:
    script = "import standin; import standin.lookup; print(standin.create.__module__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "standin.instance\n"


def test_a_whole_life_by_hand(make, tmp_path) -> None:
    port = str(make().port)
    folder = str(tmp_path / "by hand")
    told = call("create", folder, "--address", "127.0.20.9", "--port", port, "--set", "log_quotes=both", "start=works")
    assert f"https://127.0.20.9:{port}/" in told
    sm_main = f"{folder}/opt/bin/sesam/sm_main"
    try:
        assert sm_main in told
        call("set", folder, "start=fails", "--times", "1")
        assert subprocess.run([sm_main, "start", "rmi"], check=False, capture_output=True).returncode == 1
        assert subprocess.run([sm_main, "start", "rmi"], check=False, capture_output=True).returncode == 0
        shown = json.loads(call("show", folder, "--json"))
        assert shown["switches"] == {"log_quotes": "both", "start": "works"}
        assert shown["serves"]["subject"].startswith("CN=")
        assert shown["pid"]
        assert f"pid        {shown['pid']}" in call("show", folder)
        call("unset", folder, "log_quotes")
        assert json.loads(call("show", folder, "--json"))["switches"] == {"start": "works"}
        call("reset", folder)
        assert json.loads(call("show", folder, "--json"))["switches"] == {}
    finally:
        call("remove", folder)
    assert not os.path.exists(folder)
    assert not os.path.exists(f"/proc/{shown['pid']}/cwd")


def test_create_can_limit_its_values(tmp_path) -> None:
    folder = str(tmp_path / "x")
    call("create", folder, "--set", "start=fails@2")
    assert json.loads(call("show", folder, "--json"))["orders"] == {"start": {"value": "fails", "first": 1, "last": 2}}


def test_lookup_prints_the_verdicts(make, pair, tmp_path) -> None:
    instance = make(command_line_certificate="/not/there.crt", command_line_key="/not/there.key")
    pair().put(instance.ssl_folder, b"garbage")
    paths = pair().put(tmp_path / "named")
    env = {**os.environ, "SESAM_SSL_CERT": paths[0], "SESAM_SSL_KEY": paths[1]}
    answer = json.loads(call("lookup", instance.folder, env=env))
    assert (answer["used"], answer["certificate"]) == ("environment", paths[0])
    assert [one["verdict"] for one in answer["judged"]] == ["broken", "broken", "absent", "works"]
    assert "no private key" in answer["judged"][1]["reason"]
    assert json.loads(call("lookup", instance.folder))["used"] == "generated"


def test_switches_and_help(capsys) -> None:
    text = call("switches")
    assert "serves = looked_up | other | CERTIFICATE,KEY | TEXT   (default: looked_up)" in text
    assert "start = works | fails" in text
    told = call("--help")
    assert "make-believe installation" in told
    for command in ("create", "set", "unset", "reset", "show", "lookup", "remove", "switches"):
        assert re.search(rf"\n +{command} ", told)
        with pytest.raises(SystemExit, match="0"):
            cli.main([command, "--help"])
        assert f"usage: standin.py {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "{}", "strat=fails"], "no such switch"),
        (["set", "{}", "start=explodes"], "works, fails"),
        (["set", "{}", "start"], "wants NAME=VALUE"),
        (["set", "{}", "start=fails@1", "--times", "2"], "one limit"),
        (["set", "{}", "ssl_folder=absent"], "only when the instance is made"),
        (["show", "/not/there"], "no stand-in there"),
        (["remove", "/tmp"], "no stand-in there"),
        (["create", "{}"], "not an empty folder"),
    ],
)
def test_mistakes_are_told_in_one_line(make, words: list[str], message: str) -> None:
    folder = make().folder
    assert message in call(*(word.format(folder) for word in words), code=1)


def test_a_spoilt_state_file_is_told_in_one_line(make) -> None:
    instance = make()
    pathlib.Path(instance.home.state_file).write_text("{")
    assert "not JSON" in call("show", instance.folder, code=1)
    done = instance.run("status")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    pathlib.Path(instance.home.state_file).write_text("{}")
    assert "no stand-in there" in call("remove", instance.folder, code=1)
