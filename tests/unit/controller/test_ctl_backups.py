# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of a backup: which one a name means, what is refused, and what is told of the others."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.sep.sesam.plugins.action import sesam_cert_replace, sesam_cert_resolve
from ansible_collections.sep.sesam.plugins.plugin_utils import _backups, _verdict
from unit import answers, pki
from unit.actions import asked
from unit.controller.test_ctl_actions import VARIABLES, ids, replaced

Refused = t.Callable[[t.Callable[[], object]], str]
CA = pki.make_strict_ca()
IN_PLACE, OLD, OLDER = (pki.make(f"{name}.example", issuer=CA, ends=90) for name in ("now", "old", "older"))
MADE = datetime.datetime(2026, 11, 23, 18, tzinfo=datetime.timezone.utc).timestamp()


def backup(name: str, pair: pki.Pair | None = OLD, **changes: t.Any) -> dict[str, t.Any]:
    return {"name": name, "path": f"/state/backups/{name}",
            "private_key": f"/state/backups/{name}/sesam.https.key", "made": MADE, "by": "anna@admin", "run": "r",
            "chain": pair.base64_chain if pair else [], "works": True, "reason": "", **changes}


def broken(name: str, pair: pki.Pair | None = OLD, reason: str = "it is broken") -> dict[str, t.Any]:
    return backup(name, pair, works=False, reason=reason)


def seen(*backups: dict[str, t.Any], **changes: t.Any) -> _verdict.Seen:
    answer = answers.changed(answers.in_sync(IN_PLACE), changes)
    return _verdict.Seen.of({**answer, "backups": list(backups)})


HISTORY = (broken("d"), backup("c", IN_PLACE), backup("b"), backup("a", OLDER))


@pytest.mark.parametrize(("which", "name"), [("latest", "b"), ("b", "b"), ("a", "a"), ("c", "c")])
def test_which_one_is_meant(which: str, name: str) -> None:
    choice = _backups.choose(which, seen(*HISTORY))
    assert choice.backup.name == name
    assert choice.backup.private_key == f"/state/backups/{name}/sesam.https.key"
    assert choice.backup.wanted().chain == choice.backup.chain
    assert [one.name for one in choice.backups] == list("dcba")


def test_a_pair_in_place_that_does_not_work_is_restored() -> None:
    """The certificate alone is no pair: its key may be lost."""
    choice = _backups.choose("latest", seen(*HISTORY, **{"disk.works": False}))
    assert choice.backup.name == "c"


def test_another_chain_is_another_pair() -> None:
    alone = pki.Pair(IN_PLACE.certificate, IN_PLACE.key)
    assert _backups.choose("latest", seen(backup("c", alone), backup("b"))).backup.name == "c"


@pytest.mark.parametrize("which", ["e", "B", "latest ", "20261123T180000Z-1f0e3dad"])
def test_a_name_that_there_is_not(refused: Refused, which: str) -> None:
    told = refused(lambda: _backups.choose(which, seen(*HISTORY)))
    assert told.startswith("wanted error backup-missing: ")
    assert "c (CN=now.example, until 20" in told
    assert "; in place)" in told
    assert "d (CN=old.example, until 20" in told
    assert "cannot be restored: it is broken)" in told


@pytest.mark.parametrize("which", [
    "", "/state/backups/b", "../b", "b/", "backups/b", "q q", "x" * 101, pki.make().key_pem.decode(),
])
def test_what_is_no_name_is_refused_and_not_repeated(refused: Refused, which: str) -> None:
    told = refused(lambda: _backups.choose(which, seen(*HISTORY)))
    assert told.startswith("wanted error backup-missing: The option backup is no name of a backup")
    assert not which or which not in told
    assert "PRIVATE" not in told


def test_there_is_nothing_to_go_back_to(refused: Refused) -> None:
    told = refused(lambda: _backups.choose("latest", seen()))
    assert "There is nothing to go back to" in told
    assert "The host has no backups" in told
    told = refused(lambda: _backups.choose("latest", seen(*HISTORY[:2])))
    assert "There is nothing to go back to" in told
    assert "There are: d (" in told


@pytest.mark.parametrize(("one", "reason"), [
    (broken("d"), "it is broken"), (broken("d", None, "it is a FIFO"), "it is a FIFO"),
    (backup("d", chain=["AAAA"]), "a certificate in it cannot be read"),
    (backup("d", chain=[*OLD.base64_chain, "AAAA"]), "a certificate in it cannot be read"),
])
def test_a_backup_that_cannot_work(refused: Refused, one: dict[str, t.Any], reason: str) -> None:
    told = refused(lambda: _backups.choose("d", seen(one, *HISTORY[1:])))
    assert f"backup-unusable: The backup d cannot be restored: {reason}. There are: d (" in told
    assert ("remote_src: true" in told) == (one["chain"][:1] == OLD.base64_chain[:1])


def test_many_backups_do_not_fill_the_screen(refused: Refused) -> None:
    told = refused(lambda: _backups.choose("x", seen(*(backup(f"n{number}") for number in range(40)))))
    assert told.count("CN=old.example") == 6
    assert "; and 34 more." in told


@pytest.mark.parametrize(("changes", "id"), [
    ({"backups": None}, "not-root"),
    ({"installation": None, "not_installed": "no ini", "is_hidden": False}, "sesam-not-found"),
    ({"installation": None, "not_installed": "no ini", "is_hidden": True}, "not-root"),
])
def test_where_nothing_can_be_seen(refused: Refused, changes: dict[str, t.Any], id: str) -> None:
    answer = _verdict.Seen.of({**answers.in_sync(IN_PLACE), "backups": [], **changes})
    assert refused(lambda: _backups.choose("latest", answer)).startswith(f"place error {id}: ")


