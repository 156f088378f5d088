# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what the collection costs, against what anybody would compare it with; everything on this machine.

    .venv/bin/python tests/bench/measure.py            both figures (needs root and sshd)
    .venv/bin/python tests/bench/measure.py downtime
    .venv/bin/python tests/bench/measure.py fleet

`fleet`: the role with nothing to do on 20 hosts over SSH, against a playbook with `ansible.builtin.ping` alone.
`downtime`: from the last answer of the old server to the first of the new one, seen by a poller of the port, of a
replacement against `sm_main stop rmi; sm_main start rmi`. Both in turn, five times, medians.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import typing as t
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import pytest  # noqa: E402
from integration import addresses, downtime, host_program, servers, sshd  # noqa: E402
from integration.certificates import Authority  # noqa: E402
from integration.controller import REPLACE, Controller, Outcome, Variables, local  # noqa: E402

ROUNDS = 5
HOSTS = 20
STOP_DELAY, START_DELAY = 1, 2
PING = '[{"hosts": "all", "gather_facts": false, "tasks": [{"ansible.builtin.ping": {}}]}]'
QUIET = {"DUMP_RESULTS": os.devnull, "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s"}


def compare(what: str, ours: t.Callable[[], float], theirs: t.Callable[[], float], names: tuple[str, str]) -> None:
    """Measure both in turn and print medians, the spread and the ratio."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _round in range(ROUNDS):
        seconds[1].append(theirs())
        seconds[0].append(ours())
    print(what)
    for name, values in zip(names, seconds, strict=True):
        print(f"  {name:44} median {statistics.median(values):6.3f} s  ({min(values):.3f} to {max(values):.3f})")
    ratios = [one / other for one, other in zip(*seconds, strict=True)]
    ratio = statistics.median(seconds[0]) / statistics.median(seconds[1])
    print(f"  {'ratio of the medians':44} {ratio:6.3f}    ({min(ratios):.3f} to {max(ratios):.3f} in pairs)")


def measure_downtime(folder: Path) -> None:
    """The replacement against the bare stop and start."""
    authority = Authority()
    both = itertools.cycle([authority.issue("one.example"), authority.issue("two.example")])
    server = servers.create(folder / "downtime", 0, stop_delay=STOP_DELAY, start_delay=START_DELAY)
    with server.instance as instance:
        server.put(next(both))
        instance.start(env=servers.ENVIRONMENT)

        def bare() -> None:
            instance.run("stop", "rmi", env=servers.ENVIRONMENT)
            instance.run("start", "rmi", env=servers.ENVIRONMENT)

        def replace() -> None:
            answer = host_program.start(host_program.parameters(server, next(both))).answer()
            if answer["action"] != "replaced":
                raise RuntimeError(f"the replacement failed: {answer}")

        place = (instance.address, instance.port)
        compare(
            f"Downtime, a server that takes {STOP_DELAY} s to stop and {START_DELAY} s to start",
            lambda: downtime.measured(*place, replace),
            lambda: downtime.measured(*place, bare),
            ("sesam_cert_replace", "sm_main stop rmi; sm_main start rmi"),
        )


def measure_fleet(folder: Path) -> None:
    """The role with nothing to do against ping; one server answers for every host."""
    pair = Authority().issue()
    server = servers.create(folder / "fleet", 0, bind="wildcard")
    with server.instance as instance, contextlib.ExitStack() as stack:
        server.put(pair)
        instance.start(env=servers.ENVIRONMENT)
        common = {**local(), **server.variables(pair.write(folder / "files")), "ansible_pipelining": True}
        hosts = {f"host{n}": {**common, **login} for n, login in enumerate(_logins(stack))}
        controller = Controller(folder / "controller")
        ping = folder / "ping.json"
        ping.write_text(PING)

        def seconds(playbook: str | Path) -> float:
            return _succeeded(controller.run(hosts, playbook=playbook, env=QUIET)).seconds

        for playbook in (ping, REPLACE):  # the connections are made before
            seconds(playbook)
        compare(
            f"{HOSTS} hosts over SSH, pipelining on, interpreter given, {HOSTS} forks",
            lambda: seconds(REPLACE),
            lambda: seconds(ping),
            ("sep.sesam.replace, nothing to do", "ansible.builtin.ping"),
        )


def _logins(stack: contextlib.ExitStack) -> t.Iterator[Variables]:
    """How to log in on each host. One sshd listens on 16 addresses at most."""
    places = [addresses.address(number) for number in range(HOSTS)]
    for some in (places[:HOSTS // 2], places[HOSTS // 2 :]):
        daemon = stack.enter_context(sshd.running(addresses.free_port(), some))
        yield from (daemon.variables(place, "root") for place in some)


def _succeeded(run: Outcome) -> Outcome:
    if run.rc or "changed=1" in run.output:
        raise RuntimeError(f"this run was to succeed and change nothing:\n{run.output}")
    return run


MEASURES = {"downtime": measure_downtime, "fleet": measure_fleet}


def main(names: list[str]) -> str | None:
    """Run the measures named, or all."""
    if unknown := set(names) - MEASURES.keys():
        return f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in names or MEASURES:
            try:
                MEASURES[name](Path(folder))
            except pytest.skip.Exception as missing:
                return f"{name}: {missing}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
