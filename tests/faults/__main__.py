# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The long form of the faults: python -m faults --help."""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
import typing as t
from concurrent import futures
from pathlib import Path

import pytest
from integration import syslog_socket
from integration.certificates import Authority
from integration.syslog_socket import Syslog
from integration.watch import BEGINS_FOLDER

from . import crashes, elsewhere, flows, matrix, table, twice
from .site import Site, Stopped, stopping
from .table import Row

PARTS = ("crashes", "power", "matrix", "disk", "errors", "elsewhere")
# A part, or a flow in it, is tried by so many jobs, so that none of them is left alone at the end.
SHARES = 4
_numbers = itertools.count()


class Sites:
    """A host for each of those that work at the same time: to make one takes longer than most faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = threading.local()
        self._made: list[Site] = []

    def __enter__(self) -> Sites:
        return self

    def __exit__(self, *_exc: object) -> None:
        for site in self._made:
            site.close()

    def own(self) -> Site:
        """The one of whoever asks."""
        if not hasattr(self._own, "site"):
            self._own.site = Site(self.folder, next(_numbers), Authority())
            self._made.append(self._own.site)
        return t.cast(Site, self._own.site)


Job = t.Callable[[Sites], list[Row]]


def main() -> int:
    """Run what was asked for; the exit code is 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="make faults ARGS=", description="Every fault, and what came of it.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1),
                        help="how much at the same time; a fault waits as long as it computes")
    parser.add_argument("--every", type=int, default=1, help="only every so-manyth place")
    parser.add_argument("--flow", help="only flows with this in their name")
    parser.add_argument("--times", type=int, default=200, help="how often something dies elsewhere")
    parser.add_argument("--seed", type=int, default=random.randrange(1000000), help="of the instants at which it dies")
    parser.add_argument("--fault", default="", help="of the matrix, only faults with this in their name")
    parser.add_argument("--report", type=Path, default=Path("build/faults.txt"), help="a file for every single row")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    begin = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=BEGINS_FOLDER)))
        rows = _run(_jobs(options, stack), folder, options.jobs)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(table.text(rows) + "\n")
    print(table.summary(rows))
    print(f"({time.monotonic() - begin:.0f} s; every single row stands in {options.report})")
    if stopping.is_set():
        print("ended before all was tried: the table is of what had come to its end")
        return 130
    return 1 if any(row.broken for row in rows) else 0


def _jobs(options: argparse.Namespace, stack: contextlib.ExitStack) -> list[Job]:
    """What takes longest comes first."""
    chosen = options.parts or PARTS
    picked = [flow for flow in flows.ALL if (options.flow or "") in flow.name]
    # Each share runs its flow once as a whole first: where few places are tried, that would be most of its work.
    shares = max(SHARES // options.every, 1)
    jobs: list[Job] = []
    if "elsewhere" in chosen:
        jobs += _jobs_elsewhere(options, stack.enter_context(syslog_socket.listening()))
    for part, work in (("power", _power), ("crashes", _crashes)):
        if part in chosen:
            jobs += [functools.partial(work, flow, slice(share * options.every, None, shares * options.every))
                     for flow in picked for share in range(shares)]  # fmt: skip
    if "matrix" in chosen:
        jobs += _jobs_of_matrix(options.fault)
    if "disk" in chosen:
        jobs.append(functools.partial(_on_a_site, functools.partial(matrix.full_disks, every=options.every)))
    if "errors" in chosen:
        jobs += [functools.partial(_on_a_site, functools.partial(matrix.failing, code=code, every=options.every))
                 for code in matrix.CODES]  # fmt: skip
    return jobs


def _jobs_of_matrix(name: str) -> t.Iterator[Job]:
    faults = [fault for fault in (*matrix.SLOW, *matrix.FAULTS, *matrix.AS_ROOT) if name in fault.name]
    for share in range(SHARES):
        if faults[share::SHARES]:
            yield functools.partial(_on_a_site, functools.partial(matrix.rows, faults[share::SHARES]))
    if not name:
        yield from (functools.partial(_on_a_site, work) for work in (matrix.left_alone, twice.rows))


def _jobs_elsewhere(options: argparse.Namespace, syslog: Syslog) -> t.Iterator[Job]:
    """Some fleets; each has a share of the kills. Half as many as jobs: a fleet has several controllers at work."""
    print(f"what dies elsewhere: --seed {options.seed}", flush=True)
    plans = elsewhere.plans(options.times, options.seed)
    waves = [plans[n:n + elsewhere.HOSTS] for n in range(0, len(plans), elsewhere.HOSTS)]
    fleets = min((options.jobs + 1) // 2, len(waves))
    for number in range(fleets):
        yield functools.partial(_elsewhere, [plan for wave in waves[number::fleets] for plan in wave], syslog)


def _told(rows: list[Row], what: str) -> list[Row]:
    """The rows, of which is said how many are broken, and how many could not be tried."""
    untried = sum(not row.is_tried for row in rows)
    print(f"{what}, {sum(bool(row.broken) for row in rows)} broken{f', {untried} not tried' if untried else ''}",
          flush=True)  # fmt: skip
    return rows


def _on_a_site(work: t.Callable[[Site], list[Row]], sites: Sites) -> list[Row]:
    rows = work(sites.own())
    return _told(rows, f"{rows[-1].fault}: {len(rows)} faults")


def _run(jobs: list[Job], folder: Path, at_once: int) -> list[Row]:
    """The rows of all jobs, but of those that somebody has ended."""
    rows: list[Row] = []
    with Sites(folder) as sites, futures.ThreadPoolExecutor(at_once) as pool:
        for one in [pool.submit(job, sites) for job in jobs]:
            with contextlib.suppress(Stopped):
                rows += one.result()
    return rows


def _crashes(kind: type[flows.Flow], share: slice, sites: Sites) -> list[Row]:
    flow, site = kind(), sites.own()
    run = crashes.whole(flow, site)
    rows = [crashes.kill(flow, site, point) for point in crashes.points(site, run.calls)[share]]
    rows += [] if share.start else [run.row]
    return _told(rows, f"killed: {flow.name}: {len(rows)} places")


def _power(kind: type[flows.Flow], share: slice, sites: Sites) -> list[Row]:
    flow, site = kind(), sites.own()
    cuts = crashes.power_cuts(flow, site, crashes.whole(flow, site))
    some = [*enumerate(cuts.different)][share]
    rows = [crashes.cut_power(flow, site, cut, boots=number % 2 == 0) for number, cut in some]
    rows += [] if share.start else cuts.broken
    return _told(rows, f"power cut: {flow.name}: {len(rows)} of {len(cuts.different)} different states "
                       f"of {cuts.number}")  # fmt: skip


def _elsewhere(plans: list[elsewhere.Plan], syslog: Syslog, sites: Sites) -> list[Row]:
    numbers = [next(_numbers) for _host in plans[:elsewhere.HOSTS]]
    try:
        with elsewhere.fleet(sites.folder, numbers, syslog) as fleet:
            return _told(fleet.rows(plans), f"dies elsewhere: {len(plans)} kills")
    except pytest.skip.Exception as missing:
        return _told([elsewhere.not_tried(plan, str(missing)) for plan in plans], "dies elsewhere")


if __name__ == "__main__":
    sys.exit(main())
