# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look at every server, by a task, a playbook and the role with nothing to do, against ping."""

from __future__ import annotations

import functools
import typing as t

from integration.controller import REPLACE
from workbench import pythons

from . import contest, controller_side, fleet, host_call
from .contest import Contender
from .fleet import AUDIT, PING
from .profiles import Profile
from .scene import GROWTH_ROUNDS, MODULE, STDIN, TRANSPORTS, Scene, carried_by

_DRIFT_CHECK = "sep.sesam.drift_check"
_AUDIT_BUDGETS = {STDIN: 0.9, MODULE: 1.2}
_AUDIT_PROCESSOR = 1.2
_DRIFT_CHECK_BUDGET, _DRIFT_CHECK_PROCESSOR = 1.4, 1.6
_ROLE_BUDGET = 1.6
_GROWTH_BUDGET = 1.1
# One after the other.
_PROFILED_HOSTS = 5
_CALLS_IN_A_ROUND = 4
# In place is what is asked for.
_SELFSIGNED = fleet.given(sesam_https_source="selfsigned", sesam_https_key_type="EC",
                          sesam_https_names=["backup.example"])


def measure(scene: Scene) -> t.Iterator[contest.Contest]:
    """All of them, and what an admin would write without this collection."""
    with fleet.running(scene.folder, scene.hosts) as hosts:
        contenders = [Contender(PING, hosts.ping)]
        for transport in TRANSPORTS:
            run = functools.partial(hosts.run, env=carried_by(transport))
            contenders += [
                Contender(f"{AUDIT}, by {transport}", functools.partial(run, hosts.audit),
                          _AUDIT_BUDGETS[transport], _AUDIT_PROCESSOR),
                Contender(f"{_DRIFT_CHECK}, by {transport}", functools.partial(run, _DRIFT_CHECK),
                          _DRIFT_CHECK_BUDGET, _DRIFT_CHECK_PROCESSOR),
                Contender(f"{REPLACE}, nothing to do, by {transport}", functools.partial(run, REPLACE), _ROLE_BUDGET),
            ]
        selfsigned = functools.partial(hosts.run, REPLACE, *_SELFSIGNED, env=carried_by(TRANSPORTS[0]))
        by_hand = functools.partial(hosts.run, fleet.PLAYS / "audit_by_hand.yml")
        contenders += [Contender(f"{REPLACE}, selfsigned, nothing to do, by {TRANSPORTS[0]}", selfsigned, _ROLE_BUDGET),
                       Contender("an audit with community.crypto", by_hand)]
        _warm_up(contenders)
        yield contest.in_turn(str(hosts), contenders, scene.rounds)


def measure_growth(scene: Scene) -> t.Iterator[contest.Contest]:
    """How the cost of the task grows with the number of hosts, as it is asked by default, against that of ping."""
    with fleet.running(scene.folder, scene.many) as hosts:
        contenders = []
        for number in (scene.hosts, scene.many):
            audit = functools.partial(hosts.run, hosts.audit, hosts=number, env=carried_by(STDIN))
            contenders += [Contender(f"{PING}, {number} hosts", functools.partial(hosts.ping, number)),
                           Contender(f"{AUDIT}, {number} hosts", audit)]
        found = contest.in_turn(str(hosts), contenders, min(scene.rounds, GROWTH_ROUNDS))
    check = contest.Check(f"{AUDIT}, {scene.hosts} to {scene.many} hosts", "x as ping grows",
                          _growth(found, scene, AUDIT) / _growth(found, scene, PING), _GROWTH_BUDGET)
    yield found.part(f"{scene.hosts} of these hosts", f", {scene.hosts} hosts")
    yield found.part(found.title, f", {scene.many} hosts", [check])


def measure_profile(scene: Scene) -> t.Iterator[Profile]:
    """Where the time of one host goes, on it and on the controller."""
    with fleet.running(scene.folder, min(scene.hosts, _PROFILED_HOSTS)) as hosts:
        for python in (pythons.this(), pythons.interpreter("3.6")):
            if python:
                yield host_call.profile(hosts.instance, python, scene.rounds * _CALLS_IN_A_ROUND)
        yield from controller_side.profiles(hosts, scene.rounds)


def _growth(found: contest.Contest, scene: Scene, name: str) -> float:
    return found.seconds(f"{name}, {scene.many} hosts") / found.seconds(f"{name}, {scene.hosts} hosts")


def _warm_up(contenders: t.Iterable[Contender]) -> None:
    """The first time, Python compiles what it imports."""
    for contender in contenders:
        t.cast("functools.partial[object]", contender.run)(hosts=1)
