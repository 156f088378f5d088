# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes every result of a run as one line of JSON: what a log collector of a user would get to see."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: dump_results
type: aggregate
short_description: Results as lines of JSON
description: Writes to the file that the environment variable DUMP_RESULTS names.
options: {}
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line a result, and one a host at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "dump_results"
    CALLBACK_NEEDS_ENABLED = True

    def _dump(self, **line: t.Any) -> None:
        with open(os.environ["DUMP_RESULTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def _result(self, status: str, result: t.Any) -> None:
        host, task, content = (
            # The newest core has names of its own for these.
            getattr(result, name) if hasattr(type(result), name) else getattr(result, f"_{name}")
            for name in ("host", "task", "result")
        )
        self._dump(status=status, host=host.get_name(), task=task.get_name(), action=task.action, result=content)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._result("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._result("failed", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._result("unreachable", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._result("skipped", result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        for host in stats.processed:
            self._dump(status="recap", host=host, task="", action="", result=stats.summarize(host))
