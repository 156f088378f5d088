# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host part on the oldest Python that a managed host has: compiled, and used."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from unit import pki
from workbench import matrix, pythons, tree

OLDEST = matrix.OLDEST.hosts[0]
SENT = sorted(path for part in ("module_utils", "modules") for path in (tree.ROOT / "plugins" / part).rglob("*.py"))


@pytest.fixture(scope="module")
def oldest() -> Path:
    found = pythons.find(OLDEST)
    if found is None:
        pytest.skip(f"no Python {OLDEST} was found")
    return found


def test_every_file_compiles(oldest: Path) -> None:
    assert len(SENT) > 10
    code = "import pathlib, sys\nfor name in sys.argv[1:]: compile(pathlib.Path(name).read_bytes(), name, 'exec')"
    done = subprocess.run([oldest, "-B", "-W", "error", "-c", code, *SENT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_resolve_and_replace(oldest: Path, make_site: t.Any, program: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site = make_site(type(program)(oldest))
    site.put(old)
    site.instance.start()
    seen = site.resolve()
    assert seen["served"]["chain"] == seen["disk"]["certificate"]["chain"] == old.base64_chain
    assert seen["log"]["of_this_start"]
    assert site.replace(new, check_mode=True)["action"] == "replaced"
    answer = site.replace(new)
    assert (answer["action"], answer["failure"], answer["findings"]) == ("replaced", None, [])
    assert answer["after"]["served"]["chain"] == new.base64_chain
    assert site.serves(new)
    assert site.replace(new)["changed"] is False


def test_the_way_back(oldest: Path, make_site: t.Any, program: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site = make_site(type(program)(oldest))
    site.put(old)
    site.instance.start()
    site.instance.set(serves="other@1")
    answer = site.replace(new)
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("served", "")
    assert site.serves(old)
