# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry for `python tests/workbench`: runs the package of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder itself is on the path here; its parent makes it a package instead.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from workbench.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
