# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pairs that were replaced on a host: listed, and one of them chosen to be restored. Private to this collection.

A backup is chosen by its name out of the list that the host has given, never by a path. Its certificate is checked
here like every other one; its key stays on the host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _catalogue, _certificates, _inputs, _preflight
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, brief, printable

if t.TYPE_CHECKING:
    from ansible_collections.sep.sesam.plugins.plugin_utils._verdict import Seen
    from cryptography import x509

# In the place of a name: the newest one that can be restored and is not in place.
LATEST = "latest"
# A message shows no more of them, and of a subject or reason no more characters.
_MOST_TOLD = 6
_SUBJECT, _REASON = 60, 160


@dataclasses.dataclass(frozen=True)
class Backup:
    """One backup. C(private_key): the path of its key on the host; C(reason): why it cannot be restored, or nothing."""

    name: str
    path: str
    private_key: str
    made: str
    by: str
    run: str
    chain: list[x509.Certificate]
    facts: dict[str, t.Any] | None
    reason: str
    is_in_place: bool

    @classmethod
    def of(cls, listed: t.Mapping[str, t.Any], seen: Seen) -> Backup:
        """Take one from the list of a host."""
        chain = _certificates.from_base64(listed["chain"])
        facts, reason = None, printable(listed["reason"])
        try:
            facts = _certificates.facts(chain[0]) if chain else None
        except _certificates.UNREADABLE as exc:  # DER can hold the year 0.
            reason = reason or f"its certificate cannot be read ({printable(str(exc))})"
        if len(chain) < len(listed["chain"]):
            reason = reason or "a certificate in it cannot be read"
        return cls(listed["name"], listed["path"], listed["private_key"], _in_utc(listed["made"]),
                   printable(listed["by"]), printable(listed["run"]), chain, facts, reason,
                   bool(chain) and seen.answer["disk"]["works"] and chain == seen.on_disk)

    def wanted(self) -> _preflight.WantedChain:
        """Its certificates as those that shall be in place."""
        pem = _certificates.to_pem(self.chain).encode("ascii")
        return _preflight.certificates_alone(
            _preflight.Sources(certificate=_inputs.Input(pem, f"backup ({self.name})")))

    def in_words(self) -> str:
        """What it holds, for a message."""
        what = f"{brief(self.facts['subject'], _SUBJECT)}, until {self.facts['not_after']}" if self.facts else ""
        states = [what, f"cannot be restored: {brief(self.reason, _REASON)}" if self.reason else "",
                  "in place" if self.is_in_place else ""]
        return f"{printable(self.name)} ({'; '.join(filter(None, states))})"


class Choice(t.NamedTuple):
    """The backup that is to be restored, and all that there are, newest first."""

    backup: Backup
    backups: list[Backup]

    def explain(self, findings: t.Sequence[Finding]) -> list[Finding]:
        """Why it cannot be restored, with what could be instead, where it is the pair itself that was refused."""
        ids = list(dict.fromkeys(f.id for f in findings if f.level == "error" and f.subject == "wanted"))
        if not ids:
            return list(findings)
        levels = ", ".join(f"{id}: warning" for id in ids if _catalogue.CATALOGUE[id].is_settable)
        fix = _catalogue.CATALOGUE["backup-unusable"].fix
        if levels:
            fix += f" To restore it all the same, set levels (sesam_https_levels) to {{{levels}}}."
        return [*findings, _catalogue.finding(
            "backup-unusable", "wanted", f"The backup {printable(self.backup.name)} is not restored for that reason. "
            f"{_told(self.backups)}", fix=fix)]


@contextlib.contextmanager
def explained(choice: Choice | None) -> t.Iterator[None]:
    """Whatever is refused of a backup that was chosen, it is told what else there is."""
    try:
        yield
    except Refused as exc:
        raise Refused(*choice.explain(exc.findings)) if choice else exc from None


def kept(seen: Seen) -> list[Backup]:
    """The backups that a host has listed, newest first."""
    return [Backup.of(listed, seen) for listed in seen.answer.get("backups") or []]


def as_data(seen: Seen) -> list[dict[str, t.Any]] | None:
    """The same as plain data; None where there is no right to look."""
    if seen.answer["backups"] is None:
        return None
    backups = kept(seen)
    latest = _latest(backups)
    return [{"name": printable(one.name), "path": printable(one.path), "made": one.made, "by": one.by, "run": one.run,
             "certificate": one.facts, "usable": not one.reason, "reason": one.reason, "in_place": one.is_in_place,
             "latest": one is latest, "summary": f"{one.in_words()}, replaced {one.made} by {one.by or 'unknown'}"}
            for one in backups]


def choose(which: str, seen: Seen) -> Choice:
    """The backup of a name, or C(latest).

    :raises Refused: there is none, or its pair is damaged.
    """
    if seen.answer["installation"] is None:
        raise Refused(_catalogue.finding(
            "not-root" if seen.answer.get("is_hidden") else "sesam-not-found", "place",
            f"SEP sesam was not found: {printable(seen.answer['not_installed'])}."))
    if seen.answer["backups"] is None:
        raise Refused(_catalogue.finding("not-root", "place", "There is no permission to look at the backups."))
    backups = kept(seen)
    found = _latest(backups) if which == LATEST else next((one for one in backups if one.name == which), None)
    if found is None:
        raise Refused(_catalogue.finding("backup-missing", "wanted", f"{_missing(which)} {_told(backups)}"))
    if found.reason:
        raise Refused(_catalogue.finding(
            "backup-unusable", "wanted", f"The backup {printable(found.name)} cannot be restored: {found.reason}. "
            f"{_told(backups)}", fix=_mend(found)))
    return Choice(found, backups)


def _latest(backups: t.Iterable[Backup]) -> Backup | None:
    return next((one for one in backups if not one.reason and not one.is_in_place), None)


def _missing(which: str) -> str:
    if which == LATEST:
        return "There is nothing to go back to: no backup that can be restored differs from the pair in place."
    # By mistake the value may be anything, a key too: what is no name is not repeated.
    if not which or not all(char.isalnum() or char in "._-" for char in which) or len(which) > 100:
        return "The option backup is no name of a backup, which is no path: letters, digits, '.', '_' and '-'."
    return f"There is no backup {which!r} on this host."


def _mend(backup: Backup) -> str:
    fix = _catalogue.CATALOGUE["backup-unusable"].fix
    if not backup.chain:
        return fix
    return (f"{fix} Where its key is whole, unencrypted and not PKCS#8, the files in {printable(backup.path)} can "
            "be handed in with remote_src: true, which converts it.")


def _told(backups: t.Sequence[Backup]) -> str:
    if not backups:
        return "The host has no backups: only a replacement makes one."
    more = f"; and {len(backups) - _MOST_TOLD} more" if len(backups) > _MOST_TOLD else ""
    return f"There are: {'; '.join(one.in_words() for one in backups[:_MOST_TOLD])}{more}."


def _in_utc(seconds: float) -> str:
    try:
        return _certificates.in_utc(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))
    except (ValueError, OverflowError, OSError):
        return "unknown"
