# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the programs of this folder are started: in processes of their own, so that nobody else's memory is measured."""

from __future__ import annotations

import os

from workbench import tree


def environment() -> dict[str, str]:
    """With the clone as a collection and the packages of the tests."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree.COLLECTIONS), str(tree.ROOT / "tests")])}
