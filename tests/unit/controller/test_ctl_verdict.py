# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one judge: every state, which of two wins, every repair, and what is worth knowing."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _preflight, _verdict
from unit import answers, pki

CA = pki.make_ca()
PAIR = pki.make("sesam.example", issuer=CA, begins=-20)
OTHER = pki.make("other.example", begins=-20)
DAY = 86400.0
GENERATED = pki.make("localhost", begins=-answers.AGE)
ISSUED_AT_THE_START = pki.make("localhost", issuer=CA, begins=-answers.AGE)
OLD_SELF_SIGNED = pki.make("localhost", begins=-20)
EXPIRED = pki.make("sesam.example", begins=-20, ends=-1)
JOURNAL = {"run": {"id": "abc", "by": "somebody@elsewhere"}}
WANTED = _verdict.Wanted(_certificates.fingerprint(PAIR.certificate), PAIR.chain)
ABSENT = {"status": "absent", "reason": "it does not exist"}
HIDDEN = {"status": "no_permission", "reason": "there is no permission to read it"}
NO_CHAIN = {**ABSENT, "chain": []}
BROKEN = {"disk.works": False, "disk.reason": "it is PKCS#1"}
# What is said of the certificates of PAIR, whose CA is a plain one, and in the chain.
OF_THE_CHAIN = {"chain-strict", "root-included"}
Changes = dict[str, t.Any]


def judge(changes: Changes, wanted: _verdict.Wanted | None = WANTED, pair: pki.Pair = PAIR) -> _verdict.Verdict:
    return _verdict.judge(_verdict.Seen.of(answers.changed(answers.in_sync(pair), changes)), wanted)


def serves(pair: pki.Pair) -> Changes:
    return {"served.chain": pair.base64_chain}


SOURCES = answers.in_sync(PAIR)["sources"]
NEWER = {"disk.certificate.changed": answers.STARTED + 60}
# In the order in which the first one that matches wins.
STATES: list[tuple[str, Changes]] = [
    ("not_installed", {"installation": None, "not_installed": "nothing was found"}),
    ("unknown", {"disk.private_key": {**HIDDEN, "form": ""}}),
    ("unknown", {"rmi.is_running": None}),
    ("interrupted", {"journal": JOURNAL}),
    ("stopped", {"rmi.is_running": False, "rmi.pid": None, "served.chain": [], "served.status": "closed"}),
    ("foreign_listener", {"rmi.foreign": 99}),
    ("plain_http", {"served.status": "plain_http", "served.chain": []}),
    ("not_answering", {"served.status": "silent", "served.reason": "no answer", "served.chain": []}),
    ("shadowed", {"sources": [answers.source("command_line", pair=OTHER), *SOURCES[1:]]}),
    ("half_pair", {"disk.certificate": NO_CHAIN, **BROKEN}),
    ("half_pair", {"disk.private_key": {**ABSENT, "form": ""}, **BROKEN}),
    ("broken_pair", BROKEN),
    ("fallback_generated", serves(GENERATED)),
    ("unknown_certificate", serves(OTHER)),
    ("stale_process", {**serves(OTHER), **NEWER}),
    ("file_drift", {"disk.certificate.chain": OTHER.base64_chain, **serves(OTHER)}),
    ("file_drift", {"disk.private_key.mode": "0640"}),
    ("in_sync", {}),
]


@pytest.mark.parametrize(("state", "changes"), STATES)
def test_state(state: str, changes: Changes) -> None:
    verdict = judge(changes)
    assert verdict.state == state
    assert verdict.reason.isprintable()
    assert verdict.reason.endswith(".")


def test_every_state_is_tested() -> None:
    tested = {state for state, _changes in STATES} | {"wrong_name", "expired", "expiring"}
    assert tested == set(t.get_args(_verdict.State))


