# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both transports by every way to a host: the same result, at most once, or one clear message."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program
from integration import addresses, host_program, processes, ways
from integration.accounts import Account
from integration.certificates import Files, Pair
from integration.controller import HOST_PYTHON, Controller, Outcome, Variables, local, needs_modules
from integration.processes import wait_until
from integration.secret_text import Secrets
from integration.servers import Server
from integration.sshd import Sshd
from integration.ways import Way, Ways
from workbench import matrix, pythons

pytestmark = pytest.mark.takes_long

NO_CHOICE = {"SEP_SESAM_TRANSPORT": ""}
RESOLVE, REPLACE = "sep.sesam.sesam_cert_resolve", "sep.sesam.sesam_cert_replace"
PLACE = {"sesam2000_ini": "{{ sesam_https_sesam2000_ini }}", "port": "{{ sesam_https_port }}",
         "transport": "{{ transport | default('auto') }}"}
PAIR = {"certificate": "{{ sesam_https_certificate }}", "private_key": "{{ sesam_https_private_key }}"}
LOOK = {"name": "Look", RESOLVE: PLACE}
TRY = {"name": "Try", REPLACE: {**PLACE, **PAIR}, "check_mode": True, "diff": True}
# What differs from one call to the next, and what ansible-core thinks of a connection.
_VOLATILE = {"clock", "seconds", "days_left", "checked", "deprecations"}

# Of a task: how it went, and its result.
Answer = tuple[str, dict[str, t.Any]]


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


def results(run: Outcome, host: str) -> dict[str, Answer]:
    """Status and result of each task."""
    return {one.task: (one.status, steady(one.result, host)) for one in run.results
            if one.host == host and one.status != "recap"}


def said(run: Outcome, host: str) -> list[str]:
    """What is told of the transport at -vvvv; not that a call takes long, on a busy machine."""
    lines = re.findall(rf"<{re.escape(host)}> sep\.sesam: (.*)", run.output)
    return [line for line in lines if ": no answer of the host after " not in line]


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


def _possible(paths: Ways, subtests: pytest.Subtests) -> Ways:
    """Those that this machine can go; each of the others is a test that is skipped."""
    for name, way in paths.items():
        if way.lacks:
            with subtests.test(name):
                pytest.skip(way.lacks)
    return {name: way for name, way in paths.items() if not way.lacks}


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
                    assert got[task][0] == wanted[task][0], got[task][1]
                    assert _different(got[task][1], wanted[task][1]) == {}
                    continue
                status, result = got[task]
                assert status == "failed"
                assert way.says in result["msg"]
                assert result["msg"].startswith("Nothing was touched. key-exposure: ") == bool(way.by)
            _assert_told(way, said(run, name))


