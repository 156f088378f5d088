# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every step that can fail, fails once: the old certificate is served again, and the next run repairs.

One run over a fleet in which every host has another fault; each test looks at one host.
"""

from __future__ import annotations

import dataclasses
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from integration import servers
from integration.certificates import Authority, Pair
from integration.controller import Controller, Outcome, local
from integration.servers import Server

HANGS = {"start_timeout": 5, "stop_timeout": 3}


class Fault(t.NamedTuple):
    """What is ordered of the stand-in, which step shall be named, what the message shall say beside that."""

    orders: dict[str, t.Any]
    step: str
    says: str
    options: dict[str, t.Any] = {}  # noqa: RUF012
    rmi_is_restarted: bool = True


FAULTS = {
    "start-fails": Fault({"start": "fails@1"}, "start", "exit code 1"),
    "start-lies": Fault({"start": "lies@1"}, "served", "refused", HANGS),
    "start-hangs": Fault({"start": "hangs@1"}, "served", "did not end within", HANGS),
    "rmi-refuses-to-start": Fault({"dies_after": "0@1"}, "start", "exit code 1"),
    "rmi-dies-later": Fault({"dies_after": "1@1", "start_delay": "2@1", "start_waits": "no@1"}, "served", "", HANGS),
    "another-certificate": Fault({"serves": "other@1"}, "served", "SHA-256 fingerprint"),
    "plain-http": Fault({"listener": "plain_http@1"}, "served", "without TLS"),
    "port-closed": Fault({"listener": "closed@1"}, "served", "refused", HANGS),
    "no-log-line": Fault({"log_line": "never@1"}, "log_line", "no line of this start"),
    "log-names-another-path": Fault({"log_path": "/else/where.crt@1"}, "log_line", "/else/where.crt"),
    "stop-fails": Fault({"stop": "fails@1"}, "stop", "exit code 1", rmi_is_restarted=False),
    "stop-lies": Fault({"stop": "ignored@1"}, "stop", "rmi still runs", HANGS, rmi_is_restarted=False),
    "stop-hangs": Fault({"stop": "hangs@1"}, "stop", "did not end within", HANGS, rmi_is_restarted=False),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """What one host went through."""

    name: str
    old_pid: int | None
    pid_after: int | None
    served_after: str | None
    files_after: list[bytes]
    journal_after: bool
    served_at_last: str | None


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Both runs, and the cases by their names."""

    failing: Outcome
    repairing: Outcome
    cases: dict[str, Case]


@pytest.fixture(scope="module")
def fleet(
    authority: Authority, old: Pair, wanted: Pair, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[Fleet]:
    """Run twice over all hosts; the faults count for the first run only."""
    folder = tmp_path_factory.mktemp("failures")
    files = wanted.write(folder / "files")
    made = {name: servers.create(folder / name, number) for number, name in enumerate(FAULTS)}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _prepare(made[name], old, FAULTS[name]), FAULTS))
    try:
        pids = {name: server.instance.pid() for name, server in made.items()}
        hosts = {name: {**local(), **made[name].variables(files, **fault.options)} for name, fault in FAULTS.items()}
        controller = Controller(folder / "controller")
        failing = controller.run(hosts)
        after = {name: _state(server) for name, server in made.items()}
        repairing = controller.run(hosts)
        cases = {name: Case(name, pids[name], *after[name], made[name].served()) for name in made}
        yield Fleet(failing, repairing, cases)
    finally:
        for server in made.values():
            server.instance.remove()


def _prepare(server: Server, old: Pair, fault: Fault) -> None:
    server.put(old)
    server.instance.start(env=servers.ENVIRONMENT)
    server.instance.set(**fault.orders)


def _state(server: Server) -> tuple[int | None, str | None, list[bytes], bool]:
    files = [Path(path).read_bytes() for path in (server.instance.certificate, server.instance.private_key)]
    return server.instance.pid(), server.served(), files, server.journal.exists()


@pytest.fixture(params=FAULTS)
def case(request: pytest.FixtureRequest, fleet: Fleet) -> Case:
    return fleet.cases[request.param]


def test_run_fails(fleet: Fleet) -> None:
    assert fleet.failing.rc == 2
    assert all(fleet.failing.recap(name)["failures"] == 1 for name in FAULTS)


def test_old_certificate_is_served_again(case: Case, old: Pair) -> None:
    assert case.served_after == old.fingerprint
    assert case.files_after == [old.pem, old.key_pem()]
    assert not case.journal_after
    assert (case.pid_after != case.old_pid) == FAULTS[case.name].rmi_is_restarted


def test_message_names_the_step_the_log_what_is_served_and_what_to_do(case: Case, fleet: Fleet, old: Pair) -> None:
    fault, result = FAULTS[case.name], fleet.failing.replace(case.name)
    message = result.message
    assert result.status == "failed"
    assert result.result["failed_step"] == fault.step
    assert f"Step {fault.step} failed: " in message
    assert fault.says in message
    assert f"the port serves CN=old.example, until {_end(old)}, SHA-256 {old.fingerprint}." in message
    assert "This is the certificate that was served before." in message
    assert "What to do: " in message
    log = message.partition("Log since the stop:")[2]
    assert ("Starting SEP sesam REST server" in log) or "The log has nothing new since the stop." in message or (
        "REST server ends" in log
    )
    assert "Traceback" not in fleet.failing.output


def test_changed_tells_whether_rmi_was_restarted(case: Case, fleet: Fleet) -> None:
    assert fleet.failing.replace(case.name).result["changed"] == FAULTS[case.name].rmi_is_restarted


def test_next_run_repairs(case: Case, fleet: Fleet, wanted: Pair) -> None:
    assert fleet.repairing.rc == 0, fleet.repairing.output
    assert fleet.repairing.replace(case.name).result["action"] == "replaced"
    assert case.served_at_last == wanted.fingerprint


def test_log_of_a_start_that_went_wrong_is_shown(fleet: Fleet) -> None:
    message = fleet.failing.replace("log-names-another-path").message
    assert "Setting up HTTPS certificate from certificate file /else/where.crt" in message


def _end(pair: Pair) -> str:
    return pair.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_generated_certificate_comes_back_where_one_was_served(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, tmp_path: Path
) -> None:
    """A pair that the server cannot read makes it serve another one at every start: that is the way back here."""
    server = make_server(start=False)
    server.put(old, old.key_pem("TraditionalOpenSSL"))
    server.instance.start()
    server.instance.set(serves="other@1")
    before = [Path(path).read_bytes() for path in (server.instance.certificate, server.instance.private_key)]
    host = {"one": {**local(), **server.variables(wanted.write(tmp_path / "files"))}}

    run = controller.run(host)

    assert run.rc == 2
    assert "Rolled back: the port serves CN=" in run.replace().message
    assert [Path(p).read_bytes() for p in (server.instance.certificate, server.instance.private_key)] == before
    assert server.served() not in (None, wanted.fingerprint, old.fingerprint)
    assert controller.run(host).rc == 0
    assert server.served() == wanted.fingerprint
