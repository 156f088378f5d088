# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs on one host at once, and one run that is sent twice."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import signal
import socket
import time
import typing as t
from pathlib import Path

import pytest
from integration import host_program, processes
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller, Variables, local, needs_modules
from integration.processes import wait_until
from integration.servers import Server
from integration.sshd import Sshd

SECONDS = 60.0


def _over_ssh(server: Server, sshd: Sshd, files: Files, **others: t.Any) -> dict[str, Variables]:
    login = {**local(), **sshd.variables("127.0.1.1", "root")}
    patient = {"stop_timeout": 120, "start_timeout": 120}
    return {"one": {**login, **server.variables(files, **patient, **others)}}


def _wait_for_stop(server: Server) -> None:
    """A slow one, for a fault in between."""
    server.instance.set(stop_delay=2, start_delay=2)
    server.await_stop(SECONDS)


@contextlib.contextmanager
def _halted(server: Server) -> t.Iterator[int]:
    """The process of the first run, halted while it holds the lock and rmi is stopped."""
    _wait_for_stop(server)
    (holder,) = processes.holders_of(server.state_folder / "lock")
    os.kill(holder, signal.SIGSTOP)
    try:
        yield holder
    finally:
        os.kill(holder, signal.SIGCONT)


def test_same_run_sent_twice_is_done_once(server: Server, wanted: Pair) -> None:
    """A dropped connection with SSH retries on makes Ansible send the module again while the first still runs."""
    server.instance.set(stop_delay=1, start_delay=1)
    asked = host_program.parameters(server, wanted)
    first = host_program.start(asked)
    server.await_stop(20)
    second = host_program.start({**asked, "lock_timeout": 0})

    answers = first.answer(), second.answer()

    assert answers[0]["action"] == "replaced"
    assert answers[0] == answers[1]
    assert server.starts() == 2, "one by the test, one by the replacement"
    assert host_program.start(asked).answer() == answers[0]
    assert server.starts() == 2


def test_two_runs_at_once_come_one_after_the_other(
    authority: Authority, server: Server, controller: Controller, wanted: Pair, files: Files
) -> None:
    server.instance.set(start_delay=1)
    host = {"one": {**local(), **server.variables(files)}}
    runs = [controller.start(host), controller.start(host)]
    outcomes = [run.finish() for run in runs]
    assert [outcome.rc for outcome in outcomes] == [0, 0], outcomes[0].output + outcomes[1].output
    assert server.served() == wanted.fingerprint
    assert server.starts() == 2
    assert sorted(outcome.recap()["changed"] for outcome in outcomes) == [0, 1]


def test_lock_that_is_not_given_up_is_told_with_its_holder(
    server: Server, controller: Controller, old: Pair, files: Files
) -> None:
    server.state_folder.mkdir(mode=0o700)
    lock = server.state_folder / "lock"
    holder = {"id": "other", "by": "somebody@elsewhere", "pid": 4711, "since": "2026-01-01 00:00:00"}
    lock.write_text(json.dumps(holder))
    with open(lock, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        pid = server.instance.pid()
        run = controller.run({"one": {**local(), **server.variables(files, lock_timeout=1)}})
    assert run.rc == 2
    assert (f"locked: Another run works on this host (lock {lock}): started by somebody@elsewhere, process 4711 of "
            "this host, since 2026-01-01 00:00:00. It was waited for 1 s. Wait for it to end") in run.replace().message
    assert (server.instance.pid(), server.served()) == (pid, old.fingerprint)


def test_second_run_with_another_certificate_waits_for_the_first(
    authority: Authority, server: Server, controller: Controller, own_sshd: Sshd, files: Files,
    tmp_path: Path,
) -> None:
    second = authority.issue("second.example")
    other = second.write(tmp_path / "second")
    runs = [controller.start(_over_ssh(server, own_sshd, files))]
    lock = server.state_folder / "lock"
    with _halted(server):
        runs.append(controller.start(_over_ssh(server, own_sshd, other)))
        wait_until(lambda: len(processes.holders_of(lock)) == 2, SECONDS, "the second run has come to the lock")
        time.sleep(1)
        assert len(processes.holders_of(lock)) == 2, "it does not wait"
    outcomes = [run.finish() for run in runs]
    assert [outcome.rc for outcome in outcomes] == [0, 0], outcomes[0].output + outcomes[1].output
    assert [outcome.replace().result["action"] for outcome in outcomes] == ["replaced", "replaced"]
    assert server.served() == second.fingerprint
    assert server.starts() == 3


def test_second_run_tells_who_the_first_is_when_it_waits_no_longer(
    authority: Authority, server: Server, controller: Controller, own_sshd: Sshd, files: Files,
    wanted: Pair, tmp_path: Path,
) -> None:
    """And the first one ends as if nothing had been."""
    other = authority.issue("second.example").write(tmp_path / "second")
    first = controller.start(_over_ssh(server, own_sshd, files))
    with _halted(server) as holder:
        second = controller.run(_over_ssh(server, own_sshd, other, lock_timeout=1))
    assert second.rc == 2
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    assert f"): started by {by}, process {holder} of this host, since 20" in second.replace().message
    assert first.finish().rc == 0
    assert server.served() == wanted.fingerprint
    assert server.starts() == 2


@pytest.mark.parametrize("transport", ["stdin", pytest.param("module", marks=needs_modules)])
def test_connection_that_asks_again_gets_the_answer_of_the_first(
    transport: str, server: Server, controller: Controller, own_sshd: Sshd, files: Files, wanted: Pair
) -> None:
    host = _over_ssh(server, own_sshd, files, transport=transport)
    run = controller.start({"one": {**host["one"], "ansible_ssh_retries": 2}}, "-vvvv")
    _wait_for_stop(server)
    assert own_sshd.drop()
    outcome = run.finish()
    assert outcome.rc == 0, outcome.output
    assert "ssh_retry: attempt: 1" in outcome.output
    assert outcome.replace().result["action"] == "replaced"
    assert server.served() == wanted.fingerprint
    assert server.starts() == 2
