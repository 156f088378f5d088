# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `make bench` says: verdicts are those of the numbers, and the profile follows the host code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import contest, host_call, page, stopwatch
from bench.contest import Check, Contender, Cost
from integration.servers import Server
from workbench import pythons


def racing(*seconds: tuple[float, float]) -> tuple[list[str], contest.Contest]:
    """Two contenders, the second one with a budget of twice the first; and in which order they ran."""
    order: list[str] = []
    costs = iter(cost for pair in seconds for cost in pair)

    def run(name: str) -> Cost:
        order.append(name)
        return Cost(next(costs), 1.0)

    return order, contest.in_turn("a race", [
        Contender("ping", lambda: run("ping")), Contender("ours", lambda: run("ours"), 2.0, 0.9)], len(seconds))


def test_everybody_runs_in_turn() -> None:
    """What the machine does meanwhile has to hit all alike."""
    order, _found = racing((1.0, 1.0), (1.0, 1.0))
    assert order == ["ping", "ours", "ping", "ours"]


@pytest.mark.parametrize(("ours", "is_met"), [(1.9, True), (2.0, True), (2.1, False)])
def test_a_budget_is_met_by_the_medians(ours: float, is_met: bool) -> None:
    """One round that is far off does not matter; wall clock and processor have budgets of their own."""
    _order, found = racing((1.0, ours), (9.0, ours), (1.0, 99.0))
    assert found.checks == [Check("ours", "x ping", ours, 2.0), Check("ours, processor", "x ping", 1.0, 0.9)]
    assert [check.is_met for check in found.checks] == [is_met, False]
    assert [word in found.checks[0].in_words() for word in (" met", "MISSED")] == [is_met, not is_met]


def test_the_page_has_the_numbers_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the last report are replaced, and what a person wrote stays."""
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text("by hand\n<!-- made by make bench -->\nold\n<!-- end -->\nby hand too\n")
    _order, found = racing((1.0, 2.5), (1.0, 2.5))
    made = {"date": "2026-01-01T", "cores": 2, "python": "3", "ansible-core": "2", "cryptography": "45", "rounds": 2}
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"made": made, "measures": {"race": [found.as_data()]}}))
    page.write(report)
    text = page.PAGE.read_text()
    assert "| ours | 2.50 s | 2.50 to 2.50 | 2.50 | 1.00 s | 1.00 |" in text
    assert "| ours | 2.50 | 2.00 | x ping | **missed** |" in text
    assert text.startswith("by hand\n")
    assert text.endswith("<!-- end -->\nby hand too\n")
    assert "old" not in text


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_the_profile_of_a_host_call_finds_every_phase(server: Server, version: str) -> None:
    """Whoever renames a part of the host code is told, and the phases are the whole."""
    python = pythons.interpreter(version)
    if not python:
        pytest.skip(f"no Python {version} was found")
    found = host_call.profile(server.instance, python, 1)
    assert {stopwatch.STANDARD_LIBRARY, stopwatch.COMPILING, "TLS handshake with the port"} <= found.seconds.keys()
    assert all(seconds[0] > 0 for phase, seconds in found.seconds.items() if phase in stopwatch.PHASES)
