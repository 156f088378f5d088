# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true on this host now: the pairs on disk, the process, the port, the log, the journal.

Gathers and judges nothing. What could not be seen is C(None).
"""

import os
import time
import typing as t

from . import layout, lookup, obstacles, pairs, processes, refusal, rest_port, served, server_log, sm_main, state

# A log stamps whole seconds: a line of this start may seem to be from before it.
_CLOCK_GRAIN = 2.0


class Rmi(t.NamedTuple):
    """The REST server: where it answers and which process it is.

    C(is_running) is C(None) where it cannot be said: nobody listens and sm_main could not be asked. C(address) is
    C(None) where it was not given and nobody listens. C(foreign) is the process that listens in its place; C(None)
    where nobody does, or where it cannot be said.
    """

    is_running: t.Optional[bool]
    address: t.Optional[str]
    port: int
    pid: t.Optional[int]
    foreign: t.Optional[int] = None

    @property
    def rest_port(self) -> rest_port.RestPort:
        """Its port, to look at it."""
        return rest_port.RestPort(self.port, self.address)


def gather(parameters: dict) -> dict:
    """Answer the question C(resolve).

    C(installation), C(sources) (see C(lookup)), C(disk) (the pair of the default location), C(rmi), C(served), C(log),
    C(journal), C(pending), C(clock), C(uid), C(unseen), what there are no rights to see, and C(obstacles), findings on
    what would end a replacement half way; as plain data, certificates as base64 of DER. C(backups) too, where the
    parameter of that name asks for them: each pair that is proved takes 1 ms.
    """
    try:
        places = layout.find(parameters)
    except layout.NotInstalled as exc:
        return {"installation": None, "not_installed": str(exc), "is_hidden": exc.is_hidden}
    return look(places, parameters)


def look(places: layout.Layout, parameters: dict, kept: t.Optional[state.State] = None) -> dict:
    """The same for an installation that was found; C(kept) has the lock, where somebody has."""
    rmi = find_rmi(places, parameters)
    sources = lookup.walk(places, rmi.pid)
    is_served = rmi.rest_port.look()
    if is_served.status != "closed" and not _comes_from(is_served, sources):
        # Is it rmi at all? Where it serves what it should, nobody needs to ask.
        rmi, sources = _proved(rmi, places, sources)
    kept = kept or state.State(places.state_folder)
    journal, damage = _journal(kept)
    began = processes.started(rmi.pid) if rmi.pid is not None else None
    pair_in_place = t.cast(pairs.Pair, _named(sources, lookup.DEFAULT_LOCATION).pair)
    return {
        "installation": places.facts(),
        "sources": [source._replace(pair=None).facts() if source.pair is pair_in_place else source.facts()
                    for source in sources],
        "disk": pair_in_place.facts(),
        "rmi": dict(rmi._asdict(), started=began, listens_on=_elsewhere(rmi, is_served)),
        "served": served_facts(is_served),
        "log": log_facts(server_log.last_setup_line(places.log_files, places.log_is_named), sources, began),
        "journal": journal,
        "journal_damage": damage,
        "pending": kept.pending(),
        **({"backups": kept.backups.listed()} if parameters.get("backups") else {}),
        "clock": time.time(),
        "uid": os.geteuid(),
        "unseen": _unseen(rmi, is_served, kept, sources),
        "obstacles": obstacles.found(places, parameters),
    }


def pair_of(seen: dict, source: dict) -> t.Optional[dict]:
    """The pair in a source, both as plain data."""
    return seen["disk"] if source["name"] == lookup.DEFAULT_LOCATION else source["pair"]


def find_rmi(places: layout.Layout, parameters: dict) -> Rmi:
    """Find who listens on the port; sm_main is asked only when nobody does."""
    port = rest_port.RestPort(parameters.get("port") or rest_port.USUAL, parameters.get("address"))
    for listener in port.listeners():
        return Rmi(True, port.at(listener), port.number, processes.owner(listener))
    report = sm_main.report(places)
    return Rmi(report.is_online, port.address, port.number, report.pid)


def _proved(rmi: Rmi, places: layout.Layout, sources: t.List[lookup.Source]
            ) -> t.Tuple[Rmi, t.List[lookup.Source]]:
    """Ask sm_main whether the process that listens is rmi; where it is not, the process of rmi is another one."""
    report = sm_main.report(places)
    if rmi.pid is None or report.is_online is None:
        return rmi, sources
    if report.pid is not None and rmi.pid in processes.family(report.pid):
        return rmi, sources
    proved = rmi._replace(is_running=report.is_online, pid=report.pid, foreign=rmi.pid)
    return proved, lookup.walk(places, proved.pid)


def _comes_from(seen: served.Served, sources: t.List[lookup.Source]) -> bool:
    return seen.leaf is not None and any(source.pair and source.pair.leaf == seen.leaf for source in sources)


def _named(sources: t.List[lookup.Source], name: str) -> lookup.Source:
    return next(source for source in sources if source.name == name)


def _elsewhere(rmi: Rmi, seen: served.Served) -> t.List[t.List[t.Any]]:
    """Where rmi listens, when it does not on its port."""
    if rmi.pid is None or seen.status != "closed":
        return []
    return [list(place) for place in processes.listening_ports(processes.family(rmi.pid))]


def _journal(kept: state.State) -> t.Tuple[t.Optional[dict], t.Optional[dict]]:
    """The journal, or the finding that it is damaged."""
    try:
        return kept.journal(), None
    except refusal.Refused as exc:
        return None, exc.finding()


def _unseen(rmi: Rmi, seen: served.Served, kept: state.State, sources: t.List[lookup.Source]) -> t.List[str]:
    found = [source.named.unseen or source.reason for source in sources
             if source.named.unseen or source.verdict == "unseen"]
    if rmi.pid is None and rmi.is_running and seen.status != "closed":
        found.append("which process listens on port %d; it is taken to be rmi" % rmi.port)
    if os.path.lexists(kept.path) and not os.access(kept.path, os.R_OK | os.X_OK):
        found.append("what is kept in %s: unfinished replacements, requests, backups" % kept.path)
    return found


def served_facts(seen: served.Served) -> dict:
    """What a port answered, as plain data."""
    return dict(seen._asdict(), chain=pairs.as_base64(seen.chain))


def log_facts(found: t.Optional[t.Tuple[str, server_log.SetupLine]], sources: t.List[lookup.Source],
              began: t.Optional[float]) -> t.Optional[dict]:
    """The success line as plain data: the source that it names, and whether the running process has written it."""
    if found is None:
        return None
    path, line = found
    of_this_start = line.time >= began - _CLOCK_GRAIN if line.time and began else None
    named = [source.name for source in sources if source.named.certificate and line.names(source.named.certificate)]
    return {"file": path, "line": line.text, "path": line.path, "words": line.words, "of_this_start": of_this_start,
            "source": named[0] if named else None}
