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
import functools
import time
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _catalogue,
    _certificates,
    _checks,
    _lookup,
    _preflight,
    _requests,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Subject, printable

if t.TYPE_CHECKING:
    from cryptography import x509

# How far from the start of its process a certificate may begin and still pass for one made at that start.
_AT_THE_START = 600.0

State = t.Literal[
    "not_installed", "unknown", "interrupted", "stopped", "foreign_listener", "not_answering", "plain_http", "shadowed",
    "half_pair", "broken_pair", "fallback_generated", "unknown_certificate", "stale_process", "file_drift",
    "wrong_name", "expired", "expiring", "in_sync",
]
Repair = t.Literal["install", "become", "recover", "start", "reconfigure", "restart", "replace", "renew", "none"]
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
    sources: list[_lookup.Source]
    served: list[x509.Certificate]
    request: x509.CertificateSigningRequest | None = None
    # The clock of the controller when the answer came.
    received: float = dataclasses.field(default_factory=time.time)

    @classmethod
    def of(cls, answer: dict[str, t.Any]) -> Seen:
        """Take the answer of C(gather)."""
        served, pending = answer.get("served"), answer.get("pending") or {}
        sources = [_lookup.Source.of(facts, answer["disk"]) for facts in answer.get("sources", [])]
        request = _requests.load_csr(base64.b64decode(pending["csr"])) if pending.get("csr") else None
        seen = cls(answer, sources, _certificates.from_base64(served["chain"]) if served else [], request)
        if request and seen.on_disk and _certificates.spki(request) == _certificates.spki(seen.on_disk[0]):
            # Its answer is in place; the run that placed it had no time to forget the request.
            return dataclasses.replace(seen, request=None)
        return seen

    @functools.cached_property
    def winner(self) -> _lookup.Source | None:
        """The first source that works."""
        return _lookup.winner(self.sources)

    @property
    def on_disk(self) -> list[x509.Certificate]:
        """The chain in the default location."""
        return next((source.chain for source in self.sources if source.name == _lookup.DEFAULT_LOCATION), [])

    @property
    def in_force(self) -> list[x509.Certificate]:
        """The chain of the source that wins; empty where none works."""
        return self.winner.chain if self.winner else []

    @property
    def is_served(self) -> bool:
        """Whether the port serves the certificate of the source that wins."""
        return bool(self.served) and self.served[:1] == self.in_force[:1]

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

    C(source): where the certificate served comes from, C(None) where nothing is served. C(next_sources): what the
    next start may use, C(fallback_sources): what it may if the pair that wins did not work.
    """

    state: State
    reason: str
    repair: Repair
    source: str | None
    next_sources: list[str]
    fallback_sources: list[str]
    findings: list[Finding]


def judge(seen: Seen, wanted: Wanted | None = None, policy: _preflight.Policy | None = None) -> Verdict:
    """Judge a host. Times are taken from the host's own clock, which the answer carries."""
    policy = policy or _preflight.Policy()
    of_the_pair = policy.weighed(_certificate_findings(seen, policy))
    state, reason = _state(seen, wanted, of_the_pair)
    findings = policy.weighed([*_server_findings(state, reason, seen, policy), *of_the_pair, *_request_findings(seen)])
    without = [dataclasses.replace(source, verdict="broken") if seen.winner and source.is_same(seen.winner) else source
               for source in seen.sources]
    following, behind = (_lookup.next_sources(sources, policy.behaviour) if sources else []
                         for sources in (seen.sources, without))
    return Verdict(state, reason, _repair(state, seen, wanted), _source(seen), following, behind, findings)


def _state(seen: Seen, wanted: Wanted | None, of_the_pair: list[Finding]) -> tuple[State, str]:
    """The first state that matches, and the reason in a sentence."""
    for question in (_not_reachable, _not_running):
        if found := question(seen):
            return found
    return (_hidden(seen, wanted) or _not_whole(seen) or _not_served(seen) or _not_as_wanted(seen, wanted)
            or _not_good(of_the_pair) or ("in_sync", f"The port serves the certificate of {_winner(seen).called}."))


def _winner(seen: Seen) -> _lookup.Source:
    """The source that wins, where it is known that one does."""
    return t.cast(_lookup.Source, seen.winner)


