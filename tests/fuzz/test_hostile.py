# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs made to cost time or memory are refused in time, in little memory, by one clear error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from fuzz import engine, hostile, programs, targets


@pytest.mark.parametrize("name", hostile.CASES)
def test_hostile(name: str) -> None:
    process = subprocess.run([sys.executable, "-m", "fuzz.hostile", name], env=programs.environment(),
                             capture_output=True, text=True, timeout=60, check=False)
    words = process.stderr
    if "CannotMake" in words:
        pytest.skip(words.strip().splitlines()[-1])
    assert process.returncode == 0, words
    assert words == ""
    answer = json.loads(process.stdout)
    assert answer["outcome"] in hostile.CASES[name].expected
    # On a machine that does nothing else, it is what the clock says too.
    assert answer["processor"] < targets.MOST_SECONDS
    assert max(answer["memory"].values()) < engine.MOST_MEMORY
