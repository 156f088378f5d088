# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of all faults: what was done, what came of it, which promise was broken."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

_COLUMNS = ("fault", "where", "what the user saw", "before", "during", "after", "recovered by")


@dataclasses.dataclass
class Row:
    """One fault at one place. C(before), C(during), C(after): what the port served."""

    fault: str
    where: str
    saw: str = ""
    before: str = ""
    during: str = ""
    after: str = ""
    recovered_by: str = ""
    # The whole message, for the report of every single row.
    message: str = ""
    broken: list[str] = dataclasses.field(default_factory=list)
    # False where nobody could look: that is neither green nor broken.
    is_tried: bool = True
    # Rows with the same group are one line of the short table.
    group: str = ""

    @classmethod
    def not_tried(cls, fault: str, where: str, why: str, group: str = "") -> Row:
        """Where nobody could look, and why."""
        return cls(fault, where, f"not tried: {why}", is_tried=False, group=group)

    def cells(self) -> tuple[str, ...]:
        """The columns."""
        return (self.fault, self.where, self.saw, self.before, self.during, self.after, self.recovered_by)


def text(rows: t.Sequence[Row]) -> str:
    """Every row, what was said below it, and what is broken."""
    return _lines([(row.cells(), [*row.message.splitlines(), *_marked(row.broken)]) for row in rows])


def summary(rows: t.Sequence[Row]) -> str:
    """Rows of the same group and outcome as one line with their number; broken ones apart."""
    groups: dict[tuple[str, ...], int] = collections.Counter()
    broken = []
    for row in rows:
        if row.broken:
            broken.append((row.cells(), _marked(row.broken)))
        else:
            groups[(row.fault, row.group or row.where, *row.cells()[2:])] += 1
    lines: list[tuple[tuple[str, ...], list[str]]] = []
    for cells, number in groups.items():
        where = cells[1] if number == 1 else f"{cells[1]} ({number} places)"
        lines.append(((cells[0], where, *cells[2:]), []))
    red, untried = len(broken), sum(not row.is_tried for row in rows)
    last = f"{len(rows)} faults: {len(rows) - red - untried} survived as promised, {red} not"
    return _lines(lines + broken) + f"\n\n{last}{f', {untried} not tried' if untried else ''}"


def _marked(broken: t.Sequence[str]) -> list[str]:
    return [f"BROKEN: {what}" for what in broken]


def _lines(rows: t.Sequence[tuple[tuple[str, ...], list[str]]]) -> str:
    widths = [max(len(cells[n]) for cells in [_COLUMNS, *(row for row, _b in rows)]) for n in range(len(_COLUMNS))]
    lines = [_line(_COLUMNS, widths), _line(["-" * width for width in widths], widths)]
    for cells, below in rows:
        lines.append(_line(cells, widths))
        lines += [f"    {line}" for line in below]
    return "\n".join(lines)


def _line(cells: t.Sequence[str], widths: t.Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