def _not_reachable(seen: Seen) -> Found:
    answer = seen.answer
    if answer["installation"] is None:
        return ("unknown" if answer.get("is_hidden") else "not_installed",
                f"SEP sesam was not found: {printable(answer['not_installed'])}.")
    for source in seen.sources:
        if any(file["status"] == "no_permission" for file in source.files.values()):
            return "unknown", f"{source.subject} cannot be judged: {source.reason}."
        if source.verdict == "usable":
            break
    if answer["rmi"]["is_running"] is None:
        sm_main = answer["installation"]["sm_main"]
        return "unknown", f"Nobody listens on port {answer['rmi']['port']}, and {sm_main} cannot be asked."
    if damage := answer["journal_damage"]:
        return "interrupted", printable(f"{damage['message']} {damage['fix']}")
    if journal := answer["journal"]:
        run = journal["run"]
        return "interrupted", (
            f"A replacement by {printable(run['by'])} (run {printable(run['id'])}) was interrupted, or its way back "
            f"failed, or it gave up a stop that may still come.{'' if seen.served else ' Nothing is served.'}")
    return None


def _not_running(seen: Seen) -> Found:
    rmi, served = seen.answer["rmi"], seen.answer["served"]
    if rmi["foreign"] is not None:
        itself = f"is process {rmi['pid']}" if rmi["is_running"] else "does not run"
        return "foreign_listener", f"Port {rmi['port']} belongs to process {rmi['foreign']}; rmi {itself}."
    if not rmi["is_running"]:
        return "stopped", f"rmi does not run and nobody listens on port {rmi['port']}."
    if served["status"] == "plain_http":
        return "plain_http", f"Port {rmi['port']} answers without TLS."
    if seen.served:
        return None
    if rmi["listens_on"]:
        places = ", ".join(f"{address} port {port}" for address, port in rmi["listens_on"])
        return "not_answering", f"rmi is process {rmi['pid']} and listens on {places}, not on port {rmi['port']}."
    return "not_answering", f"Port {rmi['port']} does not answer with TLS: {printable(served['reason'])}."


def _hidden(seen: Seen, wanted: Wanted | None) -> Found:
    """Whether a source comes before the default location and has something else than is wanted, or lies there."""
    if not _is_hiding(seen):
        return None
    first = next(source for source in seen.sources if source.is_set)
    # What comes behind a pair that cannot work, the server may read all the same.
    works = first.verdict == "usable"
    if wanted and (first.verdict != "usable" or not _is_wanted(first.chain, wanted)):
        return "shadowed", (
            f"The wanted pair {'would' if works else 'may'} not be read in the default location: {_first(first)}.")
    if not wanted and seen.on_disk and seen.on_disk[0] not in first.chain[:1]:
        is_not = "is not" if works else "may not be"
        return "shadowed", f"The pair in the default location {is_not} read: {_first(first)}."
    return None


def _is_hiding(seen: Seen) -> bool:
    """Whether what comes first comes before the default location, where a pair can be placed, and names other files."""
    for place in seen.sources:
        if place.name == _lookup.DEFAULT_LOCATION:
            first = next(source for source in seen.sources if source.is_set or source is place)
            return not first.is_same(place)
    return False


def _first(source: _lookup.Source) -> str:
    """In words, what comes first."""
    works = "" if source.verdict == "usable" else f", which cannot work ({source.reason})"
    return f"{source.set_in} comes first, with {source.certificate or source.private_key}{works}"


def _not_whole(seen: Seen) -> Found:
    """Whether anything that comes before the winner cannot work."""
    for source in seen.sources:
        if source is seen.winner:
            return None
        if source.verdict in ("half", "broken"):
            where = f" ({source.set_in})" if source.set_in else ""
            what = "is no whole pair" if source.verdict == "half" else "has a pair that cannot work"
            return "half_pair" if source.verdict == "half" else "broken_pair", (
                f"{source.subject}{where} {what}: {source.reason}.")
    return None


def _not_served(seen: Seen) -> Found:
    if seen.is_served:
        return _chain_not_served(seen)
    subject = _certificates.facts(seen.served[0])["subject"]
    if _is_generated(seen):
        return "fallback_generated", (
            f"The port serves a certificate that rmi made itself at its start ({_why_generated(seen)}): {subject}.")
    if not seen.winner:
        return "unknown_certificate", f"No source has a pair, and the port serves {subject}."
    if other := _serving(seen):
        return "stale_process", (
            f"The port serves the pair of {other.called}, but that of {seen.winner.called} comes first.")
    if _is_newer_than_process(seen):
        return "stale_process", (
            f"The pair of {seen.winner.called} is newer than the process, which still serves {subject}.")
    return "unknown_certificate", f"The port serves a certificate that is in no source: {subject}."