def _different(one: t.Any, other: t.Any, place: str = "") -> dict[str, t.Any]:
    """What two results of a task do not have in common, each with its place."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return {} if one == other else {place: (one, other)}
    found: dict[str, t.Any] = {}
    for name in {*one, *other}:
        found |= _different(one.get(name), other.get(name), f"{place}/{name}")
    return found


def _tour(
    controller: Controller, folder: Path, server: Server, files: Files, paths: Ways
) -> Outcome:
    hosts = {name: {**server.variables(files), **way.variables} for name, way in paths.items()}
    playbook = play(folder, LOOK, TRY, ignore_errors=True)
    return controller.run(hosts, "-vvvv", playbook=playbook, env={**NO_CHOICE, **ways.PLUGINS})


@needs_modules
def test_every_way_on_this_machine(
    server: Server, controller: Controller, files: Files, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """One look and one replacement in check mode by each, all at the same server."""
    paths = _possible(ways.local_ways(tmp_path, Path(server.instance.folder)), subtests)
    before = server.tree()
    run = _tour(controller, tmp_path, server, files, paths)
    _compare(run, paths, subtests)
    assert server.tree() == before


@needs_modules
def test_every_way_over_ssh(
    server: Server, controller: Controller, files: Files, tmp_path: Path, own_sshd: Sshd, account: Account,
    wanted: Pair, subtests: pytest.Subtests,
) -> None:
    with ways.ssh_ways(own_sshd, account) as all_paths:
        paths = _possible(all_paths, subtests)
        paths["by module"] = Way({**local(), "transport": "module"}, "module")
        run = _tour(controller, tmp_path, server, files, paths)
    _compare(run, paths, subtests)
    with subtests.test("no way gives the key back"):
        assert Secrets(wanted).found_in(run.output) == ""


# What Ansible lets a task say

def both(server: Server, **others: t.Any) -> dict[str, Variables]:
    """The same host twice, by each transport."""
    return {f"by {transport}": {**local(), **server.variables(), "transport": transport, **others}
            for transport in ("stdin", "module")}


@needs_modules
def test_keywords_of_a_task(
    server: Server, make_server: t.Callable[..., Server], controller: Controller, tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    """C(environment) reaches the host code, C(timeout) ends the task, C(delegate_to) takes the other host's Python."""
    slow = make_server(start=False)
    Path(slow.instance.sm_main).write_text("#!/bin/sh\nsleep 20\n")
    other = next(filter(None, map(pythons.find, ("3.9", "3.8", "3.10"))), HOST_PYTHON)
    hosts = both(server, slow=slow.instance.sesam2000_ini)
    place, name = os.path.split(server.instance.sesam2000_ini)
    playbook = play(
        tmp_path,
        {"name": "Environment", RESOLVE: {**PLACE, "sesam2000_ini": f"$SESAM_PLACE/{name}"},
         "environment": {"SESAM_PLACE": place}},
        {"name": "Timeout", RESOLVE: {**PLACE, "sesam2000_ini": "{{ slow }}"}, "timeout": 2, "ignore_errors": True},
        {"name": "Delegated", RESOLVE: PLACE, "delegate_to": "other"},
        {"name": "In a loop", RESOLVE: {**PLACE, "port": "{{ item }}"}, "loop": ["{{ sesam_https_port }}", 1]},
        {"name": "Asynchronous", RESOLVE: PLACE, "async": 30, "poll": 1, "ignore_errors": True},
    )  # fmt: skip
    run = controller.run({**hosts, "other": local(other)}, "-vvvv", "--limit", "by stdin,by module",
                         playbook=playbook, env=NO_CHOICE)
    stdin, module = results(run, "by stdin"), results(run, "by module")
    for task in ("Environment", "Delegated"):
        with subtests.test(task):
            assert stdin[task][1]["state"] == "in_sync"
            assert stdin[task] == module[task]
    with subtests.test("Timeout"):
        # The words are those of ansible-core.
        words = re.compile("timed out|timeout|expected time frame", re.IGNORECASE)
        for status, result in (stdin["Timeout"], module["Timeout"]):
            assert (status, bool(words.search(result["msg"]))) == ("failed", True)
    with subtests.test("In a loop"):
        states = [[item["state"] for item in answer["In a loop"][1]["results"]] for answer in (stdin, module)]
        assert states[0] == states[1]
        assert states[0][0] == "in_sync"
    with subtests.test("Asynchronous"):
        assert stdin["Asynchronous"] == module["Asynchronous"]
    with subtests.test("The interpreter of the host to which it is delegated"):
        assert [line for line in said(run, "by stdin") if f" {other}," in line]


@needs_modules
def test_who_logs_in(
    server: Server, controller: Controller, tmp_path: Path, own_sshd: Sshd, account: Account
) -> None:
    """C(remote_user) of a play, and of a task."""
    addresses_of = {"by stdin": "127.0.1.1", "by module": "127.0.2.1"}
    hosts = {host: {**variables, **own_sshd.variables(addresses_of[host], user="")}
             for host, variables in both(server, ansible_become_password=account.password).items()}
    for variables in hosts.values():
        del variables["ansible_user"]
    playbook = play(tmp_path, {**LOOK, "become": True}, {**LOOK, "name": "Root looks", "remote_user": "root"},
                    remote_user=account.name)
    run = controller.run(hosts, "-vvvv", playbook=playbook, env=NO_CHOICE)
    stdin, module = results(run, "by stdin"), results(run, "by module")
    assert stdin["Look"][1]["state"] == stdin["Root looks"][1]["state"] == "in_sync", run.output
    assert stdin == module
    for address in addresses_of.values():
        users = re.findall(rf"<{address}> ESTABLISH SSH CONNECTION FOR USER: (\S+)", run.output)
        assert list(dict.fromkeys(users)) == [account.name, "root"]


