# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests kill is gone, with all that it was just starting."""

from __future__ import annotations

import secrets
import subprocess
import sys

import pytest
from integration import processes

# A program whose workers have sessions of their own, as those of ansible-playbook; all of them start more all the time.
_PROLIFIC = """
import os, time
def work():
    os.setsid()
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        time.sleep(0.02)
for _ in range(8):
    if os.fork() == 0:
        work()
        os._exit(0)
    time.sleep(0.05)
os.wait()
"""


@pytest.mark.parametrize("size", [5, 20, 40])
def test_no_descendant_outlives_a_kill(size: int) -> None:
    mark = secrets.token_hex(8)
    process = subprocess.Popen([sys.executable, "-c", _PROLIFIC], env={"MARK": mark}, start_new_session=True)

    def family() -> list[int]:
        return [pid for pid in processes.all_pids() if processes.environment(pid).get("MARK") == mark]

    try:
        processes.wait_until(lambda: len(family()) >= size, 30, "it has a family")
        processes.kill_tree(process.pid)
        assert family() == []
    finally:
        process.wait()
        processes.kill(*family())