# The list


def test_the_list() -> None:
    answer = answers.changed(answers.in_sync(IN_PLACE), {})
    found = _backups.as_data(seen(*HISTORY))
    assert found is not None
    assert [(one["name"], one["usable"], one["in_place"], one["latest"]) for one in found] == [
        ("d", False, False, False), ("c", True, True, False), ("b", True, False, True), ("a", True, False, False)]
    assert (found[2]["certificate"]["subject"], found[2]["made"]) == ("CN=old.example", "2026-11-23T18:00:00Z")
    assert found[2]["summary"] == (f"b (CN=old.example, until {found[2]['certificate']['not_after']}), "
                                   "replaced 2026-11-23T18:00:00Z by anna@admin")
    assert _backups.as_data(_verdict.Seen.of({**answer, "backups": None})) is None


@pytest.mark.parametrize("made", [-1e30, 1e30, 0.0])
def test_hostile_words_are_escaped(made: float) -> None:
    evil = "a\nb\x1b[2J"
    one = backup(evil, None, path=evil, by=evil, run=evil, reason=evil, works=False, made=made)
    (found,) = _backups.as_data(seen(one)) or []
    assert all(value.isprintable() for value in found.values() if isinstance(value, str))
    assert found["certificate"] is None


# The modules


def act_on(act: t.Any, host: dict[str, t.Any], *backups: dict[str, t.Any], **options: t.Any) -> tuple[t.Any, t.Any]:
    """Run a rollback against a host that has these backups, and answers a replacement with this."""
    action = act(sesam_cert_replace, **options)
    calls: list[dict[str, t.Any]] = []

    def execute(**call: t.Any) -> dict[str, t.Any]:
        calls.append(call)
        is_look = call["module_name"] == "sep.sesam.sesam_cert_resolve"
        return {**answers.in_sync(IN_PLACE), "backups": list(backups)} if is_look else host

    action._execute_module = execute
    return action.run(task_vars=VARIABLES), calls


def test_the_key_stays_and_the_certificate_is_sent_back(act: t.Any) -> None:
    host = replaced(before=answers.in_sync(IN_PLACE), after=answers.in_sync(OLD))
    result, calls = act_on(act, host, *HISTORY, backup="latest", sesam_var="/v", levels={"older-than-served": "error"})
    assert "failed" not in result
    assert (result["restored"], result["state"]) == ("b", "in_sync")
    look, replace = (call["module_args"] for call in calls)
    assert (look["backups"], look["sesam_var"]) == (True, "/v")
    assert replace["certificate"] == OLD.pem.decode()
    assert (replace["private_key"], replace["order"]["private_key_on_host"]) == (
        None, "/state/backups/b/sesam.https.key")
    assert "backup" not in replace


def test_an_older_certificate_and_a_former_key_are_no_news(act: t.Any) -> None:
    again = pki.make("old.example", key=IN_PLACE.key, issuer=CA, ends=30)
    host = replaced(before=answers.in_sync(IN_PLACE), after=answers.in_sync(again))
    result, _calls = act_on(act, host, backup("b", again), backup="latest")
    assert {"older-than-served", "key-reused"} & set(ids(result)) == set()


def test_a_check_that_fails_is_told_with_the_others_and_with_what_helps(act: t.Any) -> None:
    result, calls = act_on(act, {}, *HISTORY, backup="a", names=["new.example"])
    assert (result["failed"], len(calls)) == (True, 1)
    assert "name-not-covered: " in result["msg"]
    assert "backup-unusable: The backup a is not restored for that reason. There are: d (" in result["msg"]
    assert "set levels (sesam_https_levels) to {name-not-covered: warning}." in result["msg"]


def test_what_the_host_refuses_of_the_pair_is_told_so_too(act: t.Any) -> None:
    for id, subject, helps in (("expired", "wanted", True), ("locked", "place", False),
                               ("pair-mismatch", "wanted", False)):
        refusal = {"id": id, "subject": subject, "level": "error", "message": "no.", "fix": "Mend."}
        host = replaced(changed=False, before=answers.in_sync(IN_PLACE), after=answers.in_sync(IN_PLACE),
                        refused=refusal)
        result, _calls = act_on(act, host, *HISTORY, backup="latest")
        assert (result["failed"], f"{id}: no. Mend." in result["msg"]) == (True, True)
        assert ("backup-unusable: " in result["msg"]) == (subject == "wanted")
        assert ("{expired: warning}" in result["msg"]) == helps


@pytest.mark.parametrize("other", ["certificate", "private_key", "chain", "pkcs12", "passphrase"])
def test_a_backup_is_a_whole_pair(act: t.Any, other: str) -> None:
    with pytest.raises(AnsibleActionFail, match=rf"mutually exclusive: backup\|{other}"):
        act(sesam_cert_replace, backup="latest", **{other: "content"}).run(task_vars=VARIABLES)


@pytest.mark.parametrize("flag", ["pending", "remote_src"])
def test_a_backup_says_itself_where_its_key_is(act: t.Any, flag: str) -> None:
    with pytest.raises(AnsibleActionFail):
        act(sesam_cert_replace, backup="latest", **{flag: True}).run(task_vars=VARIABLES)


def test_resolve_lists_them_when_it_is_told(act: t.Any) -> None:
    for wanted in (True, False):
        action = act(sesam_cert_resolve, backups=wanted)
        calls = asked(action, {**answers.in_sync(IN_PLACE), **({"backups": list(HISTORY)} if wanted else {})})
        result = action.run(task_vars=VARIABLES)
        assert calls[0]["module_args"].get("backups", False) is wanted
        assert [one["name"] for one in result.get("backups", [])] == (list("dcba") if wanted else [])
