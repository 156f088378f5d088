# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user is told of an answer of the host: its outcome as a cell of the table, and the whole message."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _report, _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding

Answer = dict[str, t.Any]


def outcome(answer: Answer) -> str:
    """The finding that refused it, the step that failed, or what was done."""
    if answer.get("refused"):
        return f"refused: {answer['refused']['id']}"
    if answer.get("failure"):
        return f"failed: {answer['failure']['step']}{', NO WAY BACK' if answer['failure'].get('way_back') else ''}"
    words = str(answer.get("action") or ("changed" if answer.get("changed") else "nothing to do"))
    return f"{words}, after one that was {answer['recovered']}" if answer.get("recovered") else words


def message(answer: Answer) -> str:
    """What a failure prints, and the warnings of whatever was done; as the controller words it."""
    noticed = [str(finding) for finding in _findings(answer) if finding.level != "info"]
    if answer.get("refused"):
        noticed.insert(0, _report.refusal([Finding(**answer["refused"])], answer.get("recovered")))
    if answer.get("failure"):
        before, after = (_verdict.Seen.of(answer[name]) for name in ("before", "after"))
        noticed.insert(0, _report.failure(answer, before, after))
    return "\n".join(noticed)


def _findings(answer: Answer) -> list[Finding]:
    return [Finding(**finding) for finding in answer.get("findings", [])]


def broken(answer: Answer) -> list[str]:
    """What is promised of every message: it says what to do, and is no fault of the host code's own."""
    found = [Finding(**answer["refused"])] if answer.get("refused") else []
    found += [finding for finding in _findings(answer) if finding.level != "info"]
    dumb = [f"it does not say what to do: {finding}" for finding in found if not finding.fix.strip()]
    if answer.get("failure") and not message(answer).partition("What to do: ")[2].strip():
        dumb.append(f"it does not say what to do: {message(answer)}")
    return dumb + [f"a fault of its own: {finding}" for finding in found if finding.id == "host-bug"]
