# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the bench: python -m bench --help."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from . import audits, contest, conversion, page, profiles, replacement
from .scene import Scene

Found = contest.Contest | profiles.Profile
Measure = t.Callable[[Scene], t.Iterator[Found]]

MEASURES: dict[str, Measure] = {
    "audit": audits.measure,
    "replacement": replacement.measure,
    "downtime": replacement.measure_downtime,
    "growth": audits.measure_growth,
    "profile": audits.measure_profile,
    "conversion": conversion.measure,
}


def main() -> int:
    """Run the measures named, or all; the exit code is 1 when a budget was missed."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description="What the collection costs, on this machine.")
    parser.add_argument("measures", nargs="*", metavar="measure", help=f"{', '.join(MEASURES)} (default: all)")
    parser.add_argument("--hosts", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument("--many", type=int, default=200, help="how many for the growth (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median counts (default: %(default)s)")
    parser.add_argument("--report", type=Path, default=Path("build/bench.json"), help="a file for every single value")
    parser.add_argument("--page", action="store_true", help="put what is in the report into docs/performance.md")
    options = parser.parse_args()
    if options.page:
        page.write(options.report)
        return 0
    if unknown := set(options.measures) - MEASURES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    found: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in options.measures or MEASURES:
            (Path(folder) / name).mkdir()
            scene = Scene(Path(folder) / name, options.hosts, options.many, options.rounds)
            try:
                found[name] = [_shown(one) for one in MEASURES[name](scene)]
            except pytest.skip.Exception as missing:
                print(f"{name}: {missing}", file=sys.stderr)
                return 2
    _write(options.report, found, options)
    return _budgets([check for some in found.values() for one in some for check in one.checks])


def _shown(found: Found) -> Found:
    print(found.in_words(), end="\n\n", flush=True)
    return found


def _budgets(checks: list[contest.Check]) -> int:
    if checks:
        print(f"  {'budget':58} {'median':>7} {'at most'}")
        print(*(check.in_words() for check in checks), sep="\n")
    return int(not all(check.is_met for check in checks))


def _write(report: Path, found: dict[str, list[Found]], options: argparse.Namespace) -> None:
    made = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("ansible-core", "cryptography")},
        "cores": os.cpu_count(),
        **{name: getattr(options, name) for name in ("hosts", "many", "rounds")},
    }
    report.parent.mkdir(parents=True, exist_ok=True)
    measures = {name: [one.as_data() for one in some] for name, some in found.items()}
    report.write_text(json.dumps({"made": made, "measures": measures}, indent=2) + "\n")


if __name__ == "__main__":
    # Whoever ends it finds no server of it left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
