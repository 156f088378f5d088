# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replacement takes hardly longer than the vendor's own stop and start."""

from __future__ import annotations

import itertools
import statistics

from integration import downtime, host_program
from integration.certificates import Authority
from integration.servers import Server

MOST = 1.15
PAIRS = 3
# The delays are large against what a busy machine adds.
STOP_DELAY, START_DELAY = 0.5, 1.5


def test_downtime_is_that_of_stop_and_start(server: Server, authority: Authority) -> None:
    """In turn, so that a machine that is busy for a while is busy for both."""
    instance = server.instance
    instance.set(stop_delay=STOP_DELAY, start_delay=START_DELAY)
    both = itertools.cycle([authority.issue("one.example"), authority.issue("two.example")])

    def bare() -> None:
        instance.run("stop", "rmi")
        instance.run("start", "rmi")

    def replaced() -> None:
        answer = host_program.start(host_program.parameters(server, next(both))).answer()
        assert answer["action"] == "replaced"

    ratios = []
    for _turn in range(PAIRS):
        seconds = [downtime.measured(instance.address, instance.port, act) for act in (bare, replaced)]
        assert seconds[0] > STOP_DELAY + START_DELAY - 0.1
        ratios.append(seconds[1] / seconds[0])
    assert statistics.median(ratios) <= MOST, ratios