def _chain_not_served(seen: Seen) -> Found:
    """Whether the port sends another chain with the same leaf only because the file is newer; the key says nothing."""
    started = seen.answer["rmi"]["started"]
    is_other = seen.answer["served"]["chain_seen"] and seen.served != seen.in_force
    if not is_other or started is None or _winner(seen).files["certificate"]["changed"] <= started:
        return None
    return "stale_process", f"The chain of {_winner(seen).called} is newer than the process, which sends another one."


def _why_generated(seen: Seen) -> str:
    if not seen.winner:
        return "no source has a pair"
    age = "newer" if _is_newer_than_process(seen) else "older"
    return f"the pair of {seen.winner.called} is {age} than this start"


def _not_as_wanted(seen: Seen, wanted: Wanted | None) -> Found:
    winner = _winner(seen)
    if wanted and not _is_wanted(winner.chain, wanted):
        return "file_drift", f"The certificate of {winner.called} is not the wanted one."
    if winner.is_key_open:
        return "file_drift", f"{_open_key(winner)}: others than its owner can read it."
    return None


# Of a pair that is served and wanted, the findings that make a state, in their order.
_NOT_GOOD: dict[str, State] = {
    "san-missing": "wrong_name", "name-not-covered": "wrong_name", "expired": "expired", "expiring": "expiring"}


def _not_good(of_the_pair: list[Finding]) -> Found:
    """A finding that was told to be less makes no state: a warning as to the name, an info as to the end."""
    for id, state in _NOT_GOOD.items():
        for finding in of_the_pair:
            if finding.id == id and (finding.level == "error" or (state, finding.level) == ("expiring", "warning")):
                return state, finding.message
    return None


def _is_wanted(chain: list[x509.Certificate], wanted: Wanted) -> bool:
    """The whole chain where it is known, since a missing intermediate is a difference too."""
    if wanted.chain is not None:
        return chain == wanted.chain
    return bool(chain) and _certificates.fingerprint(chain[0]) == wanted.fingerprint


def _is_generated(seen: Seen) -> bool:
    """Inferred: self-signed, in no source, and valid from about the start of the process."""
    started = seen.answer["rmi"]["started"]
    begins = seen.served[0].not_valid_before_utc.timestamp()
    near = started is not None and abs(begins - started) < _AT_THE_START
    return near and not _serving(seen) and _certificates.is_self_signed(seen.served[0])


def _serving(seen: Seen) -> _lookup.Source | None:
    """The source that has the certificate served; the winner if there are several."""
    having = [source for source in seen.sources if seen.served and source.chain[:1] == seen.served[:1]]
    return seen.winner if seen.winner in having else next(iter(having), None)


def _source(seen: Seen) -> str | None:
    """Where the certificate served comes from."""
    if not seen.served:
        return None
    if serving := _serving(seen):
        return serving.name
    return _lookup.GENERATED if _is_generated(seen) else "unknown"


def _is_newer_than_process(seen: Seen) -> bool:
    started = seen.answer["rmi"]["started"]
    return started is None or any(file.get("changed", 0) > started for file in _winner(seen).files.values())


def _open_key(source: _lookup.Source) -> str:
    return f"The private key {source.private_key} has mode {source.files['private_key']['mode']}"


_REPAIRS: dict[State, Repair] = {
    "not_installed": "install",
    "stopped": "start",
    "foreign_listener": "reconfigure",
    "plain_http": "reconfigure",
    "shadowed": "reconfigure",
    "wrong_name": "renew",
    "expired": "renew",
    "expiring": "renew",
    "in_sync": "none",
}


def _repair(state: State, seen: Seen, wanted: Wanted | None) -> Repair:
    """A restart is enough where the pair that comes first is whole and wanted."""
    if state in _REPAIRS:
        return _REPAIRS[state]
    if state == "unknown":
        return "become" if seen.answer.get("uid") != 0 else "reconfigure"
    if state == "interrupted":
        # Nobody can go back by a journal that cannot be read.
        return "reconfigure" if seen.answer["journal_damage"] else "recover"
    if seen.answer["rmi"]["listens_on"]:
        return "reconfigure"
    if state in ("stale_process", "fallback_generated", "unknown_certificate", "not_answering"):
        is_right = bool(seen.winner) and (wanted is None or _is_wanted(seen.in_force, wanted))
        return "restart" if is_right else "replace"
    # What comes before the default location is not mended by a pair that is placed there.
    return "reconfigure" if _is_hiding(seen) else "replace"


