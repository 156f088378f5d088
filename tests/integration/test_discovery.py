# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places are discovered: with the installation's own file, no path has to be given."""

from __future__ import annotations

import typing as t

from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server


def test_places_are_found_or_taken_as_given(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    made = {
        "usual": make_server(old),
        "listens everywhere": make_server(old, bind="wildcard"),
        "bare": make_server(start=False, ssl_folder="absent", sm_ini_lgc="no", log_folder="log"),
        "given": make_server(old),
    }
    made["bare"].instance.start()
    hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}
    places = {f"sesam_https_{name}" for name in ("sesam_var", "sm_main", "log_file", "address")}
    assert not hosts["usual"].keys() & places
    instance = made["given"].instance
    hosts["given"] |= {f"sesam_https_{name}": getattr(instance, name) for name in ("sesam_var", "sm_main", "log_file")}
    hosts["given"] |= {"sesam_https_address": instance.address, "sesam_https_sesam2000_ini": "/nowhere/sesam2000.ini"}
    hosts["not installed"] = {**hosts["usual"], "sesam_https_sesam2000_ini": "/nowhere/sesam2000.ini"}

    run = controller.run(hosts)

    for name, server in made.items():
        assert run.recap(name)["failures"] == 0, run.output
        assert server.served() == wanted.fingerprint
        found = run.replace(name).result["after"]["installation"]
        assert (found["sesam_var"], found["sm_main"]) == (server.instance.sesam_var, server.instance.sm_main)
    assert run.replace("usual").result["after"]["rmi"]["address"] == made["usual"].instance.address
    assert run.rc == 2
    assert "SEP sesam was not found: /nowhere/sesam2000.ini" in run.output