# Both at once cannot be: the one is told from the other by the very thing that makes it.
EXCLUSIVE = [("half_pair", "half_pair"), ("unknown_certificate", "stale_process"),
             ("unknown_certificate", "file_drift"), ("stale_process", "file_drift"),
             # Who listens in the place of an rmi that is stopped is the more urgent of the two.
             ("stopped", "foreign_listener"),
             # The default location need not be seen where another source wins.
             ("unknown", "shadowed")]
TOGETHER = [(earlier, later) for earlier, later in itertools.combinations(STATES[:-1], 2)
            if (earlier[0], later[0]) not in EXCLUSIVE or "disk.private_key.mode" in later[1]
            or earlier[1] == {"rmi.is_running": None}]


@pytest.mark.parametrize(("earlier", "later"), TOGETHER)
def test_the_first_state_that_matches_wins(earlier: tuple[str, Changes], later: tuple[str, Changes]) -> None:
    """What makes an earlier state is added to what makes a later one."""
    assert judge({**later[1], **earlier[1]}).state == earlier[0]


@pytest.mark.parametrize(("changes", "wanted", "state"), [
    ({}, None, "in_sync"),
    ({}, _verdict.Wanted(WANTED.fingerprint), "in_sync"),
    ({}, _verdict.Wanted("0" * 64), "file_drift"),
    # A missing intermediate is a difference, where the chain is known.
    ({"disk.certificate.chain": PAIR.base64_chain[:1]}, WANTED, "file_drift"),
    ({"disk.certificate.chain": PAIR.base64_chain[:1]}, _verdict.Wanted(WANTED.fingerprint), "in_sync"),
    ({"disk.certificate.chain": PAIR.base64_chain[::-1]}, WANTED, "file_drift"),
    ({"disk.certificate.chain": [*PAIR.base64_chain, OTHER.base64_chain[0]]}, WANTED, "file_drift"),
])
def test_what_is_wanted(changes: Changes, wanted: _verdict.Wanted | None, state: str) -> None:
    if "disk.certificate.chain" in changes and changes["disk.certificate.chain"][0] != PAIR.base64_chain[0]:
        changes = {**changes, "served.chain": changes["disk.certificate.chain"]}
    assert judge(changes, wanted).state == state


def test_expired_is_judged_by_the_clock_of_the_host() -> None:
    ends = EXPIRED.certificate.not_valid_after_utc.timestamp()
    assert judge({"clock": ends + 1}, None, EXPIRED).state == "expired"
    assert judge({"clock": ends - 1}, None, EXPIRED).state == "expiring"
    assert judge({"clock": ends - DAY * 6}, None, EXPIRED).state == "expiring"
    assert judge({"clock": ends - DAY * 7}, None, EXPIRED).state == "in_sync"
    assert judge({"clock": ends + 1}, WANTED, EXPIRED).state == "file_drift"


@pytest.mark.parametrize(("served", "changes", "state"), [
    (GENERATED, {}, "fallback_generated"),
    (GENERATED, NEWER, "fallback_generated"),
    (GENERATED, {"disk.certificate": NO_CHAIN, "disk.private_key": {**ABSENT, "form": ""}, **BROKEN},
     "fallback_generated"),
    (GENERATED, {"rmi.started": None, "rmi.pid": None}, "stale_process"),
    (ISSUED_AT_THE_START, {}, "unknown_certificate"),
    (OLD_SELF_SIGNED, {}, "unknown_certificate"),
    (OLD_SELF_SIGNED, {"disk.certificate": NO_CHAIN, "disk.private_key": {**ABSENT, "form": ""}, **BROKEN},
     "unknown_certificate"),
    (OLD_SELF_SIGNED, {"disk.private_key.changed": answers.STARTED + 1}, "stale_process"),
])
def test_where_a_served_certificate_comes_from_is_inferred(served: pki.Pair, changes: Changes, state: str) -> None:
    assert judge({**serves(served), **changes}).state == state


NOT_WANTED = _verdict.Wanted("0" * 64)


