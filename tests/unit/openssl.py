# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command C(openssl), a reader and a maker that knows nothing of the code under test."""

from __future__ import annotations

import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

PROGRAM = shutil.which("openssl")


def run(*words: str | Path, content: bytes = b"") -> bytes:
    """What it prints; the test fails where it does, and is skipped where it is missing."""
    if PROGRAM is None:
        pytest.skip("openssl was not found")
    done = subprocess.run([PROGRAM, *map(str, words)], input=content, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def read(kind: t.Literal["x509", "req"], der: bytes, *words: str) -> str:
    """A certificate or a request in its words."""
    return run(kind, "-inform", "DER", "-noout", *words, content=der).decode()


def sign(digest: str, key: Path, content: bytes) -> bytes:
    """Sign as a host does, with a key that stays in its file."""
    return run("dgst", f"-{digest}", "-sign", key, content=content)
