# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times what the process of one host does on the controller; every worker inherits what is put in between here."""

from __future__ import annotations

import functools
import json
import os
import typing as t

from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase
from ansible_collections.sep.sesam.plugins.plugin_utils import _base, _host_program, _report, _verdict
from bench.stopwatch import Stopwatch

DOCUMENTATION = """
name: stopwatch_of_workers
type: aggregate
short_description: Where the time of a worker goes
description: Writes a line of JSON for each worker to the file that the environment variable STOPWATCH names.
options: {}
"""

_WATCHED: tuple[tuple[str, t.Any, tuple[str, ...]], ...] = (
    ("Ansible: variables, templates, plugins, the connection", WorkerProcess, ("_run",)),
    ("the action: options, policy", _base.SesamAction, ("run",)),
    ("making a module (AnsiballZ)", ActionBase, ("_configure_module",)),
    ("packing the host code", _host_program, ("program",)),
    ("ssh, sshd and the host", ActionBase, ("_low_level_execute_command",)),
    ("finding the answer", _host_program, ("read",)),
    ("judging", _verdict.Seen, ("of",)),
    ("judging", _verdict, ("judge",)),
    ("the result", _report, ("situation", "facts")),
)

# A process has its own copy of it.
_watch = Stopwatch(*(phase for phase, _owner, _names in _WATCHED))
for _phase, _owner, _names in _WATCHED:
    _watch.watch(_phase, _owner, *_names)


def _told(run: t.Callable[[WorkerProcess], None]) -> t.Callable[[WorkerProcess], None]:
    @functools.wraps(run)
    def told(worker: WorkerProcess) -> None:
        run(worker)
        with open(os.environ["STOPWATCH"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(_watch.seconds) + "\n")

    return told


WorkerProcess._run = _told(WorkerProcess._run)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """What is above is done when it is loaded."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stopwatch_of_workers"
    CALLBACK_NEEDS_ENABLED = True
