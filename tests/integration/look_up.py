# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's own look-up as a program: a case in a line of JSON, in a line of JSON which source is used.

It knows nothing of the collection. A case has the installation's folder, the command line of the server, the
variables of the login in which it is started, and switches; the answer is for each value of the two switches that say
what a pair does which does not work. The profile is sourced as an admin does after the login.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from standin import home, lookup, switches

DEFAULTS = {name: switch.parse(switch.default) for name, switch in switches.SWITCHES.items()}
PAIRS = ("broken_pair", "half_pair")


def environment(profile: str, variables: dict[str, str]) -> dict[str, str]:
    """The variables after a login in which the profile was sourced."""
    output = subprocess.run(["/bin/sh", "-c", '. "$0" >/dev/null 2>&1; exec env -0', profile],
                            env={"PATH": os.defpath, **variables}, stdout=subprocess.PIPE, check=True).stdout
    return dict(os.fsdecode(entry).split("=", 1) for entry in output.split(b"\0") if b"=" in entry)


for line in sys.stdin:
    case = json.loads(line)
    place = home.Home(case["folder"])
    found = case["variables"]
    if case["sources_profile"]:
        found = environment(place.profile, found)
    answer = {}
    for values in itertools.product(*(switches.SWITCHES[name].values for name in PAIRS)):
        settings = {**DEFAULTS, **dict(zip(PAIRS, values, strict=True))}
        outcome = lookup.look_up(place, settings, tuple(case["command_line"]), found)
        answer[" ".join(values)] = outcome.used
    answer["judged"] = {one.source: f"{one.verdict} {one.reason}" for one in outcome.judged}
    print(json.dumps(answer), flush=True)
