# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A replacement with a key that is on the host already: that of the pending request, or a file."""

from __future__ import annotations

import base64
import json
import os
import socket
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import (
    der,
    obstacles,
    place_checks,
    refusal,
    state,
    transaction,
)
from integration import orders
from unit import pki
from unit.host import keys
from unit.host.test_host_key_files import content, request
from unit.host.test_host_transaction import FORWARD, killed, steps, tree


def replace(site: t.Any, pair: pki.Pair, where: str = "pending", **options: t.Any) -> dict[str, t.Any]:
    """The answer, in which no key may stand."""
    answer: dict[str, t.Any] = site.replace(pair, private_key=None, private_key_on_host=where, **options)
    assert [line for line in keys.secret_lines(pair.key_pem) if line in json.dumps(answer)] == []
    return answer


def ask_for(site: t.Any, pair: pki.Pair) -> None:
    """Have the key of a pair pending, with its request."""
    answer = site.program.ask("key_files", orders.key_files(
        **site.parameters, pending=True, key=content(pair.key_pem), csr=content(request(pair.key))))
    assert answer["changed"]


@pytest.fixture
def asked(site: t.Any, old: pki.Pair, new: pki.Pair) -> t.Any:
    """A server that serves the old pair, on which the certificate of the new one was requested."""
    site.put(old)
    site.instance.start()
    ask_for(site, new)
    return site


def test_what_is_pending_is_seen(asked: t.Any, new: pki.Pair) -> None:
    seen = asked.resolve()
    made = os.stat(asked.state / "pending/sesam.https.key").st_mtime
    assert seen["pending"] == {"csr": seen["pending"]["csr"], "has_key": True, "made": made}
    assert base64.b64decode(seen["pending"]["csr"]) == keys.openssl(
        "req", "-outform", "DER", "-in", str(asked.state / "pending/sesam.https.csr"))
    (asked.state / "pending/sesam.https.csr").unlink()
    assert asked.resolve()["pending"] == {"csr": None, "has_key": True, "made": made}
    (asked.state / "pending/sesam.https.key").unlink()
    assert asked.resolve()["pending"] is None


