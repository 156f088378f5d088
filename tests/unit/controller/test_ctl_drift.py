# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a fleet, from plain results."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.filter import drift as drift_filter
from ansible_collections.sep.sesam.plugins.filter import drift_report, drift_states_error
from ansible_collections.sep.sesam.plugins.plugin_utils import _catalogue, _drift, _report
from workbench import tree

STATES = _drift.STATES
UNREACHABLE = {"unreachable": True, "msg": "Failed to connect to the host via ssh: Connection refused"}
FAILED = {"failed": True, "msg": "answer-lost:\nsh: 1: python9: not found\n"}


def finding(level: str = "warning", id: str = "expiring", message: str = "It ends soon.") -> dict[str, str]:
    return {"id": id, "subject": "current", "level": level, "message": message, "fix": "Renew it."}


def result(state: str = "in_sync", *findings: dict[str, str], **others: t.Any) -> dict[str, t.Any]:
    return {"state": state, "reason": f"The reason of {state}.", "repair": "none", "source": "default_location",
            "names": ["backup.example"], "days_left": 88, "findings": list(findings), **others}


def test_one_host_in_sync() -> None:
    assert _drift.report({"one": result()}) == [
        "No drift on 1 host.", "one: in_sync; backup.example; 88 days left; default_location; none"]


def test_a_fleet_is_sorted_and_aligned() -> None:
    results = {
        "h9": result(),
        "h10": result("expired", finding("error", "expired", "It ended."), repair="renew", days_left=-3),
        "h2": result("in_sync", finding(), days_left=1), "h1": result(), "h3": UNREACHABLE,
        "h4": result("stopped", names=[], days_left=None, source=None, repair="start"), "h5": FAILED,
    }
    assert _drift.report(results) == [
        "Drift on 4 of 7 hosts: 1 unreachable, 1 failed, 1 stopped, 1 expired.",
        "h10: expired;    backup.example; -3 days left; default_location; renew",
        "    The reason of expired.",
        "    error expired: It ended. Renew it.",
        "h3:  unreachable",
        "    Failed to connect to the host via ssh: Connection refused",
        "h4:  stopped;    -;              -;            -;                start",
        "    The reason of stopped.",
        "h5:  failed",
        "    answer-lost: sh: 1: python9: not found",
        "h2:  in_sync;    backup.example; 1 day left;   default_location; none",
        "    The reason of in_sync.",
        "    warning expiring: It ends soon. Renew it.",
        "h1:  in_sync;    backup.example; 88 days left; default_location; none",
        "h9:  in_sync;    backup.example; 88 days left; default_location; none",
    ]


def test_the_order_of_the_hosts_does_not_matter() -> None:
    results = {name: result("stopped" if name in "ace" else "in_sync") for name in "abcdef"}
    assert _drift.report(results) == _drift.report(dict(reversed(results.items())))


def test_infos_want_nobodys_time() -> None:
    assert len(_drift.report({"one": result("in_sync", finding("info"))})) == 2


@pytest.mark.parametrize("state", STATES)
def test_every_state_but_in_sync_counts(state: str) -> None:
    counts = "" if state == "in_sync" else f"{state}: The reason of {state}."
    assert _drift.drift(result(state)) == counts


@pytest.mark.parametrize("chosen", ["stopped,expired", " stopped , expired,", ["stopped", "expired"]])
def test_chosen_states_count_alone(chosen: str | list[str]) -> None:
    assert {state for state in STATES if _drift.drift(result(state), chosen)} == {"stopped", "expired"}
    lines = _drift.report({state: result(state) for state in STATES}, chosen)
    assert lines[0] == f"Drift on 2 of {len(STATES)} hosts: 1 stopped, 1 expired."
    assert _drift.wrong_choice(chosen) == ""


@pytest.mark.parametrize(("silent", "state"), [
    (UNREACHABLE, "unreachable"), (FAILED, "failed"), ({}, "failed"),
    # A result that failed after all says nothing of a state.
    ({**result("in_sync"), "failed": True, "msg": "No."}, "failed"),
])
@pytest.mark.parametrize("chosen", [None, "expired", ["in_sync"]])
def test_a_host_that_tells_no_state_always_counts(
    silent: dict[str, t.Any], state: str, chosen: str | list[str] | None,
) -> None:
    assert _drift.drift(silent, chosen).startswith(f"{state}: ")
    lines = _drift.report({"one": silent}, chosen)
    assert lines[:2] == [f"Drift on 1 of 1 host: 1 {state}.", f"one: {state}"]
    assert len(lines) == 3
    assert lines[2].strip()


