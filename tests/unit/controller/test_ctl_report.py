# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person reads: refusals, failures, differences."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _report, _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding
from unit import answers, pki

OLD, NEW = pki.make("old.example"), pki.make("new.example")
STOPPED = {"served.chain": [], "served.status": "closed", "served.reason": "nobody listens"}


def seen(pair: pki.Pair = OLD, **changes: t.Any) -> _verdict.Seen:
    return _verdict.Seen.of(answers.changed(answers.in_sync(pair), changes))


def failure(step: str = "served", reason: str = "it went wrong", after: _verdict.Seen | None = None,
            backup: str | None = None, last_part: str = "rollback", **values: str) -> str:
    told = {"failure": {"step": step, "reason": reason, "log_since": "", "way_back": "", **values}, "backup": backup,
            "steps": [{"part": "replacement"}, {"part": last_part}]}
    return _report.failure(told, seen(), after or seen())


def test_a_refusal_says_errors_and_what_mends_them() -> None:
    findings = [Finding("a", "place", "error", "Why.", "What."), Finding("b", "wanted", "info", "Nice."),
                Finding("c", "wanted", "error", "Why not.")]
    assert _report.refusal(findings) == "Nothing was touched. a: Why. What. c: Why not."


@pytest.mark.parametrize("step", ["stop", "place", "start", "served", "log_line", "recover", "something new"])
def test_a_failure_names_step_reason_and_what_to_do(step: str) -> None:
    text = failure(step)
    assert text.startswith(f"The certificate was not replaced. Step {step} failed: it went wrong.\n")
    assert "\nWhat to do: " in text
    assert "{" not in text


def test_advice_names_the_places_of_this_host() -> None:
    assert "/b/sm_main start rmi" in failure("start")
    assert "/v/log" in failure("served")


def test_what_is_served_now_is_told() -> None:
    text = failure()
    assert "Rolled back: the port serves CN=old.example, until " in text
    assert "This is the certificate that was served before." in text
    other = failure(after=seen(NEW))
    assert "CN=new.example" in other
    assert "served before" not in other


def test_what_was_never_touched_was_not_rolled_back() -> None:
    """rmi ignored the stop."""
    text = failure("stop", last_part="replacement")
    assert "Nothing had to be undone: the port serves CN=old.example, until " in text
    assert "Rolled back" not in text


def test_the_way_back_failed() -> None:
    text = failure(after=seen(**STOPPED), backup="/v/backup", way_back="start: no")
    assert "THE WAY BACK FAILED TOO: start: no." in text
    assert "nothing is served (nobody listens)." in text
    assert "The old pair is in /v/backup." in text
    assert "Rolled back" not in text


def test_what_could_not_be_looked_at_is_not_told_as_served() -> None:
    text = failure(after=seen(**{"served.status": "silent", "served.chain": [], "served.reason": "no look"}))
    assert "Rolled back: no certificate is seen (no look)." in text


def test_the_log_is_shown() -> None:
    assert "\nLog since the stop:\n  one\n  two\n" in failure(log_since="one\ntwo\n")
    assert "The log has nothing new since the stop." in failure()


@pytest.mark.parametrize("values", [
    {"reason": "a\x1b[31mb"}, {"way_back": "a\x1b[31mb"}, {"log_since": "a\x1b[31mb\rc\nd"},
    {"after": seen(pki.make("a\x1b[31mb", names=[]))}, {"after": seen(**{**STOPPED, "served.reason": "a\x1b[31mb"})},
])
def test_no_failure_makes_a_terminal_obey(values: dict[str, t.Any]) -> None:
    assert all(line.isprintable() for line in failure(**values).split("\n"))


def test_no_refusal_makes_a_terminal_obey() -> None:
    """The host names files in its messages, and a name may hold anything."""
    assert _report.refusal([Finding("a", "place", "error", "no \x1b[31mfile\n", "b\rc")]).isprintable()


def test_no_finding_makes_a_terminal_obey() -> None:
    """Ansible prints results as JSON, which leaves some of what a terminal obeys as it is."""
    (told,) = _report.findings_as_data([Finding("a", "place", "error", "no \x1b[31m\x9b31mfile\n", "b\u202ec")])
    assert told == {"id": "a", "subject": "place", "level": "error", "message": "no \\x1b[31m\\x9b31mfile\\n",
                    "fix": "b\\u202ec"}


def test_situation_is_plain_data_without_raw_certificates() -> None:
    found = _report.situation(seen(), _verdict.judge(seen()))
    text = json.dumps(found)
    assert OLD.base64_chain[0] not in text
    assert found["state"] == "in_sync"
    assert found["on_disk"]["certificate"]["chain"][0]["subject"] == "CN=old.example"
    assert found["served"]["chain"][0]["names"] == ["old.example"]
    assert found["on_disk"]["private_key"]["form"] == "PKCS#8"
    assert found["installation"]["sm_main"] == "/b/sm_main"


def test_situation_where_nothing_is_installed() -> None:
    nothing = _verdict.Seen.of({"installation": None, "not_installed": "no file"})
    found = _report.situation(nothing, _verdict.judge(nothing))
    assert set(found) == {"state", "reason", "repair", "source", "next_sources",
                          "fallback_sources", "names", "days_left", "findings"}


def test_difference() -> None:
    difference = _report.difference("x", _report.on_disk_in_words(seen(OLD)), _report.on_disk_in_words(seen(NEW)))
    assert "subject: CN=old.example\n" in difference["before"]
    assert "subject: CN=new.example\n" in difference["after"]
    assert "private key: PKCS#8 0600\n" in difference["after"]
    absent = {"disk.certificate": {"status": "absent", "chain": []},
              "disk.private_key": {"status": "absent", "form": ""}}
    difference = _report.difference("x", _report.on_disk_in_words(seen(**absent)), _report.on_disk_in_words(seen()))
    assert difference["before"] == "certificate: absent\nprivate key: absent\n"


def test_no_difference_where_nothing_changed() -> None:
    difference = _report.difference("x", _report.on_disk_in_words(seen()), _report.on_disk_in_words(seen()))
    assert difference["before"] == difference["after"]
