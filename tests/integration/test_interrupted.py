# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are killed: what dies elsewhere the host finishes, what dies on the host the next run repairs."""

from __future__ import annotations

import json
import os
import signal
import typing as t
from pathlib import Path

import pytest
from integration import host_program, processes
from integration.certificates import Files, Pair
from integration.controller import Controller, Run, Variables, local
from integration.processes import wait_until
from integration.servers import Server
from integration.sshd import Sshd

# Enough for a kill in between, on a busy machine too.
DELAY = 2
SECONDS = 40.0
# A time limit in seconds that no run here comes to.
HOURS = 9999


@pytest.fixture
def host(own_sshd: Sshd, server: Server, files: Files) -> Variables:
    """A slow server, reached over SSH."""
    server.instance.set(stop_delay=DELAY, start_delay=DELAY)
    return {**local(), **own_sshd.variables("127.0.1.1", "root"), **server.variables(files)}


def _wait_for_start(server: Server, old_pid: int) -> None:
    """Until a new rmi is on its way and not yet there."""
    wait_until(lambda: server.instance.pid() not in (None, old_pid), SECONDS, "rmi is being started")


def _module(server: Server) -> int:
    """The process that does the transaction: it holds the lock."""
    (pid,) = processes.holders_of(server.state_folder / "lock")
    return pid


@pytest.mark.parametrize(("moment", "recovered"), [("stop", "undone"), ("start", "finished")])
def test_next_run_repairs_what_died_on_the_host(
    moment: str, recovered: str, host: Variables, controller: Controller, server: Server, old: Pair, wanted: Pair
) -> None:
    pid = server.instance.pid()
    assert pid
    run = controller.start({"one": host})
    server.await_stop(SECONDS) if moment == "stop" else _wait_for_start(server, pid)
    os.kill(_module(server), signal.SIGKILL)
    ended = run.finish()
    assert (ended.rc, ended.replace().result["findings"][0]["id"]) == (2, "answer-lost"), ended.output
    assert json.loads(server.journal.read_text())["was_running"]
    if moment == "start":
        # sm_main was not ours to kill: it goes on and starts rmi with the new pair.
        wait_until(lambda: server.served() == wanted.fingerprint, SECONDS, "the new certificate is served")

    repaired = controller.run({"one": host})

    assert repaired.rc == 0, repaired.output
    assert repaired.of("resolve").result["state"] == "interrupted"  # type: ignore[union-attr]
    result = repaired.replace().result
    # What was finished is not done again; what was undone is.
    assert (result["recovered"], result["action"]) == (recovered, "none" if moment == "start" else "replaced")
    _assert_finished(server, old, wanted)


def _kill_the_controller(run: Run, sshd: Sshd) -> None:
    workers = processes.descendants(run.process.pid)
    assert workers
    run.kill()
    wait_until(lambda: not any(map(processes.is_alive, workers)), SECONDS, "its workers are dead too")


def _kill_the_connection(run: Run, sshd: Sshd) -> None:
    assert sshd.drop()
    ended = run.finish()
    assert ended.rc == 4, ended.output
    assert "it goes on alone" in ended.output


def _cut_the_task_off(run: Run, sshd: Sshd) -> None:
    """As the keyword C(timeout) does when its time is up: the worker gets its alarm, only sooner."""
    (worker,) = filter(processes.awaits_alarm, processes.descendants(run.process.pid))
    os.kill(worker, signal.SIGALRM)
    ended = run.finish()
    assert ended.replace().status == "failed", ended.output
    assert f"The task was cut off after {HOURS} s, its timeout. If the host had" in " ".join(ended.output.split())


@pytest.mark.parametrize("kill", [_kill_the_controller, _kill_the_connection, _cut_the_task_off])
def test_host_finishes_what_dies_elsewhere(
    kill: t.Callable[[Run, Sshd], None],
    host: Variables,
    controller: Controller,
    server: Server,
    old: Pair,
    wanted: Pair,
    own_sshd: Sshd,
) -> None:
    run = controller.start({"one": host}, env={"ANSIBLE_TASK_TIMEOUT": str(HOURS)})
    server.await_stop(SECONDS)
    module = _module(server)

    kill(run, own_sshd)

    assert not server.listens(), "too late: it was finished before the kill"
    wait_until(lambda: not processes.is_alive(module), SECONDS, "the host has finished")
    _assert_finished(server, old, wanted)
    (kept,) = json.loads((server.state_folder / "result").read_text())["runs"]
    assert (kept["result"]["action"], kept["result"]["failure"]) == ("replaced", None)
    assert server.starts() == 2, "one by the test, one by the replacement"


def test_host_finishes_when_it_is_told_to_end(server: Server, old: Pair, wanted: Pair) -> None:
    """As a terminal that is closed, a shutdown and a person tell it."""
    server.instance.set(stop_delay=DELAY)
    call = host_program.start(host_program.parameters(server, wanted))
    server.await_stop(SECONDS)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        os.kill(call.process.pid, number)
    answer = call.answer()
    assert (answer["action"], answer["refused"], answer["failure"]) == ("replaced", None, None)
    _assert_finished(server, old, wanted)


def _assert_finished(server: Server, old: Pair, wanted: Pair) -> None:
    """The new pair is in place and served, the old one is in a backup, and nothing else is left."""
    assert server.served() == wanted.fingerprint
    assert Path(server.instance.certificate).read_bytes() == wanted.pem
    assert Path(server.instance.private_key).read_bytes() == wanted.key_pem()
    assert not server.journal.exists()
    assert sorted(os.listdir(server.instance.ssl_folder)) == ["sesam.https.crt", "sesam.https.key"]
    kept = [path.read_bytes() for path in (server.state_folder / "backups").glob("*/sesam.https.key")]
    assert kept.count(old.key_pem()) >= 1
    assert processes.holders_of(server.state_folder / "lock") == []
