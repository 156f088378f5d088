# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot end well is refused before rmi is touched, in words that a person understands."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from integration import servers
from integration.certificates import Authority, Pair
from integration.controller import Controller, Outcome, local
from integration.servers import Server

# Name of the host -> what its message says, none of which names the content of a key.
REFUSED = {
    "wrong-key": ("pair-mismatch", "does not belong to the certificate", "CN=backup.example"),
    "expired": ("expired", "The certificate ended on"),
    "not-yet-valid": ("not-yet-valid", "The certificate begins on"),
    "garbage": ("private_key (", "garbage.key"),
    "no-such-file": ("input-missing", "/nowhere/at/all.key"),
    "empty": ("input-empty", "empty.key"),
    "a-folder": ("input-missing",),
    "certificate-as-key": ("private_key (",),
    "no-passphrase": ("passphrase",),
    "wrong-passphrase": ("passphrase",),
}


@pytest.fixture(scope="module")
def asked(
    authority: Authority, old: Pair, wanted: Pair, tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[tuple[Outcome, bool]]:
    """One run with every bad pair against one server; whether that server is as it was."""
    folder = tmp_path_factory.mktemp("refusals")
    server = servers.create(folder / "sesam", 0)
    try:
        server.put(old)
        server.instance.start()
        before = server.tree(), server.instance.pid()
        inputs = _inputs(authority, wanted, folder)
        # One lock, so one after the other.
        hosts = {name: {**local(), **server.variables(**values)} for name, values in inputs.items()}
        run = Controller(folder / "controller").run(hosts)
        yield run, (_without_state(server, server.tree()), server.instance.pid()) == (
            _without_state(server, before[0]), before[1]
        ) and server.served() == old.fingerprint  # fmt: skip
    finally:
        server.instance.remove()


def _without_state(server: Server, tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """The lock and the last result may be written; the folder above them changes with that."""
    ours = str(server.state_folder)
    above = str(server.state_folder.parent)
    return {path: facts for path, facts in tree.items() if not path.startswith(ours) and path != above}


def _inputs(authority: Authority, wanted: Pair, folder: Path) -> dict[str, dict[str, t.Any]]:
    certificate, _key = map(str, wanted.write(folder / "wanted"))
    encrypted = str(wanted.write(folder / "encrypted", "TraditionalOpenSSL", "right").private_key)
    (folder / "garbage.key").write_text("-----BEGIN PRIVATE KEY-----\nbm8ga2V5\n-----END PRIVATE KEY-----\n")
    (folder / "empty.key").touch()
    bad_dates = {name: authority.issue(begins=begins, days=20) for name, begins in
                 (("expired", -30), ("not-yet-valid", 5))}  # fmt: skip
    pairs = {name: pair.write(folder / name) for name, pair in bad_dates.items()}
    return {
        **{n: {"certificate": str(p.certificate), "private_key": str(p.private_key)} for n, p in pairs.items()},
        "wrong-key": {
            "certificate": certificate, "private_key": str(authority.issue().write(folder / "other").private_key)
        },
        "garbage": {"certificate": certificate, "private_key": str(folder / "garbage.key")},
        "no-such-file": {"certificate": certificate, "private_key": "/nowhere/at/all.key"},
        "empty": {"certificate": certificate, "private_key": str(folder / "empty.key")},
        "a-folder": {"certificate": certificate, "private_key": str(folder)},
        "certificate-as-key": {"certificate": certificate, "private_key": certificate},
        "no-passphrase": {"certificate": certificate, "private_key": encrypted},
        "wrong-passphrase": {"certificate": certificate, "private_key": encrypted, "passphrase": "wrong-Passphrase"},
    }  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_clear_words(asked: tuple[Outcome, bool], name: str) -> None:
    result = asked[0].replace(name)
    assert (result.status, result.result["changed"]) == ("failed", False)
    assert result.message.startswith("Nothing was touched. ")
    assert all(words in result.message for words in REFUSED[name]), result.message
    assert len(result.message) < 600


def test_server_is_untouched(asked: tuple[Outcome, bool]) -> None:
    run, is_untouched = asked
    assert run.rc == 2
    assert is_untouched
    assert "Traceback" not in run.output
    assert "wrong-Passphrase" not in run.output + run.dump


def test_missing_key_is_told_before_the_host_is_asked_to_act(
    server: Server, controller: Controller, wanted: Pair, tmp_path: Path
) -> None:
    certificate = str(wanted.write(tmp_path / "files").certificate)
    run = controller.run({"one": {**local(), **server.variables(certificate=certificate)}})
    assert run.rc == 2
    assert run.of("replace") is None
    assert "set sesam_https_private_key" in run.output
