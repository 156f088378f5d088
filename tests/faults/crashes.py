# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host program dies at every call that changes anything, and the power fails there."""

from __future__ import annotations

import os
import typing as t

from integration.certificates import Pair

from . import disk, promises, told
from .flows import Flow
from .site import Ran, Site, go_on
from .table import Row


class Point(t.NamedTuple):
    """A place to die: before the call of this number, or after half of it."""

    number: int
    is_half: bool
    words: str
    group: str


NOWHERE = Point(0, False, "nowhere", "nowhere")


class Whole(t.NamedTuple):
    """A run of a flow that nothing disturbs: every call that it made tells a place to die."""

    row: Row
    # What was in place and what was wanted, what was on the disk before, and the calls.
    pairs: tuple[Pair, Pair]
    contents: tuple[promises.Contents | None, promises.Contents | None]
    before: disk.Tree
    calls: list[dict[str, t.Any]]


def whole(flow: Flow, site: Site) -> Whole:
    """Run it once, and the next run after it."""
    flow.begin(site)
    before, contents, pairs = site.tree(), flow.pairs(site), (site.current, site.other)
    row, ran = _killed(flow, site, NOWHERE, before)
    _require(ran.answer is not None and not ran.was_killed, f"{flow.name} does not run: {ran.said}")
    _require(any(_changes(site, call) for call in ran.calls), f"{flow.name} changes nothing")
    return Whole(row, pairs, contents, before, ran.calls)


def points(site: Site, calls: t.Sequence[dict[str, t.Any]]) -> list[Point]:
    """Every place to die in a flow."""
    found = []
    for call in calls:
        number, what = call["n"], words(site, call)
        found.append(Point(number, False, f"#{number} before {what}", f"before {call['call']}"))
        if call["call"] == "write":
            found.append(Point(number, True, f"#{number} half of {what}", "half of a write"))
        if call["call"] == "start":
            found.append(Point(number, True, f"#{number} just after {what}", "just after a start"))
    return [*found, Point(len(calls) + 1, False, f"#{len(calls) + 1} after the last call", "after the last")]


def _changes(site: Site, call: dict[str, t.Any]) -> bool:
    """Whether a call changes a file that is not the host program's own note of a run, which every run writes."""
    name = os.path.relpath(call.get("path") or "/", site.ini)
    is_note = name == promises.STATE or name.startswith(promises.NOTES)
    return call["call"] not in ("fsync", "start") and not name.startswith("..") and not is_note


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise RuntimeError(words)


def words(site: Site, call: dict[str, t.Any]) -> str:
    """A call with its path, as a person reads it."""
    path = call.get("path", "")
    for top, name in ((site.ini, ""), (site.temporary, "TMPDIR/"), (site.instance.folder, "")):
        if path.startswith(f"{top}/"):
            path = name + os.path.relpath(path, top)
    return f"{call['call']} {path} {call.get('arguments', '') if call['call'] == 'start' else ''}".strip()


def kill(flow: Flow, site: Site, point: Point) -> Row:
    """Let it die at one point, look, and let the next run repair."""
    flow.begin(site)
    return _killed(flow, site, point, site.tree())[0]


def _killed(flow: Flow, site: Site, point: Point, before: disk.Tree) -> tuple[Row, Ran]:
    row = Row(f"killed: {flow.name}", point.words, group=point.group, before=site.served_in_words())
    old, wanted = flow.pairs(site)
    ran = site.run(*flow.asked(site), kill=point.number, half=point.is_half)
    tree = site.tree()
    row.during = site.served_in_words()
    if point is NOWHERE:
        row.broken += flow.broken_alone(site, tree, ran.answer or {})
    elif not ran.was_killed:
        row.broken.append(f"it did not die there: exit code {ran.code}, {ran.said[-300:]}")
    row.broken += disk.differs(site.ini, before, ran.calls, tree)
    row.broken += promises.of_any_moment(tree, old, wanted, flow.keeps_old)
    row.broken += flow.broken_now(tree)
    row.broken += site.gave_away()
    _next_run(flow, site, row, old, promises.JOURNAL in tree)
    return row, ran


