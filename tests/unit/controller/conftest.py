# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the controller's code share."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused
from unit.actions import Connection


@pytest.fixture
def refused() -> t.Callable[[t.Callable[[], object]], str]:
    """Calls something that has to refuse; the answer is the ids and the whole text of its findings."""

    def call(function: t.Callable[[], object]) -> str:
        with pytest.raises(Refused) as raised:
            function()
        assert raised.value.findings
        assert all(finding.fix for finding in raised.value.findings)
        return "\n".join(f"{finding.subject} {finding.level} {finding}" for finding in raised.value.findings)

    return call


@pytest.fixture
def act(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Any]:
    """Makes an action plugin with some arguments and an imaginary connection."""

    def make(module: types.ModuleType, **arguments: t.Any) -> t.Any:
        task = Task.load({"name": "x", "action": {"module": "debug"}})
        task.args = arguments
        task.action = f"sep.sesam.{module.__name__.rpartition('.')[2]}"
        context = types.SimpleNamespace(diff=False, pipelining=False)
        action = module.ActionModule(task, Connection(pipelining=False), context, DataLoader(), None, None)
        monkeypatch.setattr(action, "_is_pipelining_enabled", lambda style: action._connection.options["pipelining"])
        return action

    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    return make