@pytest.mark.parametrize(("state", "right", "wrong"), [
    ("not_installed", "install", "install"), ("interrupted", "recover", "recover"),
    ("stopped", "start", "start"), ("plain_http", "reconfigure", "reconfigure"),
    ("not_answering", "restart", "replace"), ("half_pair", "replace", "replace"),
    ("broken_pair", "replace", "replace"), ("fallback_generated", "restart", "replace"),
    ("unknown_certificate", "restart", "replace"), ("stale_process", "restart", "replace"),
    ("file_drift", "replace", "replace"), ("in_sync", "none", None),
    ("foreign_listener", "reconfigure", "reconfigure"), ("shadowed", "reconfigure", "reconfigure"),
])
def test_the_smallest_repair(state: str, right: str, wrong: str | None) -> None:
    for changes in (changes for name, changes in STATES if name == state):
        assert judge(changes).repair == right
        if wrong:
            assert judge(changes, NOT_WANTED).repair == wrong
        if state in ("not_answering", "fallback_generated"):
            assert judge(changes, None).repair == "restart"
            assert judge({**changes, **BROKEN, "disk.certificate": NO_CHAIN,
                          "disk.private_key": {**ABSENT, "form": ""}}, None).repair == "replace"


@pytest.mark.parametrize(("changes", "found"), [
    ({}, []),
    ({"rmi.is_running": False, "served.chain": [], "served.status": "closed"}, []),
    ({"journal": JOURNAL}, [("interrupted-replacement", "error")]),
    ({"served.status": "silent", "served.chain": []}, [("not-answering", "error")]),
    ({"served.status": "plain_http", "served.chain": []}, [("plain-http", "error")]),
    ({"disk.certificate": NO_CHAIN, **BROKEN}, [("half-pair", "error")]),
    (BROKEN, [("source-broken", "error")]),
    (serves(GENERATED), [("fallback-generated", "error")]),
    (serves(OTHER), [("unknown-certificate", "error")]),
    ({**serves(OTHER), **NEWER}, [("stale-process", "warning")]),
    ({"disk.private_key.mode": "0644"}, [("key-permissions", "error")]),
    ({"disk.private_key.mode": "0400"}, []),
    ({**BROKEN, "disk.private_key.mode": "0604"}, [("source-broken", "error"), ("key-permissions", "error")]),
    ({"served.chain": PAIR.base64_chain[:1]}, [("served-chain", "warning")]),
    ({"served.chain": PAIR.base64_chain[:1], "served.chain_seen": False, "served.protocol": "TLSv1.3"},
     [("served-chain-not-seen", "info")]),
])
def test_findings(changes: Changes, found: list[tuple[str, str]]) -> None:
    verdict = judge(changes)
    of_the_server = [finding for finding in verdict.findings if finding.id not in OF_THE_CHAIN]
    assert [(finding.id, finding.level) for finding in of_the_server] == found
    assert {finding.subject for finding in verdict.findings} <= {"current"}
    assert all(finding.message.isprintable() for finding in verdict.findings)


def test_an_expired_certificate_is_a_finding() -> None:
    verdict = judge({}, None, EXPIRED)
    assert [(finding.id, finding.level) for finding in verdict.findings] == [("expired", "error")]
    assert verdict.repair == "renew"


def test_a_host_without_an_installation_has_no_findings() -> None:
    answer = {"installation": None, "not_installed": "no \x1b[31mfile", "refused": None}
    verdict = _verdict.judge(_verdict.Seen.of(answer))
    assert (verdict.state, verdict.findings, verdict.next_sources, verdict.fallback_sources) == (
        "not_installed", [], [], [])
    assert "\x1b" not in verdict.reason


@pytest.mark.parametrize("changes", [
    {"served.status": "silent", "served.reason": "a\x1b[31mb\n", "served.chain": []},
    {"disk.works": False, "disk.reason": "a\x1b[31mb\n"},
    {"journal": {"run": {"id": "x", "by": "a\x1b[31mb\n"}}},
    serves(pki.make("a\x1b[31mb\nc", names=[], begins=-20)),
])
def test_nothing_is_obeyed_by_a_terminal(changes: Changes) -> None:
    verdict = judge(changes)
    assert verdict.reason.isprintable()
    assert all(finding.message.isprintable() for finding in verdict.findings)


