# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of all tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has parts takes longest and comes first, so that at the end no worker waits long for another."""
    items.sort(key=lambda item: "subtests" not in getattr(item, "fixturenames", ()))