@needs_modules
@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_strategies_and_programs_that_are_kept(
    strategy: str, server: Server, wanted: Pair, files: Files, controller: Controller, tmp_path: Path
) -> None:
    """Of three that replace at once, one does; and what is sent can be run by hand: the answer is the same."""
    kept = tmp_path / "kept"
    kept.mkdir()
    starts = server.starts()
    hosts = both(server, **server.variables(files))
    hosts["third"] = {**hosts["by stdin"]}
    # Of a program that holds a key, nothing would be kept.
    replace = {**TRY, REPLACE: {**TRY[REPLACE], "certificate": wanted.pem.decode(), "remote_src": True},
               "check_mode": False}
    env = {**NO_CHOICE, "ANSIBLE_STRATEGY": strategy, "SEP_SESAM_HOST_PROGRAM": str(kept)}
    run = controller.run(hosts, playbook=play(tmp_path, replace, LOOK), env=env)
    assert run.rc == 0, run.output
    told = [results(run, host)["Try"][1] for host in hosts]
    assert sorted((one["action"], one["changed"]) for one in told) == [("none", False)] * 2 + [("replaced", True)]
    assert (server.starts() - starts, server.served()) == (1, wanted.fingerprint)
    answers = [results(run, host)["Look"] for host in hosts]
    assert answers[0][1]["state"] == "in_sync"
    assert answers == [answers[0]] * 3
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}
    programs = sorted(kept.glob("*_resolve.py"))
    assert [path.name for path in programs] == ["by stdin-sesam_cert_resolve.py", "third-sesam_cert_resolve.py"]
    printed = subprocess.run([HOST_PYTHON, "-I", programs[0]], capture_output=True, text=True, check=True).stdout
    nonce = re.findall(r"^sep.sesam ([0-9a-f]{32}) begin ", printed, re.MULTILINE)
    answer = _host_program.read(nonce[0], printed).answer
    assert answer
    assert answer["rmi"]["pid"] == answers[0][1]["rmi"]["pid"]


def test_python_36_under_the_newest_core(server: Server, wanted: Pair, files: Files, tmp_path: Path) -> None:
    """Where ping fails, and an ordinary module of ours, an audit and a replacement work."""
    place, oldest = matrix.read(matrix.NEWEST), pythons.find("3.6")
    if place.missing or not oldest:
        pytest.skip(place.missing or "no Python 3.6 was found")
    controller = Controller(tmp_path / "newest", Path(place.controller).parent)
    playbook = play(
        tmp_path,
        {"name": "Ping", "ansible.builtin.ping": {}, "ignore_errors": True},
        {"name": "Ordinary", RESOLVE: {**PLACE, "transport": "module"}, "ignore_errors": True},
        LOOK, {**TRY, "check_mode": False}, {**TRY, "name": "Again", "check_mode": False},
    )  # fmt: skip
    run = controller.run({"one": {**local(oldest), **server.variables(files)}}, playbook=playbook, env=NO_CHOICE)
    told = results(run, "one")
    assert (told["Ping"][0], told["Ordinary"][0]) == ("failed", "failed")
    assert told["Look"][1]["state"] == "in_sync"
    assert (told["Try"][1]["action"], told["Again"][1]["changed"]) == ("replaced", False), run.output[-2000:]
    assert server.served() == wanted.fingerprint


# At most once

DELAY = 2
SECONDS = 40.0


