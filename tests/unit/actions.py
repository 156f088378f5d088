# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugins without Ansible around them: a connection, and a host, that are imagined."""

from __future__ import annotations

import types
import typing as t


class Connection:
    """As much of a connection as the base looks at."""

    transport = "imaginary"
    become: t.Any = None
    # Of the two ways to a host, the one by which a test can see the arguments.
    has_pipelining = False
    _shell = types.SimpleNamespace(SHELL_FAMILY="sh")

    def __init__(self, **options: t.Any) -> None:
        self.options = options
        self._play_context = types.SimpleNamespace(pipelining=False)

    def get_option(self, name: str) -> t.Any:
        return self.options[name]

    def set_option(self, name: str, value: t.Any) -> None:
        self.options[name] = value


def asked(action: t.Any, answer: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Let the host answer this; the list gets what it was asked."""
    calls: list[dict[str, t.Any]] = []

    def execute(**call: t.Any) -> dict[str, t.Any]:
        calls.append({**call, "pipelining": action._connection.options["pipelining"]})
        return answer

    action._execute_module = execute
    return calls
