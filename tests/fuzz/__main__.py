# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the fuzzing: python -m fuzz --help."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from . import engine, seeds


def main() -> int:
    """Run the engine; the exit code is 1 when something is broken."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Mutated inputs for all that reads inputs.")
    parser.add_argument("--inputs", type=int, default=0, help="how many, 0 for any number")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 60 where neither is given")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="of the random numbers")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="where what breaks something is kept")
    parser.add_argument("--report", type=Path, help="a file for the report, written every minute")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as stock:
        made, missing = seeds.make(Path(stock))
    for name in missing:
        print(f"openssl does not make {name}")
    print(f"{len(made)} seeds", flush=True)

    def say(text: str) -> None:
        print(text, flush=True)
        if options.report:
            options.report.write_text(text + "\n")

    seconds = options.seconds or (float("inf") if options.inputs else 60)
    report = engine.Engine(made, options.folder, options.seed).run(options.inputs or sys.maxsize, seconds, say)
    say(str(report))
    print(json.dumps({"inputs": report.inputs, "children": report.children, "problems": report.problems}))
    if report.problems:
        print(f"What broke something is kept in {options.folder.resolve()}.")
    return 1 if report.problems else 0


sys.exit(main())
