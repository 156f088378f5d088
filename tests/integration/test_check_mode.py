# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode: says what would be done, shows the diff, and does nothing at all."""

from __future__ import annotations

from pathlib import Path

from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server


def test_check_mode_has_no_side_effect(
    server: Server, controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    before = server.tree(), server.instance.pid()

    run = controller.run({"one": {**local(), **server.variables(files)}}, "--check", "--diff")

    assert run.rc == 0, run.output
    assert (server.tree(), server.instance.pid()) == before
    assert not server.state_folder.exists()
    result = run.replace().result
    assert (result["changed"], result["action"]) == (True, "replaced")
    assert run.recap()["changed"] == 1
    assert "-subject: CN=old.example" in run.output
    assert "+subject: CN=backup.example" in run.output
    assert f"+fingerprint_sha256: {wanted.fingerprint}" in run.output
    assert "BEGIN" not in run.output
    assert server.served() == old.fingerprint


def test_check_mode_says_that_nothing_is_to_be_done(
    server: Server, controller: Controller, old: Pair, tmp_path: Path
) -> None:
    before = server.tree(), server.instance.pid()
    files = old.write(tmp_path / "files")
    run = controller.run({"one": {**local(), **server.variables(files)}}, "--check", "--diff")
    assert (run.rc, run.recap()["changed"]) == (0, 0), run.output
    assert (server.tree(), server.instance.pid()) == before


def test_diff_of_a_replacement_shows_both_certificates_and_no_key(
    server: Server, controller: Controller, wanted: Pair, files: Files
) -> None:
    run = controller.run({"one": {**local(), **server.variables(files)}}, "--diff")
    assert run.rc == 0, run.output
    diff = run.replace().result["diff"]
    assert "CN=old.example" in diff["before"]
    assert wanted.fingerprint in diff["after"]
    assert "PKCS#8 0600" in diff["after"]
    assert "BEGIN" not in run.output + run.dump
