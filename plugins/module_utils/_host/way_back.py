# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: written down before anything is touched, gone after a failure or an interruption.

What is written down is the journal. The way back is safe to go from any point, and more than once: it looks
at what is there and changes what differs.
"""

import base64
import typing as t

from . import gather, layout, pair_files, processes, refusal, served, state, switch


class Journal(t.NamedTuple):
    """What it takes to bring back what was.

    C(right): the fingerprints of the certificates that the server served, or had in the source that comes first.
    C(served_from_disk): whether it served that pair; where not, it may have generated one, and then any but C(new) is
    right.
    C(context): what the running rmi had from whoever started it.
    """

    run: dict
    places_files: bool
    backup: t.Optional[str]
    was_running: bool
    address: t.Optional[str]
    right: t.List[str]
    served_from_disk: bool
    new: str
    context: t.Optional[dict]

    @classmethod
    def of(cls, entry: dict) -> "Journal":
        """Take what was written down.

        :raises refusal.Refused: it is not what this version of the collection writes.
        """
        try:
            return cls(**entry)
        except TypeError as exc:
            raise refusal.Refused(
                "journal-damaged", "The journal of an unfinished replacement is not understood: %s." % exc,
                "Was it written by another version? Look at the pair in place and at the backups beside the journal, "
                "then remove the journal.", subject="current") from exc

    def is_right(self, leaf: t.Optional[bytes]) -> bool:
        """Whether a certificate that is served is one that was served, or would have been."""
        if leaf is None:
            return False
        fingerprint = served.fingerprint(leaf)
        return fingerprint in self.right or (not self.served_from_disk and fingerprint != self.new)

    def since_then(self, seen: dict) -> "Journal":
        """What is left to bring back: somebody may have started rmi since, or have put a pair of his own in place."""
        journal = self._replace(was_running=self.was_running or bool(seen["rmi"]["is_running"]))
        on_disk = fingerprints(seen["disk"]["certificate"].get("chain"))
        if not on_disk or on_disk[0] in (self.new, *self.right):
            return journal
        # It may lie nowhere else. Whatever but the new one is served is as it was, or as he wants it.
        return journal._replace(places_files=False, served_from_disk=False)

    def is_done(self, seen: dict) -> bool:
        """Whether the interrupted run had come to its end: the new certificate is in place and served."""
        on_disk = fingerprints(seen["disk"]["certificate"].get("chain"))
        return seen["disk"]["works"] and on_disk == [self.new] == fingerprints(seen["served"]["chain"])


def fingerprints(chain: t.Optional[t.List[str]]) -> t.List[str]:
    """The fingerprint of the leaf of a chain in base64; none for none."""
    return [served.fingerprint(base64.b64decode(chain[0]))] if chain else []


class WayBack:
    """The way back on one host.

    What fails on it is noted, and it goes on: with the old pair or without, it ends with a start, since a server
    with any certificate is better than none.
    """

    def __init__(self, places: layout.Layout, kept: state.State, parameters: dict, steps: t.List[dict]) -> None:
        self._places = places
        self._kept = kept
        self._parameters = parameters
        self._steps = steps
        self.problems: t.List[str] = []

    def go(self, journal: Journal, part: str, old: t.Optional[pair_files.Copies] = None) -> None:
        """Bring the old pair back where it is not in place, and make rmi serve it where it does not.

        What went wrong stands in C(problems) then.

        :param old: the old pair, where this run still has it; else it is what was kept.
        """
        rmi = gather.find_rmi(self._places, self._parameters)
        if rmi.address is None:
            rmi = rmi._replace(address=journal.address)  # Nobody listens now who could tell.
        context = processes.Context(**journal.context) if journal.context else None
        is_right = bool(rmi.is_running) and journal.is_right(rmi.rest_port.look().leaf)
        needs_cycle = not is_right if journal.was_running else bool(rmi.is_running)
        with pair_files.Folder(self._places.ssl_folder) as folder:
            old = self._kept_pair(journal, folder) if old is None else old
            is_staged = self._stage(journal, folder, old)
            way = switch.Switch(part, self._places, rmi, context, self._parameters, self._steps,
                                self._kept.note_program)
            try:
                if needs_cycle:
                    self._try(way.stop)
                if is_staged:
                    self._try(lambda: way.place(folder, t.cast(pair_files.Copies, old), pair_files.OLD))
                if needs_cycle and journal.was_running:
                    self._try(way.start)
                    self._try(lambda: way.await_served(journal.is_right))
            finally:
                way.close()
            if self.problems and self._is_as_before(journal, folder, rmi, old):
                self.problems = []  # It took a second try, or more time than it should.

    def _kept_pair(self, journal: Journal, folder: pair_files.Folder) -> t.Optional[pair_files.Copies]:
        """The old pair: from its backup, else as it was staged; C(None) where it cannot be had, or is not needed."""
        if not journal.places_files:
            return None
        try:
            return self._kept.backups.pair_in(journal.backup)
        except Exception as exc:  # pylint: disable=broad-except
            reason = "the old pair cannot be had: %s" % refusal.in_words(exc)
        try:
            staged = folder.copies(pair_files.OLD)
            if len(staged) == 2:
                return staged
            self._kept.backups.keep(staged, journal.run, {})  # What is left of it is not taken away with the rest.
        except Exception as exc:  # pylint: disable=broad-except
            reason = "%s; %s" % (reason, refusal.in_words(exc))
        self.problems.append(reason)
        return None

    def _stage(self, journal: Journal, folder: pair_files.Folder, old: t.Optional[pair_files.Copies]) -> bool:
        """Stage the old pair while rmi still runs; whether there is anything to place then."""
        if not journal.places_files or old is None:
            return False
        try:
            if folder.copies() == old:
                return False
            folder.make()
            folder.stage(old, pair_files.OLD)
            return True
        except Exception as exc:  # pylint: disable=broad-except
            self.problems.append("the old pair cannot be staged: %s" % refusal.in_words(exc))
            return False

    def _is_as_before(self, journal: Journal, folder: pair_files.Folder, rmi: gather.Rmi,
                      old: t.Optional[pair_files.Copies]) -> bool:
        try:
            is_restored = not journal.places_files or folder.copies() == old
        except Exception:  # pylint: disable=broad-except
            return False
        return is_restored and (not journal.was_running or journal.is_right(rmi.rest_port.look().leaf))

    def _try(self, step: t.Callable[[], None]) -> None:
        try:
            step()
        except switch.StepFailed as exc:
            self.problems.append("%s: %s" % (exc.step, exc.reason))
