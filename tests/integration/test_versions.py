# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job at both ends of what is supported: oldest core and oldest Python on the host, newest and newest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from integration.certificates import Files, Pair
from integration.controller import Controller, Variables, local
from integration.servers import Server
from workbench import matrix


def _other_sources(controller: Controller, host: Variables, server: Server, folder: Path) -> None:
    """Self-signed with a key that stays on the host and signs there; and a request whose key is made there."""
    if not shutil.which("openssl"):
        return
    values = {"source": "selfsigned", "key_type": "EC", "certificate": "", "private_key": "",
              "csr_folder": str(folder / "csr")}
    host = {**host, **{f"sesam_https_{name}": value for name, value in values.items()}}
    served = []
    for name, keep_key in (("a.example", False), ("b.example", True)):
        wish = {"sesam_https_names": [name], "sesam_https_keep_key": keep_key}
        run = controller.run({"one": {**host, **wish}})
        assert run.rc == 0, run.output
        assert run.recap()["changed"] > 0
        served.append(server.served())
    assert len(set(served)) == 2
    for changed in (1, 0):
        run = controller.run({"one": {**host, "sesam_https_names": ["c.example"]}}, playbook="sep.sesam.request_csr")
        assert (run.rc, run.recap()["changed"]) == (0, changed), run.output
    request = x509.load_pem_x509_csr((folder / "csr" / "one.csr").read_bytes())
    assert request.is_signature_valid
    (server.state_folder / "pending" / "sesam.https.key").unlink()


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

    _other_sources(controller, host["one"], server, tmp_path)
    if end == matrix.NEWEST:
        return
    # The way back and its message on the oldest, too.
    server.instance.set(start="fails@1")
    Path(server.instance.certificate).unlink()
    third = controller.run(host)
    assert third.rc == 2
    assert "Step start failed" in third.replace().message
    assert "What to do: " in third.replace().message
