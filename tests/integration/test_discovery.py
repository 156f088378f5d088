# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places are discovered: with the installation's own file, no path has to be given."""

from __future__ import annotations

import typing as t

from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server


def test_places_are_found_by_sesam2000_ini(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    made = {
        "usual": make_server(old),
        "everywhere": make_server(old, bind="wildcard"),
        "bare": make_server(start=False, ssl_folder="absent", sm_ini_lgc="no", log_folder="log"),
    }
    made["bare"].instance.start()
    hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}
    given = {name for name in hosts["usual"] if name.startswith("sesam_https_")}
    assert not given & {f"sesam_https_{name}" for name in ("sesam_var", "sm_main", "log_file", "address")}

    run = controller.run(hosts)

    assert run.rc == 0, run.output
    for name, server in made.items():
        assert server.served() == wanted.fingerprint
        found = run.replace(name).result["after"]["installation"]
        assert (found["sesam_var"], found["sm_main"]) == (server.instance.sesam_var, server.instance.sm_main)
    assert run.replace("usual").result["after"]["rmi"]["address"] == made["usual"].instance.address


def test_paths_that_are_given_need_no_sesam2000_ini(
    server: Server, controller: Controller, wanted: Pair, files: Files
) -> None:
    instance = server.instance
    given = {"sesam_var": instance.sesam_var, "sm_main": instance.sm_main, "log_file": instance.log_file,
             "address": instance.address, "sesam2000_ini": "/nowhere/sesam2000.ini"}  # fmt: skip
    run = controller.run({"one": {**local(), **server.variables(files, **given)}})
    assert run.rc == 0, run.output
    assert server.served() == wanted.fingerprint


def test_missing_installation_is_told(controller: Controller, files: Files) -> None:
    host = {"sesam_https_certificate": str(files.certificate), "sesam_https_private_key": str(files.private_key),
            "sesam_https_sesam2000_ini": "/nowhere/sesam2000.ini"}  # fmt: skip
    run = controller.run({"one": {**local(), **host}})
    assert run.rc == 2
    assert "SEP sesam was not found: /nowhere/sesam2000.ini" in run.output
