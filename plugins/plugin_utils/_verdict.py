# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one judge: from what a host answered to a state, its findings and the smallest repair.

Takes plain data and certificates, knows neither Ansible nor the host. Private to this collection.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import time
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _catalogue,
    _certificates,
    _checks,
    _preflight,
    _requests,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, printable

if t.TYPE_CHECKING:
    from cryptography import x509

# How far from the start of its process a certificate may begin and still pass for one made at that start.
_AT_THE_START = 600.0

State = t.Literal[
    "not_installed", "unknown", "interrupted", "stopped", "not_answering", "plain_http", "half_pair", "broken_pair",
    "fallback_generated", "unknown_certificate", "stale_process", "file_drift", "expired", "in_sync",
]
Repair = t.Literal["install", "become", "recover", "start", "reconfigure", "restart", "replace", "none"]
Found = tuple[State, str] | None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The certificate that a server shall serve: its fingerprint, and its chain where that is known."""

    fingerprint: str
    chain: list[x509.Certificate] | None = None


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the host code answered, its certificates parsed."""

    answer: dict[str, t.Any]
    on_disk: list[x509.Certificate]
    served: list[x509.Certificate]
    request: x509.CertificateSigningRequest | None = None
    # The clock of the controller when the answer came.
    received: float = dataclasses.field(default_factory=time.time)

    @classmethod
    def of(cls, answer: dict[str, t.Any]) -> Seen:
        """Take the answer of C(gather)."""
        disk, served, pending = answer.get("disk"), answer.get("served"), answer.get("pending") or {}
        on_disk = _certificates.from_base64(disk["certificate"].get("chain", [])) if disk else []
        request = _requests.load_csr(base64.b64decode(pending["csr"])) if pending.get("csr") else None
        if request and on_disk and _certificates.spki(request) == _certificates.spki(on_disk[0]):
            request = None  # Its answer is in place; the run that placed it had no time to forget the request.
        return cls(answer, on_disk, _certificates.from_base64(served["chain"]) if served else [], request)

    def pending_spki(self) -> bytes:
        """The public key of the pending request; empty without one."""
        return _certificates.spki(self.request) if self.request else b""

    def spki_in_place(self) -> bytes:
        """The public key of the pair in place; empty where none works."""
        return _certificates.spki(self.on_disk[0]) if self.on_disk and self.answer["disk"]["works"] else b""

    def keys(self) -> list[bytes]:
        """The public keys whose certificate may be put in place: the pending one first, then that in place."""
        return [spki for spki in (self.pending_spki(), self.spki_in_place()) if spki]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A state, why it is this one, the smallest repair, and everything worth knowing.

    C(source): where the certificate served comes from, C(None) where nothing is served.
    """

    state: State
    reason: str
    repair: Repair
    source: str | None
    findings: list[Finding]


def judge(seen: Seen, wanted: Wanted | None = None, policy: _preflight.Policy | None = None) -> Verdict:
    """Judge a host. Times are taken from the host's own clock, which the answer carries."""
    policy = policy or _preflight.Policy()
    state, reason = _state(seen, wanted)
    if state == "expired" and policy.levels.get("expired", "error") != "error":
        state, reason = "in_sync", f"{reason} That was told to be no error."
    findings = policy.weighed(_findings(state, reason, seen, policy))
    return Verdict(state, reason, _repair(state, seen, wanted), _source(seen), findings)


def _state(seen: Seen, wanted: Wanted | None) -> tuple[State, str]:
    """The first state that matches, and the reason in a sentence."""
    for question in (_not_reachable, _not_running, _not_whole, _served_is_not_on_disk):
        if found := question(seen):
            return found
    return _not_as_wanted(seen, wanted) or ("in_sync", "The port serves the certificate on disk.")


def _not_reachable(seen: Seen) -> Found:
    answer = seen.answer
    if answer["installation"] is None:
        return ("unknown" if answer.get("is_hidden") else "not_installed",
                f"SEP sesam was not found: {printable(answer['not_installed'])}.")
    if hidden := [name for name, file in _files(seen) if file["status"] == "no_permission"]:
        return "unknown", f"There is no permission to read the {' and the '.join(hidden)} in place."
    if answer["rmi"]["is_running"] is None:
        sm_main = answer["installation"]["sm_main"]
        return "unknown", f"Nobody listens on port {answer['rmi']['port']}, and {sm_main} cannot be asked."
    if journal := answer["journal"]:
        run = journal["run"]
        return "interrupted", (
            f"A replacement by {printable(run['by'])} (run {run['id']}) was interrupted, or its way back failed.")
    return None


def _not_running(seen: Seen) -> Found:
    rmi, served = seen.answer["rmi"], seen.answer["served"]
    if not rmi["is_running"]:
        return "stopped", f"rmi does not run and nobody listens on port {rmi['port']}."
    if served["status"] == "plain_http":
        return "plain_http", f"Port {rmi['port']} answers without TLS."
    if not seen.served:
        return "not_answering", f"Port {rmi['port']} does not answer with TLS: {printable(served['reason'])}."
    return None


def _not_whole(seen: Seen) -> Found:
    disk = seen.answer["disk"]
    there = [name for name, file in _files(seen) if file["status"] != "absent"]
    if len(there) == 1:
        return "half_pair", f"Only the {there[0]} is in place."
    if there and not disk["works"]:
        return "broken_pair", f"The pair in place cannot work: {printable(disk['reason'])}."
    return None


