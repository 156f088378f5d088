# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replacement as one transaction: lock, compare, check, stage, back up, switch, verify, or go back.

What dies elsewhere (controller, connection) does not stop it. What dies here leaves a journal, and the
next run undoes or finishes what it tells.
"""

import contextlib
import os
import time
import typing as t

from . import (
    gather,
    key_source,
    layout,
    lookup,
    obstacles,
    owners,
    pair_files,
    pairs,
    place_checks,
    placing,
    processes,
    refusal,
    served,
    sm_main,
    state,
    switch,
    system_log,
    way_back,
)

# In the place of a path: the key of the pending request.
PENDING = "pending"


def replace(parameters: dict) -> dict:
    """Answer the question C(replace).

    The parameters are those of C(gather), and C(run) (C(id), C(by)), C(certificate) and C(private_key) (PEM,
    clean, leaf first), C(not_before) and C(not_after) (seconds since the epoch), C(log_check),
    C(start_timeout), C(stop_timeout), C(lock_timeout), C(keep_backups), C(owner), C(group),
    C(start_stopped), C(check_mode). C(private_key) is C(None) where the key is on this host: then
    C(private_key_on_host) is the absolute path of its file, or C(pending) for the key of the request that is
    pending here. C(levels), if given: the levels of findings by their ids, to go on in spite of some.

    The answer has C(changed), C(action) (C(none), C(permissions), C(placed), C(started), C(restarted) or
    C(replaced)), C(recovered) (C(finished) or C(undone), after an interrupted run), C(steps), C(downtime)
    (seconds from the stop until the right certificate was served), C(backup), C(log_line), C(findings),
    C(before) and C(after) (see C(gather)), C(refused), and C(failure) (C(step), C(reason), C(log_since),
    C(way_back)).
    """
    places = place_checks.find_installation(parameters)
    run = _Run(places, parameters)
    place_checks.check_rights(places)
    if parameters["check_mode"]:
        return run.preview()
    return run.carry_out_once()


class _Run:
    """One run of the transaction on one host."""

    def __init__(self, places: layout.Layout, parameters: dict) -> None:
        self._places = places
        self._parameters = parameters
        self._kept = state.State(places.state_folder)
        chain = pairs.chain_in(parameters["certificate"].encode("ascii"))
        self._chain = pairs.as_base64(chain)
        self._new = served.fingerprint(chain[0])
        self._private_key: str = parameters["private_key"]
        self._key_path = self._find_key()
        self._context: t.Optional[processes.Context] = None
        # The certificate that the log of the start shall name.
        self._in_service = places.certificate
        # Owner and group as asked for, set before this run touches anything: a name service may fail at any time.
        self._owner_asked: owners.Asked = (None, None)
        # Set when an interrupted run has left an rmi stopped that was not.
        self._should_run = False
        self._stopped_at: t.Optional[float] = None
        self._answer: t.Dict[str, t.Any] = {
            "changed": False, "action": "none", "recovered": None, "steps": [], "downtime": None, "backup": None,
            "log_line": None, "findings": [], "refused": None, "failure": None}

    def _find_key(self) -> t.Optional[str]:
        """Where on this host the key is; C(None) where it came with the certificate."""
        if self._parameters["private_key"] is not None:
            return None
        return self._kept.pending_key if self._is_pending() else self._parameters["private_key_on_host"]

    def _is_pending(self) -> bool:
        return self._parameters["private_key"] is None and self._parameters["private_key_on_host"] == PENDING

    def preview(self) -> dict:
        """Check mode: what would be done, without a trace."""
        before = self._look()
        try:
            _refuse_damaged_journal(before)
            action = self._decide(before)
            self._check(before, action)
        except refusal.Refused as exc:
            return dict(self._answer, refused=exc.finding(), before=before, after=before)
        changed = action != "none" or before["journal"] is not None
        return dict(self._answer, changed=changed, action=action, before=before, after=before)

    def carry_out_once(self) -> dict:
        """Do it under the lock; a second call with the same run id gets the answer of the first."""
        run, stop, start = (self._parameters[name] for name in ("run", "stop_timeout", "start_timeout"))
        there_and_back = 3 * (stop + start + switch.LOG_GRACE)
        waited = self._kept.lock(run, self._parameters["lock_timeout"], timeout_same_run=there_and_back)
        try:
            answer = self._kept.result_of(run["id"])
            if answer is None:
                with sm_main.signals_handled(), self._alone(waited):
                    answer = self._carry_out()
                    self._tidy(lambda: self._kept.keep_result(run["id"], answer))
            return answer
        finally:
            self._kept.unlock()

    @contextlib.contextmanager
    def _alone(self, waited: float) -> t.Iterator[None]:
        """Wait for whoever else may be at work here: a program that was left alone, a conversion of the key.

        C(waited): the seconds of C(lock_timeout) that are gone.
        """
        if self._kept.left_alone:
            seconds = max(self._parameters["stop_timeout"], self._parameters["start_timeout"])
            sm_main.end_in_time(self._kept.left_alone, seconds, self._rmi_pids)
        with placing.Places([self._places.certificate, self._places.private_key]) as ssl_folder:
            ssl_folder.lock(max(self._parameters["lock_timeout"] - waited, 0))
            yield

    def _rmi_pids(self) -> t.List[int]:
        pid = gather.find_rmi(self._places, self._parameters).pid
        return [] if pid is None else [pid]

    def _look(self) -> dict:
        return gather.look(self._places, self._parameters, self._kept)

    def _look_after(self, before: dict) -> dict:
        """Look after something was done: what cannot be seen then is no reason to say that nothing was."""
        unseen = {"status": "silent", "chain": [], "reason": "it could not be looked at"}
        seen = [dict(before, served=dict(before["served"], **unseen))]
        self._tidy(lambda: seen.append(self._look()))
        return seen[-1]

    def _carry_out(self) -> dict:
        answer = self._answer
        before = after = self._look()
        try:
            if self._recover(before):
                after = self._look()
            answer["action"] = self._decide(after)
            self._check(after, answer["action"])
            if answer["action"] != "none":
                self._act(after)
            if after["journal"] is not None or answer["action"] != "none":
                self._tidy(self._end)
                after = self._look_after(after)
            if self._is_pending():
                self._tidy(self._end_request)
                after = dict(after, pending=self._kept.pending())
        except refusal.Refused as exc:
            answer["refused"] = exc.finding()
        except OSError as exc:
            answer["refused"] = refusal.from_os_error(exc).finding()
        except switch.StepFailed as exc:
            after = self._look_after(after)
            answer["failure"].update(step=exc.step, reason=exc.reason)
        answer.update(before=before, after=after, changed=_has_changed(answer["steps"], before, after))
        self._tidy(self._tell_syslog)
        return answer

    def _end(self) -> None:
        """The way back is not needed any more; the backups of former ones get fewer."""
        self._kept.clear_journal()
        self._kept.backups.prune(self._parameters["keep_backups"], spared=self._answer["backup"])
        if self._answer["backup"] and not os.path.isdir(self._answer["backup"]):
            self._answer["backup"] = None  # keep_backups is 0

    def _end_request(self) -> None:
        """Forget the request whose key is in place: also when an earlier run had no time for it."""
        if self._kept.is_answered(self._places.private_key):
            self._kept.clear_pending()

    # What is to be done

    def _decide(self, seen: dict) -> str:
        """The smallest repair that makes the server serve the wanted certificate from the source that comes first."""
        self._owner_asked = owners.asked(self._parameters)
        is_running = seen["rmi"]["is_running"]
        starts = self._parameters["start_stopped"] or self._should_run
        if not self._is_in_place(seen):
            return "replaced" if is_running or starts else "placed"
        if is_running and self._is_stale(seen):
            return "restarted"
        if not is_running and starts:
            return "started"
        return "permissions" if self._wrong_permissions(seen["disk"]["private_key"]) else "none"

    def _is_stale(self, seen: dict) -> bool:
        """Whether the port serves another leaf; or another chain, and the file has changed since the start."""
        is_served, began = seen["served"], seen["rmi"]["started"]
        if is_served["chain"][:1] != self._chain[:1]:
            return True
        first = gather.pair_of(seen, t.cast(dict, lookup.leading(seen["sources"])))
        is_newer = began is not None and first is not None and first["certificate"]["changed"] > began
        return is_newer and is_served["chain_seen"] and is_served["chain"] != self._chain

    def _is_in_place(self, seen: dict) -> bool:
        """Whether the source that comes first has the wanted pair. One beside the default location has to be as
        it should: it is not ours to mend, and a pair in the default location comes before it."""
        first = lookup.leading(seen["sources"])
        pair = gather.pair_of(seen, first) if first else None
        if not pair or not pair["works"] or pair["certificate"]["chain"] != self._chain:
            return False
        return pair is seen["disk"] or not self._wrong_permissions(pair["private_key"])

    def _wrong_permissions(self, key: dict) -> bool:
        """Whether a key that is there can be read by others, or has another owner than was asked for."""
        if key["status"] != "file":
            return False
        is_open = int(key["mode"], 8) & 0o077
        return bool(is_open) or self._owner((key["uid"], key["gid"])) != (key["uid"], key["gid"])

    def _owner(self, default: t.Tuple[int, int]) -> t.Tuple[int, int]:
        """Owner and group as asked for, else the default."""
        return owners.or_default(self._owner_asked, default)

    def _check(self, seen: dict, action: str) -> None:
        """Refuse, before anything is touched, what cannot end well."""
        if action != "none":
            place_checks.check_files(self._places)
        if action in ("replaced", "placed", "permissions"):
            obstacles.check_files(self._places, are_replaced=action != "permissions")
        if action in ("replaced", "placed") and self._key_path is not None:
            self._private_key = self._key_on_host(self._key_path)
        self._weigh(place_checks.check_validity, self._parameters)
        if action in ("replaced", "placed"):
            self._weigh(place_checks.check_not_hidden, seen["sources"])
            self._weigh(obstacles.check_space, self._places)
        if action in ("replaced", "restarted", "started"):
            if obstacles.needs_log(self._parameters):
                self._weigh(obstacles.check_log, self._places)
            self._weigh(obstacles.check_log_space, self._places)
        rmi = _rmi_in(seen)
        if action in ("replaced", "restarted", "started") or rmi.is_running is None:
            place_checks.check_sm_main(self._places.sm_main)
            self._weigh(place_checks.check_sm_main_owner, self._places.sm_main)
            self._weigh(place_checks.check_rmi, rmi,
                        sm_main.SmMain(self._places.sm_main, self._places.profile, None).rmi_pid())

    def _key_on_host(self, path: str) -> str:
        held = self._kept.held(path)
        if self._is_pending() and not os.path.lexists(held):
            raise refusal.Refused(
                "pending-missing", "No request is pending on this host: there is no private key %s." % path,
                "Request a certificate first, by the playbook sep.sesam.request_csr, which makes key and request.",
                subject="wanted")
        return key_source.for_certificate(path, self._parameters["certificate"], held)

    def _weigh(self, check: t.Callable[..., None], *arguments: t.Any) -> None:
        """Make a check; what it refuses is only noted where the user has said so."""
        try:
            check(*arguments)
        except refusal.Refused as exc:
            level = (self._parameters.get("levels") or {}).get(exc.id)
            if level not in ("warning", "info"):
                raise
            self._answer["findings"].append(dict(exc.finding(), level=level))

    # Doing it

    def _act(self, seen: dict) -> None:
        action, rmi = self._answer["action"], _rmi_in(seen)
        self._context = processes.context(rmi.pid)
        first = lookup.leading(seen["sources"])
        is_ours = first is not None and first["name"] == lookup.DEFAULT_LOCATION
        with pair_files.Folder(self._places.ssl_folder) as folder:
            old = folder.copies()
            new = self._new_pair(self._owner(self._default_owner(old))) if action in ("replaced", "placed") else {}
            if first and not new:
                self._in_service = first["certificate"]
                if is_ours:
                    folder.set_permissions(self._owner)
            if action == "permissions":
                return
            try:
                if new:
                    self._stage(folder, new, old)
                journal = self._journal(seen, old, bool(new))
                self._kept.write_journal(journal._asdict())
                try:
                    self._forward(rmi, folder, new)
                except Exception as exc:  # pylint: disable=broad-except
                    # Whatever it was, rmi may be stopped by now: nobody may leave without going back.
                    reason = self._go_back(journal, "rollback", old, is_last=not isinstance(exc, switch.StopPending))
                    self._answer["failure"] = dict(self._answer["failure"] or {"log_since": ""}, way_back=reason)
                    if isinstance(exc, switch.StepFailed):
                        raise
                    raise switch.StepFailed("switch", refusal.in_words(exc)) from exc
            finally:
                self._tidy(folder.unstage)

    def _default_owner(self, old: pair_files.Copies) -> t.Tuple[int, int]:
        """That of the key replaced, else that of the running rmi, else that of the folder."""
        if pair_files.PRIVATE_KEY in old:
            return old[pair_files.PRIVATE_KEY].owner
        if self._context is not None:
            return self._context.uid, self._context.gid
        status = os.stat(self._places.ini_folder)
        return status.st_uid, status.st_gid

    def _new_pair(self, owner: t.Tuple[int, int]) -> pair_files.Copies:
        contents = ((pair_files.CERTIFICATE, self._parameters["certificate"], pair_files.CERTIFICATE_MODE),
                    (pair_files.PRIVATE_KEY, self._private_key, pair_files.PRIVATE_KEY_MODE))
        return {name: pair_files.Copy(content.encode("ascii"), mode, owner) for name, content, mode in contents}

    def _stage(self, folder: pair_files.Folder, new: pair_files.Copies, old: pair_files.Copies) -> None:
        """Stage both, so that forth and back nothing has to be written, and the disk may be full by then."""
        folder.make()
        folder.stage(new, pair_files.NEW)
        folder.stage(old, pair_files.OLD)
        reason = folder.rehearse()
        if reason:
            raise refusal.Refused(
                "rehearsal-failed", "The new pair does not work on this host: %s." % reason,
                "Does the TLS library of the host know this kind of key?", subject="wanted")

    def _journal(self, seen: dict, old: pair_files.Copies, places_files: bool) -> way_back.Journal:
        """Write down the way back, the old pair as a backup first."""
        if places_files:
            self._answer["backup"] = self._kept.backups.keep(old, self._parameters["run"], {"seen": seen["disk"]})
        first = lookup.leading(seen["sources"])
        pair = (gather.pair_of(seen, first) if first else None) or seen["disk"]
        on_disk = way_back.fingerprints(pair["certificate"].get("chain"))
        is_served = way_back.fingerprints(seen["served"]["chain"])
        return way_back.Journal(
            run=self._parameters["run"], places_files=places_files, backup=self._answer["backup"],
            was_running=self._should_run or bool(seen["rmi"]["is_running"]), address=seen["rmi"]["address"],
            right=on_disk + is_served, served_from_disk=pair["works"] and on_disk == is_served, new=self._new,
            context=self._context._asdict() if self._context else None)

    def _forward(self, rmi: gather.Rmi, folder: pair_files.Folder, new: pair_files.Copies) -> None:
        way = switch.Switch("replacement", self._places, rmi, self._context, self._parameters, self._answer["steps"],
                            self._kept.note_program)
        try:
            if rmi.is_running:
                begin = time.monotonic()
                way.stop()
                self._stopped_at = begin
            if new:
                way.place(folder, new, pair_files.NEW)
            if self._answer["action"] != "placed":
                way.start()
                way.await_served(lambda leaf: served.fingerprint(leaf) == self._new)
                self._note_downtime()
                self._check_log(way)
                self._tidy(lambda: self._compare_contexts(way))
        except Exception:  # pylint: disable=broad-except
            self._answer["failure"] = {"log_since": way.log_since()}
            raise
        finally:
            way.close()

    def _tidy(self, work: t.Callable[[], None]) -> None:
        """Do what is not worth a failure: the server serves what it shall."""
        try:
            work()
        except Exception as exc:  # pylint: disable=broad-except
            self._answer["findings"].append(refusal.finding(
                "state-not-kept", "place", "warning",
                "Not everything could be written down, tidied up or looked at: %s." % refusal.in_words(exc),
                "Mend that and run again."))

    def _note_downtime(self) -> None:
        if self._stopped_at is not None:
            self._answer["downtime"] = round(time.monotonic() - self._stopped_at, 3)

    def _check_log(self, way: switch.Switch) -> None:
        if self._parameters["log_check"] == "off":
            return
        try:
            self._answer["log_line"] = way.await_log_line(self._in_service).text
        except switch.StepFailed as exc:
            if self._parameters["log_check"] == "required":
                raise
            self._answer["findings"].append(refusal.finding(
                "log-line-missing", "current", "warning", "The log does not show the start: %s." % exc.reason,
                "Look whether log_file is right; log_check: off ends this check."))

    def _compare_contexts(self, way: switch.Switch) -> None:
        differences = way.context_differences()
        if differences:
            self._answer["findings"].append(refusal.finding(
                "process-context-changed", "current", "warning",
                "rmi runs otherwise than before the restart: %s." % "; ".join(differences),
                "Restart rmi in the way in which it is started at boot."))

    # Going back

    def _recover(self, seen: dict) -> bool:
        """Finish or undo what an interrupted run left; whether there was anything to do."""
        _refuse_damaged_journal(seen)  # What is staged may be all that is left of a pair.
        if seen["journal"] is not None:
            journal = way_back.Journal.of(seen["journal"])
            if journal.is_done(seen):
                self._answer["recovered"] = "finished"
            else:
                if os.path.exists(self._places.sm_main):
                    self._weigh(place_checks.check_sm_main_owner, self._places.sm_main)
                self._answer["recovered"] = "undone"
                self._undo(journal.since_then(seen))
        with pair_files.Folder(self._places.ssl_folder) as folder:
            folder.unstage()
        return seen["journal"] is not None

    def _undo(self, journal: way_back.Journal) -> None:
        """Go back; where that does not lead to the end, this run still may, with the pair that it has in hand."""
        reason = self._go_back(journal, "recovery")
        if reason:
            self._should_run = journal.was_running
            self._answer["findings"].append(refusal.finding(
                "recovery-incomplete", "current", "warning",
                "What an interrupted run left could not be undone (%s). The pair of before: %s." % (
                    reason, journal.backup or "there was none"),
                "Nothing, if this run ends well."))

    def _go_back(self, journal: way_back.Journal, part: str, old: t.Optional[pair_files.Copies] = None,
                 is_last: bool = True) -> str:
        """Go the way back; the answer says why that failed, empty if not.

        The journal stays where it failed, and where it is not the last word (C(is_last)): the next run goes it again.
        Whatever goes wrong here has to be told to somebody: so every error is caught.
        """
        way = way_back.WayBack(self._places, self._kept, self._parameters, self._answer["steps"])
        try:
            way.go(journal, part, old)
        except Exception as exc:  # pylint: disable=broad-except
            way.problems.append(refusal.in_words(exc))
        if not way.problems:
            self._note_downtime()
            if is_last:
                self._tidy(self._kept.clear_journal)
        return "; ".join(way.problems)

    def _tell_syslog(self) -> None:
        """One line for a change, none for a run that has changed nothing."""
        if self._answer["changed"]:
            system_log.tell_change("HTTPS certificate of rmi: %s; wanted sha256=%s" % (
                _done_in_words(self._answer), self._new), self._parameters["run"])


def _done_in_words(answer: dict) -> str:
    """What a run has done, and not what it was about to do, for whoever reads it without the answer."""
    done, failure = [], answer["failure"]
    if answer["recovered"]:
        is_whole = not any(found["id"] == "recovery-incomplete" for found in answer["findings"])
        done.append("interrupted run %s %s" % (answer["before"]["journal"]["run"]["id"],
                                               answer["recovered"] if is_whole else "could not be undone"))
    if answer["refused"]:
        done.append("refused (%s)" % answer["refused"]["id"])
    elif failure:
        done.append("%s the step %s" % ("the way back failed too, after" if failure["way_back"] else
                                        "rolled back after", failure["step"]))
    elif answer["action"] != "none":
        done.append(answer["action"])
    return ", then ".join(done)


def _refuse_damaged_journal(seen: dict) -> None:
    if seen["journal_damage"]:
        raise refusal.Refused(**{name: value for name, value in seen["journal_damage"].items() if name != "level"})


def _rmi_in(seen: dict) -> gather.Rmi:
    return gather.Rmi(*[seen["rmi"][name] for name in gather.Rmi._fields])


def _has_changed(steps: t.List[dict], before: dict, after: dict) -> bool:
    """Whether anything was done to the server, or is not as it was. That a stop may still come is no change yet."""
    return any(step["ok"] and step["name"] in ("stop", "place", "start") for step in steps) or any(
        before[name] not in (None, after[name]) for name in ("disk", "journal"))
