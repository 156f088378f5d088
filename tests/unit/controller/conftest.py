# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the controller's code share."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused


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
