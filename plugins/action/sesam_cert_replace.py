# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_cert_replace): check the pair, send it, judge what came of it."""

from __future__ import annotations

import getpass
import os
import socket
import typing as t
import uuid

from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _base, _certificates, _preflight, _report, _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused

_SENT_AS_GIVEN = ("log_check", "start_timeout", "stop_timeout", "lock_timeout", "keep_backups", "owner", "group",
                  "start_stopped")
_RETURNED_AS_ANSWERED = ("changed", "action", "recovered", "steps", "downtime", "backup", "log_line")
_PLACING = ("replaced", "placed")


class ActionModule(_base.SesamAction):
    """Replace the certificate of a host."""

    ARGUMENTS = _arguments.REPLACE

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """One call on the host, which carries the pair and does the whole transaction."""
        pair = _preflight.pair(self.sources(options))
        with self.pipelining():
            self.refuse_to_expose_a_key(options)
            answer = self.ask_host(task_vars, **_order(pair), **{name: options[name] for name in _SENT_AS_GIVEN})
        return self._result(answer, pair)

    def _result(self, answer: _base.Result, pair: _preflight.WantedPair) -> _base.Result:
        if "after" not in answer:
            raise Refused(Finding(**answer["refused"]))
        wanted = _verdict.Wanted(_certificates.fingerprint(pair.leaf), pair.chain)
        before, after = _verdict.Seen.of(answer["before"]), _verdict.Seen.of(answer["after"])
        verdict = _verdict.judge(after, wanted)
        result = {name: answer[name] for name in _RETURNED_AS_ANSWERED}
        refused = [Finding(**answer["refused"])] if answer["refused"] else []
        noticed = [*refused, *pair.findings, *(Finding(**finding) for finding in answer["findings"])]
        result.update(state=verdict.state, repair=verdict.repair,
                      findings=_report.findings_as_data([*noticed, *verdict.findings]))
        if self._task.diff:
            result["diff"] = self._diff(answer, before, after, pair)
        # A failure is read by a person: its message says what matters, and the details would bury it.
        if refused:
            return dict(result, failed=True, msg=_report.refusal(refused, answer["recovered"]))
        if answer["failure"]:
            return dict(result, failed=True, failed_step=answer["failure"]["step"],
                        msg=_report.failure(answer, before, after))
        return dict(result, certificate=_certificates.facts(pair.leaf),
                    before=_report.situation(before, _verdict.judge(before, wanted)),
                    after=_report.situation(after, verdict))

    def _diff(self, answer: _base.Result, before: _verdict.Seen, after: _verdict.Seen,
              pair: _preflight.WantedPair) -> dict[str, str]:
        would_place = self._task.check_mode and answer["action"] in _PLACING
        return _report.difference(
            before, _report.pair_in_words(pair.chain, "PKCS#8", "0600") if would_place
            else _report.on_disk_in_words(after))


def _order(pair: _preflight.WantedPair) -> dict[str, t.Any]:
    """What the host needs of a pair: it parses no certificate, so it gets the dates as numbers."""
    return {
        "certificate": _certificates.to_pem(pair.chain),
        "private_key": pair.private_key.pem,
        "order": {
            "run": {"id": uuid.uuid4().hex, "by": f"{_user()}@{socket.gethostname()}"},
            "not_before": pair.leaf.not_valid_before_utc.timestamp(),
            "not_after": pair.leaf.not_valid_after_utc.timestamp(),
        },
    }


def _user() -> str:
    """Who runs Ansible; in the container of a pipeline this may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # The latter since Python 3.13.
        return f"uid {os.getuid()}"
