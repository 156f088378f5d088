# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every state on a real server: it is told rightly, its repair is carried out, and then it is in sync."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from integration import (
    host_program,
    readers,
    scenarios_of_pairs,
    scenarios_of_sources,
    scenarios_of_the_process,
    servers,
)
from integration.accounts import Account
from integration.certificates import Authority, Pair
from integration.controller import REPLACE, Controller, Outcome
from integration.scenario import NAME, Expected, Group, Host, Scenario, scenarios_in
from integration.sshd import Sshd

pytestmark = pytest.mark.takes_long

_SECONDS = 300.0
_LARGE = 200 << 20
_ROUNDS = 5
# Started from a small process: what a child has had counts from before its program, when it was its parent still.
_MEASURE = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as usage:
    json.dump([used.ru_utime + used.ru_stime, used.ru_maxrss], usage)
sys.exit(code)
"""
_OPTIONS = ("sesam2000_ini", "port", "names", "ca_bundle", "levels", "broken_pair", "half_pair")
_LOOK = {
    **{name: f"{{{{ sesam_https_{name} | default(omit) }}}}" for name in _OPTIONS},
    "wanted": "{{ sesam_https_certificate if is_asked else omit }}",
}
_MODULE = "sep.sesam.sesam_cert_resolve"
AS_IT_IS, IN_CHECK_MODE = "As it is", "In check mode"
_PLAY = {
    "name": "Look", "hosts": "all", "gather_facts": False, "tasks": [
        {"name": AS_IT_IS, _MODULE: _LOOK},
        {"name": IN_CHECK_MODE, _MODULE: _LOOK, "check_mode": True, "when": "is_asked_twice | default(false)"},
    ]}  # fmt: skip

GROUPS: dict[str, dict[str, Scenario]] = {
    "sources": {**scenarios_of_sources.SCENARIOS, **scenarios_in(scenarios_of_sources.MORE)},
    "pairs": scenarios_in(scenarios_of_pairs.SCENARIOS),
    "process": scenarios_in(scenarios_of_the_process.SCENARIOS),
}
Told = dict[str, t.Any]


@pytest.fixture
def look(controller: Controller) -> Path:
    """A playbook that looks, and looks again in check mode."""
    path = controller.folder / "look.yml"
    path.write_text(json.dumps([_PLAY]))
    return path


@pytest.fixture
def repair(controller: Controller) -> Path:
    """The playbook that repairs, and then a look."""
    path = controller.folder / "repair.yml"
    path.write_text(json.dumps([{"name": "Repair", "ansible.builtin.import_playbook": REPLACE}, _PLAY]))
    return path


@pytest.fixture
def ca_bundle(authority: Authority, tmp_path: Path) -> Path:
    """The CA that clients trust."""
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def group(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> t.Iterator[Group]:
    """Hosts, each in its state."""
    # Of the process and the port, a look has the most to do.
    group = Group(GROUPS[request.param], is_asked_twice=request.param == "process")
    with contextlib.closing(group):
        group.prepare(tmp_path, authority)
        yield group


@pytest.mark.parametrize("group", GROUPS, indirect=True)
def test_state_is_told_and_repaired(
    group: Group, controller: Controller, look: Path, repair: Path, ca_bundle: Path
) -> None:
    hosts = {name: host.variables(ca_bundle) for name, host in group.hosts.items()}
    asked = {
        name: {**hosts[name], "is_asked": host.is_asked, "is_asked_twice": group.is_asked_twice and not host.is_mute}
        for name, host in group.hosts.items()
    }

    seen = controller.start(asked, playbook=look).finish(_SECONDS)

    told = _told(seen, AS_IT_IS)
    expected = {name: _as_dict(one) for name, one in group.expected.items()}
    assert {name: _in_brief(told[name], group.expected[name]) for name in hosts} == expected, _in_words(told)
    if group.is_asked_twice:
        again = _told(seen, IN_CHECK_MODE)
        assert len(again) > len(hosts) - 2
        assert _but_for_the_time(again) == _but_for_the_time({name: told[name] for name in again})
    for name, host in group.hosts.items():
        fact = told[name]["ansible_facts"]["sesam_https"]
        assert fact["fingerprint_sha256"] == _served(host), name
        assert {word: told[name][word] for word in ("state", "repair", "source")}.items() <= fact.items()

    mended = group.mend()
    hosts = {name: {**group.hosts[name].variables(ca_bundle), "is_asked": True} for name in mended}
    pids = {name: group.hosts[name].instance.pid() for name in mended}

    repaired = controller.start(hosts, playbook=repair).finish(_SECONDS)

    assert repaired.rc == 0, repaired.output
    now = _told(repaired, AS_IT_IS)
    in_sync = {name: ("in_sync", "none", set(group.expected[name].after)) for name in mended}
    assert {name: (one["state"], one["repair"], _ids(one)) for name, one in now.items()} == in_sync, _in_words(now)
    for name in mended:
        host = group.hosts[name]
        assert readers.served(host.instance.address, host.instance.port) == host.wanted.fingerprint, name
        if group.expected[name].repair == "none":
            assert host.instance.pid() == pids[name], f"{name}: nothing was to be done, and rmi was restarted"


def test_without_root(
    own_sshd: Sshd, account: Account, authority: Authority, controller: Controller, look: Path, ca_bundle: Path
) -> None:
    """The certificate can be read and the key cannot; nobody can say more. Root can."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        host = Host("one", servers.create(folder / "sesam no 0", 0), authority, controller.folder)
        stack.callback(host.close)
        host.put(host.wanted)
        host.start()
        # An interpreter in the home of root is not for everybody.
        login = {**own_sshd.variables("127.0.1.1", account.name), "ansible_python_interpreter": "/usr/bin/python3",
                 "is_asked": True, "is_asked_twice": True}  # fmt: skip
        variables = {**host.variables(ca_bundle), **login}

        seen = controller.run({"one": variables}, playbook=look)

        told = _told(seen, AS_IT_IS)
        expected = Expected("unknown", "become", "default_location", [], ["default_location", "generated"],
                            says=f"there is no permission to read {host.instance.private_key}")  # fmt: skip
        assert _in_brief(told["one"], expected) == _as_dict(expected), _in_words(told)
        assert _told(seen, IN_CHECK_MODE) == told
        hidden = [f["message"] for f in told["one"]["findings"] if f["id"] == "not-seen"]
        assert any(host.instance.private_key in message for message in hidden)
        assert any("it is taken to be rmi" in message for message in hidden)

        now = _told(controller.run({"one": {**variables, **account.variables()}}, playbook=look), AS_IT_IS)
        assert (now["one"]["state"], now["one"]["repair"], _ids(now["one"])) == ("in_sync", "none", set())


