# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of the documentation that are made from the code."""

from __future__ import annotations

from . import commands, tree, venvs

FINDINGS = tree.ROOT / "docs" / "findings.md"
# Run by the Python of the venv: the workbench's own may have other collections.
_PROGRAM = """import sys
sys.path[:0] = sys.argv[1:]
from workbench import findings_page
print(findings_page.page(), end="")"""


def docs() -> None:
    """Write the pages, and say for each whether it has changed."""
    venv = venvs.main_venv("demo")
    page = commands.run(
        [venv.python, "-c", _PROGRAM, tree.COLLECTIONS, tree.ROOT / "tests"], env=venv.environment())
    is_current = FINDINGS.exists() and FINDINGS.read_text(encoding="utf-8") == page
    if not is_current:
        FINDINGS.write_text(page, encoding="utf-8")
    commands.say(f"{FINDINGS.relative_to(tree.ROOT)}: {'is as it was' if is_current else 'written'}")
