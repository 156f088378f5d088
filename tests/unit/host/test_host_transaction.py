# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transaction as a program, on a stand-in: parameters in, one answer out, and what is true afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import gather, refusal, state, switch, transaction
from integration.accounts import NOBODY
from standin import state as standin_state
from unit import pki

Make = t.Callable[..., t.Any]


def tree(folder: str | Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder: what check mode must not change."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def steps(answer: dict[str, t.Any]) -> list[tuple[str, str, bool]]:
    return [(step["part"], step["name"], step["ok"]) for step in answer["steps"]]


def wait_until(true: t.Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


FORWARD = [("replacement", name, True) for name in ("stop", "place", "start", "served", "log_line")]


def test_a_running_server_gets_another_pair(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    pid = site.instance.pid()
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["refused"], answer["failure"]) == (True, "replaced", None, None)
    assert steps(answer) == FORWARD
    assert transaction._done_in_words(answer) == "replaced"
    assert site.is_on_disk(new)
    assert site.serves(new)
    assert site.instance.pid() not in (None, pid)
    assert os.stat(site.instance.private_key).st_mode & 0o777 == 0o600
    assert site.instance.certificate in answer["log_line"]
    assert 0 < answer["downtime"] < 20
    assert answer["before"]["served"]["chain"] == old.base64_chain
    assert answer["after"]["served"]["chain"] == new.base64_chain
    backup = Path(answer["backup"])
    assert (backup / "sesam.https.key").read_bytes() == old.key_pem
    assert (backup / "sesam.https.crt").read_bytes() == old.pem
    assert not (site.state / "journal").exists()
    assert site.instance.pid() == site.resolve()["rmi"]["pid"]


def test_nothing_to_do(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    site.instance.start()
    pid, before = site.instance.pid(), tree(site.instance.ssl_folder)
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["steps"]) == (False, "none", [])
    assert site.instance.pid() == pid
    assert tree(site.instance.ssl_folder) == before


def test_a_stopped_server_stays_stopped(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    answer = site.replace(new)
    assert (answer["changed"], answer["action"]) == (True, "placed")
    assert steps(answer) == [("replacement", "place", True)]
    assert site.is_on_disk(new)
    assert site.instance.pid() is None
    assert answer["downtime"] is None
    again = site.replace(new)
    assert (again["changed"], again["action"]) == (False, "none")


def test_a_folder_that_is_not_there_yet(make_site: Make, new: pki.Pair) -> None:
    site = make_site(ssl_folder="absent")
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["backup"]) == (True, "placed", None)
    assert site.is_on_disk(new)


@pytest.mark.parametrize(("there", "action"), [("old", "replaced"), ("new", "started")])
def test_start_stopped(site: t.Any, old: pki.Pair, new: pki.Pair, there: str, action: str) -> None:
    site.put({"old": old, "new": new}[there])
    answer = site.replace(new, start_stopped=True, address=site.instance.address)
    assert (answer["changed"], answer["action"], answer["failure"]) == (True, action, None)
    assert site.serves(new)
    assert ("replacement", "stop", True) not in steps(answer)
    assert (("replacement", "place", True) in steps(answer)) == (there == "old")


def test_where_a_started_server_listens_is_found(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    assert site.replace(new, start_stopped=True, start_timeout=3)["failure"] is None


def test_permissions_are_repaired_without_a_restart(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    site.instance.start()
    pid = site.instance.pid()
    os.chmod(site.instance.private_key, 0o644)
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["steps"]) == (True, "permissions", [])
    assert os.stat(site.instance.private_key).st_mode & 0o777 == 0o600
    assert site.instance.pid() == pid
    assert answer["after"]["disk"]["private_key"]["mode"] == "0600"


def test_permissions_make_no_file_newer_than_the_process(site: t.Any, new: pki.Pair) -> None:
    """Else a server that sends less than the whole chain would be restarted for a chmod."""
    site.put(new)
    site.instance.start()
    os.chmod(site.instance.private_key, 0o644)
    site.replace(new)
    assert os.stat(site.instance.certificate).st_ctime < site.resolve()["rmi"]["started"]


def test_an_old_process_is_restarted_and_nothing_more(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    site.put(new)
    inode = os.stat(site.instance.certificate).st_ino
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["backup"]) == (True, "restarted", None)
    assert steps(answer) == [step for step in FORWARD if step[1] != "place"]
    assert os.stat(site.instance.certificate).st_ino == inode
    assert site.serves(new)


def test_a_chain_that_is_newer_than_the_process_is_served_after_a_restart(site: t.Any, new: pki.Pair) -> None:
    """The leaf is the same: an admin has added the intermediate that was missing."""
    site.put(pki.Pair(new.certificate, new.key))
    site.instance.start()
    assert site.replace(pki.Pair(new.certificate, new.key))["action"] == "none"
    site.put(new)
    answer = site.replace(new)
    assert (answer["action"], answer["after"]["served"]["chain"]) == ("restarted", new.base64_chain)
    assert site.replace(new)["action"] == "none"


@pytest.mark.parametrize("files", ["none", "half", "pkcs1", "mismatch", "garbage"])
def test_whatever_is_wrong_is_made_right(site: t.Any, old: pki.Pair, new: pki.Pair, files: str) -> None:
    if files != "none":
        key = {"half": b"", "pkcs1": pki.key_bytes(old.key, "TraditionalOpenSSL"), "mismatch": new.key_pem,
               "garbage": b"\0"}[files]
        site.put(old, key)
    if files == "half":
        os.unlink(site.instance.private_key)
    site.instance.start()
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["failure"]) == (True, "replaced", None)
    assert site.is_on_disk(new)
    assert site.serves(new)


@pytest.mark.parametrize(("changes", "id"), [
    ({"not_after": 1.0}, "expired"),
    ({"not_before": 4e9}, "not-yet-valid"),
    ({"owner": "no such user"}, "owner-unknown"),
    ({"group": "no such group"}, "owner-unknown"),
    ({"sm_main": "/nowhere/sm_main"}, "sm-main-unusable"),
    ({"address": "no such host.invalid"}, "address-unknown"),
    ({"sesam2000_ini": "/nowhere"}, "sesam-not-found"),
    ({"private_key": pki.make().key_pem.decode()}, "rehearsal-failed"),
    ({"private_key": ""}, "rehearsal-failed"),
])
def test_refused_before_rmi_is_touched(
    site: t.Any, old: pki.Pair, new: pki.Pair, changes: dict[str, t.Any], id: str
) -> None:
    site.put(old)
    site.instance.start()
    pid, before = site.instance.pid(), tree(site.instance.ssl_folder)
    answer = site.replace(new, **changes)
    assert answer["refused"]["id"] == id
    assert not answer["changed"]
    assert tree(site.instance.ssl_folder) == before
    assert site.instance.pid() == pid
    assert not (site.state / "journal").exists()


def test_check_mode_leaves_no_trace(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    before = tree(site.instance.sesam_var)
    answer = site.replace(new, check_mode=True)
    assert (answer["changed"], answer["action"], answer["steps"]) == (True, "replaced", [])
    assert site.replace(old, check_mode=True)["changed"] is False
    assert site.replace(new, check_mode=True, not_after=1.0)["refused"]["id"] == "expired"
    assert tree(site.instance.sesam_var) == before
    assert site.serves(old)


def test_a_second_call_with_the_same_id_gets_the_same_answer(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    order = site.order(new)
    both = [site.program.begin("replace", order) for _turn in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert answers[0] == answers[1]
    assert answers[0]["action"] == "replaced"
    assert len(os.listdir(site.state / "backups")) == 1


def test_a_server_that_serves_something_else_gets_the_old_pair_back(
    site: t.Any, old: pki.Pair, new: pki.Pair
) -> None:
    site.put(old)
    site.instance.start()
    os.chmod(site.instance.private_key, 0o640)
    site.instance.set(serves="other@1")
    answer = site.replace(new)
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("served", "")
    assert "Setting up HTTPS certificate" in answer["failure"]["log_since"]
    assert transaction._done_in_words(answer) == "rolled back after the step served"
    assert site.is_on_disk(old)
    assert site.serves(old)
    assert os.stat(site.instance.private_key).st_mode & 0o777 == 0o640
    assert [step for step in steps(answer) if step[0] == "rollback"] == [
        ("rollback", name, True) for name in ("stop", "place", "start", "served")]
    assert answer["changed"]
    assert not (site.state / "journal").exists()


def test_a_server_that_ends_after_the_time_limit_is_started_again(
    site: t.Any, old: pki.Pair, new: pki.Pair, script: Make
) -> None:
    """It was told to end, and serves until it does: who goes back at once finds nothing to do."""
    site.put(old)
    site.instance.start()
    real = Path(site.instance.sm_main).rename(f"{site.instance.sm_main}.real")
    late = real.with_name("late")
    program, mark = shlex.quote(str(real)), shlex.quote(str(late))
    script(Path(site.instance.sm_main), f"""
        if [ "$1" = stop ] && mkdir {mark} 2>/dev/null; then
            (sleep 4; {program} "$@"; touch {mark}/done) >/dev/null 2>&1 &
            exit 0
        fi
        exec {program} "$@\"""")
    answer = site.replace(new, stop_timeout=1)
    wait_until((late / "done").exists)
    assert site.serves(old)
    assert site.is_on_disk(old)
    assert (answer["failure"]["step"], answer["failure"]["way_back"], answer["changed"]) == ("stop", "", True)
    assert "rmi has ended" in answer["failure"]["reason"]
    assert not (site.state / "journal").exists()


def test_backups_are_pruned(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    for number in range(3):
        site.put(pki.make(f"number{number}.example"))
        assert site.replace(old, keep_backups=2)["changed"]
    assert len(os.listdir(site.state / "backups")) == 2


def test_runs_that_fail_push_no_other_pair_out(site: t.Any, new: pki.Pair) -> None:
    former = [pki.make(f"number{number}.example") for number in range(3)]
    site.put(former[0])
    for pair in former[1:]:
        assert site.replace(pair, keep_backups=3)["action"] == "placed"
    site.instance.start()
    site.instance.set(stop="ignored")
    for _run in range(4):
        answer = site.replace(new, keep_backups=3, stop_timeout=0.1, start_timeout=0.1)
        assert answer["failure"]["step"] == "stop"
    site.instance.unset("stop")
    assert site.replace(new, keep_backups=3)["action"] == "replaced"
    kept = [(folder / "sesam.https.key").read_bytes() for folder in (site.state / "backups").iterdir()]
    assert sorted(kept) == sorted(pair.key_pem for pair in former)


def test_a_name_service_is_asked_once(site: t.Any, new: pki.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may fail at any time, and what is begun goes on."""
    asked = []

    def getpwnam(name: str) -> t.Any:
        asked.append(name)
        if len(asked) > 1:
            raise KeyError(name)
        return real(name)

    real = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    site.put(new)
    os.chmod(site.instance.private_key, 0o644)
    answer = transaction.replace(site.order(new, owner=real_name()))
    assert (answer["refused"], answer["action"], asked) == (None, "permissions", [real_name()])
    assert os.stat(site.instance.private_key).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("part", "method"), [(switch.Switch, "__init__"), (switch.Switch, "close")])
def test_whatever_goes_wrong_there_is_a_way_back(
    site: t.Any, old: pki.Pair, new: pki.Pair, monkeypatch: pytest.MonkeyPatch, part: type, method: str
) -> None:
    """Also what is no step: once the journal is written, nobody may leave rmi as it happens to be."""
    real, calls = getattr(part, method), []

    def fail_once(*arguments: t.Any) -> None:
        calls.append(arguments)
        real(*arguments)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")

    site.put(old)
    site.instance.start()
    monkeypatch.setattr(part, method, fail_once)
    answer = transaction.replace(site.order(new))
    assert (answer["refused"], answer["failure"]["step"], answer["failure"]["way_back"]) == (None, "switch", "")
    assert "Input/output error" in answer["failure"]["reason"]
    assert site.serves(old)
    assert site.is_on_disk(old)
    assert not (site.state / "journal").exists()


@pytest.mark.parametrize(("place", "name", "good"), [
    (gather, "look", 1), (switch.Switch, "context_differences", 0)])
def test_what_cannot_be_seen_afterwards_was_done_all_the_same(
    site: t.Any, old: pki.Pair, new: pki.Pair, monkeypatch: pytest.MonkeyPatch, place: t.Any, name: str, good: int
) -> None:
    real, calls = getattr(place, name), []

    def fail(*arguments: t.Any) -> t.Any:
        calls.append(arguments)
        if len(calls) > good:
            raise OSError(5, "Input/output error")
        return real(*arguments)

    site.put(old)
    site.instance.start()
    monkeypatch.setattr(place, name, fail)
    answer = transaction.replace(site.order(new))
    assert (answer["refused"], answer["failure"], answer["action"], answer["changed"]) == (None, None, "replaced", True)
    assert [(told["id"], "Input/output error" in told["message"]) for told in answer["findings"]] == [
        ("state-not-kept", True)]
    assert answer["after"]["served"]["chain"] != answer["before"]["served"]["chain"]
    assert site.serves(new)
    assert not (site.state / "journal").exists()


def test_a_host_name_is_asked_once(
    site: t.Any, old: pki.Pair, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name service while rmi is stopped: the way back would not know the port any more."""
    asked = []

    def getaddrinfo(host: str, *arguments: t.Any, **keywords: t.Any) -> t.Any:
        if host != "sesam.example":
            return real(host, *arguments, **keywords)
        asked.append(host)
        if len(asked) > 1:
            raise OSError(-3, "Temporary failure in name resolution")
        return real(site.instance.address, *arguments, **keywords)

    real = socket.getaddrinfo
    site.put(old)
    site.instance.start()
    site.instance.set(serves="other@1")
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    answer = transaction.replace(site.order(new, address="sesam.example"))
    assert (answer["failure"]["step"], answer["failure"]["way_back"], asked) == ("served", "", ["sesam.example"])
    assert answer["after"]["rmi"]["address"] == "sesam.example"
    assert site.serves(old)


def real_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def is_used_up(site: t.Any, fault: str) -> bool:
    """Whether a fault that was ordered once has begun: sm_main hangs."""
    return fault not in standin_state.load(site.instance.folder)["orders"]


def killed(site: t.Any, order: dict[str, t.Any], when: t.Callable[[], bool]) -> None:
    """Let a run die as by SIGKILL, at a certain moment."""
    process: subprocess.Popen[str] = site.program.begin("replace", order)
    try:
        wait_until(when)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads((site.state / "journal").read_text())["run"] == order["run"]


def test_what_a_dead_run_left_is_undone(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """It died when the new pair was in place and rmi was down."""
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    dead = site.order(new)
    killed(site, dead, lambda: is_used_up(site, "start"))
    assert site.is_on_disk(new)
    assert site.resolve()["journal"]["was_running"]
    third = pki.make("third.example")
    answer = site.replace(third, not_after=1.0, start_timeout=5, stop_timeout=5)
    # The new run is refused for its own certificate, and has brought the server up again all the same.
    assert (answer["recovered"], answer["refused"]["id"]) == ("undone", "expired")
    assert transaction._done_in_words(answer) == f"interrupted run {dead['run']['id']} undone, then refused (expired)"
    assert answer["changed"]
    assert site.is_on_disk(old)
    assert site.serves(old)
    assert not (site.state / "journal").exists()


def test_what_a_dead_run_left_is_undone_and_then_done(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    site.instance.set(stop="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "stop"))
    assert list(Path(site.instance.ssl_folder).glob("*.sep-sesam-new"))
    answer = site.replace(new, start_timeout=5, stop_timeout=5)
    assert (answer["recovered"], answer["action"], answer["failure"]) == ("undone", "replaced", None)
    assert site.serves(new)
    assert sorted(os.listdir(site.instance.ssl_folder)) == ["sesam.https.crt", "sesam.https.key"]


@pytest.mark.parametrize("is_started", [True, False])
def test_what_was_put_in_place_by_hand_since_is_not_undone(
    site: t.Any, old: pki.Pair, new: pki.Pair, is_started: bool
) -> None:
    """Somebody has not waited for the next run; what is in place is his, and no backup has it yet."""
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "start"))
    by_hand, wanted = pki.make("by-hand.example"), pki.make("wanted.example")
    site.put(by_hand)
    if is_started:
        site.instance.start()
    answer = site.replace(wanted)
    assert (answer["recovered"], answer["action"], answer["failure"]) == ("undone", "replaced", None)
    assert site.serves(wanted)
    assert Path(answer["backup"], "sesam.https.key").read_bytes() == by_hand.key_pem
    kept = {(folder / "sesam.https.key").read_bytes() for folder in (site.state / "backups").iterdir()}
    assert kept == {old.key_pem, by_hand.key_pem}


@pytest.mark.parametrize("stop", ["hangs@1", "ignored", "fails"])
def test_a_stop_that_may_still_come(site: t.Any, old: pki.Pair, new: pki.Pair, stop: str) -> None:
    """It was ordered, so rmi may end when nobody waits for it any more: the next run knows that it is to run."""
    site.put(old)
    site.instance.start()
    site.instance.set(stop=stop)
    answer = site.replace(new, stop_timeout=0.5, start_timeout=0.5)
    assert (answer["failure"]["step"], answer["failure"]["way_back"], answer["changed"]) == ("stop", "", False)
    assert "It may still end: the next run starts it then" in answer["failure"]["reason"]
    assert answer["after"]["journal"] is not None
    assert site.serves(old)
    site.instance.unset()
    site.instance.stop()
    assert site.replace(new)["action"] == "replaced"
    assert site.serves(new)
    assert not (site.state / "journal").exists()


def _damage_key(backup: Path) -> None:
    (backup / "sesam.https.key").write_bytes(b"")


def _damage_facts(backup: Path) -> None:
    (backup / "facts").write_text("{")


def _remove(backup: Path) -> None:
    shutil.rmtree(backup)


@pytest.mark.parametrize("damage", [_damage_key, _damage_facts, _remove])
def test_backup_that_is_damaged_by_the_time_it_is_needed(
    site: t.Any, old: pki.Pair, new: pki.Pair, damage: t.Callable[[Path], None]
) -> None:
    """The old pair lies staged beside its place as well."""
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "start"))
    damage(*(site.state / "backups").iterdir())
    answer = site.replace(new, not_after=1.0, start_timeout=5, stop_timeout=5)
    assert (answer["recovered"], answer["refused"]["id"], answer["findings"]) == ("undone", "expired", [])
    assert site.is_on_disk(old)
    assert site.serves(old)


def test_what_is_left_of_the_old_pair_is_kept(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """Its backup is damaged, and of what was staged one file is gone."""
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "start"))
    _damage_key(*(site.state / "backups").iterdir())
    Path(site.instance.certificate + ".sep-sesam-old").unlink()
    answer = site.replace(new, start_timeout=5, stop_timeout=5)
    assert [found["id"] for found in answer["findings"]] == ["recovery-incomplete"]
    assert "sesam.https.key is damaged" in answer["findings"][0]["message"]
    assert site.serves(new)
    assert old.key_pem in [key.read_bytes() for key in (site.state / "backups").glob("*/sesam.https.key")]


def test_way_back_needs_no_backup_while_the_run_lives(
    site: t.Any, old: pki.Pair, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = state.State.write_journal

    def then_damaged(self: state.State, entry: dict[str, t.Any]) -> None:
        real(self, entry)
        _damage_key(Path(entry["backup"]))

    site.put(old)
    site.instance.start()
    site.instance.set(start="fails@1")
    monkeypatch.setattr(state.State, "write_journal", then_damaged)
    answer = transaction.replace(site.order(new, start_timeout=5, stop_timeout=5))
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("start", "")
    assert site.is_on_disk(old)
    assert site.serves(old)


def test_recovery_without_sm_main_brings_the_files_back(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """Its disk is not mounted."""
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "start"))
    sm_main = Path(site.instance.sm_main)
    sm_main.rename(sm_main.with_name("kept"))
    sm_main.symlink_to("/nowhere/sm_main")
    answer = site.replace(new, start_timeout=1, stop_timeout=1)
    assert (answer["recovered"], answer["refused"]["id"]) == ("undone", "sm-main-unusable")
    assert site.is_on_disk(old)
    assert (site.state / "journal").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give sm_main away")
def test_recovery_runs_no_sm_main_of_somebody_else(
    site: t.Any, old: pki.Pair, new: pki.Pair, script: t.Callable[..., Path], tmp_path: Path
) -> None:
    site.put(old)
    site.instance.start()
    site.instance.set(start="hangs@1")
    killed(site, site.order(new), lambda: is_used_up(site, "start"))
    script(Path(site.instance.sm_main), f"touch {shlex.quote(str(tmp_path / 'ran'))}")
    os.chown(site.instance.sm_main, NOBODY, NOBODY)
    answer = site.replace(new, start_timeout=1, stop_timeout=1)
    assert (answer["refused"]["id"], answer["recovered"], answer["changed"]) == ("sm-main-unusable", None, False)
    assert not (tmp_path / "ran").exists()
    assert (site.state / "journal").exists()


def test_what_a_dead_run_left_is_finished(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """It died when the port served the new certificate, waiting for the line of the log."""
    site.put(old)
    site.instance.start()
    site.instance.set(log_line="never")
    killed(site, site.order(new), lambda: site.serves(new))
    pid = site.instance.pid()
    answer = site.replace(new)
    assert (answer["recovered"], answer["action"], answer["refused"]) == ("finished", "none", None)
    assert re.fullmatch("interrupted run [0-9a-f]{32} finished", transaction._done_in_words(answer))
    assert site.instance.pid() == pid
    assert answer["changed"]
    assert not (site.state / "journal").exists()
    assert site.replace(new)["changed"] is False


@pytest.mark.parametrize("journal", ["{", "[]"])
def test_a_damaged_journal_stops_everything(site: t.Any, old: pki.Pair, new: pki.Pair, journal: str) -> None:
    site.put(old)
    site.state.mkdir(mode=0o700)
    (site.state / "journal").write_text(journal)
    staged = Path(site.instance.private_key + ".sep-sesam-old")
    staged.write_bytes(old.key_pem)
    for check_mode in (True, False):
        answer = site.replace(new, check_mode=check_mode)
        assert (answer["refused"]["id"], answer["changed"]) == ("journal-damaged", False)
        assert answer["after"]["journal_damage"]
    assert site.is_on_disk(old)
    assert staged.read_bytes() == old.key_pem
    assert (site.state / "journal").read_text() == journal


@pytest.mark.parametrize("journal", ["{}", '{"run": {"id": "x", "by": "y"}, "of_another_version": 1}'])
def test_a_journal_of_another_version_stops_everything_too(site: t.Any, new: pki.Pair, journal: str) -> None:
    site.put(new)
    site.state.mkdir(mode=0o700)
    (site.state / "journal").write_text(journal)
    answer = json.loads(site.program.begin("replace", site.order(new)).communicate()[0] or "{}")
    assert answer.get("refused", {}).get("id") == "journal-damaged"


def elsewhere(site: t.Any, pair: pki.Pair, folder: Path) -> tuple[str, str]:
    """A pair in a folder of its own."""
    folder.mkdir()
    certificate, private_key = folder / "sesam.https.crt", folder / "sesam.https.key"
    certificate.write_bytes(pair.pem)
    private_key.touch(mode=0o600)
    private_key.write_bytes(pair.key_pem)
    return str(certificate), str(private_key)


def start_with(site: t.Any, source: str, files: tuple[str, str]) -> None:
    """Start rmi with a pair in some source."""
    variables = {"PATH": os.defpath}
    if source == "sm_ini":
        sm_ini = Path(site.instance.sm_ini)
        sm_ini.write_text(sm_ini.read_text().replace("[UI]", f"gv_ro_ssl={Path(files[0]).parent}/\n[UI]"))
    elif source == "environment":
        variables |= dict(zip(("SESAM_SSL_CERT", "SESAM_SSL_KEY"), files, strict=True))
    else:
        site.instance.set(command_line_certificate=files[0], command_line_key=files[1])
    site.instance.start(env=variables)


@pytest.mark.parametrize("source", ["command_line", "sm_ini", "environment"])
def test_the_pair_is_in_place_in_another_source(site: t.Any, new: pki.Pair, tmp_path: Path, source: str) -> None:
    start_with(site, source, elsewhere(site, new, tmp_path / "elsewhere"))
    pid = site.instance.pid()
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["refused"]) == (False, "none", None)
    assert site.instance.pid() == pid
    assert not Path(site.instance.certificate).exists()


def renewed_elsewhere(site: t.Any, source: str, old: pki.Pair, new: pki.Pair, folder: Path) -> t.Any:
    """Serve a pair of another source, whose files then get a newer one."""
    files = elsewhere(site, old, folder)
    start_with(site, source, files)
    for path, content in zip(files, (new.pem, new.key_pem), strict=True):
        Path(path).write_bytes(content)
    return files


@pytest.mark.parametrize("source", ["command_line", "sm_ini", "environment"])
def test_a_newer_pair_in_another_source_needs_a_restart_alone(
    site: t.Any, old: pki.Pair, new: pki.Pair, tmp_path: Path, source: str
) -> None:
    files = renewed_elsewhere(site, source, old, new, tmp_path / "elsewhere")
    answer = site.replace(new)
    assert (answer["changed"], answer["action"], answer["failure"]) == (True, "restarted", None)
    assert site.serves(new)
    assert files[0] in answer["log_line"]
    assert not Path(site.instance.certificate).exists()


@pytest.mark.parametrize("source", ["sm_ini", "environment"])
def test_the_way_back_knows_the_pair_of_another_source(
    site: t.Any, old: pki.Pair, new: pki.Pair, tmp_path: Path, source: str
) -> None:
    """A restart alone failed at the log: what is served is what comes first, so no further stop and start."""
    renewed_elsewhere(site, source, old, new, tmp_path / "elsewhere")
    site.instance.set(log_line="never")
    answer = site.replace(new)
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("log_line", "")
    assert [step["part"] for step in answer["steps"]] == ["replacement"] * 4
    assert not (site.state / "journal").exists()
    assert site.serves(new)


def test_an_open_key_in_another_source_is_none_that_is_in_place(site: t.Any, new: pki.Pair, tmp_path: Path) -> None:
    """It is not ours to mend: the pair is placed where it comes first."""
    files = elsewhere(site, new, tmp_path / "elsewhere")
    os.chmod(files[1], 0o644)
    start_with(site, "sm_ini", files)
    answer = site.replace(new)
    assert (answer["action"], answer["failure"]) == ("replaced", None)
    assert site.is_on_disk(new)
    assert os.stat(files[1]).st_mode & 0o777 == 0o644


@pytest.mark.parametrize("in_place", [False, True])
def test_a_pair_that_would_never_be_read_is_refused(
    site: t.Any, old: pki.Pair, new: pki.Pair, tmp_path: Path, in_place: bool
) -> None:
    """Also where it lies in the default location: what comes first is another one."""
    start_with(site, "command_line", elsewhere(site, old, tmp_path / "elsewhere"))
    if in_place:
        site.put(new)
    pid, before = site.instance.pid(), tree(site.instance.ssl_folder)
    for check_mode in (True, False):
        answer = site.replace(new, check_mode=check_mode)
        assert (answer["changed"], answer["refused"]["id"]) == (False, "shadowed")
        assert f"process {pid} comes first, with {tmp_path}/elsewhere/sesam.https.crt" in answer["refused"]["message"]
    assert tree(site.instance.ssl_folder) == before
    assert site.instance.pid() == pid


def test_a_command_line_that_names_the_default_location_hides_nothing(
    site: t.Any, old: pki.Pair, new: pki.Pair
) -> None:
    site.put(old)
    start_with(site, "command_line", (site.instance.certificate, site.instance.private_key))
    answer = site.replace(new)
    assert (answer["action"], answer["refused"], answer["failure"]) == ("replaced", None, None)
    assert site.serves(new)
    assert site.replace(new)["action"] == "none"


def test_a_shadowed_place_is_taken_where_the_level_says_so(
    site: t.Any, old: pki.Pair, new: pki.Pair, tmp_path: Path
) -> None:
    """What is served is looked at all the same: the old pair comes back."""
    start_with(site, "command_line", elsewhere(site, old, tmp_path / "elsewhere"))
    answer = site.replace(new, levels={"shadowed": "warning"}, start_timeout=3)
    assert answer["refused"] is None
    assert [(found["id"], found["level"]) for found in answer["findings"]][:1] == [("shadowed", "warning")]
    assert answer["failure"]["step"] == "served"
    assert not Path(site.instance.certificate).exists()
    site.instance.stop()
    stopped = site.replace(new, levels={"shadowed": "warning"})
    assert (stopped["refused"], stopped["action"]) == (None, "placed")


@pytest.mark.parametrize(("told", "words"), [
    ({"recovered": "undone", "action": "replaced"}, "interrupted run dead undone, then replaced"),
    ({"recovered": "undone", "findings": [{"id": "recovery-incomplete"}], "refused": {"id": "host-error"}},
     "interrupted run dead could not be undone, then refused (host-error)"),
    ({"action": "replaced", "failure": {"step": "start", "way_back": "start: it said no"}},
     "the way back failed too, after the step start"),
    # What was about to be done when the refusal came, was not.
    ({"action": "permissions", "refused": {"id": "host-error"}}, "refused (host-error)"),
])
def test_syslog_is_told_what_was_done(told: dict[str, t.Any], words: str) -> None:
    answer = {"recovered": None, "findings": [], "refused": None, "failure": None, "action": "none",
              "before": {"journal": {"run": {"id": "dead"}}}, **told}
    assert transaction._done_in_words(answer) == words


def test_both_locks_together_are_waited_for_no_longer_than_told(
    site: t.Any, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three seconds, two and a half are gone when the run has the lock of the host."""
    monkeypatch.setattr(transaction.state.State, "lock", lambda *given, **named: 2.5)
    folder = os.open(site.instance.ssl_folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(refusal.Refused) as raised:
            transaction.replace(site.order(new, lock_timeout=3))
    finally:
        os.close(folder)
    assert raised.value.id == "locked"
    assert raised.value.message.endswith("It was waited for 0 s.")


def test_waits_for_whoever_works_on_the_key_in_place(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """A conversion of the key in service holds the folder."""
    site.put(old)
    folder = os.open(site.instance.ssl_folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        refused = site.replace(new, lock_timeout=0.3)["refused"]
    finally:
        os.close(folder)
    assert refused["id"] == "locked"
    assert site.instance.ssl_folder in refused["message"]
    assert site.is_on_disk(old)
    assert site.replace(new)["action"] == "placed"