def test_what_cannot_be_parsed_is_no_certificate() -> None:
    assert judge({"served.chain": ["AAAA"]}).state == "not_answering"
    assert judge({"disk.certificate.chain": ["AAAA"]}).state == "unknown_certificate"


@pytest.mark.parametrize(("uid", "repair"), [(0, "reconfigure"), (1000, "become")])
def test_what_is_hidden_from_root_is_no_matter_of_rights(uid: int, repair: str) -> None:
    assert judge({"rmi.is_running": None, "uid": uid}).repair == repair


# The sources

THIRD = pki.make("third.example", begins=-20)
EMPTY: Changes = {"disk.certificate": NO_CHAIN, "disk.private_key": {**ABSENT, "form": ""}, **BROKEN}


def sources(**found: answers.Answer) -> list[answers.Answer]:
    """The sources of the answer, some of them replaced."""
    return [found.get(source["name"], source) for source in SOURCES]


def having(name: str, pair: pki.Pair, **facts: t.Any) -> dict[str, answers.Answer]:
    return {name: answers.source(name, pair=pair, **facts)}


def without_default(**found: answers.Answer) -> Changes:
    """Nothing lies in the default location."""
    nothing = {**SOURCES[1], "verdict": "absent"}
    return {**EMPTY, "sources": sources(default_location=nothing, **found)}


@pytest.mark.parametrize("name", ["command_line", "sm_ini", "environment"])
def test_a_server_that_is_whole_elsewhere_is_in_sync(name: str) -> None:
    changes = {**without_default(**having(name, OTHER)), **serves(OTHER)}
    verdict = judge(changes, None)
    assert (verdict.state, verdict.repair, verdict.source) == ("in_sync", "none", name)
    assert (verdict.next_sources, verdict.fallback_sources) == ([name], ["generated", "none"])
    assert judge(changes, _verdict.Wanted(_certificates.fingerprint(OTHER.certificate))).state == "in_sync"
    # A pair in the default location comes before all but the command line.
    drifted = judge(changes, WANTED)
    expected = ("shadowed", "reconfigure") if name == "command_line" else ("file_drift", "replace")
    assert (drifted.state, drifted.repair) == expected


def test_the_command_line_hides_another_pair_and_not_the_same_one() -> None:
    hides = {"sources": sources(**having("command_line", OTHER)), **serves(OTHER)}
    verdict = judge(hides, None)
    assert (verdict.state, verdict.source) == ("shadowed", "command_line")
    assert [(f.id, f.subject) for f in verdict.findings][:1] == [("shadowed", "place")]
    same = {"sources": sources(**having("command_line", PAIR))}
    assert (judge(same, None).state, judge(same).state) == ("in_sync", "in_sync")


def test_behind_what_cannot_work_nothing_is_certain() -> None:
    odd = answers.source("command_line", verdict="broken", reason="odd", certificate="/x/crt")
    without, given = (judge({"sources": sources(command_line=odd)}, wanted) for wanted in (None, WANTED))
    assert (without.state, given.state, given.source) == ("shadowed", "shadowed", "default_location")
    assert "may not be read: somewhere comes first" in without.reason
    assert "may not be read in the default location" in given.reason


@pytest.mark.parametrize("verdict", ["broken", "half"])
@pytest.mark.parametrize(("name", "state", "repair"), [
    ("command_line", None, "reconfigure"), ("sm_ini", None, "replace"), ("environment", None, "replace"),
])
def test_what_comes_first_and_cannot_work(verdict: str, name: str, state: str, repair: str) -> None:
    source = answers.source(name, verdict=verdict, reason="it is PKCS#1", certificate="/x/crt")
    found = judge({**without_default(**{name: source}), **serves(GENERATED)}, None)
    assert (found.state, found.repair, found.source) == (f"{verdict}_pair", repair, "generated")
    assert "it is PKCS#1" in found.reason