def test_no_room_for_the_certificate_is_no_wrong_key(
    asked: t.Any, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is to request another certificate for that."""
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    order = asked.order(new, private_key=None, private_key_on_host="pending")
    told = transaction.replace(order)["refused"]
    assert (told["id"], "/nowhere" in told["message"]) == ("host-error", True)
    assert (asked.state / "pending/sesam.https.key").exists()


def test_a_request_without_its_key(asked: t.Any) -> None:
    (asked.state / "pending/sesam.https.key").unlink()
    seen = asked.resolve()["pending"]
    assert (seen["has_key"], seen["made"]) == (False, None)
    assert seen["csr"]


def test_nothing_is_pending(site: t.Any) -> None:
    assert site.resolve()["pending"] is None


def test_the_certificate_that_was_requested(asked: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    before = tree(asked.instance.sesam_var)
    told = replace(asked, new, check_mode=True)
    assert (told["changed"], told["action"], told["refused"]) == (True, "replaced", None)
    assert tree(asked.instance.sesam_var) == before
    answer = replace(asked, new)
    assert (answer["changed"], answer["action"], answer["failure"], answer["findings"]) == (True, "replaced", None, [])
    assert steps(answer) == FORWARD
    assert asked.is_on_disk(new)
    assert asked.serves(new)
    assert os.stat(asked.instance.private_key).st_mode & 0o777 == 0o600
    assert not (asked.state / "pending").exists()
    assert (answer["before"]["pending"]["has_key"], answer["after"]["pending"]) == (True, None)
    # Once more: the pair is in place, and no key is needed.
    for is_check in (True, False):
        again = replace(asked, new, check_mode=is_check)
        assert (again["changed"], again["action"], again["refused"]) == (False, "none", None)


def test_a_certificate_for_another_key_is_refused(asked: t.Any, old: pki.Pair) -> None:
    before = tree(asked.instance.ssl_folder)
    pid = asked.instance.pid()
    for is_check in (True, False):
        answer = replace(asked, pki.make("other.example"), check_mode=is_check)
        assert (answer["refused"]["id"], answer["refused"]["subject"]) == ("pair-mismatch", "wanted")
        assert not answer["changed"]
    assert (tree(asked.instance.ssl_folder), asked.instance.pid()) == (before, pid)
    assert (asked.state / "pending/sesam.https.key").exists()


def test_nothing_was_requested(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    for is_check in (True, False):
        answer = replace(site, new, check_mode=is_check)
        assert answer["refused"]["id"] == "pending-missing"
        assert "request_csr" in answer["refused"]["fix"]
    assert site.is_on_disk(old)


def test_a_failure_keeps_the_request(asked: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    asked.instance.set(serves="other@1")
    answer = replace(asked, new)
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("served", "")
    assert asked.serves(old)
    assert (asked.state / "pending/sesam.https.key").read_bytes() == new.key_pem
    assert replace(asked, new)["action"] == "replaced"
    assert not (asked.state / "pending").exists()


def test_a_run_that_died_before_it_forgot_the_request(asked: t.Any, new: pki.Pair) -> None:
    asked.instance.set(log_line="never")
    order = asked.order(new, private_key=None, private_key_on_host="pending")
    killed(asked, order, lambda: asked.serves(new))
    assert (asked.state / "pending").exists()
    answer = replace(asked, new)
    assert (answer["recovered"], answer["action"], answer["refused"]) == ("finished", "none", None)
    assert not (asked.state / "pending").exists()


def test_a_new_request_survives_a_run_for_the_pair_in_place(asked: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """Both the certificate in place and one to come: what is pending belongs to the latter."""
    assert replace(asked, old)["action"] == "none"
    assert (asked.state / "pending/sesam.https.key").read_bytes() == new.key_pem
    assert asked.replace(old)["action"] == "none"
    third = pki.make("third.example")
    assert asked.replace(third)["action"] == "replaced"
    assert (asked.state / "pending/sesam.https.key").read_bytes() == new.key_pem


def test_only_a_run_for_the_request_forgets_it(asked: t.Any, new: pki.Pair) -> None:
    """With the same key from the controller: somebody may still wait for the certificate."""
    assert asked.replace(new)["action"] == "replaced"
    assert (asked.state / "pending").exists()


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
@pytest.mark.parametrize("encoding", ["PEM", "DER"])
@pytest.mark.parametrize("name", ["RSA-2048", "P-256"])
def test_a_key_in_a_file(
    site: t.Any, old: pki.Pair, tmp_path: Path, name: str, form: pki.Form, encoding: t.Any
) -> None:
    pair = pki.make("new.example", key=keys.key(name))
    path = tmp_path / "some.key"
    path.write_bytes(pki.key_bytes(pair.key, form, encoding=encoding))
    site.put(old)
    answer = replace(site, pair, str(path))
    assert (answer["action"], answer["refused"]) == ("placed", None)
    assert Path(site.instance.certificate).read_bytes() == pair.pem
    assert keys.spki_by_openssl(Path(site.instance.private_key).read_bytes()) == pki.spki(pair.key)
    assert path.exists()


def test_the_key_in_place_gets_another_certificate(site: t.Any, old: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    renewed = pki.make("renewed.example", key=old.key)
    assert replace(site, renewed, site.instance.private_key)["action"] == "replaced"
    assert site.is_on_disk(renewed)
    assert site.serves(renewed)


@pytest.mark.parametrize(("make", "id", "says"), [
    (lambda path, key: None, "input-missing", "does not exist"),
    (lambda path, key: os.mkfifo(path), "input-missing", "FIFO"),
    (lambda path, key: path.symlink_to(path), "input-missing", "symbolic link"),
    (lambda path, key: path.write_bytes(b""), "input-empty", "empty"),
    (lambda path, key: path.write_bytes(bytes((1 << 20) + 1)), "input-too-large", "1048577"),
    (lambda path, key: path.write_bytes(pki.key_bytes(key) * 2), "key-count", "2 private keys"),
    (lambda path, key: path.write_bytes(pki.key_bytes(key, passphrase=b"x")), "key-not-usable", "encrypted PKCS#8"),
    (lambda path, key: path.write_bytes(pki.key_bytes(key, "OpenSSH")), "key-not-usable", "sesam_pkcs8_convert"),
    (lambda path, key: path.write_bytes(pki.make().pem), "key-not-usable", "no private key"),
    (lambda path, key: path.write_bytes(pki.key_bytes(pki.ec_key())), "pair-mismatch", "does not belong"),
])
def test_a_key_that_cannot_be_used(
    site: t.Any, old: pki.Pair, new: pki.Pair, tmp_path: Path, make: t.Callable[..., object], id: str, says: str
) -> None:
    site.put(old)
    make(tmp_path / "some.key", new.key)
    answer = replace(site, new, str(tmp_path / "some.key"))
    assert (answer["refused"]["id"], answer["refused"]["subject"]) == (id, "wanted")
    assert says in answer["refused"]["message"] + answer["refused"]["fix"]
    assert site.is_on_disk(old)


def test_a_key_too_long_for_a_pipe_does_not_hang(site: t.Any, new: pki.Pair, tmp_path: Path) -> None:
    numbers = der.members(pki.key_bytes(pki.rsa_key(), "TraditionalOpenSSL", encoding="DER"), 9)
    long = der.encode(der.INTEGER, b"\1" * 200_000)
    (tmp_path / "some.key").write_bytes(der.encode(der.SEQUENCE, numbers[0].whole, long, *[
        number.whole for number in numbers[2:]]))
    assert replace(site, new, str(tmp_path / "some.key"))["refused"]["id"] == "pair-mismatch"


def test_no_copy_of_the_key_is_left(asked: t.Any, new: pki.Pair) -> None:
    replace(asked, new)
    lines = keys.secret_lines(new.key_pem)
    holders = [path for path in Path(asked.instance.sesam_var).rglob("*")
               if path.is_file() and any(line in path.read_text(errors="replace") for line in lines)]
    assert holders == [Path(asked.instance.private_key)]


# Levels

def test_a_lowered_finding_is_told_and_does_not_stop(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    assert site.replace(new, not_after=1.0, levels={"expired": "error"})["refused"]["id"] == "expired"
    assert site.replace(new, not_after=1.0, levels={"not-yet-valid": "info"})["refused"]["id"] == "expired"
    assert site.replace(new, not_after=1.0, levels=None)["refused"]["id"] == "expired"
    for level in ("warning", "info"):
        answer = site.replace(new, not_after=1.0, levels={"expired": level}, check_mode=True)
        assert [(finding["id"], finding["level"], finding["subject"]) for finding in answer["findings"]] == [
            ("expired", level, "wanted")]
        assert (answer["refused"], answer["action"]) == (None, "replaced")
    answer = site.replace(new, not_after=1.0, levels={"expired": "warning"})
    assert (answer["action"], [finding["id"] for finding in answer["findings"]]) == ("replaced", ["expired"])
    assert site.serves(new)


@pytest.mark.parametrize(("check", "id"), [
    ("check_space", "disk-space"), ("check_log_space", "disk-space"), ("check_log", "log-unreadable"),
    ("check_sm_main_owner", "sm-main-unusable"), ("check_rmi", "foreign-listener"),
])
def test_what_can_be_lowered(
    site: t.Any, old: pki.Pair, new: pki.Pair, check: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> t.NoReturn:
        raise refusal.Refused(id, "Why.", "Mend it.")

    monkeypatch.setattr(obstacles if hasattr(obstacles, check) else place_checks, check, refuse)
    site.put(old)
    site.instance.start()
    order = site.order(new, check_mode=True)
    refused = transaction.replace({**order, "levels": {"expired": "info"}})
    assert (refused["refused"]["message"], refused["action"], refused["changed"]) == ("Why.", "none", False)
    answer = transaction.replace({**order, "levels": {id: "warning"}})
    assert answer["findings"] == [{"id": id, "subject": "place", "level": "warning", "message": "Why.",
                                   "fix": "Mend it."}]
    assert answer["action"] == "replaced"


@pytest.mark.parametrize("name", ["sesam.https.crt", "sesam.https.key"])
def test_a_link_cannot_be_lowered(site: t.Any, new: pki.Pair, name: str) -> None:
    (Path(site.instance.ssl_folder) / name).symlink_to("/etc/hostname")
    answer = site.replace(new, levels={"destination-is-link": "info"})
    assert answer["refused"]["id"] == "destination-is-link"


def test_rights_are_missing(asked: t.Any, as_nobody: t.Any) -> None:
    """Where one may not look, nothing is said, and nothing fails."""
    assert as_nobody(lambda: state.State(str(asked.state)).pending()) == "None"


def test_a_foreign_program_on_the_port(site: t.Any, new: pki.Pair) -> None:
    """The real thing, once: it is noted in check mode, and the program is left alone."""
    site.put(new)
    site.instance.start()
    other = pki.make("other.example")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((site.instance.address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused = site.replace(other, port=port, address=site.instance.address, check_mode=True)
        assert refused["refused"]["id"] == "foreign-listener"
        lowered = site.replace(other, port=port, address=site.instance.address, check_mode=True,
                               levels={"foreign-listener": "warning"})
        assert (lowered["refused"], lowered["findings"][0]["id"]) == (None, "foreign-listener")