# State -> id of the finding that tells it.
_TOLD: dict[State, str] = {
    "interrupted": "interrupted-replacement", "foreign_listener": "foreign-listener", "not_answering": "not-answering",
    "plain_http": "plain-http", "shadowed": "shadowed", "half_pair": "half-pair", "broken_pair": "source-broken",
    "fallback_generated": "fallback-generated", "unknown_certificate": "unknown-certificate",
    "stale_process": "stale-process",
}


def _server_findings(state: State, reason: str, seen: Seen, policy: _preflight.Policy) -> list[Finding]:
    """What is to be said of the server and its sources, the state first."""
    findings = []
    if state in _TOLD:
        subject: Subject = "place" if state == "shadowed" else "current"
        findings.append(_catalogue.finding(_TOLD[state], subject, reason, fix=_fix(state, seen)))
    if seen.answer["installation"] is None:
        return findings
    if damage := seen.answer["journal_damage"]:
        findings.append(_catalogue.finding("journal-damaged", "current", damage["message"]))
    if state not in ("shadowed", "half_pair", "broken_pair") and (found := _not_whole(seen)):
        findings.append(_catalogue.finding(_TOLD[found[0]], "current", found[1], fix=_fix(found[0], seen)))
    findings += [_catalogue.finding("not-seen", "place", f"Not all could be seen: {printable(thing)}.")
                 for thing in seen.answer["unseen"]]
    findings += [_catalogue.finding(told["id"], "place", printable(told["message"]), level="warning", fix=told["fix"])
                 for told in seen.answer["obstacles"]]
    findings += [_catalogue.finding("key-permissions", "current", f"{_open_key(source)}.")
                 for source in seen.sources if source.is_set and source.is_key_open]
    return [*findings, *_source_findings(seen), *_served_findings(seen, policy)]


def _fix(state: State, seen: Seen) -> str | None:
    """What mends a state; C(None) where that is what usually does."""
    if state == "interrupted" and seen.answer["journal_damage"]:
        return t.cast(str, seen.answer["journal_damage"]["fix"])
    if state in ("half_pair", "broken_pair") and _is_hiding(seen):
        return "Mend the files that it names, or remove -z and -k where rmi gets them; then restart rmi."
    return None


def _source_findings(seen: Seen) -> t.Iterator[Finding]:
    """The sources behind the first one: what the server might use if that failed."""
    there = [source for source in seen.sources if source.is_set]
    for source in there[1:]:
        if source.is_same(there[0]):
            continue
        what = "it works" if source.verdict == "usable" else f"it cannot work: {source.reason}"
        yield _catalogue.finding(
            "also-configured", "current",
            f"{source.subject} has a pair too ({source.set_in or source.certificate}), which counts only if "
            f"{there[0].called} does not work; {what}.")
    for source in seen.sources:
        if source.elsewhere:
            yield _catalogue.finding(
                "also-configured", "current",
                f"{source.elsewhere}; it counts from a start in a new login, not from a restart of the running rmi.")


def _served_findings(seen: Seen, policy: _preflight.Policy) -> list[Finding]:
    """The names of a certificate that is served and comes from elsewhere, and the chain of one that does not."""
    if not seen.served:
        return []
    if not seen.is_served:
        return _checks.of_served(seen.served[0], policy.names)
    served = seen.answer["served"]
    if not served["chain_seen"]:
        return [_catalogue.finding(
            "served-chain-not-seen", "current",
            f"The port speaks {served['protocol']} alone, in which only the leaf can be seen.")]
    if seen.served != seen.in_force:
        return [_catalogue.finding(
            "served-chain", "current",
            f"The port sends {len(seen.served)} certificates, the file in place has {len(seen.in_force)}.")]
    return []


def _certificate_findings(seen: Seen, policy: _preflight.Policy) -> list[Finding]:
    """What is to be said of the certificate that comes first, where the server can use it, and of the clock."""
    if seen.answer["installation"] is None:
        return []
    moment = datetime.datetime.fromtimestamp(seen.answer["clock"], datetime.timezone.utc)
    findings = policy.findings(seen.in_force, "current", moment) if seen.in_force else []
    return [*findings, *_checks.clock_skew(seen.answer["clock"], seen.received)]


def _request_findings(seen: Seen) -> list[Finding]:
    if seen.request is None:
        return []
    names = ", ".join(_certificates.names(seen.request)) or "no name"
    return [_catalogue.finding("request-pending", "current", f"A certificate for {names} was requested; the CA's "
                               "answer has not been put in place yet.")]
