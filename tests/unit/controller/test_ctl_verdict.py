# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one judge: every state, which of two wins, every repair, and what is worth knowing."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _verdict
from unit import answers, pki

CA = pki.make_ca()
PAIR = pki.make("sesam.example", issuer=CA, begins=-20)
OTHER = pki.make("other.example", begins=-20)
DAY = 86400.0
START = (answers.STARTED - answers.NOW) / DAY
GENERATED = pki.make("localhost", begins=START)
ISSUED_AT_THE_START = pki.make("localhost", issuer=CA, begins=START)
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


NEWER = {"disk.certificate.changed": answers.STARTED + 60}
# In the order in which the first one that matches wins.
STATES: list[tuple[str, Changes]] = [
    ("not_installed", {"installation": None, "not_installed": "nothing was found"}),
    ("unknown", {"disk.private_key": {**HIDDEN, "form": ""}}),
    ("unknown", {"rmi.is_running": None}),
    ("interrupted", {"journal": JOURNAL}),
    ("stopped", {"rmi.is_running": False, "rmi.pid": None, "served.chain": [], "served.status": "closed"}),
    ("plain_http", {"served.status": "plain_http", "served.chain": []}),
    ("not_answering", {"served.status": "silent", "served.reason": "no answer", "served.chain": []}),
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
    tested = {state for state, _changes in STATES} | {"expired"}
    assert tested == set(t.get_args(_verdict.State))


# Both at once cannot be: the one is told from the other by the very thing that makes it.
EXCLUSIVE = [("half_pair", "half_pair"), ("unknown_certificate", "stale_process"),
             ("unknown_certificate", "file_drift"), ("stale_process", "file_drift")]
TOGETHER = [(earlier, later) for earlier, later in itertools.combinations(STATES[:-1], 2)
            if (earlier[0], later[0]) not in EXCLUSIVE or "disk.private_key.mode" in later[1]]


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
    assert judge({"clock": ends - 1}, None, EXPIRED).state == "in_sync"
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
    ("not_installed", "install", "install"), ("unknown", "become", "become"), ("interrupted", "recover", "recover"),
    ("stopped", "start", "start"), ("plain_http", "reconfigure", "reconfigure"),
    ("not_answering", "restart", "replace"), ("half_pair", "replace", "replace"),
    ("broken_pair", "replace", "replace"), ("fallback_generated", "restart", "replace"),
    ("unknown_certificate", "restart", "replace"), ("stale_process", "restart", "replace"),
    ("file_drift", "replace", "replace"), ("in_sync", "none", None),
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
    assert verdict.repair == "replace"


def test_a_host_without_an_installation_has_no_findings() -> None:
    answer = {"installation": None, "not_installed": "no \x1b[31mfile", "refused": None}
    verdict = _verdict.judge(_verdict.Seen.of(answer))
    assert (verdict.state, verdict.findings) == ("not_installed", [])
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
