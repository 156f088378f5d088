# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next start will use, as far as it can be said."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _lookup

NAMES = ("command_line", "default_location", "sm_ini", "environment")


def sources(verdicts: str) -> list[_lookup.Source]:
    """The sources by one letter each: absent, half, broken, usable, unseen (-), or unseen but for its files (?)."""
    words: dict[str, t.Any] = {
        "a": "absent", "h": "half", "b": "broken", "u": "usable", "-": "unseen", "?": "unseen"}
    return [_lookup.Source(name, words[letter], "", "", "", "", "", {"works": False} if letter == "?" else None, [])
            for name, letter in zip(NAMES, verdicts, strict=True)]


@pytest.mark.parametrize(("verdicts", "winner"), [
    ("aaaa", None), ("bhab", None), ("auau", "default_location"), ("uuuu", "command_line"), ("bhub", "sm_ini"),
    ("---u", "environment"),
])
def test_the_first_that_works_wins(verdicts: str, winner: str | None) -> None:
    found = _lookup.winner(sources(verdicts))
    assert (found.name if found else None) == winner


@pytest.mark.parametrize(("verdicts", "broken_pair", "half_pair", "found"), [
    ("aaaa", "unknown", "unknown", ["generated"]),
    ("auau", "unknown", "unknown", ["default_location"]),
    ("-aua", "unknown", "unknown", ["sm_ini"]),
    ("abua", "unknown", "unknown", ["sm_ini", "generated", "none"]),
    ("abua", "next", "unknown", ["sm_ini"]),
    ("abua", "generated", "unknown", ["generated"]),
    ("abua", "refuse", "unknown", ["none"]),
    ("ahua", "unknown", "unknown", ["sm_ini", "generated", "none"]),
    ("ahua", "unknown", "absent", ["sm_ini"]),
    ("ahua", "refuse", "unknown", ["sm_ini", "none"]),
    ("ahua", "refuse", "broken", ["none"]),
    ("ahba", "refuse", "absent", ["none"]),
    ("bbbb", "next", "unknown", ["generated"]),
    ("bbbb", "unknown", "unknown", ["generated", "none"]),
    ("uaaa", "refuse", "broken", ["command_line"]),
    ("a?aa", "unknown", "unknown", ["default_location", "generated"]),
    ("-?ua", "refuse", "unknown", ["default_location", "sm_ini"]),
])
def test_the_next_start(verdicts: str, broken_pair: t.Any, half_pair: t.Any, found: list[str]) -> None:
    assert _lookup.next_sources(sources(verdicts), _lookup.Behaviour(broken_pair, half_pair)) == found