def _chain(pid: int) -> list[int]:
    """A process, and its parents up to the session of sshd."""
    found = [pid]
    while (parent := int(processes.status(found[-1])["PPid"])) > 1 and not processes.name(parent).startswith("sshd"):
        found.append(parent)
    return found


def test_what_is_killed_in_the_middle_is_not_run_again(
    make_server: t.Callable[..., Server], old: Pair, wanted: Pair, files: Files, controller: Controller,
    own_sshd: Sshd, subtests: pytest.Subtests,
) -> None:
    """Its Python, its shell, its session; with retries of ssh, which would send it all once more."""
    made = {name: make_server(old, stop_delay=DELAY, start_delay=DELAY) for name in ("python", "shell", "session")}
    starts = {name: server.starts() for name, server in made.items()}
    hosts = {name: {**local(), **own_sshd.variables(f"127.0.{1 + number}.1", "root"), **server.variables(files),
                    "ansible_ssh_retries": 2} for number, (name, server) in enumerate(made.items())}
    run = controller.start(hosts, env={"SEP_SESAM_TRANSPORT": "stdin"})
    for server in made.values():
        server.await_stop(SECONDS)
    chains = {name: _chain(processes.holders_of(server.state_folder / "lock")[0]) for name, server in made.items()}
    sessions = {int(processes.status(pids[-1])["PPid"]): name for name, pids in chains.items()}
    assert all(len(pids) > 1 for pids in chains.values())
    os.kill(chains["python"][0], signal.SIGKILL)
    for pid in chains["shell"][1:]:
        os.kill(pid, signal.SIGKILL)
    os.kill(next(pid for pid, name in sessions.items() if name == "session"), signal.SIGKILL)

    outcome = run.finish()

    assert outcome.rc not in (0, None)
    for name in ("shell", "session"):
        wait_until(lambda name=name: not processes.is_alive(chains[name][0]), SECONDS, f"{name} has finished")
    with subtests.test("what died elsewhere is finished, once"):
        assert [made[name].starts() - starts[name] for name in ("shell", "session")] == [1, 1]
        # On a slow machine its Python may have come to the start before it was killed.
        assert made["python"].starts() - starts["python"] <= 1
        assert [made[name].served() for name in ("shell", "session")] == [wanted.fingerprint] * 2
    with subtests.test("one clear message"):
        assert outcome.replace("python").message.startswith("answer-lost: The host has begun its work (Python 3.")
        assert "exit code 137" in outcome.replace("python").message
        assert "Run the play again" in outcome.replace("python").message
        assert all("it goes on alone" in outcome.replace(name).message for name in ("session", "shell")
                   if outcome.replace(name).status == "unreachable")
        # Where ssh asks again, the answer is that of the run that has finished.
        assert outcome.replace("session").status in ("unreachable", "ok")
        assert outcome.replace("shell").status in ("unreachable", "failed", "ok")
    again = controller.run(hosts, env={"SEP_SESAM_TRANSPORT": "stdin"})
    with subtests.test("the next run converges"):
        assert again.rc == 0, again.output
        assert {name: server.served() for name, server in made.items()} == dict.fromkeys(made, wanted.fingerprint)
        assert [made[name].starts() - starts[name] for name in ("shell", "session")] == [1, 1]


# An ssh that breaks when its work is done, where that has changed something.
_BREAKS = """#!/bin/sh
seen() {{ ls -lR --full-time '{place}' | cksum; }}
before=$(seen)
ssh "$@"
rc=$?
[ "$before" = "$(seen)" ] || rc=255
exit $rc
"""


