# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host program runs twice on a host: of two runs at once, and of one run whose call SSH has sent again."""

from __future__ import annotations

import typing as t
from concurrent import futures

from . import promises, told
from .site import Answer, Site
from .table import Row

_WHAT = "the host program runs twice"


def rows(site: Site) -> list[Row]:
    """Whatever comes second does not work beside the first, and rmi is started once."""
    return [
        _row(site, "two runs at once on a host", lambda: _at_once(site, site.parameters(), site.parameters()),
             {"replaced", "none"}),
        _row(site, "the same call twice at once", lambda: _at_once(site, *[site.parameters()] * 2), {"replaced"}),
        _row(site, "the same call again when it is done", lambda: _again(site, site.parameters()), {"replaced"}),
    ]  # fmt: skip


def _at_once(site: Site, *calls: dict[str, t.Any]) -> list[Answer]:
    with futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda parameters: site.ask("replace", parameters), calls))


def _again(site: Site, parameters: dict[str, t.Any]) -> list[Answer]:
    return [site.ask("replace", parameters) for _time in (1, 2)]


def _row(site: Site, where: str, run: t.Callable[[], list[Answer]], outcomes: set[str]) -> Row:
    site.rest()
    old, wanted, starts = promises.contents(site.current), promises.contents(site.other), site.server.starts()
    row = Row(_WHAT, where, before="old", recovered_by="nothing to recover")
    answers = run()
    saw = [told.outcome(answer) for answer in answers]
    row.saw, row.after = " and ".join(saw), site.served_in_words()
    row.message = "\n".join(filter(None, map(told.message, answers)))
    if set(saw) != outcomes:
        row.broken.append(f"the outcomes are not {sorted(outcomes)}: {row.message}")
    if (number := site.server.starts() - starts) != 1:
        row.broken.append(f"rmi was started {number} times")
    if row.after != "new":
        row.broken.append(f"the port serves {row.after}")
    tree = site.tree()
    row.broken += promises.of_the_end(tree, wanted) + promises.of_any_moment(tree, old, wanted) + site.gave_away()
    for answer in answers:
        row.broken += told.broken(answer)
    return row