@pytest.fixture
def with_variables(authority: Authority, tmp_path: Path) -> tuple[Pair, list[str]]:
    """A pair that variables for everybody name, and a program that runs others where they are set."""
    pair = authority.issue(NAME)
    files = pair.write(tmp_path / "for everybody")
    own = tmp_path / "environment"
    own.write_text(f'PATH=/usr/bin\nSESAM_SSL_CERT="{files.certificate}"\nSESAM_SSL_KEY="{files.private_key}"\n')
    files.private_key.chmod(0o600)
    mounted = 'mount --bind "$0" /etc/environment && exec "$@"'
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, str(own)]
    if not shutil.which("unshare") or subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare, the rights to mount, and /etc/environment")
    return pair, wrapper


def test_variables_for_everybody(
    with_variables: tuple[Pair, list[str]], authority: Authority, controller: Controller, look: Path,
    repair: Path, ca_bundle: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """In /etc/environment: they count for a start, and not for a restart of what runs without them."""
    pair, wrapper = with_variables
    with contextlib.ExitStack() as stack:
        hosts = {}
        for number, name in enumerate(("stopped", "running")):
            server = servers.create(tmp_path / f"sesam no {number}", number)
            hosts[name] = Host(name, server, authority, tmp_path / "controller's files")
            stack.callback(hosts[name].close)
        hosts["stopped"].wanted = pair
        hosts["running"].put(hosts["running"].wanted)
        hosts["running"].start()
        variables = {name: {**host.variables(ca_bundle), "is_asked": True} for name, host in hosts.items()}
        expected = {
            "stopped": Expected("stopped", "start", None, [], ["environment"], ["generated", "none"]),
            "running": Expected("in_sync", "none", "default_location", {"also-configured"}, ["default_location"]),
        }

        told = _told(controller.start(variables, playbook=look, wrapper=wrapper).finish(), AS_IT_IS)

        assert {name: _in_brief(told[name], one) for name, one in expected.items()} == {
            name: _as_dict(one) for name, one in expected.items()}, _in_words(told)  # fmt: skip
        assert _source(told["stopped"], "environment")["set_in"] == "/etc/environment"
        assert "/etc/environment has SESAM_SSL_CERT=" in _in_words({"running": told["running"]})

        repaired = controller.start(variables, playbook=repair, wrapper=wrapper).finish()
        assert repaired.rc == 0, repaired.output
        now = _told(repaired, AS_IT_IS)
        assert {name: (one["state"], one["source"]) for name, one in now.items()} == {
            "stopped": ("in_sync", "environment"), "running": ("in_sync", "default_location")}  # fmt: skip
        assert hosts["stopped"].server.served() == pair.fingerprint


def test_a_large_log_costs_nothing(
    make_server: t.Callable[..., servers.Server], old: Pair, tmp_path: Path
) -> None:
    """It is read from its end: 200 MB take under 50 ms and 20 MB more than a small one."""
    small, large = (make_server(old, start=False) for _size in range(2))
    line = b"2026-01-01 12:00:00 INFO  worker - 200 GET /sep/api/v2/backups, nothing of any weight\n"
    Path(large.instance.log_file).write_bytes(line * (_LARGE // len(line) + 1))
    for server in (small, large):
        server.instance.start(env=servers.ENVIRONMENT)
    costs: dict[str, list[tuple[float, float]]] = {"small": [], "large": []}
    for _round in range(_ROUNDS):
        for name, server in (("small", small), ("large", large)):
            answer, seconds, megabytes = _resolved(server, tmp_path / "usage")
            assert answer["log"]["path"] == server.instance.certificate
            assert (answer["log"]["of_this_start"], answer["log"]["source"]) == (True, "default_location")
            costs[name].append((seconds, megabytes))
    # The least of each: what others do on the machine only adds to it.
    seconds, megabytes = (
        min(cost[number] for cost in costs["large"]) - min(cost[number] for cost in costs["small"])
        for number in range(2)
    )
    assert seconds < 0.05, costs
    assert megabytes < 20, costs


def _resolved(server: servers.Server, usage: Path) -> tuple[dict[str, t.Any], float, float]:
    """What the host program says, the seconds of the processor that it took, and the most MB that it had."""
    asked = {"sesam2000_ini": server.instance.sesam2000_ini, "port": server.instance.port}
    answer = host_program.start(asked, "resolve", [sys.executable, "-c", _MEASURE, usage]).answer()
    seconds, kilobytes = json.loads(usage.read_text())
    return answer, seconds, kilobytes / 1024


def _told(outcome: Outcome, task: str) -> dict[str, Told]:
    """What the module said of each host in a task."""
    results = [r for r in outcome.results if r.task == task and r.status != "skipped"]
    failed = [f"{r.host}: {r.message}" for r in results if r.status != "ok"]
    assert results, outcome.output
    assert not failed, outcome.output
    return {r.host: {name: value for name, value in r.result.items() if name != "invocation"} for r in results}


def _but_for_the_time(told: dict[str, Told]) -> t.Any:
    """The same without the moment that stands in messages, and without what is reckoned from the clock."""
    return json.loads(re.sub(r"; it is [0-9T:-]+Z|\"started\": [0-9.]+, ", "", json.dumps(told)))


def _served(host: Host) -> str | None:
    """What openssl gets from the port."""
    is_readable = host.server.listens() and not host.is_mute and "port" not in host.others
    return readers.served(host.instance.address, host.instance.port) if is_readable else None


def _in_brief(told: Told, expected: Expected) -> Told:
    """What can be compared with what is expected; a list that is not given does not matter."""
    brief = {name: told[name] for name in ("state", "repair", "source")}
    for name in ("next_sources", "fallback_sources"):
        brief[name] = told[name] if getattr(expected, name) is not None else None
    return {**brief, "ids": _ids(told), "says": expected.says if expected.says in told["reason"] else told["reason"]}


def _as_dict(expected: Expected) -> Told:
    names = ("state", "repair", "source", "next_sources", "fallback_sources", "says")
    return {**{name: getattr(expected, name) for name in names}, "ids": set(expected.ids)}


def _source(told: Told, name: str) -> Told:
    return next(source for source in told["sources"] if source["name"] == name)


def _ids(told: Told) -> set[str]:
    return {finding["id"] for finding in told["findings"] if finding["level"] in ("error", "warning")}


def _in_words(told: dict[str, Told]) -> str:
    """For whoever reads a failure."""
    lines = []
    for name, one in told.items():
        lines.append(f"{name}: {one['state']}, repair {one['repair']}, from {one['source']}; {one['reason']}")
        lines += [f"    {f['level']} {f['id']}: {f['message']}\n        fix: {f['fix']}" for f in one["findings"]]
    return "\n".join(lines)
