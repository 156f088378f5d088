# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The state of an instance, in its ``standin.json``.

It holds the address, the port, the lasting switches and the *orders*: values that count only for some of the next
calls. Whoever carries out a call *takes* the values for it, which counts the orders down at once, so that a caller
who kills a hanging call has used it up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import typing as t

from . import switches
from .home import Home, read_json, write_whole
from .switches import Settings, StandinError

KEYS = {"folder", "address", "port", "switches", "orders"}


def as_text(state: dict[str, t.Any]) -> str:
    """The state as it is written."""
    return json.dumps(state, indent=2) + "\n"


def load(folder: str) -> dict[str, t.Any]:
    """The state of the instance in ``folder``."""
    state = read_json(Home(folder).state_file)
    if state is None or not state.keys() >= KEYS:
        raise StandinError(f"{folder}: no stand-in there (make one with `standin.py create`)")
    return state


@contextlib.contextmanager
def change(folder: str) -> t.Iterator[dict[str, t.Any]]:
    """The state for changing; written back at the end. One process at a time."""
    load(folder)
    home = Home(folder)
    with open(home.lock_file, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = load(folder)
        before = as_text(state)
        yield state
        if as_text(state) != before:
            write_whole(home.state_file, as_text(state))


def split_limit(text: str) -> tuple[str, tuple[int, int] | None]:
    """``VALUE``, ``VALUE@N`` (the next N calls) or ``VALUE@M-N`` (calls M to N from now); ``@once`` is ``@1``."""
    match = re.fullmatch(r"(.*)@(?:(?P<once>once)|(?:(?P<first>\d+)-)?(?P<last>\d+))", text, re.DOTALL)
    if not match:
        return text, None
    last = 1 if match["once"] else int(match["last"])
    first = int(match["first"] or 1)
    if not 1 <= first <= last:
        raise StandinError(f"{text}: a limit is @N or @M-N, counted from 1")
    return match[1], (first, last)


def put(state: dict[str, t.Any], name: str, text: str, times: int | None = None, creating: bool = False) -> None:
    """Set a switch for good, or order a value for some calls."""
    switch = switches.find(name)
    value, limit = split_limit(text)
    if times is not None:
        if times < 1 or limit is not None:
            raise StandinError(f"{name}={text} for {times} times: wants one limit, of 1 or more")
        limit = (1, times)
    switch.parse(value)
    if switch.moment == "create" and not creating:
        raise StandinError(f"{name}: can be set only when the instance is made")
    if limit is None:
        state["switches"][name] = value
        state["orders"].pop(name, None)
    elif switch.moment in ("create", "call"):
        raise StandinError(f"{name}: is read {switches.MOMENTS[switch.moment]}, so it takes no limit")
    else:
        state["orders"][name] = {"value": value, "first": limit[0], "last": limit[1]}


def effective(state: dict[str, t.Any]) -> Settings:
    """Every switch with the value that counts for the next call."""
    settings = {}
    for name, switch in switches.SWITCHES.items():
        text = state["switches"].get(name, switch.default)
        order = state["orders"].get(name)
        if order and order["first"] <= 1:
            text = order["value"]
        settings[name] = switch.parse(text)
    return settings


def peek(folder: str) -> Settings:
    """The values for the next call, without using up an order."""
    return effective(load(folder))


def take(folder: str, moment: str) -> Settings:
    """The values for this call; orders for ``moment`` are counted down."""
    with change(folder) as state:
        settings = effective(state)
        for name, order in list(state["orders"].items()):
            if switches.SWITCHES[name].moment != moment:
                continue
            order["first"] -= 1
            order["last"] -= 1
            if order["last"] < 1:
                del state["orders"][name]
    return settings
