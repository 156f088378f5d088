# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every step that can fail, fails once: the old certificate is served again, and the next run repairs.

One run over a fleet in which every host has another fault.
"""

from __future__ import annotations

import dataclasses
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from integration import servers
from integration.certificates import Files, Pair
from integration.controller import Controller, Result, local
from integration.servers import Server

pytestmark = pytest.mark.takes_long

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
    "start-lies": Fault({"start": "lies@1"}, "served", "nobody listens on port", HANGS),
    "start-hangs": Fault({"start": "hangs@1"}, "served", "did not end within", HANGS),
    "rmi-refuses-to-start": Fault({"dies_after": "0@1"}, "start", "exit code 1"),
    "rmi-dies-later": Fault({"dies_after": "1@1", "start_delay": "2@1", "start_waits": "no@1"}, "served", "", HANGS),
    "another-certificate": Fault({"serves": "other@1"}, "served", "SHA-256 fingerprint"),
    "plain-http": Fault({"listener": "plain_http@1"}, "served", "without TLS"),
    "port-closed": Fault({"listener": "closed@1"}, "served", "nobody listens on port", HANGS),
    "no-log-line": Fault({"log_line": "never@1"}, "log_line", "no line of this start"),
    "log-names-another-path": Fault({"log_path": "/else/where.crt@1"}, "log_line", "/else/where.crt"),
    "stop-fails": Fault({"stop": "fails@1"}, "stop", "exit code 1", HANGS, rmi_is_restarted=False),
    "stop-lies": Fault({"stop": "ignored@1"}, "stop", "rmi still runs", HANGS, rmi_is_restarted=False),
    "stop-hangs": Fault({"stop": "hangs@1"}, "stop", "did not end within", HANGS, rmi_is_restarted=False),
}


# The next run is the same for all: a few will do.
REPAIRED = ("start-fails", "another-certificate", "no-log-line", "stop-hangs")


@dataclasses.dataclass(frozen=True)
class Case:
    """What one host went through."""

    fault: Fault
    result: Result
    old_pid: int | None
    pid: int | None
    served: str | None
    files: list[bytes]
    has_journal: bool


@pytest.fixture
def fleet(tmp_path: Path, old: Pair) -> t.Iterator[dict[str, Server]]:
    """Servers that all serve the old certificate, each with a fault that is to come."""
    made = {name: servers.create(tmp_path / name, number) for number, name in enumerate(FAULTS)}
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: _prepare(made[name], old, FAULTS[name]), FAULTS))
        yield made
    finally:
        for server in made.values():
            server.instance.remove()


def _prepare(server: Server, old: Pair, fault: Fault) -> None:
    server.put(old)
    server.instance.start(env=servers.ENVIRONMENT)
    server.instance.set(**fault.orders)


def test_every_fault_is_survived(
    fleet: dict[str, Server], controller: Controller, old: Pair, wanted: Pair, files: Files, subtests: pytest.Subtests
) -> None:
    pids = {name: server.instance.pid() for name, server in fleet.items()}
    hosts = {name: {**local(), **fleet[name].variables(files, **fault.options)} for name, fault in FAULTS.items()}

    run = controller.run(hosts, "-v")

    assert run.rc == 2
    assert "Traceback" not in run.output
    # So long takes no other step.
    assert "<start-hangs> sep.sesam: sesam_cert_replace: no answer of the host after 5 s (lock_timeout " in run.output
    for name, server in fleet.items():
        with subtests.test(name):
            case = _case(FAULTS[name], run.replace(name), pids[name], server)
            _assert_old_certificate_is_back(case, old)
            _assert_message_is_clear(case, old)

    repairing = controller.run({name: hosts[name] for name in REPAIRED})

    assert repairing.rc == 0, repairing.output
    for name in REPAIRED:
        with subtests.test(f"the next run repairs {name}"):
            assert repairing.replace(name).result["action"] == "replaced"
            assert fleet[name].served() == wanted.fingerprint


def _case(fault: Fault, result: Result, old_pid: int | None, server: Server) -> Case:
    contents = [Path(path).read_bytes() for path in (server.instance.certificate, server.instance.private_key)]
    return Case(fault, result, old_pid, server.instance.pid(), server.served(), contents, server.journal.exists())


def _assert_old_certificate_is_back(case: Case, old: Pair) -> None:
    assert case.served == old.fingerprint
    assert case.files == [old.pem, old.key_pem()]
    # A stop that was ordered may still come.
    assert case.has_journal == (case.fault.step == "stop")
    assert (case.pid != case.old_pid) == case.fault.rmi_is_restarted
    assert case.result.result["changed"] == case.fault.rmi_is_restarted


def _assert_message_is_clear(case: Case, old: Pair) -> None:
    """It names the step, shows the log since, says what is served now and what to do."""
    message = case.result.message
    assert (case.result.status, case.result.result["failed_step"]) == ("failed", case.fault.step)
    assert f"Step {case.fault.step} failed: " in message
    assert case.fault.says in message
    assert f"the port serves CN=old.example, until {_end(old)}, SHA-256 {old.fingerprint}." in message
    assert "This is the certificate that was served before." in message
    assert "What to do: " in message
    log = message.partition("Log since the stop:")[2]
    if case.fault.rmi_is_restarted:
        assert "INFO  main - REST server ends" in log
    else:
        assert "The log has nothing new since the stop." in message
    if "log_path" in case.fault.orders:
        assert "Setting up HTTPS certificate from certificate file /else/where.crt" in log


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
