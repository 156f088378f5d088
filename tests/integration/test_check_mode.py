# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode: says what would be done, shows the diff, and does nothing at all."""

from __future__ import annotations

import typing as t

from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server


def test_check_mode_has_no_side_effect_and_shows_the_diff(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    made = {"drifted": make_server(old), "in_sync": make_server(wanted)}
    hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}
    before = {name: (server.tree(), server.instance.pid()) for name, server in made.items()}

    run = controller.run(hosts, "--check", "--diff")

    assert run.rc == 0, run.output
    assert {name: (server.tree(), server.instance.pid()) for name, server in made.items()} == before
    assert not made["drifted"].state_folder.exists()
    assert {name: run.recap(name)["changed"] for name in made} == {"drifted": 1, "in_sync": 0}
    assert run.replace("drifted").result["action"] == "replaced"
    assert "-subject: CN=old.example" in run.output
    assert "+subject: CN=backup.example" in run.output
    assert f"+fingerprint_sha256: {wanted.fingerprint}" in run.output
    assert "PRIVATE KEY" not in run.output + run.dump

    # The diff of the real thing is the one that was announced.
    done = controller.run({"drifted": hosts["drifted"]}, "--diff")

    assert done.rc == 0, done.output
    assert done.replace("drifted").result["diff"] == run.replace("drifted").result["diff"]
    assert "PKCS#8 0600" in done.replace("drifted").result["diff"]["after"]