def _next_run(flow: Flow, site: Site, row: Row, old: promises.Contents | None, is_interrupted: bool) -> None:
    """The next ordinary run: it tells, repairs and comes to the end."""
    _old, wanted = flow.pairs(site)
    flow.before_next(site)
    answer = site.ask(*flow.next(site))
    tree = site.tree()
    row.after = site.served_in_words()
    row.saw, row.message = told.outcome(answer), told.message(answer)
    row.recovered_by = "the next run" if is_interrupted else "nothing to recover"
    if answer.get("refused") or answer.get("failure"):
        row.broken.append(f"the next run fails: {answer.get('refused') or answer.get('failure')}")
    if bool(answer.get("recovered")) != is_interrupted:
        row.broken.append(f"the journal was {'' if is_interrupted else 'not '}there, and the next run says: recovered="
                          f"{answer.get('recovered')}")  # fmt: skip
    row.broken += [f"not undone: {finding['message']}" for finding in answer.get("findings", ())
                   if finding["id"] == "recovery-incomplete"]
    row.broken += told.broken(answer) + site.gave_away()
    row.broken += promises.of_the_end(tree, wanted, flow.keeps_pending)
    row.broken += promises.of_any_moment(tree, old, wanted, flow.keeps_old)
    row.broken += flow.broken_at_the_end(site, tree, answer)
    if flow.needs_rmi and row.after != flow.serves:
        row.broken.append(f"the port serves {row.after}")
    if site.is_locked():
        row.broken.append("the lock is held")
    row.broken = sorted(set(row.broken))
    if row.broken:
        # Whatever is left of it shall not be the fault of the next row.
        site.instance.end_processes()
    flow.end(site, answer)


# The power

class PowerCut(t.NamedTuple):
    """A state that a power cut may leave: in words, as it is, and what was in place before and wanted."""

    words: str
    tree: disk.Tree
    pairs: tuple[Pair, Pair]


class PowerCuts(t.NamedTuple):
    """How many states a power cut may leave, over all points; those that are different; those broken as they are."""

    number: int
    different: list[PowerCut]
    broken: list[Row]


def power_cuts(flow: Flow, site: Site, run: Whole) -> PowerCuts:
    """Work out every state that a power cut may leave in a flow."""
    old, wanted = run.contents
    number, seen, different, rows = 0, set(), [], []
    for place, model in disk.replayed(site.ini, run.before, run.calls):
        call = words(site, run.calls[place - 1]) if place <= len(run.calls) else "the end"
        for lost, tree in model.after_power_cut():
            number += 1
            mark = tuple(sorted((name, file.content, file.mode) for name, file in tree.items()))
            if mark in seen:
                continue
            seen.add(mark)
            different.append(PowerCut(f"#{place} before {call}: {lost}", tree, run.pairs))
            broken = [*promises.of_any_moment(tree, old, wanted, flow.keeps_old), *flow.broken_now(tree)]
            if broken:
                rows.append(Row(f"power cut: {flow.name}", different[-1].words, "not tried", broken=broken))
    return PowerCuts(number, different, rows)


def cut_power(flow: Flow, site: Site, cut: PowerCut, boots: bool) -> Row:
    """Bring the host into a state that a power cut has left, and let the next run repair.

    :param boots: rmi is started with what is there, as at boot, before anybody runs anything. Always so where there is
        no journal that tells that it ran: a stopped rmi stays stopped.
    """
    go_on()
    row = Row(f"power cut: {flow.name}", cut.words, before="old", group="a state that it may leave")
    site.instance.end_processes()
    site.instance.unset()
    site.current, site.other = cut.pairs
    old, _wanted = flow.pairs(site)
    disk.write(site.ini, cut.tree)
    is_interrupted = promises.JOURNAL in cut.tree
    if boots or not is_interrupted:
        site.start()
    row.during = site.served_in_words()
    _next_run(flow, site, row, old, is_interrupted)
    return row
