# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings: what was seen, what was wanted, and what mends it. Private to this collection."""

from __future__ import annotations

import dataclasses
import typing as t

Level = t.Literal["error", "warning", "info"]
Subject = t.Literal["wanted", "place", "current"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One finding. C(subject): the pair handed in, the place where it goes, or what is there now."""

    id: str
    subject: Subject
    level: Level
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return printable(f"{self.id}: {self.message}{' ' if self.fix else ''}{self.fix}")


class Refused(Exception):
    """Nothing was touched, for the reasons that its findings name."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = list(findings)


def refused(id: str, message: str, fix: str) -> Refused:
    """The refusal of something that was handed in."""
    return Refused(Finding(id, "wanted", "error", message, fix))


def errors(findings: t.Iterable[Finding]) -> list[Finding]:
    """Those findings that forbid a replacement: what is wrong with the present state is the reason for one."""
    return [finding for finding in findings if finding.level == "error" and finding.subject != "current"]


def brief(text: str, most: int = 300) -> str:
    """Text of any length and kind as a part of a message."""
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def printable(text: str) -> str:
    """Text from a certificate or a host without control characters, which a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
