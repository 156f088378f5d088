# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job at both ends of what is supported: oldest core and oldest Python on the host, newest and newest."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server
from workbench import matrix


@pytest.mark.parametrize("end", [matrix.OLDEST, matrix.NEWEST], ids=lambda end: end.name)
def test_main_job(end: matrix.End, server: Server, tmp_path: Path, wanted: Pair, files: Files) -> None:
    place = matrix.read(end)
    if place.missing:
        pytest.skip(place.missing)
    controller = Controller(tmp_path / end.name, Path(place.controller).parent)
    host = {"one": {**local(place.host), **server.variables(files)}}

    first = controller.run(host)

    assert first.rc == 0, first.output
    assert first.replace().result["action"] == "replaced"
    assert server.served() == wanted.fingerprint
    pid = server.instance.pid()

    second = controller.run(host)

    assert (second.rc, second.recap()["changed"]) == (0, 0), second.output
    assert server.instance.pid() == pid

    if end == matrix.NEWEST:
        return
    # The way back and its message on the oldest, too.
    server.instance.set(start="fails@1")
    Path(server.instance.certificate).unlink()
    third = controller.run(host)
    assert third.rc == 2
    assert "Step start failed" in third.replace().message
    assert "What to do: " in third.replace().message
