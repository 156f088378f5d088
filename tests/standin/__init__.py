# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""A stand-in for SEP sesam's REST server and its sm_main, for tests and for trying things out.

From Python: ``standin.create(folder, address=..., port=...)``. By hand: ``python tests/standin/standin.py --help``.
It imports nothing of the collection, and the collection nothing of it: each is checked against the other.
"""

from .instance import Instance, create
from .switches import StandinError

__all__ = ["Instance", "StandinError", "create"]
