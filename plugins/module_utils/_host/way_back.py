# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: written down before anything is touched, gone after a failure or an interruption.

What is written down is the journal. The way back is safe to go from any point, and more than once: it looks
at what is there and changes what differs.
"""

import base64
import typing as t

from . import gather, layout, pair_files, processes, served, state, switch

_LOOK_SECONDS = 5.0


class Journal(t.NamedTuple):
    """What it takes to bring back what was.

    C(right): the fingerprints of the certificates that the server served, or had on disk. C(old_works): whether the
    pair on disk worked; where it did not, the server generates one, and then any but C(new) is right.
    """

    run: dict
    places_files: bool
    backup: t.Optional[str]
    was_running: bool
    address: t.Optional[str]
    right: t.List[str]
    old_works: bool
    new: str

    def is_right(self, leaf: t.Optional[bytes]) -> bool:
        """Whether a certificate that is served is one that was served, or would have been."""
        if leaf is None:
            return False
        fingerprint = served.fingerprint(leaf)
        return fingerprint in self.right or (not self.old_works and fingerprint != self.new)

    def is_done(self, seen: dict) -> bool:
        """Whether the interrupted run had come to its end: the new certificate is in place and served."""
        chain = seen["disk"]["certificate"].get("chain")
        return seen["disk"]["works"] and seen["served"]["chain"][:1] == chain[:1] and fingerprints(chain) == [self.new]


def fingerprints(chain: t.Optional[t.List[str]]) -> t.List[str]:
    """The fingerprint of the leaf of a chain in base64; none for none."""
    return [served.fingerprint(base64.b64decode(chain[0]))] if chain else []


class WayBack:
    """The way back on one host."""

    def __init__(self, places: layout.Layout, kept: state.State, parameters: dict,
                 context: t.Optional[processes.Context], steps: t.List[dict]) -> None:
        self._places = places
        self._kept = kept
        self._parameters = parameters
        self._context = context
        self._steps = steps

    def go(self, journal: Journal, part: str) -> None:
        """Bring the old pair back where it is not in place, and make rmi serve it where it does not.

        :raises switch.StepFailed: a step failed, or what is served now is not right.
        """
        rmi = gather.find_rmi(self._places, self._parameters)
        if journal.was_running:
            # Perhaps nobody listens now who could tell where: it will be where it was.
            rmi = rmi._replace(address=journal.address)
        needs_cycle = not self._serves_right(journal, rmi) if journal.was_running else bool(rmi.is_running)
        way = switch.Switch(part, self._places, rmi, self._context, self._parameters, self._steps)
        try:
            stop_failure = way.try_to_stop() if needs_cycle else None
            self._restore(journal, way)
            if stop_failure is not None:
                raise stop_failure
            if needs_cycle and journal.was_running:
                way.start()
                way.await_served(journal.is_right)
        finally:
            way.close()

    def is_disk_right(self, journal: Journal) -> bool:
        """Whether the old pair is in place, byte by byte."""
        if not journal.places_files:
            return True
        with pair_files.Folder(self._places.ssl_folder) as folder:
            return folder.copies() == self._kept.backup(journal.backup)

    def _serves_right(self, journal: Journal, rmi: gather.Rmi) -> bool:
        return bool(rmi.is_running) and journal.is_right(rmi.rest_port.look(_LOOK_SECONDS).leaf)

    def _restore(self, journal: Journal, way: switch.Switch) -> None:
        if not self.is_disk_right(journal):
            with pair_files.Folder(self._places.ssl_folder) as folder:
                way.restore(folder, self._kept.backup(journal.backup))