@pytest.mark.parametrize("other", [
    {"rmi.is_running": False, "served.status": "closed", "served.chain": []}, {"journal": JOURNAL},
])
@pytest.mark.parametrize(("verdict", "id"), [("broken", "source-broken"), ("half", "half-pair")])
def test_what_cannot_work_is_told_in_other_states_too(verdict: str, id: str, other: Changes) -> None:
    source = answers.source("sm_ini", verdict=verdict, reason="it is PKCS#1", certificate="/x/crt")
    found = judge({**without_default(sm_ini=source), **serves(GENERATED), **other}, None)
    assert found.state in ("stopped", "interrupted")
    assert [(f.level, "it is PKCS#1" in f.message) for f in found.findings if f.id == id] == [("error", True)]


@pytest.mark.parametrize("name", ["sm_ini", "environment"])
def test_what_comes_behind_is_told(name: str) -> None:
    found = judge({"sources": sources(**having(name, OTHER))})
    assert found.state == "in_sync"
    assert found.fallback_sources == [name, "generated", "none"]
    assert [(f.id, f.level) for f in found.findings if f.id not in OF_THE_CHAIN] == [("also-configured", "warning")]
    odd = answers.source(name, verdict="broken", reason="odd", certificate="/x")
    broken = judge({"sources": sources(**{name: odd})})
    assert ["odd" in f.message for f in broken.findings if f.id == "also-configured"] == [True]


def test_what_is_set_for_other_logins_is_told() -> None:
    elsewhere = answers.source("environment", elsewhere="/etc/environment has SESAM_SSL_CERT=/x")
    assert "also-configured" in {finding.id for finding in judge({"sources": sources(environment=elsewhere)}).findings}


def test_another_source_than_the_winner_is_served() -> None:
    found = judge({"sources": sources(**having("sm_ini", OTHER)), **serves(OTHER)}, None)
    assert (found.state, found.repair, found.source) == ("stale_process", "restart", "sm_ini")


@pytest.mark.parametrize(("changes", "state"), [
    ({}, "in_sync"), (NEWER, "stale_process"), ({**NEWER, "rmi.started": None}, "in_sync"),
    ({**NEWER, "served.chain_seen": False}, "in_sync"), ({**NEWER, "served.chain": PAIR.base64_chain}, "in_sync"),
])
def test_the_chain_in_the_file_is_newer(changes: Changes, state: str) -> None:
    found = judge({"served.chain": PAIR.base64_chain[:1], **changes})
    assert (found.state, found.repair) == (state, "none" if state == "in_sync" else "restart")


def test_what_could_not_be_seen_is_a_finding() -> None:
    found = judge({"unseen": ["the \x1b[31mjournal"]})
    assert [(f.id, f.level, "\x1b" in f.message) for f in found.findings if f.id == "not-seen"] == [
        ("not-seen", "info", False)]


def test_what_would_end_a_replacement_half_way_is_a_warning() -> None:
    told = {"id": "log-unreadable", "subject": "place", "level": "error", "message": "It \x1b[31mis.",
            "fix": "Mend it."}
    found = judge({"obstacles": [told]})
    assert found.state == "in_sync"
    assert [(f.id, f.level, f.fix, "\x1b" in f.message) for f in found.findings if f.id == "log-unreadable"] == [
        ("log-unreadable", "warning", "Mend it.", False)]


def test_a_damaged_journal_is_an_interruption() -> None:
    damage = {"id": "journal-damaged", "message": "The journal cannot be read.", "fix": "Remove it.",
              "level": "error", "subject": "current"}
    found = judge({"journal_damage": damage})
    assert (found.state, found.repair) == ("interrupted", "reconfigure")
    assert found.reason == "The journal cannot be read. Remove it."
    assert {(f.id, f.fix) for f in found.findings} >= {("interrupted-replacement", "Remove it.")}
    assert {"interrupted-replacement", "journal-damaged"} <= {finding.id for finding in found.findings}


