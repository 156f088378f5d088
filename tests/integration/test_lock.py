# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs on one host at once, and one run that is sent twice."""

from __future__ import annotations

import fcntl
import json

from integration import host_program
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller, local
from integration.processes import wait_until
from integration.servers import Server


def test_same_run_sent_twice_is_done_once(server: Server, wanted: Pair) -> None:
    """A dropped connection with SSH retries on makes Ansible send the module again while the first still runs."""
    server.instance.set(stop_delay=1, start_delay=1)
    asked = host_program.parameters(server, wanted)
    first = host_program.start(asked)
    wait_until(lambda: not server.listens(), 20, "rmi is being stopped")
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
    for words in ("locked: Another run works on this host: somebody@elsewhere, process 4711", "raise lock_timeout"):
        assert words in run.replace().message
    assert (server.instance.pid(), server.served()) == (pid, old.fingerprint)