def _served_is_not_on_disk(seen: Seen) -> Found:
    if seen.on_disk and seen.served[0] == seen.on_disk[0]:
        return None
    subject = _certificates.facts(seen.served[0])["subject"]
    if _is_generated(seen):
        return "fallback_generated", f"The port serves a certificate that rmi made itself at its start: {subject}."
    if not seen.on_disk or not _is_newer_than_process(seen):
        return "unknown_certificate", f"The port serves a certificate that is not in the default location: {subject}."
    return "stale_process", f"The files in place are newer than the process, which still serves {subject}."


def _not_as_wanted(seen: Seen, wanted: Wanted | None) -> Found:
    if wanted and not _is_wanted(seen, wanted):
        return "file_drift", "The certificate on disk is not the wanted one."
    if _is_key_open(seen):
        mode = seen.answer["disk"]["private_key"]["mode"]
        return "file_drift", f"The private key in place has mode {mode}: others than its owner can read it."
    ends = seen.on_disk[0].not_valid_after_utc
    if ends.timestamp() < seen.answer["clock"]:
        return "expired", f"The certificate in service ended on {_certificates.in_utc(ends)}."
    return None


def _files(seen: Seen) -> list[tuple[str, dict[str, t.Any]]]:
    disk = seen.answer["disk"]
    return [("certificate", disk["certificate"]), ("private key", disk["private_key"])]


def _is_wanted(seen: Seen, wanted: Wanted) -> bool:
    """The whole chain where it is known, since a missing intermediate is a difference too."""
    if wanted.chain is not None:
        return seen.on_disk == wanted.chain
    return bool(seen.on_disk) and _certificates.fingerprint(seen.on_disk[0]) == wanted.fingerprint


def _is_generated(seen: Seen) -> bool:
    """Inferred: self-signed, in no source, and valid from about the start of the process."""
    started = seen.answer["rmi"]["started"]
    begins = seen.served[0].not_valid_before_utc.timestamp()
    near = started is not None and abs(begins - started) < _AT_THE_START
    return near and _certificates.is_self_signed(seen.served[0])


def _source(seen: Seen) -> str | None:
    """Where the certificate served comes from."""
    if not seen.served:
        return None
    if seen.on_disk and seen.served[0] == seen.on_disk[0]:
        return "default_location"
    return "generated" if _is_generated(seen) else "unknown"


def _is_newer_than_process(seen: Seen) -> bool:
    started = seen.answer["rmi"]["started"]
    return started is None or any(file.get("changed", 0) > started for name, file in _files(seen))


def _is_key_open(seen: Seen) -> bool:
    return bool(int(seen.answer["disk"]["private_key"].get("mode", "0"), 8) & 0o077)


_REPAIRS: dict[State, Repair] = {
    "not_installed": "install",
    "unknown": "become",
    "interrupted": "recover",
    "stopped": "start",
    "plain_http": "reconfigure",
    "in_sync": "none",
}


def _repair(state: State, seen: Seen, wanted: Wanted | None) -> Repair:
    """A restart is enough where the files in place are whole and wanted."""
    if state in _REPAIRS:
        return _REPAIRS[state]
    is_server_behind = state in ("stale_process", "fallback_generated", "unknown_certificate", "not_answering")
    is_disk_right = seen.answer["disk"]["works"] and (wanted is None or _is_wanted(seen, wanted))
    return "restart" if is_server_behind and is_disk_right else "replace"


# State -> id of the finding that tells it.
_TOLD: dict[State, str] = {
    "interrupted": "interrupted-replacement", "not_answering": "not-answering", "plain_http": "plain-http",
    "half_pair": "half-pair", "broken_pair": "source-broken", "fallback_generated": "fallback-generated",
    "unknown_certificate": "unknown-certificate", "stale_process": "stale-process",
}


def _findings(state: State, reason: str, seen: Seen, policy: _preflight.Policy) -> list[Finding]:
    findings = []
    if state in _TOLD:
        findings.append(_catalogue.finding(_TOLD[state], "current", reason))
    if seen.answer["installation"] is None:
        return findings
    if _is_key_open(seen):
        mode = seen.answer["disk"]["private_key"]["mode"]
        findings.append(_catalogue.finding(
            "key-permissions", "current", f"The private key in place has mode {mode}."))
    return [*findings, *_chain_findings(seen), *_certificate_findings(seen, policy), *_request_findings(seen)]


def _certificate_findings(seen: Seen, policy: _preflight.Policy) -> list[Finding]:
    """What is to be said of the certificate in place, where the server can use it, and of the clock."""
    moment = datetime.datetime.fromtimestamp(seen.answer["clock"], datetime.timezone.utc)
    findings = policy.findings(seen.on_disk, "current", moment) if seen.on_disk and seen.answer["disk"]["works"] else []
    return [*findings, *_checks.clock_skew(seen.answer["clock"], seen.received)]


def _request_findings(seen: Seen) -> list[Finding]:
    if seen.request is None:
        return []
    names = ", ".join(_certificates.names(seen.request)) or "no name"
    return [_catalogue.finding("request-pending", "current", f"A certificate for {names} was requested; the CA's "
                               "answer has not been put in place yet.")]


def _chain_findings(seen: Seen) -> list[Finding]:
    served = seen.answer["served"]
    if not seen.served or not seen.on_disk or seen.served[0] != seen.on_disk[0]:
        return []
    if not served["chain_seen"]:
        return [_catalogue.finding(
            "served-chain-not-seen", "current",
            f"The port speaks {served['protocol']} alone, in which only the leaf can be seen.")]
    if seen.served != seen.on_disk:
        return [_catalogue.finding(
            "served-chain", "current",
            f"The port sends {len(seen.served)} certificates, the file in place has {len(seen.on_disk)}.")]
    return []
