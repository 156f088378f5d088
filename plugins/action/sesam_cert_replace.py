# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_cert_replace): check the pair, send it, judge what came of it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _answers,
    _backups,
    _base,
    _catalogue,
    _certificates,
    _checks,
    _findings,
    _inputs,
    _preflight,
    _report,
    _verdict,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused

_SENT_AS_GIVEN = ("log_check", "start_timeout", "stop_timeout", "lock_timeout", "keep_backups", "owner", "group",
                  "start_stopped")
_RETURNED_AS_ANSWERED = ("changed", "action", "recovered", "steps", "downtime", "backup", "log_line")
_PLACING = ("replaced", "placed")
_STARTING = ("replaced", "restarted", "started")
# Findings that come of a comparison with what is on the host.
_COMPARED = ("key-reused", "older-than-served")


class ActionModule(_base.SesamAction):
    """Replace the certificate of a host."""

    ARGUMENTS = _arguments.REPLACE
    RULES = _arguments.REPLACE_RULES
    FLAGS = _arguments.REPLACE_FLAGS

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """One call on the host, which carries the pair and does the whole transaction."""
        policy = self.policy(options, task_vars)
        choice = self._choice(options, task_vars)
        with _backups.explained(choice):
            pair = (choice.backup.wanted() if choice else self._pair(options, task_vars)).checked(policy)
        if not choice:
            self._compare_first(pair, policy, task_vars)
        answer = self.ask_host(
            task_vars, has_secret=isinstance(pair, _preflight.WantedPair),
            order=_order(pair, policy, _key_on_host(options, choice)), **_pem(pair),
            **{name: options[name] for name in _SENT_AS_GIVEN})
        return self._result(answer, pair, policy, choice)

    def _choice(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _backups.Choice | None:
        """The backup that is to be restored, chosen from what the host has; one call more, which changes nothing."""
        if options["backup"] is None:
            return None
        answer = self.ask_host_or_refuse(task_vars, "sesam_cert_resolve", backups=True)
        return _backups.choose(options["backup"], _verdict.Seen.of(answer))

    def _pair(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _preflight.WantedChain:
        """The pair, or its certificates alone where the host has the key."""
        if not options["pending"] and not options["remote_src"]:
            return _preflight.pair(self.sources(options))
        if options["remote_src"]:
            self.require_path_on_host("private_key", options)
        given = {**options, "private_key": None}
        if not options["remote_src"] or _inputs.is_content(options["certificate"]):
            return _preflight.certificates_alone(self.sources(given))
        self.require_path_on_host("certificate", options)
        fetched = self._fetched(options["certificate"], task_vars)
        sources = self.sources({**given, "certificate": None})
        return _preflight.certificates_alone(dataclasses.replace(sources, certificate=fetched))

    def _fetched(self, path: str, task_vars: dict[str, t.Any]) -> _inputs.Input:
        """The certificates in a file of the host, which parses none."""
        answer = self.ask_host_or_refuse(task_vars, "sesam_selfsigned", certificate_path=path, private_key_path=path,
                                         order={"verb": "look"})
        chain = _certificates.from_base64(answer["certificate"]["chain"])
        if not chain:
            raise Refused(_catalogue.finding(
                "input-unrecognised", "wanted", f"{path} on the host holds no certificate in PEM"
                f" ({answer['certificate']['reason'] or answer['certificate']['status']}).",
                fix="Correct the path; with remote_src it is one on the host."))
        return _inputs.Input(_certificates.to_pem(chain).encode("ascii"), f"certificate ({path} on the host)")

    def _compare_first(self, pair: _preflight.WantedChain, policy: _preflight.Policy,
                       task_vars: dict[str, t.Any]) -> None:
        """Look first at what is there, at the price of a call more, where that may forbid the replacement.

        :raises Refused: a finding is an error whose level was raised to one.
        """
        if not any(policy.levels.get(id) == "error" for id in _COMPARED):
            return
        seen = _verdict.Seen.of(self.ask_host(task_vars, "sesam_cert_resolve"))
        findings = policy.weighed(_comparison(pair, seen)) if seen.answer.get("installation") else []
        if _findings.errors(findings):
            raise Refused(*findings)

    def _result(self, answer: _base.Result, pair: _preflight.WantedChain, policy: _preflight.Policy,
                choice: _backups.Choice | None) -> _base.Result:
        if "after" not in answer:
            raise Refused(Finding(**answer["refused"]))
        wanted = _verdict.Wanted(_certificates.fingerprint(pair.leaf), pair.chain)
        before, after = _verdict.Seen.of(answer["before"]), _verdict.Seen.of(answer["after"])
        verdict = _verdict.judge(after, wanted, policy)
        result = {name: answer[name] for name in _RETURNED_AS_ANSWERED}
        refused = [_with_both_names(Finding(**answer["refused"]), pair, before)] if answer["refused"] else []
        if choice:
            refused, result["restored"] = choice.explain(refused), choice.backup.name
        of_the_host = [Finding(**finding) for finding in answer["findings"]]
        # To go back to an older certificate, and to a former key, is what was asked for.
        compared = [] if choice else _comparison(pair, before)
        noticed = [*refused, *pair.findings, *policy.weighed([*of_the_host, *compared])]
        result.update(state=verdict.state, repair=verdict.repair, ansible_facts=_report.facts(after, verdict),
                      findings=_report.findings_as_data([*noticed, *_further(noticed, verdict.findings)]))
        if self._task.diff:
            result["diff"] = self._diff(answer, before, after, pair)
        # A failure is read by a person: its message says what matters, and the details would bury it.
        if refused:
            result["action"] = "none"
            return dict(result, failed=True, msg=_report.refusal(refused, answer["recovered"]))
        if answer["failure"]:
            return dict(result, failed=True, failed_step=answer["failure"]["step"],
                        msg=_report.failure(answer, before, after))
        return dict(result, certificate=_certificates.facts(pair.leaf),
                    before=_report.situation(before, _verdict.judge(before, wanted, policy)),
                    after=_report.situation(after, verdict))

    def _diff(self, answer: _base.Result, before: _verdict.Seen, after: _verdict.Seen,
              pair: _preflight.WantedChain) -> dict[str, str]:
        words = {**_report.on_disk_in_words(after), "served": _report.served_in_words(after.served)}
        if self._task.check_mode and answer["action"] in _PLACING:
            words.update(_report.pair_in_words(pair.chain, "PKCS#8", "0600"))
        if self._task.check_mode and answer["action"] in _STARTING:
            words["served"] = _report.served_in_words(pair.chain)
        return _report.difference("HTTPS certificate of rmi", {
            **_report.on_disk_in_words(before), "served": _report.served_in_words(before.served)}, words)


def _pem(pair: _preflight.WantedChain) -> dict[str, t.Any]:
    """The pair itself; no key where the host has it."""
    return {"certificate": _certificates.to_pem(pair.chain),
            "private_key": pair.private_key.pem if isinstance(pair, _preflight.WantedPair) else None}


def _order(pair: _preflight.WantedChain, policy: _preflight.Policy, key_on_host: str | None) -> dict[str, t.Any]:
    """What the host needs besides: it parses no certificate, so it gets the dates as numbers."""
    return {
        "not_before": pair.leaf.not_valid_before_utc.timestamp(),
        "not_after": pair.leaf.not_valid_after_utc.timestamp(),
        "private_key_on_host": key_on_host,
        "levels": dict(policy.levels),
    }


def _key_on_host(options: _base.Options, choice: _backups.Choice | None) -> str | None:
    if choice:
        return choice.backup.private_key
    if options["pending"]:
        return "pending"
    return t.cast(str, options["private_key"]) if options["remote_src"] else None


def _comparison(pair: _preflight.WantedChain, seen: _verdict.Seen) -> list[Finding]:
    """The new certificate against what is there now."""
    return _checks.of_replacement(pair.leaf, on_disk=seen.on_disk[0] if seen.on_disk else None,
                                  served=seen.served[0] if seen.served else None)


def _further(noticed: t.Sequence[Finding], judged: t.Sequence[Finding]) -> list[Finding]:
    """What a look tells besides, of what lies in the way of a replacement: this one has told its part already."""
    told = {(finding.id, finding.message) for finding in noticed}
    return [finding for finding in judged if (finding.id, finding.message) not in told]


def _with_both_names(refused: Finding, pair: _preflight.WantedChain, seen: _verdict.Seen) -> Finding:
    """The host knows no names: whose the certificate is, and whose the request, is told here."""
    if refused.id != "pair-mismatch" or seen.request is None:
        return refused
    return _answers.explain_foreign(pair.leaf, seen.request)
