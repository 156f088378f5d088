# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller sends with a question that changes files on the host; C(others) are added to it."""

from __future__ import annotations

import typing as t
import uuid
from pathlib import Path

Order = dict[str, t.Any]


def run() -> dict[str, str]:
    """Another run."""
    return {"id": uuid.uuid4().hex, "by": "tester@controller"}


def conversion(src: str | Path, dest: str | Path, **others: t.Any) -> Order:
    """Of the question C(convert)."""
    return {"src": str(src), "dest": str(dest), "passphrase": None, "backup": False, "mode": 0o600, "owner": None,
            "group": None, "check_mode": False, "run": run(), **others}


def key_files(**others: t.Any) -> Order:
    """Of the question C(key_files), where something is to be made; it does not say where."""
    return {"verb": "make", "key": None, "certificate": None, "csr": None, "backup": False, "owner": None,
            "group": None, "check_mode": False, "run": run(), **others}
