# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job at both ends of what is supported: oldest core and oldest Python on the host, newest and newest.

And that all of them say the same of the same hosts.
"""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from integration.certificates import Files, Pair
from integration.controller import Controller, Variables, local
from integration.servers import Server
from workbench import matrix, pythons


def _other_sources(controller: Controller, host: Variables, server: Server, folder: Path) -> None:
    """Self-signed with a key that stays on the host and signs there; and a request whose key is made there."""
    if not shutil.which("openssl"):
        return
    values = {"source": "selfsigned", "key_type": "EC", "certificate": "", "private_key": "",
              "csr_folder": str(folder / "csr")}
    host = {**host, **{f"sesam_https_{name}": value for name, value in values.items()}}
    before = server.served()
    run = controller.run({"one": {**host, "sesam_https_names": ["a.example"]}})
    assert run.rc == 0, run.output
    assert run.recap()["changed"] > 0
    assert server.served() != before
    run = controller.run({"one": {**host, "sesam_https_names": ["c.example"]}}, playbook="sep.sesam.request_csr")
    assert (run.rc, run.recap()["changed"]) == (0, 1), run.output
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

    if end == matrix.NEWEST:
        return
    # What the host code does besides, and the way back and its message, on the oldest too.
    _other_sources(controller, host["one"], server, tmp_path)
    server.instance.set(start="fails@1")
    Path(server.instance.certificate).unlink()
    third = controller.run(host)
    assert third.rc == 2
    assert "Step start failed" in third.replace().message
    assert "What to do: " in third.replace().message


LOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - sep.sesam.sesam_cert_resolve:
        sesam2000_ini: "{{ sesam_https_sesam2000_ini }}"
        port: "{{ sesam_https_port }}"
"""


def _hosts(make_server: t.Callable[..., Server], old: Pair, wanted: Pair, folder: Path) -> dict[str, Server]:
    """Servers in states that are told by all that may differ from one Python to another."""
    other = wanted.write(folder / "größe's")
    other.private_key.chmod(0o600)
    made = {
        "in sync": make_server(old), "stale": make_server(old), "half": make_server(old),
        "stopped": make_server(old, start=False), "plain": make_server(old, listener="plain_http"),
        "silent": make_server(listener="silent"),
        "generated": make_server(), "PKCS#1": make_server(old), "TLS 1.3": make_server(old, tls_min="1.3"),
        "shadowed": make_server(old, start=False, command_line_certificate=other.certificate,
                                command_line_key=other.private_key),
        "environment": make_server(start=False),
    }  # fmt: skip
    made["shadowed"].instance.start()
    made["environment"].instance.start(env={"PATH": os.defpath, "SESAM_SSL_CERT": str(other.certificate),
                                            "SESAM_SSL_KEY": str(other.private_key)})
    made["stale"].put(wanted)
    made["PKCS#1"].put(old, old.key_pem("TraditionalOpenSSL"))
    os.unlink(made["half"].instance.private_key)
    return made


def _verdict_in_brief(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """All of a result that may not depend on who looks, and when."""
    names = ("state", "reason", "repair", "source", "next_sources", "fallback_sources", "names", "days_left")
    return {**{name: result[name] for name in names}, "findings": [
        (finding["id"], finding["subject"], finding["level"]) for finding in result["findings"]],
        "sources": [(s["name"], s["verdict"], s["set_in"]) for s in result["sources"]]}  # fmt: skip


def test_all_say_the_same(
    make_server: t.Callable[..., Server], tmp_path: Path, old: Pair, wanted: Pair
) -> None:
    """ansible-core 2.16 with hosts on Python 3.6 and 3.12, the newest with 3.13."""
    oldest, newest = matrix.read(matrix.OLDEST), matrix.read(matrix.NEWEST)
    found = {version: pythons.find(version) for version in ("3.12", "3.13")}
    missing = [place.missing for place in (oldest, newest) if place.missing]
    if missing := [*missing, *(f"no Python {version} was found" for version, path in found.items() if not path)]:
        pytest.skip("; ".join(missing))
    made = _hosts(make_server, old, wanted, tmp_path)
    playbook = tmp_path / "look.yml"
    playbook.write_text(LOOK)
    told: dict[str, dict[str, dict[str, t.Any]]] = {}
    for place, python in ((oldest, oldest.host), (oldest, found["3.12"]), (newest, found["3.13"])):
        controller = Controller(tmp_path / f"controller {len(told)}", Path(place.controller).parent)
        hosts = {name: {**local(t.cast("Path", python)), **server.variables()} for name, server in made.items()}
        run = controller.run(hosts, playbook=playbook)
        assert run.rc == 0, run.output
        results = {result.host: result.result for result in run.results if result.action.startswith("sep.sesam")}
        told[str(python)] = {name: _verdict_in_brief(result) for name, result in results.items()}

    first, *others = told.values()

    assert [{name: other[name] for name in made if other[name] != first[name]} for other in others] == [{}, {}]
    assert {name: verdict["state"] for name, verdict in first.items()} == {
        "in sync": "in_sync", "stale": "stale_process", "half": "half_pair", "stopped": "stopped",
        "plain": "plain_http", "silent": "not_answering", "generated": "fallback_generated", "PKCS#1": "broken_pair",
        "TLS 1.3": "in_sync", "shadowed": "shadowed", "environment": "in_sync",
    }  # fmt: skip
