# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests look for is found where it is given away, and nowhere else."""

from __future__ import annotations

from integration.secret_text import PASSPHRASE
from workbench import tree


def test_passphrase_stands_in_no_source() -> None:
    """Whoever works on this machine may have copies of them in a temporary folder, which is searched."""
    sources = list((tree.ROOT / "tests").rglob("*.py"))
    assert len(sources) > 50
    assert [path for path in sources if PASSPHRASE in path.read_text()] == []
