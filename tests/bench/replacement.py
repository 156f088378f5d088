# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A replacement on one server: how long it takes, and how long nobody is served meanwhile."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import typing as t

from integration import downtime, servers
from integration.certificates import Authority, Files
from integration.controller import REPLACE

from . import contest, fleet
from .contest import Contender, Cost
from .fleet import PING
from .scene import TRANSPORTS, Scene, carried_by

STOP_DELAY, START_DELAY = 1, 2
_SERVER = f"a server that takes {STOP_DELAY} s to stop and {START_DELAY} s to start"
_STOP_START = "stop and start, two tasks with command"
_BY_HAND = "a replacement with community.crypto"
_PINGS, _DOWNTIME_BUDGET = 2.0, 1.1
Run = t.Callable[[], Cost]


class _Server:
    """One host over SSH, and two pairs that take turns on it."""

    def __init__(self, hosts: fleet.Fleet) -> None:
        authority = Authority()
        self.hosts = hosts
        self._pairs = itertools.cycle([authority.issue(name).write(hosts.folder / name)
                                       for name in ("one.example", "two.example")])

    def replace(self, transport: str) -> Cost:
        files: Files = next(self._pairs)
        return self.hosts.run(REPLACE, *fleet.given(
            sesam_https_certificate=str(files.certificate), sesam_https_private_key=str(files.private_key)),
            env=carried_by(transport), changes=True)

    def replace_by_hand(self) -> Cost:
        files: Files = next(self._pairs)
        return self.hosts.run(fleet.PLAYS / "replace_by_hand.yml", *fleet.given(
            wanted_certificate=str(files.certificate), wanted_private_key=str(files.private_key)), changes=True)

    def stop_start(self) -> Cost:
        return self.hosts.run(fleet.PLAYS / "stop_start.yml", changes=True)

    def stop_start_without_ansible(self) -> None:
        self.hosts.instance.run("stop", "rmi", env=servers.ENVIRONMENT)
        self.hosts.instance.run("start", "rmi", env=servers.ENVIRONMENT)

    def downtime(self, act: t.Callable[[], object]) -> t.Callable[[], Cost]:
        """What measures how long nobody is served while something is done."""
        instance = self.hosts.instance
        return lambda: Cost(downtime.measured(instance.address, instance.port, act))


def measure(scene: Scene) -> t.Iterator[contest.Contest]:
    """The whole replacement, against what it cannot do without."""
    with fleet.running(scene.folder, 1, stop_delay=STOP_DELAY, start_delay=START_DELAY) as hosts:
        server = _Server(hosts)
        contenders = [Contender(_STOP_START, server.stop_start), Contender(PING, hosts.ping), *_replacements(server)]
        _warm_up(contenders)
        found = contest.in_turn(f"A replacement over SSH, {_SERVER}", contenders, scene.rounds)
        least = found.seconds(_STOP_START) + _PINGS * found.seconds(PING)
        checks = [contest.Check(_ours(transport), f"s; at most stop and start plus {_PINGS} x ping",
                                found.seconds(_ours(transport)), least) for transport in TRANSPORTS]
        yield contest.Contest(found.title, found.costs, checks)


def measure_downtime(scene: Scene) -> t.Iterator[contest.Contest]:
    """From the last answer of the old server to the first of the new one, seen by a poller of the port."""
    with fleet.running(scene.folder, 1, stop_delay=STOP_DELAY, start_delay=START_DELAY) as hosts:
        server = _Server(hosts)
        replacements = _replacements(server, _DOWNTIME_BUDGET)
        _warm_up(replacements)
        contenders = [
            Contender("sm_main stop rmi; sm_main start rmi", server.downtime(server.stop_start_without_ansible)),
            *(dataclasses.replace(contender, run=server.downtime(contender.run)) for contender in replacements),
        ]
        yield contest.in_turn(f"Downtime, {_SERVER}", contenders, scene.rounds)


def _replacements(server: _Server, budget: float | None = None) -> list[Contender]:
    ours = [Contender(_ours(transport), functools.partial(server.replace, transport), budget)
            for transport in TRANSPORTS]
    return [*ours, Contender(_BY_HAND, server.replace_by_hand)]


def _ours(transport: str) -> str:
    return f"{REPLACE}, by {transport}"


def _warm_up(contenders: t.Iterable[Contender]) -> None:
    """The first time, Python compiles what it imports."""
    for contender in contenders:
        contender.run()