def test_rmi_that_listens_elsewhere() -> None:
    found = judge({"rmi.listens_on": [["127.0.0.1", 99]], "served.status": "closed", "served.chain": []})
    assert (found.state, found.repair) == ("not_answering", "reconfigure")
    assert "127.0.0.1 port 99" in found.reason


# The policy

def by_policy(changes: Changes, **policy: t.Any) -> _verdict.Verdict:
    return _verdict.judge(_verdict.Seen.of(answers.changed(answers.in_sync(PAIR), changes)), WANTED,
                          _preflight.Policy(**policy))


@pytest.mark.parametrize(("names", "are_given", "levels", "state"), [
    (["sesam.example"], True, {}, "in_sync"),
    (["other.example"], True, {}, "wrong_name"),
    (["other.example"], False, {}, "in_sync"),
    (["other.example"], True, {"name-not-covered": "warning"}, "in_sync"),
    (["other.example"], False, {"name-not-covered": "error"}, "wrong_name"),
])
def test_names(names: list[str], are_given: bool, levels: dict[str, str], state: str) -> None:
    found = by_policy({}, names=names, names_are_given=are_given, levels=levels)
    assert (found.state, found.repair) == (state, "none" if state == "in_sync" else "renew")


@pytest.mark.parametrize(("days", "levels", "state"), [
    (400, {}, "expiring"), (1, {}, "in_sync"), (400, {"expiring": "info"}, "in_sync"),
    (400, {"expiring": "error"}, "expiring"),
])
def test_the_end_is_near(days: int, levels: dict[str, str], state: str) -> None:
    clock = PAIR.certificate.not_valid_after_utc.timestamp() - DAY * 10
    assert by_policy({"clock": clock}, expiring_days=days, levels=levels).state == state


def test_a_certificate_without_names_is_for_nobody() -> None:
    pair = pki.make("sesam.example", names=[], begins=-20)
    assert judge({}, None, pair).state == "wrong_name"


def test_names_of_what_is_served_instead() -> None:
    found = by_policy(serves(OTHER), names=["sesam.example"])
    assert [f.level for f in found.findings if f.id == "served-name"] == ["warning"]
    assert not [f for f in by_policy(serves(OTHER), names=["other.example"]).findings if f.id == "served-name"]


@pytest.mark.parametrize(("file", "state"), [("certificate", "stale_process"), ("private_key", "in_sync")])
def test_a_chain_is_newer_where_its_own_file_is(file: str, state: str) -> None:
    """The host restarts for the file of the chain alone; a chmod of the key changes nothing."""
    verdict = judge({"served.chain": PAIR.base64_chain[:1], f"disk.{file}.changed": answers.STARTED + 60})
    assert verdict.state == state


@pytest.mark.parametrize("name", ["command_line", "sm_ini"])
@pytest.mark.parametrize(("wanted", "state", "repair"), [
    (WANTED, "in_sync", "none"), (None, "in_sync", "none"),
    (_verdict.Wanted(_certificates.fingerprint(OTHER.certificate)), "file_drift", "replace"),
])
def test_a_source_that_names_the_files_of_the_default_location(
    name: str, wanted: _verdict.Wanted | None, state: str, repair: str
) -> None:
    """It hides none of them, and is no further pair."""
    same = answers.source(name, pair=PAIR, certificate="/v/ini//ssl/sesam.https.crt",
                          private_key="/v/ini/ssl/sesam.https.key")
    there = answers.changed(answers.in_sync(PAIR), {})["sources"]
    verdict = judge({"sources": [same if source["name"] == name else source for source in there]}, wanted)
    assert (verdict.state, verdict.repair) == (state, repair)
    assert not [finding for finding in verdict.findings if finding.id in ("also-configured", "shadowed")]
    assert verdict.fallback_sources == ["generated", "none"]
