# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job over SSH: replaced, served, read back by others than us; and nothing at all the second time."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from integration import readers
from integration.accounts import Account
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller, Variables, local
from integration.servers import Server
from integration.sshd import Sshd

STEPS = ["stop", "place", "start", "served", "log_line"]


@pytest.fixture(params=["root", "sudo with a password"])
def login(request: pytest.FixtureRequest, own_sshd: Sshd) -> Variables:
    """How the inventory logs in."""
    python = {"ansible_python_interpreter": local()["ansible_python_interpreter"]}
    if request.param == "root":
        return {**own_sshd.variables("127.0.1.1", "root"), **python}
    account: Account = request.getfixturevalue("account")
    return {**own_sshd.variables("127.0.1.1", account.name), **account.variables(), **python}


def test_certificate_is_replaced_over_ssh_and_then_left_alone(
    login: Variables, controller: Controller, server: Server, wanted: Pair, files: Files
) -> None:
    pid = server.instance.pid()
    log_before = Path(server.instance.log_file).read_text()
    host = {**login, **server.variables(files)}

    first = controller.run({"one": host})

    assert first.rc == 0, first.output
    result = first.replace().result
    assert (result["action"], result["state"], result["changed"]) == ("replaced", "in_sync", True)
    assert [step["name"] for step in result["steps"]] == STEPS
    assert all(step["ok"] and step["seconds"] >= 0 for step in result["steps"])
    assert server.served() == wanted.fingerprint == readers.on_disk(server.instance.certificate)
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    assert server.instance.certificate in result["log_line"]
    assert result["log_line"] in Path(server.instance.log_file).read_text().removeprefix(log_before)
    assert not server.journal.exists()
    new_pid = server.instance.pid()
    assert new_pid not in (None, pid)

    # The key is not sent: there is none.
    second = controller.run({"one": {**host, "sesam_https_private_key": "/nowhere/at/all.key"}})

    assert second.rc == 0, second.output
    assert second.recap()["changed"] == 0
    assert second.of("replace") is None
    assert server.instance.pid() == new_pid


def test_java_reads_what_was_placed_from_a_pkcs1_key(
    authority: Authority, server: Server, controller: Controller, tmp_path: Path
) -> None:
    pair = authority.issue(key=authority.rsa_key())
    files = pair.write(tmp_path / "pkcs1", "TraditionalOpenSSL", "a passphrase")

    run = controller.run({"one": {**local(), **server.variables(files, passphrase="a passphrase")}})

    assert run.rc == 0, run.output
    assert server.served() == pair.fingerprint
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    assert readers.java_reads(server.instance.certificate, server.instance.private_key) == "RSA"


def test_modes_and_owners_of_what_was_placed(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    """The owner of the key that is replaced, else that of rmi; unless one is asked for."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    servers = {name: make_server(start=False) for name in ("kept", "absent", "asked")}
    servers["kept"].put(old, owner=12345)
    servers["asked"].put(old, owner=12345)
    # No pair, not even a folder: rmi makes a certificate itself.
    Path(servers["absent"].instance.ssl_folder).rmdir()
    for server in servers.values():
        server.instance.start()
    hosts = {name: {**local(), **server.variables(files)} for name, server in servers.items()}
    hosts["asked"].update(sesam_https_owner="1234", sesam_https_group="4321")

    run = controller.run(hosts)

    assert run.rc == 0, run.output
    owners = {"kept": (12345, 12345), "absent": (0, 0), "asked": (1234, 4321)}
    for name, server in servers.items():
        assert server.served() == wanted.fingerprint
        modes = {server.instance.certificate: 0o644, server.instance.private_key: 0o600}
        for path, mode in modes.items():
            status = os.stat(path)
            assert stat.S_IMODE(status.st_mode) == mode, (name, path)
            assert (status.st_uid, status.st_gid) == owners[name], (name, path)


def test_stopped_server_stays_stopped_unless_it_is_asked_for(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    made = {name: make_server(old, start=False) for name in ("left", "started")}
    hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}
    hosts["started"]["sesam_https_start_stopped"] = True

    run = controller.run(hosts)

    assert run.rc == 0, run.output
    assert {name: run.replace(name).result["action"] for name in made} == {"left": "placed", "started": "replaced"}
    assert {name: server.served() for name, server in made.items()} == {"left": None, "started": wanted.fingerprint}
    assert readers.on_disk(made["left"].instance.certificate) == wanted.fingerprint


def test_certificate_with_the_same_subject_is_noticed_by_its_fingerprint(
    authority: Authority, server: Server, make_server: t.Callable[..., Server], controller: Controller, tmp_path: Path
) -> None:
    older, newer = authority.issue("same.example"), authority.issue("same.example")
    drifted, stale = make_server(older), make_server(older)
    stale.put(newer)  # as somebody does who copies the files and forgets the restart
    files = newer.write(tmp_path / "newer")

    run = controller.run({n: {**local(), **s.variables(files)} for n, s in (("drifted", drifted), ("stale", stale))})

    assert run.rc == 0, run.output
    actions = {name: run.replace(name).result["action"] for name in ("drifted", "stale")}
    assert actions == {"drifted": "replaced", "stale": "restarted"}
    assert drifted.served() == stale.served() == newer.fingerprint
