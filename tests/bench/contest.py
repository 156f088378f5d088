# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several ways to do a thing, measured in turn: what the machine does meanwhile hits them all alike."""

from __future__ import annotations

import dataclasses
import statistics
import time
import typing as t

from . import amounts


class Cost(t.NamedTuple):
    """What something took: by the clock, and of the processor on the controller, where that was asked."""

    seconds: float
    processor: float | None = None


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way to do it, and the most that it may cost, in times of what the yardstick costs."""

    name: str
    run: t.Callable[[], Cost]
    budget: float | None = None
    processor_budget: float | None = None


@dataclasses.dataclass(frozen=True)
class Check:
    """A budget, and whether it was met."""

    what: str
    unit: str
    measured: float
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether it was."""
        return self.measured <= self.limit

    def in_words(self) -> str:
        """One row of the table of budgets."""
        verdict = "met" if self.is_met else "MISSED"
        return f"  {self.what:58} {self.measured:7.2f} {self.limit:7.2f}  {verdict:6}  {self.unit}"


@dataclasses.dataclass(frozen=True)
class Contest:
    """What came of it. The first contender is the yardstick."""

    title: str
    costs: dict[str, list[Cost]]
    checks: list[Check]

    def in_words(self) -> str:
        """A table."""
        return "\n".join([self.title, *(line for name in self.costs for line in self._rows(name))])

    def as_data(self) -> dict[str, t.Any]:
        """Every single value."""
        return {
            "title": self.title,
            "costs": {name: [cost._asdict() for cost in costs] for name, costs in self.costs.items()},
            "checks": [{**dataclasses.asdict(check), "is_met": check.is_met} for check in self.checks],
        }

    def seconds(self, name: str) -> float:
        """The median of one contender."""
        return statistics.median(cost.seconds for cost in self.costs[name])

    def part(self, title: str, which: str, checks: t.Sequence[Check] = ()) -> Contest:
        """Those contenders alone whose names have C(which)."""
        return Contest(title, {name: costs for name, costs in self.costs.items() if which in name}, list(checks))

    def _rows(self, name: str) -> t.Iterator[str]:
        yardstick = list(self.costs)[0]  # noqa: RUF015 (pylint takes next for the end of a generator)
        for part, what in (("seconds", name), ("processor", "  processor of the controller")):
            ours, theirs = (values(self.costs[one], part) for one in (name, yardstick))
            if not ours:
                continue
            pairs = [one / other for one, other in zip(ours, theirs, strict=True)]
            compared = f"{ratio(ours, theirs):6.2f} x ({min(pairs):.2f} to {max(pairs):.2f})"
            row = f"  {what:58} {amounts.in_a_row(ours):32} {'' if name == yardstick else compared}"
            yield row.rstrip()


def in_turn(title: str, contenders: t.Sequence[Contender], rounds: int) -> Contest:
    """Let each do it once a round."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for _round in range(rounds):
        for contender in contenders:
            costs[contender.name].append(contender.run())
    yardstick = contenders[0].name
    checks = []
    for contender in contenders:
        for part, limit in (("seconds", contender.budget), ("processor", contender.processor_budget)):
            if limit is not None:
                measured = ratio(values(costs[contender.name], part), values(costs[yardstick], part))
                which = "" if part == "seconds" else ", processor"
                checks.append(Check(f"{contender.name}{which}", f"x {yardstick}", measured, limit))
    return Contest(title, costs, checks)


def values(costs: t.Iterable[Cost], part: str) -> list[float]:
    """One part of each cost; nothing where it was not measured."""
    return [value for cost in costs if (value := getattr(cost, part)) is not None]


def ratio(ours: t.Iterable[float], theirs: t.Iterable[float]) -> float:
    """Of the medians."""
    return statistics.median(ours) / statistics.median(theirs)


def timed(work: t.Callable[[], object]) -> t.Callable[[], Cost]:
    """What measures by the clock alone how long some work takes."""

    def run() -> Cost:
        begin = time.perf_counter()
        work()
        return Cost(time.perf_counter() - begin)

    return run
