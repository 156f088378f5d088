# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root works in folders of somebody else, who exchanges all that is there: he gains nothing, and root ends."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from faults import attacks
from faults.site import Site
from integration.certificates import Authority

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to somebody else")


@pytest.fixture
def scene(tmp_path: Path) -> t.Iterator[attacks.Scene]:
    site = Site(tmp_path, 0, Authority())
    yield attacks.Scene(site, tmp_path)
    site.close()


def test_owner_of_the_folders_gains_nothing(scene: attacks.Scene) -> None:
    gained = {work.__name__: attacks.attacked(scene, work, seed) for seed, work in enumerate(attacks.WORKS)}
    assert {name: found for name, found in gained.items() if found} == {}
    assert len(gained) == len(attacks.WORKS)


def test_what_he_gains_is_seen(scene: attacks.Scene) -> None:
    """A key that he can read, a file of root's that has changed."""

    def careless(scene: attacks.Scene) -> None:
        (scene.ini / "ssl" / "copy").write_bytes(scene.site.other.key_pem())
        (scene.outside / "other.key").chmod(0o644)
        (scene.outside / "sesam.https.crt").unlink()

    gained = attacks.attacked(scene, careless, 1)
    assert {*gained} >= {"outside: sesam.https.crt", "outside: other.key", f"{scene.ini}/ssl/copy is not root's alone"}
