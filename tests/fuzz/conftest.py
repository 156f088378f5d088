# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says at the end how many inputs were tried."""

from __future__ import annotations

import typing as t


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    """The line that the slice has left."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, line in report.user_properties:
            if name == "fuzz":
                terminalreporter.write_line(f"fuzz: {line}")
