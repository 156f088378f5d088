# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results in words and as plain data: what a module returns, its diff, and the message of a failure.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _backups, _certificates, _requests
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, printable
from ansible_collections.sep.sesam.plugins.plugin_utils._verdict import Seen, Verdict

_DAY = 86400.0
# What to look at when a step failed.
_ADVICE = {
    "stop": "Find out on the host why `{sm_main} stop rmi` does not end rmi, or takes longer than stop_timeout. Then "
            "run this again.",
    "place": "Mend what the reason names: is the disk full or read-only, a file immutable (lsattr)? "
             "Then run this again.",
    "start": "Run `{sm_main} start rmi` on the host and read what it says and {log}, then run this again.",
    "served": "Read {log} on the host. Is there another source (-z and -k, gv_ro_ssl, SESAM_SSL_CERT), is the start "
              "slower than start_timeout, is the port right, and no other program's? Then run this again.",
    "log_line": "If the log is elsewhere, set log_file (sesam_https_log_file). If this server does not write the line, "
                "set log_check (sesam_https_log_check) to warn.",
}


def findings_as_data(findings: t.Iterable[Finding]) -> list[dict[str, str]]:
    """Findings as plain data, which Ansible prints: what a host says of its files may hold anything."""
    return [{name: printable(text) for name, text in dataclasses.asdict(finding).items()} for finding in findings]


def in_a_line(finding: t.Mapping[str, t.Any]) -> str:
    """A finding that is plain data already, for a person."""
    return str(Finding(**finding))


def situation(seen: Seen, verdict: Verdict) -> dict[str, t.Any]:
    """What was seen on a host and what it means, as plain data without raw certificates."""
    told = {"state": verdict.state, "reason": verdict.reason, "repair": verdict.repair, "source": verdict.source,
            "next_sources": verdict.next_sources, "fallback_sources": verdict.fallback_sources,
            "names": _certificates.names(seen.served[0]) if seen.served else [], "days_left": _days_left(seen),
            "findings": findings_as_data(verdict.findings)}
    answer = seen.answer
    if answer["installation"] is None:
        return told
    disk, rmi, served, log = (answer[part] for part in ("disk", "rmi", "served", "log"))
    certificate = {name: value for name, value in disk["certificate"].items() if name != "chain"}
    return dict(
        told,
        installation=answer["installation"],
        sources=[source.facts() for source in seen.sources],
        on_disk={
            "certificate": dict(certificate, chain=[_certificates.facts(c) for c in seen.on_disk]),
            "private_key": disk["private_key"],
            "works": disk["works"],
            "reason": printable(disk["reason"]),
        },
        rmi=rmi,
        served=dict(served, reason=printable(served["reason"]), chain=[_certificates.facts(c) for c in seen.served]),
        log=log,
        pending=_requests.csr_facts(_requests.csr_der(seen.request)) if seen.request else None,
        **({"backups": _backups.as_data(seen)} if "backups" in answer else {}),
    )


def facts(seen: Seen, verdict: Verdict) -> dict[str, t.Any]:
    """The verdict in brief, as a fact of the host: inventories build groups of it."""
    served = _certificates.facts(seen.served[0]) if seen.served else {}
    return {"sesam_https": {
        "state": verdict.state, "repair": verdict.repair, "source": verdict.source, "days_left": _days_left(seen),
        "names": served.get("names", []),
        **{name: served.get(name) for name in ("not_after", "fingerprint_sha256")}}}


def _days_left(seen: Seen) -> int | None:
    """Whole days until the certificate served ends, by the clock of the host; negative when it has ended."""
    if not seen.served:
        return None
    clock: float = seen.answer["clock"]
    return math.floor((seen.served[0].not_valid_after_utc.timestamp() - clock) / _DAY)


def difference(what: str, before: t.Mapping[str, t.Any] | None, after: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """A diff in words: what was on disk, and what is (or would be) there."""
    return {"before_header": what, "after_header": what,
            "before": _as_text(before or {}), "after": _as_text(after or {})}


def on_disk_in_words(seen: Seen) -> dict[str, str]:
    """The pair on disk for a diff; of the key its form and mode alone."""
    key = seen.answer["disk"]["private_key"]
    return pair_in_words(seen.on_disk, key.get("form") or key["status"], key.get("mode", ""))


def served_in_words(chain: t.Sequence[t.Any]) -> str:
    """What the port serves, for a diff."""
    facts = _certificates.facts(chain[0]) if chain else {}
    return f"{facts['subject']}, SHA-256 {facts['fingerprint_sha256']}" if chain else "nothing"


def pair_in_words(chain: t.Sequence[t.Any], key_form: str, key_mode: str) -> dict[str, str]:
    """A pair for a diff."""
    words = {"certificate": "absent"}
    if chain:
        facts = _certificates.facts(chain[0])
        words = {name: facts[name] for name in ("subject", "issuer", "not_before", "not_after", "fingerprint_sha256")}
        words["names"] = ", ".join(facts["names"]) or "none"
        words["chain"] = " > ".join(_certificates.facts(c)["subject"] for c in chain)
    return {**words, "private key": f"{key_form} {key_mode}".strip()}


def _as_text(words: t.Mapping[str, t.Any]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in words.items())


def refusal(findings: t.Iterable[Finding], recovered: str | None = None) -> str:
    """The message when nothing was touched, but what an interrupted run had left."""
    begin = f"What an interrupted run left was {recovered} first; then nothing" if recovered else "Nothing"
    return f"{begin} was touched. " + " ".join(str(finding) for finding in findings if finding.level == "error")


def failure(answer: dict[str, t.Any], before: Seen, after: Seen) -> str:
    """The message when a step failed: which, why, what is served now, the log, what to do next."""
    failed, installation = answer["failure"], after.answer["installation"]
    lines = [f"The certificate was not replaced. Step {failed['step']} failed: {_sentence(failed['reason'])}"]
    lines.append(_the_way_back(answer, before, after))
    log = failed.get("log_since", "")
    lines.append("Log since the stop:" if log else "The log has nothing new since the stop.")
    lines += [f"  {printable(line.expandtabs())}" for line in log.splitlines()]
    advice = _ADVICE.get(failed["step"], "Mend what the reason names, then run this again.")
    lines.append("What to do: " + printable(
        advice.format(sm_main=installation["sm_main"], log=installation["log_files"][0])))
    return "\n".join(lines)


def _the_way_back(answer: dict[str, t.Any], before: Seen, after: Seen) -> str:
    now, reason = _served_in_words(after), answer["failure"].get("way_back", "")
    if not reason:
        is_as_before = before.served[:1] == after.served[:1]
        is_undone = any(step["part"] == "rollback" for step in answer["steps"])
        begin = "Rolled back" if is_undone else "Nothing had to be undone"
        return f"{begin}: {now}{' This is the certificate that was served before.' if is_as_before else ''}"
    where = f" The old pair is in {answer['backup']}." if answer["backup"] else ""
    return f"THE WAY BACK FAILED TOO: {_sentence(reason)} Now {now}{where} The next run tries the way back again."


def _served_in_words(seen: Seen) -> str:
    if not seen.served:
        what = "nothing is served" if seen.answer["served"]["status"] == "closed" else "no certificate is seen"
        return f"{what} ({_sentence(seen.answer['served']['reason']).rstrip('.')})."
    facts = _certificates.facts(seen.served[0])
    return (f"the port serves {facts['subject']}, until {facts['not_after']}, "
            f"SHA-256 {facts['fingerprint_sha256']}.")


def _sentence(text: str) -> str:
    return printable(text).rstrip(".") + "."
