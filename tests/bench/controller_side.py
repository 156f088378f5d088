# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the time of one host goes on the controller: one after the other, so that nobody waits for a processor."""

from __future__ import annotations

import json
import statistics
import typing as t
from pathlib import Path

from workbench import tree

from . import fleet, stopwatch
from .profiles import Profile
from .scene import TRANSPORTS, carried_by

_CALLBACK = "stopwatch_of_workers"
_PLUGINS = Path(__file__).with_name("plugins") / "callback"


def profiles(hosts: fleet.Fleet, rounds: int) -> t.Iterator[Profile]:
    """Of ping, and of the task by each transport."""
    watched: dict[str, tuple[Path, dict[str, str]]] = {fleet.PING: (hosts.ping_play, {})}
    for transport in TRANSPORTS:
        watched[f"{fleet.AUDIT} by {transport}"] = hosts.audit, carried_by(transport)
    idle = hosts.folder / "nothing.json"
    idle.write_text(json.dumps([{"hosts": "all", "gather_facts": False}]))
    found = {name: Profile(f"One host on the controller, {name}") for name in watched}
    for round_, (name, (playbook, env)) in ((n, one) for n in range(rounds) for one in watched.items()):
        start = hosts.run(idle, "--forks", "1").seconds
        report = hosts.folder / f"{name} {round_}"
        whole = hosts.run(playbook, "--forks", "1", env={**env, **_watching(report)}).seconds
        workers = [json.loads(line) for line in report.read_text().splitlines()]
        share = (whole - start) / len(workers)
        phases = {phase: statistics.median(worker[phase] for worker in workers) for phase in workers[0]}
        phases = {phase: seconds for phase, seconds in phases.items() if seconds}
        found[name].add({**phases, stopwatch.REST: share - sum(phases.values())}, share)
    yield from found.values()


def _watching(report: Path) -> dict[str, str]:
    return {"STOPWATCH": str(report), "ANSIBLE_CALLBACKS_ENABLED": _CALLBACK, "ANSIBLE_CALLBACK_PLUGINS": str(_PLUGINS),
            "PYTHONPATH": str(tree.ROOT / "tests")}
