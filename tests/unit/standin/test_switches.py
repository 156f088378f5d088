# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The table of switches, limits and orders."""

from __future__ import annotations

import pathlib

import pytest
from standin import StandinError, state, switches


def empty() -> dict:
    return {"switches": {}, "orders": {}}


@pytest.mark.parametrize("switch", switches.SWITCHES.values(), ids=lambda switch: switch.name)
def test_every_row_is_whole(switch: switches.Switch) -> None:
    switch.parse(switch.default)
    assert switch.moment in switches.MOMENTS
    assert switch.wanted()
    assert switch.meaning
    assert f"  {switch.name} = " in switches.describe()


def test_every_switch_and_value_is_used_in_these_tests() -> None:
    """A value that no test names can't be missed when it stops working."""
    text = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    missing = [
        f"{switch.name}={value}"
        for switch in switches.SWITCHES.values()
        for value in (switch.values if switch.kind.startswith("choice") else [""])
        if switch.name not in text or (value not in (switch.default, "CERTIFICATE,KEY") and f'"{value}' not in text)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("start", "explodes", "works, fails"),
        ("start_delay", "soon", "number of seconds"),
        ("dies_after", "-1", "never"),
        ("start_exit", "256", "0 to 255"),
        ("log_words", "two\nlines", "one line"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_wanted(name: str, text: str, words: str) -> None:
    with pytest.raises(StandinError, match=words):
        switches.find(name).parse(text)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(StandinError, match="no such switch"):
        state.put(empty(), "strat", "fails")


def test_values_are_typed() -> None:
    settings = state.effective(empty())
    assert settings["start_delay"] == 0.0
    assert settings["start_fail_exit"] == 1
    assert settings["dies_after"] == -1.0
    assert settings["start"] == "works"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fails", ("fails", None)),
        ("fails@3", ("fails", (1, 3))),
        ("fails@2-3", ("fails", (2, 3))),
        ("fails@once", ("fails", (1, 1))),
        ("/a@b/c", ("/a@b/c", None)),
        ("/a@b/c@1", ("/a@b/c", (1, 1))),
    ],
)
def test_limits(text: str, wanted: tuple) -> None:
    assert state.split_limit(text) == wanted


@pytest.mark.parametrize("text", ["fails@0", "fails@3-2"])
def test_a_senseless_limit_is_refused(text: str) -> None:
    with pytest.raises(StandinError, match="counted from 1"):
        state.split_limit(text)


def values_of_starts(instance, count: int) -> list:
    return [state.take(instance.folder, "start")["start"] for _turn in range(count)]


def test_an_order_counts_down_to_the_lasting_value(make) -> None:
    instance = make(start="lies")
    instance.set(start="fails@2")
    assert values_of_starts(instance, 3) == ["fails", "fails", "lies"]


def test_an_order_may_begin_later(make) -> None:
    instance = make()
    instance.set(start="fails@2-3")
    assert values_of_starts(instance, 4) == ["works", "fails", "fails", "works"]


def test_times_is_the_same_as_a_limit(make) -> None:
    instance = make()
    instance.set(times=1, start="fails", serves="other")
    assert state.take(instance.folder, "start")["serves"] == "other"
    assert state.peek(instance.folder)["start"] == "works"
    with pytest.raises(StandinError, match="1 or more"):
        instance.set(times=0, start="fails")


def test_an_order_is_used_up_only_by_its_own_kind_of_call(make) -> None:
    instance = make()
    instance.set(start="fails@1")
    state.take(instance.folder, "stop")
    assert state.peek(instance.folder)["start"] == "fails"
    assert values_of_starts(instance, 2) == ["fails", "works"]


def test_a_lasting_value_replaces_an_order_and_unset_and_reset_remove_both(make) -> None:
    instance = make()
    instance.set(start="fails@5")
    instance.set(start="lies")
    assert values_of_starts(instance, 2) == ["lies", "lies"]
    instance.set(stop="fails@5", port_busy="stays")
    instance.unset("start")
    assert state.peek(instance.folder)["start"] == "works"
    assert state.peek(instance.folder)["stop"] == "fails"
    instance.unset()
    assert state.effective(state.load(instance.folder)) == state.effective(empty())


def test_what_is_read_once_or_always_takes_no_limit(make) -> None:
    instance = make()
    for name, value in (("offline_words", "down"), ("hang_seconds", "1")):
        with pytest.raises(StandinError, match="no limit"):
            instance.set(times=1, **{name: value})
    for change in (lambda: instance.set(ssl_folder="absent"), lambda: instance.unset("ssl_folder")):
        with pytest.raises(StandinError, match="only when the instance is made"):
            change()


def test_one_wrong_value_changes_nothing(make) -> None:
    instance = make()
    with pytest.raises(StandinError):
        instance.set(start="fails", stop="explodes")
    assert state.peek(instance.folder)["start"] == "works"
