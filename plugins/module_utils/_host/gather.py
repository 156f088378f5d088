# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true on this host now: the pair on disk, the process, the port, the log, the journal.

Gathers and judges nothing. What could not be seen is C(None).
"""

import os
import time
import typing as t

from . import layout, pair_files, pairs, processes, refusal, rest_port, served, server_log, sm_main, state

# A log stamps whole seconds and the kernel counts from a rounded boot time.
_CLOCK_GRAIN = 2.0


class Rmi(t.NamedTuple):
    """The running REST server: where it answers and which process it is.

    C(is_running) is C(None) where it cannot be said: nobody listens and sm_main could not be asked. C(address) is
    C(None) where it was not given and nobody listens.
    """

    is_running: t.Optional[bool]
    address: t.Optional[str]
    port: int
    pid: t.Optional[int]

    @property
    def rest_port(self) -> rest_port.RestPort:
        """Its port, to look at it."""
        return rest_port.RestPort(self.port, self.address)


def gather(parameters: dict) -> dict:
    """Answer the question C(resolve).

    C(installation), C(disk), C(rmi), C(served), C(log), C(journal), C(pending), C(clock) and C(uid), as plain
    data; certificates as base64 of DER.
    """
    try:
        places = layout.find(parameters)
    except layout.NotInstalled as exc:
        return {"installation": None, "not_installed": str(exc), "is_hidden": exc.is_hidden}
    return look(places, parameters)


def look(places: layout.Layout, parameters: dict) -> dict:
    """The same for an installation that was found."""
    rmi = find_rmi(places, parameters)
    with pair_files.Folder(places.ssl_folder) as folder:
        disk = folder.read()
    kept = state.State(places.state_folder)
    began = processes.started(rmi.pid) if rmi.pid is not None else None
    return {
        "installation": places.facts(),
        "disk": disk.facts(),
        "rmi": dict(rmi._asdict(), started=began),
        "served": served_facts(rmi.rest_port.look()),
        "log": log_facts(server_log.last_setup_line(places.log_files), places.certificate, began),
        "journal": kept.journal(),
        "pending": kept.pending(),
        "clock": time.time(),
        "uid": os.geteuid(),
    }


def find_rmi(places: layout.Layout, parameters: dict) -> Rmi:
    """Find who listens on the port; sm_main is asked only when nobody does."""
    port = rest_port.RestPort(parameters.get("port") or rest_port.USUAL, parameters.get("address"))
    for listener in port.listeners():
        return Rmi(True, port.at(listener), port.number, processes.owner(listener))
    if not os.access(places.sm_main, os.X_OK):
        return Rmi(None, port.address, port.number, None)
    try:
        pid = sm_main.SmMain(places.sm_main, places.profile, None).rmi_pid()
    except refusal.Refused:
        return Rmi(None, port.address, port.number, None)
    return Rmi(pid is not None, port.address, port.number, pid)


def served_facts(seen: served.Served) -> dict:
    """What a port answered, as plain data."""
    return dict(seen._asdict(), chain=pairs.as_base64(seen.chain))


def log_facts(found: t.Optional[t.Tuple[str, server_log.SetupLine]], certificate: str,
              began: t.Optional[float]) -> t.Optional[dict]:
    """The success line as plain data, and whether it was written since the running process began."""
    if found is None:
        return None
    path, line = found
    of_this_start = line.time >= began - _CLOCK_GRAIN if line.time and began else None
    return {"file": path, "line": line.text, "path": line.path, "words": line.words, "of_this_start": of_this_start,
            "names_certificate_in_place": line.names(certificate)}