@needs_modules
@pytest.mark.parametrize("transport", ["stdin", "module"])
def test_a_connection_that_breaks_at_the_end_has_nothing_done_twice(
    transport: str, server: Server, wanted: Pair, files: Files, controller: Controller, own_sshd: Sshd, tmp_path: Path,
) -> None:
    """Whatever retries are configured; but a replacement is asked for its answer."""
    place = Path(server.instance.folder) / "place"
    place.mkdir()
    ssh, python, runs = tmp_path / "ssh", tmp_path / "python", tmp_path / "runs"
    ssh.write_text(_BREAKS.format(place=server.instance.folder))
    python.write_text(f"#!/bin/sh\necho run >> '{runs}'\nexec {HOST_PYTHON} \"$@\"\n")
    for program in (ssh, python):
        program.chmod(0o755)
    starts = server.starts()
    pair = {"certificate_path": str(place / "made.crt"), "private_key_path": str(place / "made.key")}
    converted = place / "converted.key"
    tasks: dict[str, dict[str, t.Any]] = {
        "Convert": {"sep.sesam.sesam_pkcs8_convert": {"src": str(files.private_key), "dest": str(converted)}},
        "Make": {"sep.sesam.sesam_selfsigned": {"names": ["a.example"], "key_size": 2048, **pair}},
        "Replace": {REPLACE: {**PLACE, **PAIR}},
    }
    host = {**local(python), **own_sshd.variables(addresses.address(0), "root"), **server.variables(files),
            "ansible_ssh_executable": str(ssh), "ansible_ssh_retries": 2, "ansible_pipelining": False}
    told: dict[str, tuple[str, dict[str, t.Any]]] = {}
    counted: dict[str, int] = {}
    for name, task in tasks.items():
        runs.write_text("")
        run = controller.run({"one": host}, playbook=play(tmp_path, {"name": name, **task}),
                             env={"SEP_SESAM_TRANSPORT": transport})
        told.update(results(run, "one"))
        counted[name] = len(runs.read_text().splitlines())
    # To make a pair is a look more, which changes nothing.
    assert counted == {"Convert": 1, "Make": 2, "Replace": 2}
    for name in ("Convert", "Make"):
        status, result = told[name]
        assert (status, "it goes on alone, and ends it or takes it back by itself" in result["msg"]) == (
            "unreachable", True)
    assert converted.read_bytes() == wanted.key_pem()
    assert all(Path(path).exists() for path in pair.values())
    assert (told["Replace"][0], told["Replace"][1]["changed"]) == ("ok", True)
    assert (server.starts() - starts, server.served()) == (1, wanted.fingerprint)


def _program(server: Server, pair: Pair) -> tuple[str, bytes]:
    """The command and the program of a replacement."""
    nonce = "f" * 32
    asked = host_program.parameters(server, pair)
    return (_host_program.command(str(HOST_PYTHON), "", nonce),
            _host_program.program("replace", asked, ["sesam2000_ini"], nonce))


def test_nobody_hears_the_beginning_and_nothing_is_done(server: Server, wanted: Pair) -> None:
    command, program = _program(server, wanted)
    before = server.tree()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(["/bin/sh", "-c", command], input=program, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert b"nobody hears an answer; nothing was done." in done.stderr
    assert server.tree() == before


def test_nobody_hears_the_answer_and_it_is_done_all_the_same(server: Server, wanted: Pair) -> None:
    command, program = _program(server, wanted)
    with subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(program)
        process.stdin.close()
        assert process.stdout.readline() == b"\n"
        assert b" begin 3." in process.stdout.readline()
        process.stdout.close()
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == b""
    assert server.served() == wanted.fingerprint
    assert not server.journal.exists()


def test_what_is_cut_on_its_way_changes_nothing(server: Server, wanted: Pair) -> None:
    """A replacement without its last byte, or with one bit of the key turned; not a word of it is printed."""
    command, program = _program(server, wanted)
    before = server.tree()
    key = program.index(b"BEGIN PRIVATE KEY") + 100
    turned = program[:key] + bytes([program[key] ^ 1]) + program[key + 1:]
    for damaged in (program[:-1], program[:key], turned):
        done = subprocess.run(["/bin/sh", "-c", command], input=damaged, capture_output=True, check=False)
        assert (done.stdout, done.stderr) == (b"", b"sep.sesam: the program did not come whole; nothing was done.\n")
    assert server.tree() == before