@pytest.mark.parametrize(("chosen", "words"), [
    ("expird", "what is no state: expird."), (["stopped", "in-sync", 7], "what is no state: in-sync, 7."),
    ("", "no state."), ([], "no state."), (",", "no state."), ("sto\npped", "what is no state: sto\\npped."),
])
def test_a_wrong_choice_is_told_on_one_line(chosen: str | list[t.Any], words: str) -> None:
    message = _drift.wrong_choice(chosen)
    assert message.startswith(f"sesam_drift_states names {words} Name one or more of ")
    assert all(state in message for state in STATES)
    assert message.isprintable()


def test_what_the_report_calls_a_state_can_be_chosen() -> None:
    assert _drift.wrong_choice([*STATES, "unreachable", "failed"]) == ""


HOSTILE = "x\nNo drift on 9 hosts.\r\x1b[2J\u202e\u2028"


@pytest.mark.parametrize("results", [
    {HOSTILE: result()},
    {"one": result("expired", finding(message=HOSTILE), reason=HOSTILE, names=[HOSTILE, "y"])},
    {"one": {"failed": True, "msg": HOSTILE}},
    {"one": {"unreachable": True, "msg": HOSTILE}},
])
def test_what_others_wrote_is_escaped(results: dict[str, dict[str, t.Any]]) -> None:
    lines = _drift.report(results)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("No drift on 9") for line in lines)
    assert all(_drift.drift(one).isprintable() for one in results.values())


def test_a_name_is_one_piece_of_the_line() -> None:
    (line,) = _drift.report({"one": result(names=["x; 999 days left; y"])})[1:]
    assert line == "one: in_sync; x\\x3b\\x20999\\x20days\\x20left\\x3b\\x20y; 88 days left; default_location; none"


@pytest.mark.parametrize(("number", "shown"), [
    (1, "n0.example"), (5, "n0.example, n1.example, n2.example, n3.example, n4.example"),
    (6, "n0.example, n1.example, n2.example, n3.example, n4.example and 1 more"),
    (100, "n0.example, n1.example, n2.example, n3.example, n4.example and 95 more"),
])
def test_many_names_are_counted(number: int, shown: str) -> None:
    line = _drift.report({"one": result(names=[f"n{i}.example" for i in range(number)])})[1]
    assert f" {shown}; 88 days" in line


def test_a_name_without_end_is_cut() -> None:
    line = _drift.report({"one": result(names=["x" * 5000, "y"])})[1]
    assert f"; {'x' * 60} and 1 more;" in line


def test_of_a_long_error_its_end_is_shown() -> None:
    banner = {"unreachable": True, "msg": f"Task failed: Failed to connect: {'legal notice ' * 500}Permission denied."}
    line = _drift.report({"one": banner})[2].strip()
    assert line.startswith("Failed to connect: legal notice")
    assert line.endswith("Permission denied.")
    assert len(line) < 500


def test_the_filters_are_these_functions() -> None:
    filters = {name: function for module in (drift_filter, drift_report, drift_states_error)
               for name, function in module.FilterModule().filters().items()}
    assert filters["drift"](UNREACHABLE) == "unreachable: Failed to connect to the host via ssh: Connection refused"
    assert filters["drift_report"]({"one": result()}, "stopped")[0] == "No drift on 1 host."
    assert "expird" in filters["drift_states_error"]("expird")
    assert "5" in filters["drift_states_error"](5)
    assert set(filters) == {"drift", "drift_report", "drift_states_error"}


def test_the_sample_in_the_documentation() -> None:
    chain = _catalogue.finding("served-chain", "current", "The port sends 1 certificates, the file in place has 2.")
    refused = ('Data could not be sent to remote host "backup3.example.com". Make sure this host can be reached over '
               "ssh: ssh: connect to host backup3.example.com port 22: Timeout")
    generated = "The port serves a certificate that rmi made itself at its start (no source has a pair): CN=backup4."
    in_sync = "The port serves the certificate of the default location."
    lines = _drift.report({
        "backup1.example.com": result("in_sync", *_report.findings_as_data([chain]), reason=in_sync, days_left=58,
                                      names=["backup1.example.com"]),
        "backup2.example.com": result("in_sync", reason=in_sync, days_left=312, names=["backup2.example.com"]),
        "backup3.example.com": {"unreachable": True, "msg": refused},
        "backup4.example.com": result("fallback_generated", reason=generated, names=["backup4"], days_left=364,
                                      source="generated", repair="replace"),
    })
    sample = "".join(f"\"{line}\",\n" for line in lines)
    assert f"```\n{sample}```\n" in (tree.ROOT / "docs" / "drift-check.md").read_text()
