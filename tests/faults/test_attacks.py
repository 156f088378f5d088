# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root works in folders of somebody else, who exchanges all that is there: he gains nothing, and root ends."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

import pytest
from faults import attacks
from faults.site import Site
from integration import servers
from integration.certificates import Authority
from integration.controller import Controller, local
from integration.secret_text import Secrets

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to somebody else")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[attacks.Scene]:
    folder = tmp_path_factory.mktemp("scene")
    site = Site(folder, 0, Authority())
    yield attacks.Scene(site, folder)
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


def test_log_that_leads_to_the_key_is_not_shown(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """The start fails, and the message shows what the log says: one host for each way to have it say the key."""
    authority = Authority()
    old, wanted = authority.issue("old.example"), authority.issue(key=authority.rsa_key())
    secrets, files = Secrets(wanted), wanted.write(tmp_path / "files")
    controller = Controller(tmp_path / "controller")
    hosts, made = {}, {}
    with contextlib.ExitStack() as at_end:
        for number, (name, lead) in enumerate(attacks.LEADS.items()):
            server = made[name] = servers.create(tmp_path / f"sesam no {number}", number)
            at_end.callback(server.instance.remove)
            server.put(old)
            server.instance.start(env=servers.ENVIRONMENT)
            attacks.lead_log(server, tmp_path / f"outside {number}", lead)
            hosts[name] = {**local(), **server.variables(files)}
        run = controller.run(hosts, "-vvvvv", "--diff")
        for name, lead in attacks.LEADS.items():
            with subtests.test(name):
                replaced = run.replace(name)
                assert replaced.status == "failed"
                assert secrets.found_in(replaced.message) == ""
                assert lead.says in replaced.message
                assert made[name].served() == old.fingerprint
    assert secrets.found_in(run.output) == ""
    assert secrets.found_in(run.dump) == ""
