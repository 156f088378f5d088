# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every measure is given, and the transports of the host code that are compared."""

from __future__ import annotations

import typing as t
from pathlib import Path

STDIN, MODULE = "stdin", "module"
# Two hundred hosts take a minute, so they get fewer rounds.
GROWTH_ROUNDS = 3
TRANSPORTS = (STDIN, MODULE)


class Scene(t.NamedTuple):
    """A folder of its own, how many hosts (usually, and for the growth), and how many rounds."""

    folder: Path
    hosts: int
    many: int
    rounds: int


def carried_by(transport: str) -> dict[str, str]:
    """The environment of a controller whose host code goes that way."""
    return {"SEP_SESAM_TRANSPORT": transport}
