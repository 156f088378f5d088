# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbers in docs/performance.md, made of the report: none is copied by hand."""

from __future__ import annotations

import json
import re
import statistics
import typing as t
from pathlib import Path

from workbench import tree

from .amounts import amount
from .scene import GROWTH_ROUNDS

PAGE = tree.ROOT / "docs" / "performance.md"
_MARKS = re.compile(r"(<!-- made by make bench -->\n).*(<!-- end -->)", re.DOTALL)
_CONTEST, _PROCESSOR = ("what", "median", "lowest to highest", "ratio"), ("processor", "ratio")
_BUDGETS = ("budget", "measured", "at most", "unit", "verdict")
_PROFILE = ("phase", "median", "lowest to highest")


def write(report: Path) -> None:
    """Put the tables of a report in the place of those of the last one."""
    found = json.loads(report.read_text())
    measures = [one for some in found["measures"].values() for one in some]
    checks = [check for one in measures for check in one.get("checks", [])]
    tables = [_made(found["made"]), _table("Budgets", _BUDGETS, map(_verdict, checks))]
    tables += [_of_contest(one) if "costs" in one else _of_profile(one) for one in measures]
    text, number = _MARKS.subn(lambda marks: marks[1] + "\n".join(tables) + marks[2], PAGE.read_text())
    if number != 1:
        raise ValueError(f"{PAGE} has to have the two marks of its numbers once")
    PAGE.write_text(text)


def _made(made: dict[str, t.Any]) -> str:
    return (f"Measured on {made['date'][:10]} with {made['cores']} cores for controller and hosts together, Python "
            f"{made['python']}, ansible-core\n{made['ansible-core']}, cryptography {made['cryptography']}; medians of "
            f"{made['rounds']} rounds (the growth: {min(made['rounds'], GROWTH_ROUNDS)}).\n")


def _table(title: str, heading: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return f"**{title}**\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _verdict(check: dict[str, t.Any]) -> tuple[str, ...]:
    return (check["what"], f"{check['measured']:.2f}", f"{check['limit']:.2f}", check["unit"],
            "met" if check["is_met"] else "**missed**")


def _of_contest(one: dict[str, t.Any]) -> str:
    yardstick = next(iter(one["costs"].values()))
    has_processor = all(cost["processor"] is not None for cost in yardstick)
    rows = []
    for name, costs in one["costs"].items():
        row = [name, *amount([cost["seconds"] for cost in costs]), _ratio(costs, yardstick, "seconds")]
        if has_processor:
            row += [amount([cost["processor"] for cost in costs])[0], _ratio(costs, yardstick, "processor")]
        rows.append(row)
    return _table(one["title"], _CONTEST + (_PROCESSOR if has_processor else ()), rows)


def _of_profile(one: dict[str, t.Any]) -> str:
    phases = [*one["phases"].items(), ("the whole", one["wholes"])]
    return _table(one["title"], _PROFILE, [[phase, *amount(seconds)] for phase, seconds in phases])


def _ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], part: str) -> str:
    if ours is theirs:
        return ""
    return f"{statistics.median(cost[part] for cost in ours) / statistics.median(cost[part] for cost in theirs):.2f}"
