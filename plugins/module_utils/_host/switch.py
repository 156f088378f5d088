# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop, place, start, verify: the one way in which the server is made to serve something else.

Each step leaves its name, its seconds and how it went in a list that the result shows. Used by the
replacement, by the way back after a failure, and by the recovery of what an interrupted run left.
"""

import contextlib
import time
import typing as t

from . import gather, layout, pair_files, processes, refusal, served, server_log, sm_main

LOG_GRACE = 10.0
# How long a wrong answer has to last until it is believed.
_SETTLE = 3.0
_POLL_FIRST, _POLL_MOST = 0.02, 0.25


class StepFailed(Exception):
    """A step did not lead where it should."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason


class StopPending(StepFailed):
    """The stop was ordered, and rmi runs on: it may still end, when nobody waits for it any more."""


class Switch:
    """One pass through the steps, on one rmi."""

    def __init__(self, part: str, places: layout.Layout, rmi: gather.Rmi, context: t.Optional[processes.Context],
                 parameters: dict, steps: t.List[dict], note: sm_main.Note = None) -> None:
        self._part = part
        self._places = places
        self._rmi = rmi
        self._start_timeout = parameters["start_timeout"]
        self._stop_timeout = parameters["stop_timeout"]
        self._steps = steps
        self._context = context
        self._sm_main = sm_main.SmMain(places.sm_main, places.profile, self._context, note)
        self._watch = server_log.Watch(places.log_files, places.log_is_named)
        self._start: t.Optional[sm_main.Outcome] = None
        self._began = 0.0

    def close(self) -> None:
        """Let go of the logs."""
        self._watch.close()

    @contextlib.contextmanager
    def _step(self, name: str) -> t.Iterator[dict]:
        entry: t.Dict[str, t.Any] = {"name": name, "part": self._part, "ok": False, "detail": ""}
        self._steps.append(entry)
        begin = time.monotonic()
        try:
            yield entry
            entry["ok"] = True
        except StepFailed as exc:
            entry["detail"] = exc.reason
            raise
        except Exception as exc:  # pylint: disable=broad-except
            # Whatever it was, there is a way back, and it has to be gone.
            entry["detail"] = refusal.in_words(exc)
            raise StepFailed(name, entry["detail"]) from exc
        finally:
            entry["seconds"] = round(time.monotonic() - begin, 3)

    def stop(self) -> None:
        """Stop rmi; what counts is that its process and its port are gone.

        One that is not gone in time was told to end all the same: it is given the time of a start to do so. Whoever
        went back at once would find it serving, do nothing, and leave a port where soon nobody listens.

        :raises StopPending: that was not long enough.
        """
        with self._step("stop") as entry:
            begin = time.monotonic()
            outcome = self._sm_main.run(["stop", "rmi"], self._stop_timeout, spare=self._rmi_pids)
            entry["detail"] = outcome.words()
            limit = self._stop_timeout
            if outcome.code != 0:
                limit = min(limit, outcome.seconds + _SETTLE)
            if self._is_gone_by(begin + limit, _POLL_FIRST):
                return
            is_gone = self._is_gone_by(time.monotonic() + self._start_timeout, _POLL_MOST)
            # Whatever sm_main said: it may have told rmi to end, and have waited for it no longer.
            error = StepFailed if is_gone else StopPending
            raise error("stop", "sm_main stop rmi: %s; %.0f s after it was called, %s%s" % (
                outcome.words(), time.monotonic() - begin, "rmi has ended" if is_gone else self._what_is_there(),
                ". It may still end: the next run starts it then" if error is StopPending else ""))

    def _is_gone_by(self, deadline: float, pause: float) -> bool:
        while self._is_there():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
        return True

    def _is_there(self) -> bool:
        if self._rmi.pid is not None and processes.is_alive(self._rmi.pid):
            return True
        return bool(self._rmi.rest_port.listeners())

    def _what_is_there(self) -> str:
        who = self._who_listens()
        return "rmi still runs%s" % (" (or another program has its port): " + who if who else "")

    def _who_listens(self) -> str:
        """In words, empty where it cannot be seen: it may be another program that took the port."""
        pids = ", ".join(map(str, self._listening_pids()))
        return "process %s listens on port %d" % (pids, self._rmi.port) if pids else ""

    def _listening_pids(self) -> t.List[int]:
        owners = {processes.owner(listener) for listener in self._rmi.rest_port.listeners()}
        return sorted(pid for pid in owners if pid is not None)

    def _rmi_pids(self) -> t.List[int]:
        """The living processes that are, or may be, rmi."""
        found = [*self._listening_pids(), self._rmi.pid, self._sm_main.rmi_pid()]
        return [pid for pid in found if pid is not None and processes.is_alive(pid)]

    def place(self, folder: pair_files.Folder, pair: pair_files.Copies, ending: str) -> None:
        """Put a staged pair in place."""
        with self._step("place"):
            folder.place(pair, ending)

    def start(self) -> None:
        """Start rmi. What the command returns proves nothing: the next step looks at the port."""
        with self._step("start") as entry:
            self._began = time.monotonic()
            self._start = self._sm_main.run(["start", "rmi"], self._start_timeout, spare=self._rmi_pids)
            entry["detail"] = self._start.words()

    def await_served(self, accept: t.Callable[[bytes], bool]) -> None:
        """Wait until the port serves an acceptable leaf, a DER certificate."""
        with self._step("served") as entry:
            pause = _POLL_FIRST
            wrong_since: t.Optional[float] = None
            is_doubtful = self._start is not None and self._start.code != 0
            while True:
                seen = self._rmi.rest_port.look()
                if seen.leaf is not None and accept(seen.leaf):
                    entry["detail"] = _in_words(seen)
                    return
                now = time.monotonic()
                is_wrong = seen.status in ("tls", "plain_http")
                wrong_since = (wrong_since or now) if is_wrong else None
                if now > self._began + self._start_timeout or (wrong_since and now > wrong_since + _SETTLE):
                    raise StepFailed("served", self._why_not(seen))
                if is_doubtful and now > self._began + self._start.seconds + _SETTLE:
                    is_doubtful = False
                    self._give_up_if_nothing_runs()
                time.sleep(pause)
                pause = min(pause * 1.5, _POLL_MOST)

    def _give_up_if_nothing_runs(self) -> None:
        """The start command failed, and some seconds after it there is no rmi: nothing is worth waiting for."""
        if not self._rmi_pids():
            raise StepFailed("start", "sm_main start rmi: %s; rmi does not run" % self._start.words())

    def _why_not(self, seen: served.Served) -> str:
        reason = _in_words(seen)
        who = self._who_listens() if seen.leaf is None else ""
        if who:
            reason += "; %s" % who
        if self._start is not None and self._start.code != 0:
            reason += "; sm_main start rmi: %s" % self._start.words()
        return reason

    def await_log_line(self, certificate: str) -> server_log.SetupLine:
        """Wait for the line of this start that names a certificate file."""
        with self._step("log_line") as entry:
            deadline = time.monotonic() + LOG_GRACE
            while True:
                lines = self._watch.setup_lines(deadline)
                fitting = [line for line in lines if line.names(certificate)]
                if fitting:
                    entry["detail"] = fitting[-1].text
                    return fitting[-1]
                if time.monotonic() > deadline:
                    raise StepFailed("log_line", self._no_line(lines, certificate))
                time.sleep(_POLL_MOST)

    def _no_line(self, lines: t.List[server_log.SetupLine], certificate: str) -> str:
        if lines:
            return "the log names %s and not %s" % (lines[-1].path, certificate)
        return "no line of this start says 'Setting up HTTPS certificate' in %s" % " or ".join(
            path + (" (%s)" % reason if reason else "") for path, reason in self._watch.unread().items())

    def log_since(self) -> str:
        """What the server has logged since this pass began, and which log cannot be read."""
        try:
            return self._watch.told()
        except OSError:
            return ""

    def context_differences(self) -> t.List[str]:
        """What the new rmi has otherwise than the old one, of what a starter passes on."""
        listeners = self._rmi.rest_port.listeners()
        now = processes.context(processes.owner(listeners[0])) if listeners else None
        return self._context.differences(now) if self._context and now else []


def _in_words(seen: served.Served) -> str:
    if seen.leaf is None:
        return seen.reason
    return "the port serves the certificate with SHA-256 fingerprint %s" % served.fingerprint(seen.leaf)
