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
import time
import typing as t
from concurrent import futures
from pathlib import Path

import pytest
from integration import syslog_socket
from integration.certificates import Authority
from integration.syslog_socket import Syslog

from . import crashes, elsewhere, flows, matrix, table
from .site import Site, Stopped, stopping
from .table import Row

PARTS = ("crashes", "power", "matrix", "disk", "errors", "elsewhere")
_numbers = itertools.count()
Job = t.Callable[[Path], list[Row]]


def main() -> int:
    """Run what was asked for; the exit code is 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="make faults ARGS=", description="Every fault, and what came of it.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--jobs", type=int, default=2, help="how many hosts at the same time")
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
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            rows = _run(_jobs(options, stack), folder, options.jobs)
    except Stopped:
        print("ended before all was tried")
        return 130
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(table.text(rows) + "\n")
    print(table.summary(rows))
    print(f"({time.monotonic() - begin:.0f} s; every single row stands in {options.report})")
    return 1 if any(row.broken for row in rows) else 0


def _jobs(options: argparse.Namespace, stack: contextlib.ExitStack) -> list[Job]:
    chosen = options.parts or PARTS
    picked = [flow for flow in flows.ALL if (options.flow or "") in flow.name]
    jobs: list[Job] = []
    if "crashes" in chosen:
        jobs += [functools.partial(_crashes, flow, options.every) for flow in picked]
    if "power" in chosen:
        jobs += [functools.partial(_power, flow, options.every) for flow in picked if flow.has_power_cuts]
    if "matrix" in chosen:
        faults = [fault for fault in (*matrix.FAULTS, *_as_root(), *matrix.SLOW) if options.fault in fault.name]
        if not options.fault:
            jobs.append(functools.partial(_on_a_site, matrix.left_alone))
        jobs += [functools.partial(_on_a_site, functools.partial(matrix.rows, half))
                 for half in (faults[::2], faults[1::2]) if half]  # fmt: skip
    if "disk" in chosen and os.geteuid() == 0:
        jobs.append(functools.partial(_on_a_site, functools.partial(matrix.full_disks, every=options.every)))
    if "errors" in chosen:
        jobs += [functools.partial(_on_a_site, functools.partial(matrix.failing, code=code, every=options.every))
                 for code in matrix.CODES]  # fmt: skip
    if "elsewhere" in chosen:
        jobs += _jobs_elsewhere(options, stack.enter_context(syslog_socket.listening()))
    return jobs


def _jobs_elsewhere(options: argparse.Namespace, syslog: Syslog) -> t.Iterator[Job]:
    """As many fleets as jobs at once; each has a share of the kills."""
    print(f"what dies elsewhere: --seed {options.seed}", flush=True)
    plans = elsewhere.plans(options.times, options.seed)
    waves = [plans[n:n + elsewhere.HOSTS] for n in range(0, len(plans), elsewhere.HOSTS)]
    for job in range(min(options.jobs, len(waves))):
        yield functools.partial(_elsewhere, [plan for wave in waves[job::options.jobs] for plan in wave], syslog)


def _as_root() -> t.Sequence[matrix.Fault]:
    if os.geteuid() == 0:
        return matrix.AS_ROOT
    print(f"left out, for want of root: {', '.join(fault.name for fault in matrix.AS_ROOT)}")
    return ()


@contextlib.contextmanager
def _site(folder: Path) -> t.Iterator[Site]:
    site = Site(folder, next(_numbers), Authority())
    try:
        yield site
    finally:
        site.close()


def _told(rows: list[Row], what: str) -> list[Row]:
    """The rows, of which is said how many are broken."""
    print(f"{what}, {sum(bool(row.broken) for row in rows)} broken", flush=True)
    return rows


def _on_a_site(work: t.Callable[[Site], list[Row]], folder: Path) -> list[Row]:
    with _site(folder) as site:
        rows = work(site)
        return _told(rows, f"{rows[-1].fault}: {len(rows)} faults")


def _run(jobs: list[Job], folder: Path, at_once: int) -> list[Row]:
    with futures.ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(job, folder) for job in jobs]
        return [row for one in running for row in one.result()]


def _crashes(kind: type[flows.Flow], every: int, folder: Path) -> list[Row]:
    flow = kind()
    with _site(folder) as site:
        rows = [crashes.kill(flow, site, point) for point in crashes.points(flow, site)[::every]]
        return _told(rows, f"killed: {flow.name}: {len(rows)} places")


def _power(kind: type[flows.Flow], every: int, folder: Path) -> list[Row]:
    flow = kind()
    with _site(folder) as site:
        cuts = crashes.power_cuts(flow, site)
        tried = enumerate(cuts.different[::every])
        rows = [*cuts.broken, *(crashes.cut_power(flow, site, cut, boots=number % 2 == 0) for number, cut in tried)]
        return _told(rows, f"power cut: {flow.name}: {cuts.number} states, {len(cuts.different)} of them different")


def _elsewhere(plans: list[elsewhere.Plan], syslog: Syslog, folder: Path) -> list[Row]:
    numbers = [next(_numbers) for _host in plans[:elsewhere.HOSTS]]
    try:
        with elsewhere.fleet(folder, numbers, syslog) as fleet:
            return _told(fleet.rows(plans), f"dies elsewhere: {len(plans)} kills")
    except pytest.skip.Exception as missing:
        print(f"left out, what dies elsewhere: {missing}")
        return []


if __name__ == "__main__":
    sys.exit(main())
