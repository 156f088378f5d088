# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seconds as people read them: the median and the spread, in a unit that shows enough digits."""

from __future__ import annotations

import statistics
import typing as t


def amount(seconds: t.Sequence[float]) -> tuple[str, str]:
    """The median with its unit, and the lowest and the highest in the same."""
    median = statistics.median(seconds)
    times, unit, digits = (1, "s", 2) if median >= 1 else (1000, "ms", 1)
    low, middle, high = (f"{value * times:.{digits}f}" for value in (min(seconds), median, max(seconds)))
    return f"{middle} {unit}", f"{low} to {high}"


def in_a_row(seconds: t.Sequence[float]) -> str:
    """Both, for a table on a terminal."""
    middle, spread = amount(seconds)
    return f"{middle:>10}  ({spread})"
