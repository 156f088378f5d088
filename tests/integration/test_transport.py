# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both transports by every way to a host: the same result, at most once, or one clear message."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from integration import ways
from integration.accounts import Account
from integration.certificates import Files, Pair
from integration.controller import Controller, Outcome, Variables
from integration.servers import Server
from integration.sshd import Sshd
from integration.ways import Way, Ways

NO_CHOICE = {"SEP_SESAM_TRANSPORT": ""}
RESOLVE, REPLACE = "sep.sesam.sesam_cert_resolve", "sep.sesam.sesam_cert_replace"
PLACE = {"sesam2000_ini": "{{ sesam_https_sesam2000_ini }}", "port": "{{ sesam_https_port }}",
         "transport": "{{ transport | default('auto') }}"}
PAIR = {"certificate": "{{ sesam_https_certificate }}", "private_key": "{{ sesam_https_private_key }}"}
LOOK = {"name": "Look", RESOLVE: PLACE}
TRY = {"name": "Try", RESOLVE.replace("resolve", "replace"): {**PLACE, **PAIR}, "check_mode": True, "diff": True}
# What differs from one call to the next.
_VOLATILE = {"clock", "seconds", "days_left", "checked", "invocation"}


def play(folder: Path, *tasks: dict[str, t.Any], **keywords: t.Any) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks), **keywords}]))
    return path


def steady(value: t.Any, host: str) -> t.Any:
    """A result without what differs from one call to the next, or from one host to another."""
    if isinstance(value, dict):
        return {name: steady(part, host) for name, part in value.items()
                if name not in _VOLATILE and not name.startswith("_ansible")}
    if isinstance(value, list):
        return [steady(part, host) for part in value]
    return value.removeprefix(f"{host}: ") if isinstance(value, str) else value


def results(run: Outcome, host: str) -> dict[str, tuple[str, dict[str, t.Any]]]:
    """Status and result of each task."""
    return {one.task: (one.status, steady(one.result, host)) for one in run.results
            if one.host == host and one.status != "recap"}


def said(run: Outcome, host: str) -> list[str]:
    """What is told of the transport at -vvvv."""
    return re.findall(rf"<{re.escape(host)}> sep\.sesam: (.*)", run.output)


def _assert_told(way: Way, lines: list[str]) -> None:
    """Transport, interpreter, bytes and seconds, once a call."""
    by_stdin = [line for line in lines if line.startswith("host code over standard input")]
    by_module = [line for line in lines if line.startswith("ordinary module, since ")]
    assert len(by_stdin) + len(by_module) == len(lines)
    for line in by_stdin:
        assert re.fullmatch(r"host code over standard input, Python (3\.\d+\.\d+ /\S+|\(did not start\)), "
                            r"\d{5,} bytes there, \d+ back, \d+\.\d\d s", line)
    # What began, or was refused, is not asked again; a key that is refused is not sent by a module.
    assert len(by_module) == (0 if way.by != "module" else 2 if way.key else 1)
    assert len(by_stdin) == 2 or way.by == "module"
    if way.by and way.says:
        assert any(way.says in line for line in lines)


def _compare(run: Outcome, paths: Ways, subtests: pytest.Subtests) -> None:
    """Every way says the same as the ordinary module, or what it is expected to."""
    wanted = results(run, "by module")
    assert wanted["Look"][1]["state"] == "in_sync"
    assert (wanted["Try"][0], wanted["Try"][1]["action"]) == ("ok", "replaced")
    assert "diff" in wanted["Try"][1]
    for name, way in paths.items():
        with subtests.test(name):
            got = results(run, name)
            refused = ["Look", "Try"] if not way.by else [] if way.key else ["Try"]
            for task in ("Look", "Try"):
                if task not in refused:
                    assert got[task] == wanted[task]
                    continue
                status, result = got[task]
                assert status == "failed"
                assert way.says in result["msg"]
                assert result["msg"].startswith("Nothing was touched. key-exposure: ") == bool(way.by)
            _assert_told(way, said(run, name))


def _tour(
    controller: Controller, folder: Path, server: Server, files: Files, paths: Ways
) -> Outcome:
    hosts = {name: {**server.variables(files), **way.variables} for name, way in paths.items()}
    playbook = play(folder, LOOK, TRY, ignore_errors=True)
    run = controller.run(hosts, "-vvvv", playbook=playbook, env={**NO_CHOICE, **ways.PLUGINS})
    return run


def test_every_way_on_this_machine(
    server: Server, controller: Controller, files: Files, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """One look and one replacement in check mode by each, all at the same server."""
    paths = ways.local_ways(tmp_path, Path(server.instance.folder))
    before = server.tree()
    run = _tour(controller, tmp_path, server, files, paths)
    _compare(run, paths, subtests)
    assert server.tree() == before


def test_every_way_over_ssh(
    server: Server, controller: Controller, files: Files, tmp_path: Path, own_sshd: Sshd, account: Account,
    subtests: pytest.Subtests,
) -> None:
    with ways.ssh_ways(own_sshd, account) as paths:
        paths["by module"] = Way({**ways.local(), "transport": "module"}, "module")
        run = _tour(controller, tmp_path, server, files, paths)
    _compare(run, paths, subtests)
