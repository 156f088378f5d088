# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook sep.sesam.rollback: the pairs that were replaced are listed, and one of them served again."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from integration import host_program
from integration.accounts import Account
from integration.certificates import Authority, Pair
from integration.controller import Controller, Outcome, Variables, local
from integration.secret_text import Secrets
from integration.servers import Server
from integration.sshd import Sshd

ROLLBACK = "sep.sesam.rollback"
NAMES = ("first.example", "second.example", "third.example")
CERTIFICATE, PRIVATE_KEY = "sesam.https.crt", "sesam.https.key"


@pytest.fixture
def history(authority: Authority, make_server: t.Callable[..., Server]) -> tuple[Server, list[Pair]]:
    """A server that has had three pairs, and serves the last of them: two backups."""
    pairs = [authority.issue(name) for name in NAMES]
    server = make_server(pairs[0])
    for pair in pairs[1:]:
        replace(server, pair)
    return server, pairs


def replace(server: Server, pair: Pair, **others: t.Any) -> None:
    """A replacement, without a controller because that is quicker."""
    answer = host_program.start(host_program.parameters(server, pair, **others)).answer()
    assert answer["action"] == "replaced", answer


def backups(server: Server) -> list[Path]:
    """Those on disk, oldest first by the time at which they were written."""
    return sorted((server.state_folder / "backups").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def host(server: Server, **others: t.Any) -> dict[str, Variables]:
    """The server as the only one of an inventory."""
    return {"one": {**local(), **server.variables(**others)}}


def shown(run: Outcome, name: str = "one") -> list[str]:
    """The lines with the backups of a host."""
    (listed,) = [r.result["msg"] for r in run.results if "Show the backups" in r.task and r.host == name]
    return t.cast("list[str]", listed)


def in_place(server: Server) -> list[bytes]:
    return [Path(path).read_bytes() for path in (server.instance.certificate, server.instance.private_key)]


def test_the_last_pair_comes_back_and_goes_forth_again(
    history: tuple[Server, list[Pair]], controller: Controller
) -> None:
    server, (first, second, third) = history
    kept = [path.name for path in backups(server)]

    back = controller.run(host(server), playbook=ROLLBACK)

    assert back.rc == 0, back.output
    assert server.served() == second.fingerprint
    assert in_place(server) == [second.pem, second.key_pem()]
    assert back.recap()["changed"] == 1
    result = back.replace().result
    assert (result["action"], result["restored"], result["state"]) == ("replaced", kept[1], "in_sync")
    # A key of before, and an older certificate, are what was asked for.
    assert [f["id"] for f in result["findings"] if f["id"] in ("older-than-served", "key-reused")] == []
    newest, oldest = shown(back)
    assert newest.startswith(f"-> {kept[1]} (CN=second.example, until ")
    assert newest.endswith(" by tester@controller")
    assert oldest.startswith(f"{kept[0]} (CN=first.example, until ")

    forth = controller.run(host(server), playbook=ROLLBACK)

    assert forth.rc == 0, forth.output
    assert server.served() == third.fingerprint
    assert [line.split(" (")[0] for line in shown(forth)] == [f"-> {backups(server)[2].name}", kept[1], kept[0]]
    assert "; in place)" in shown(forth)[1]
    assert first.fingerprint != server.served()


def test_one_of_several_by_its_name_and_again(history: tuple[Server, list[Pair]], controller: Controller) -> None:
    server, (first, _second, _third) = history
    name = backups(server)[0].name

    run = controller.run(host(server), "-e", f"sesam_https_backup={name}", playbook=ROLLBACK)

    assert run.rc == 0, run.output
    assert server.served() == first.fingerprint
    assert [line.startswith("-> ") for line in shown(run)] == [False, True]
    pid = server.instance.pid()

    again = controller.run(host(server), "-e", f"sesam_https_backup={name}", playbook=ROLLBACK)

    assert again.rc == 0, again.output
    assert (again.recap()["changed"], again.replace().result["action"], server.instance.pid()) == (0, "none", pid)


def test_check_mode_lists_and_leaves_no_trace(history: tuple[Server, list[Pair]], controller: Controller) -> None:
    server, _pairs = history
    before = (server.tree(), server.instance.pid())

    run = controller.run(host(server), "--check", "--diff", playbook=ROLLBACK)

    assert run.rc == 0, run.output
    assert (server.tree(), server.instance.pid()) == before
    assert run.recap()["changed"] == 1
    assert run.replace().result["restored"] == backups(server)[1].name
    assert len(shown(run)) == 2
    assert "-subject: CN=third.example" in run.output
    assert "+subject: CN=second.example" in run.output


def damage_key(backup: Path) -> None:
    (backup / PRIVATE_KEY).unlink()


def damage_certificate(backup: Path) -> None:
    (backup / CERTIFICATE).write_bytes(b"\x00garbage\xff" * 50)


DAMAGES = {"half": damage_key, "garbage": damage_certificate}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_backup_is_listed_and_refused(
    damage: t.Callable[[Path], None], history: tuple[Server, list[Pair]], controller: Controller
) -> None:
    """By its name; the last one that can be restored is another then."""
    server, (first, _second, third) = history
    oldest, newest = backups(server)
    damage(newest)
    pid = server.instance.pid()

    by_name = controller.run(host(server), "-e", f"sesam_https_backup={newest.name}", playbook=ROLLBACK)

    assert by_name.rc == 2
    message = by_name.replace().message
    assert message.startswith(f"Nothing was touched. backup-unusable: The backup {newest.name} cannot be restored: ")
    assert f"{oldest.name} (CN=first.example, until " in message
    assert "cannot be restored: " in shown(by_name)[0]
    assert (server.served(), server.instance.pid()) == (third.fingerprint, pid)

    latest = controller.run(host(server), playbook=ROLLBACK)

    assert latest.rc == 0, latest.output
    assert server.served() == first.fingerprint


def test_what_cannot_be_restored_is_refused_with_what_can(
    make_server: t.Callable[..., Server], authority: Authority, controller: Controller
) -> None:
    """Nothing there, an unknown name, a path, an expired certificate; the last may be restored all the same."""
    names = ("nothing", "unknown", "path", "expired", "told")
    old, ended = authority.issue("old.example"), authority.issue("ended.example", begins=-90, days=80)
    made = {name: make_server(ended if name in ("expired", "told") else old) for name in names}
    for name in names[1:]:
        replace(made[name], authority.issue())
    there = {name: backups(made[name])[0] for name in names[1:]}
    options: dict[str, dict[str, t.Any]] = {
        "nothing": {}, "unknown": {"backup": "20260101T000000Z-00000000"}, "path": {"backup": str(there["path"])},
        "expired": {}, "told": {"levels": {"expired": "warning"}},
    }  # fmt: skip
    hosts = {name: {**local(), **made[name].variables(**options[name])} for name in names}
    before = {name: (server.tree(), server.instance.pid()) for name, server in made.items()}

    run = controller.run(hosts, playbook=ROLLBACK)

    assert run.rc == 2
    messages = {name: run.replace(name).message for name in names}
    assert "backup-missing: There is nothing to go back to" in messages["nothing"]
    assert "backup-missing: There is no backup '20260101T000000Z-00000000' on this host." in messages["unknown"]
    assert "backup-missing: The option backup is no name of a backup" in messages["path"]
    for name in ("unknown", "path", "expired"):
        assert f"There are: {there[name].name} (CN=" in messages[name]
    assert "expired: The certificate ended on " in messages["expired"]
    assert "set levels (sesam_https_levels) to {expired: warning}." in messages["expired"]
    for name in names[:-1]:
        assert "Nothing was touched." in messages[name]
        state = str(made[name].state_folder)
        found = {path: facts for path, facts in made[name].tree().items() if not path.startswith(state)}
        assert found == {path: facts for path, facts in before[name][0].items() if not path.startswith(state)}
        assert made[name].instance.pid() == before[name][1]
    assert made["told"].served() == ended.fingerprint


def test_a_start_that_fails_ends_with_what_was_served(
    history: tuple[Server, list[Pair]], controller: Controller
) -> None:
    """And no backup is lost by it, though only two are to be kept."""
    server, (_first, _second, third) = history
    kept = backups(server)
    server.instance.set(start="fails@1")

    run = controller.run(host(server, keep_backups=2), playbook=ROLLBACK)

    assert run.rc == 2
    assert "Step start failed: " in run.replace().message
    assert "Rolled back: the port serves CN=third.example" in run.replace().message
    assert server.served() == third.fingerprint
    assert in_place(server) == [third.pem, third.key_pem()]
    assert set(kept) <= set(backups(server))


def test_the_oldest_is_restored_before_backups_get_fewer(
    history: tuple[Server, list[Pair]], controller: Controller
) -> None:
    """It makes room for the pair that it replaces, when it is in place."""
    server, (first, second, third) = history
    oldest, newest = backups(server)

    run = controller.run(
        host(server, keep_backups=2), "-e", f"sesam_https_backup={oldest.name}", playbook=ROLLBACK)

    assert run.rc == 0, run.output
    assert server.served() == first.fingerprint
    assert in_place(server) == [first.pem, first.key_pem()]
    assert backups(server)[0] == newest
    assert [(path / CERTIFICATE).read_bytes() for path in backups(server)] == [second.pem, third.pem]


def test_over_ssh_with_sudo_and_no_key_is_seen(
    own_sshd: Sshd, account: Account, controller: Controller, authority: Authority,
    make_server: t.Callable[..., Server],
) -> None:
    """Whatever is printed at -vvvvv: the key stays on the host."""
    pair = authority.issue("old.example", key=authority.rsa_key())
    server = make_server(pair)
    replace(server, authority.issue())
    one = {**local(), **own_sshd.variables("127.0.1.1", account.name), **account.variables(), **server.variables()}

    run = controller.run({"one": one}, "-vvvvv", "--diff", playbook=ROLLBACK)

    assert run.rc == 0, run.output
    assert server.served() == pair.fingerprint
    secrets = Secrets(pair, account.password)
    assert secrets.found_in((backups(server)[0] / PRIVATE_KEY).read_text())
    assert secrets.found_in(run.output) == ""
    assert secrets.found_in(run.dump) == ""
