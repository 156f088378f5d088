# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the time of something goes: its phases, each with the median of several runs."""

from __future__ import annotations

import dataclasses
import typing as t

from . import amounts
from .contest import Check


@dataclasses.dataclass
class Profile:
    """The phases, in the order in which they are."""

    title: str
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    wholes: list[float] = dataclasses.field(default_factory=list)
    # There is no budget for a part.
    checks: t.ClassVar[t.Sequence[Check]] = ()

    def add(self, phases: dict[str, float], whole: float) -> None:
        """One run: what its phases took, and the whole."""
        for phase, seconds in phases.items():
            self.seconds.setdefault(phase, []).append(seconds)
        self.wholes.append(whole)

    def in_words(self) -> str:
        """A table."""
        rows = [*self.seconds.items(), ("the whole", self.wholes)]
        return "\n".join([self.title, *(f"  {phase:58} {amounts.in_a_row(values)}" for phase, values in rows)])

    def as_data(self) -> dict[str, t.Any]:
        """Every single value."""
        return {"title": self.title, "phases": self.seconds, "wholes": self.wholes}
