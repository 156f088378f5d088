# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the host: disk, files, sm_main, rmi, clock, other people. Each has an outcome, and words that help.

All of them are here, also those that tests/integration tries through Ansible; but for two runs at once (twice.py) and
what dies on the controller's side.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.sep.sesam.plugins.module_utils._host import switch
from standin import processes as standin_processes

from . import crashes, promises, told
from .arranged import (
    Arrange,
    Impossible,
    at_named_log,
    both,
    changed,
    deaf,
    ends_late,
    folder_held,
    hanging_program,
    hard_link,
    immutable,
    link,
    lock_held,
    log,
    missing,
    mounted,
    moved,
    named_log,
    nothing,
    on_small_disk,
    open_to_all,
    other_owner,
    pid_reused,
    read_only,
    room,
    sm_main,
    stopped,
    swapped,
    switches,
    taken,
    taken_meanwhile,
)
from .flows import Flow
from .site import Answer, Site
from .table import Row

# What a run takes besides what it waits for, on a machine that has more to do.
_WORK = 10


class Fault(t.NamedTuple):
    """How it is made, and what comes of it: the id of the refusal, C(failed) and the step, or the action.

    C(outcome) is empty where any will do that is told as it is. C(says): a part of the message. C(after): what the port
    serves, where that is not what the outcome says. C(options): parameters; one that can be called is asked for its
    value then. C(plan): what the shim does, without which it runs without one. C(looks_after): so many seconds after
    the run began the port is looked at, at the earliest.
    """

    name: str
    arrange: Arrange
    outcome: str
    says: str = ""
    options: dict[str, t.Any] = {}  # noqa: RUF012
    after: str = ""
    plan: dict[str, t.Any] = {}  # noqa: RUF012
    kind: str = "fault of the host"
    group: str = ""
    looks_after: float = 0


def rows(faults: t.Sequence[Fault], site: Site) -> list[Row]:
    """Each fault, and the run that comes when it is gone."""
    return [_row(fault, site) for fault in faults]


def _row(fault: Fault, site: Site) -> Row:
    site.rest()
    old, wanted = promises.contents(site.current), promises.contents(site.other)
    row = Row(fault.kind, fault.name, before="old", group=fault.group)
    with contextlib.ExitStack() as mended:
        try:
            fault.arrange(site, mended)
        except Impossible as why:
            return Row.not_tried(fault.kind, fault.name, str(why), fault.group)
        row.during = site.served_in_words()
        begin = time.monotonic()
        answer = _asked(fault, site)
        seconds = time.monotonic() - begin
        time.sleep(max(fault.looks_after - seconds, 0))
        row.saw, row.after, row.message = told.outcome(answer), site.served_in_words(), told.message(answer)
        if row.saw != (fault.outcome or row.saw):
            row.broken.append(f"the outcome is not {fault.outcome}: {row.message}")
        if fault.says not in row.message:
            row.broken.append(f"it does not say {fault.says}: {row.message}")
        is_done = not answer["refused"] and not answer.get("failure")
        if row.after != (fault.after or ("new" if is_done else "old")):
            row.broken.append(f"the port serves {row.after}")
        if seconds > (longest := _longest(**_limits(fault))):
            row.broken.append(f"it took {seconds:.0f} s, and its options say {longest:.0f}")
        row.broken += told.broken(answer) + site.gave_away()
    row.broken += promises.of_any_moment(site.tree(), old, wanted)
    row.recovered_by = _recovered_by(answer, is_down=row.after == "nothing" != row.during)
    _next_run(site, row, wanted)
    return row


def _asked(fault: Fault, site: Site) -> Answer:
    options = {name: value(site) if callable(value) else value for name, value in fault.options.items()}
    parameters = site.parameters(**{**options, **_limits(fault)})
    if not fault.plan:
        return site.ask("replace", parameters)
    ran = site.run("replace", parameters, **fault.plan)
    return ran.answer or {"refused": {"id": "no-answer", "subject": "place", "level": "error", "fix": "",
                                      "message": ran.said[-300:]}}  # fmt: skip


def _limits(fault: Fault) -> dict[str, int]:
    """How long it may wait for what; where nobody is in the way, for nobody."""
    limits = {"start_timeout": 6, "stop_timeout": 4, "lock_timeout": 0}
    return {name: fault.options.get(name, usual) for name, usual in limits.items()}


def _longest(*, start_timeout: int, stop_timeout: int, lock_timeout: int) -> int:
    """The seconds of a run in which everything comes to its limit: forth with the log, and back."""
    forth = lock_timeout + stop_timeout + start_timeout + switch.LOG_GRACE
    # One that does not stop in time is waited for as long as for a start.
    back = stop_timeout + start_timeout + start_timeout
    return forth + back + _WORK


def _recovered_by(answer: Answer, is_down: bool) -> str:
    if not answer.get("failure"):
        return "nothing to recover"
    return "the next run" if answer["failure"]["way_back"] or is_down else "the run itself"


def _next_run(site: Site, row: Row, wanted: promises.Contents) -> None:
    site.instance.unset()
    # One that ran is running again without being told to.
    answer = site.ask("replace", site.parameters(start_stopped=row.during == "nothing"))
    if answer["refused"] or answer["failure"]:
        row.broken.append(f"the next run fails: {told.message(answer)}")
    row.broken += promises.of_the_end(site.tree(), wanted) + site.gave_away()
    if site.served_in_words() != "new":
        row.broken.append(f"after the next run the port serves {site.served_in_words()}")


def _ends_now(site: Site) -> float:
    return time.time() + 600


def _begins_now(site: Site) -> float:
    return time.time() - 600


def _log_folder(site: Site) -> Path:
    return Path(site.instance.log_file).parent


LINK = "refused: destination-is-link"
UNUSABLE = "refused: sm-main-unusable"
HANGS_AT_STATUS = '[ "$1" = status ] && exec sleep 300\nexec {real} "$@"'
HANGS_AT_STOP = '[ "$1" = stop ] && {{ sleep 300 & sleep 300; }}\nexec {real} "$@"'
FAULTS = (
    # Files and folders
    Fault("the ssl folder is a link to elsewhere", link("ssl", "{kept}"), LINK, "a symbolic link"),
    Fault("the ssl folder is a dangling link", link("ssl", "/nowhere"), LINK, "a symbolic link"),
    Fault("the ssl folder is a link to itself", link("ssl", "{place}"), LINK, "a symbolic link"),
    Fault("the certificate is a link", link("ssl/sesam.https.crt", "{kept}"), LINK, "a symbolic link"),
    Fault("the certificate is a dangling link", link("ssl/sesam.https.crt", "/nowhere"), LINK, "a symbolic link"),
    Fault("the certificate is a link to itself", link("ssl/sesam.https.crt", "{place}"), LINK, "a symbolic link"),
    Fault("the key is a link", link("ssl/sesam.https.key", "{kept}"), LINK, "a symbolic link"),
    Fault("the key is a dangling link", link("ssl/sesam.https.key", "/nowhere"), LINK, "a symbolic link"),
    Fault("the key is a link to itself", link("ssl/sesam.https.key", "{place}"), LINK, "a symbolic link"),
    Fault("the key has another name (hard link)", hard_link, LINK, "hard links"),
    Fault("the state folder is a link", link(".sep-sesam", "{kept}"), "refused: state-folder-unsafe", "symbolic link"),
    Fault("the state folder is a dangling link", link(".sep-sesam", "/nowhere"), "refused: state-folder-unsafe"),
    Fault("the state folder is open to others", changed(".sep-sesam", 0o755), "refused: state-folder-unsafe", "0755"),
    Fault("the ini folder is a link to elsewhere", link("", "{kept}"), "replaced"),
    Fault("the ini folder is missing", moved(""), "refused: sesam-not-found", "there is no folder"),
    Fault("the ssl folder is missing", missing, "replaced"),
    Fault("the state folder is missing", lambda site, mended: shutil.rmtree(
        site.server.state_folder), "replaced"),
    # The clock
    Fault("the clock is an hour behind", nothing, "replaced", plan={"clock": -3600}),
    Fault("the clock is an hour ahead", nothing, "replaced", plan={"clock": 3600}),
    Fault("the clock is an hour behind, and the certificate begins now", nothing, "refused: not-yet-valid",
          "correct the clock", {"not_before": _begins_now}, plan={"clock": -3600}),
    Fault("the clock is an hour ahead, and the certificate ends soon", nothing, "refused: expired",
          "correct the clock", {"not_after": _ends_now}, plan={"clock": 3600}),
    Fault("the clock goes back an hour while rmi is stopped", nothing, "replaced",
          plan={"clock": -3600, "jumps": True}),
    Fault("the clock goes on an hour while rmi is stopped", nothing, "replaced", plan={"clock": 3600, "jumps": True}),
    # Python
    Fault("the Python of the host has no ssl", nothing, "refused: python-without-ssl", "ansible_python_interpreter",
          plan={"lacks": "ssl"}),
    # sm_main
    Fault("sm_main is missing", sm_main(""), UNUSABLE, "Set the option sm_main"),
    Fault("sm_main is not executable", sm_main("exit 0", 0o644), UNUSABLE, "Set the option sm_main"),
    Fault("sm_main may be written by all", sm_main("exit 0", 0o757), UNUSABLE, "Give it to root"),
    Fault("sm_main exits 1, whatever it is asked", sm_main("exit 1"), "failed: stop", "exit code 1"),
    Fault("sm_main exits 1 at the stop", switches(stop="fails@1"), "failed: stop", "exit code 1"),
    Fault("sm_main exits 1 at the start", switches(start="fails@1"), "failed: start", "exit code 1"),
    Fault("sm_main stops nothing and claims success", switches(stop="ignored@1"), "failed: stop",
          "Nothing had to be undone: the port serves"),
    Fault("sm_main starts nothing and claims success", switches(start="lies@1"), "failed: served", "nobody listens"),
    Fault("sm_main prints garbage", sm_main('head -c 300000 /dev/urandom; exec {real} "$@"'), "replaced"),
    Fault("sm_main prints garbage and exits 1", sm_main("head -c 300000 /dev/urandom; exit 1"), "failed: stop"),
    Fault("sm_main hangs at status", sm_main(HANGS_AT_STATUS), "replaced"),
    Fault("rmi is stopped, and sm_main hangs at status", both(stopped, sm_main(HANGS_AT_STATUS)), "placed",
          after="nothing"),
    Fault("sm_main hangs at the stop", switches(stop="hangs@1"), "failed: stop", "did not end within"),
    Fault("sm_main hangs at the stop, with a child", sm_main(HANGS_AT_STOP), "failed: stop", "did not end within"),
    Fault("sm_main hangs after the stop", switches(stop="hangs_after@1"), "replaced"),
    Fault("sm_main hangs at the start", switches(start="hangs@1"), "failed: served", "did not end within"),
    Fault("sm_main hangs after the start", switches(start="hangs_after@1"), "replaced"),
    # rmi
    Fault("rmi ends only after stop_timeout", ends_late(7), "failed: stop", "Rolled back: the port serves",
          looks_after=11),
    Fault("rmi ends only when nobody waits for it any more", ends_late(14), "failed: stop",
          "the next run starts it then", after="nothing", looks_after=16),
    Fault("rmi closes its port, and ends only after stop_timeout", switches(stop_delay="7@1"), "failed: stop",
          "Rolled back: the port serves", looks_after=11),
    Fault("rmi keeps the output and session of sm_main", switches(stdout="inherited", session="shared"), "replaced"),
    Fault("rmi keeps both of an sm_main that hangs", switches(
        stdout="inherited", session="shared", start="hangs_after@1"), "replaced"),
    Fault("rmi was stopped before", stopped, "placed", after="nothing"),
    Fault("rmi dies at its start", switches(dies_after="0@1"), "failed: start"),
    Fault("rmi dies after its start", switches(dies_after="1@1", start_delay="2@1", start_waits="no@1"),
          "failed: served"),
    Fault("rmi starts slowly", switches(start_delay=4, start_waits="no"), "replaced"),
    Fault("rmi starts more slowly than is waited for", switches(start_delay="9@1", start_waits="no"),
          "failed: served", "start_timeout", options={"start_timeout": 4}),
    # The port
    Fault("rmi runs and does not listen", deaf, "replaced"),
    Fault("rmi does not listen after the start", switches(listener="closed@1"), "failed: served", "nobody listens"),
    Fault("rmi does not answer after the start", switches(listener="silent@1"), "failed: served", "does not answer"),
    Fault("rmi speaks without TLS after the start", switches(listener="plain_http@1"), "failed: served", "without TLS"),
    Fault("rmi serves another certificate", switches(serves="other@1"), "failed: served", "SHA-256 fingerprint"),
    Fault("rmi is stopped, and another program has its port", taken, "placed", after="nothing"),
    Fault("rmi is to be started, and another program has its port", taken, "refused: foreign-listener",
          "end the other program", {"start_stopped": True}, after="nothing"),
    Fault("another program takes the port while rmi is stopped", taken_meanwhile, "failed: served, NO WAY BACK",
          "listens on port", after="nothing"),
    # The log
    Fault("the log is missing", log(lambda path: path.unlink()), "replaced"),
    Fault("the log is rotated at the start", switches(log_at_start="rotated"), "replaced"),
    Fault("the log is rotated after the start", switches(log_at_start="rotated_after"), "replaced"),
    Fault("the log is truncated at the start", switches(log_at_start="truncated"), "replaced"),
    Fault("the log has a gigabyte", log(lambda path: os.truncate(path, 1 << 30)), "replaced"),
    Fault("the log has no line of this start", switches(log_line="never@1"), "failed: log_line", "log_check"),
    Fault("the log that is named is a folder", at_named_log(os.mkdir, os.rmdir), "refused: log-unreadable",
          "it is a directory", {"log_file": named_log}),
    Fault("the log that is named is a FIFO", at_named_log(os.mkfifo), "refused: log-unreadable", "it is a FIFO",
          {"log_file": named_log}),
    Fault("the log that is named is a dangling link", at_named_log(lambda path: os.symlink("/nowhere", path)),
          "failed: log_line", "it does not exist", {"log_file": named_log}),
    Fault("the log that is named is a folder, and a warning will do", at_named_log(os.mkdir, os.rmdir), "replaced",
          "log-line-missing", {"log_file": named_log, "log_check": "warn"}),
    # Who else is there
    Fault("somebody swaps the certificate during the run", swapped, "failed: served"),
    Fault("another run has the lock", lock_held, "refused: locked", "somebody@elsewhere", {"lock_timeout": 1}),
    Fault("a key is being converted in the ssl folder", folder_held, "refused: locked", "Another run works in",
          {"lock_timeout": 1}),
    Fault("a lock of a process that is gone", lambda site, mended: (
        site.server.state_folder / "lock").write_text('{"id": "dead", "pid": 4711}') and None, "replaced"),
    Fault("the PID of a program that is gone has a stranger", pid_reused, "replaced"),
    Fault("a program of a run that died hangs", hanging_program, "replaced"),
)  # fmt: skip
AS_ROOT = (
    Fault("the key belongs to another user", other_owner, "replaced"),
    Fault("the ini folder belongs to another user", changed("", 0o700, 65534), "refused: profile-unusable",
          "belong to root"),
    Fault("the state folder belongs to another user", changed(".sep-sesam", 0o700, 65534),
          "refused: state-folder-unsafe", "uid 65534"),
    Fault("the run has no rights", open_to_all, "refused: not-root", "become", plan={"uid": 65534}),
    Fault("the file system is read-only", read_only, "refused: directory-not-writable", "mounted read-only"),
    Fault("the folder for backups is full", mounted(lambda site: site.server.state_folder / "backups", fill=True),
          "refused: host-error", "No space left on device: "),
    Fault("the folder for backups is read-only", mounted(lambda site: site.server.state_folder / "backups", "ro"),
          "refused: host-error", "Read-only file system: "),
    Fault("the certificate is immutable", immutable("ssl/sesam.https.crt"), "refused: file-immutable", "chattr -i"),
    Fault("the key is immutable", immutable("ssl/sesam.https.key"), "refused: file-immutable", "chattr -i"),
    Fault("the key is append-only", immutable("ssl/sesam.https.key", "a"), "refused: file-immutable", "chattr -a"),
    Fault("the ssl folder is append-only", immutable("ssl", "a"), "refused: file-immutable", "chattr -a"),
    Fault("the disk of the log is full", mounted(_log_folder, fill=True), "refused: disk-space", "lgc"),
    Fault("the disk of the log has no inodes", mounted(_log_folder, "size=2m,nr_inodes=10"), "refused: disk-space",
          "inodes"),
    Fault("the disk of the log is read-only", mounted(_log_folder, "size=2m,ro"), "refused: disk-space", "read-only"),
    Fault("the ssl folder is immutable", immutable("ssl"), "refused: directory-not-writable", "lsattr"),
    Fault("the state folder is immutable", immutable(".sep-sesam"), "refused: host-error", "lsattr"),
)  # fmt: skip
# For the long form alone.
SLOW = (Fault("rmi takes 60 s to start", switches(start_delay=60, start_waits="no"), "replaced",
              options={"start_timeout": 90}),)  # fmt: skip


# A disk with a little room

_MOST_FREE = 60


def full_disks(site: Site, every: int = 1) -> list[Row]:
    """The ini folder on a small disk that has a little more room each time, until the replacement goes through."""
    try:
        with on_small_disk(site):
            return _small_disks(site, every)
    except Impossible as why:
        return [Row.not_tried("small disk", "full at each write", str(why))]


def _small_disks(site: Site, every: int) -> list[Row]:
    found = rows([Fault(f"{free} blocks are free", room(pages=free), "refused: disk-space", "Free at least 1 MiB",
                        kind="small disk") for free in (0, 255)], site)  # fmt: skip
    return [*found, *_until_it_fits(site, "blocks", every, lambda free: room(pages=free)),
            *_until_it_fits(site, "inodes", every, lambda free: room(inodes=free))]


def _until_it_fits(site: Site, what: str, every: int, with_free: t.Callable[[int], Arrange]) -> list[Row]:
    """Where the first check was told to let it pass, so that the disk is full at each write in its turn."""
    found: list[Row] = []
    for free in range(0, _MOST_FREE, every):
        fault = Fault(f"{free} {what} are free, and that check is off", with_free(free), "", kind="small disk",
                      options={"levels": {"disk-space": "warning"}})  # fmt: skip
        found.append(_row(fault, site))
        if found[-1].saw not in ("replaced", "refused: host-error"):
            found[-1].broken.append("it is neither refused before anything is touched nor done")
        if found[-1].saw == "replaced":
            break
    if len(found) < 2 or found[-1].saw != "replaced":
        found[-1].broken.append(f"with {len(found)} {what} it does not go through, or does with none")
    return found


# Every call fails once

def failing(site: Site, code: int, every: int = 1) -> list[Row]:
    """A replacement in which each call that changes anything fails once, as on a disk that is full or broken."""
    flow = Flow()
    flow.begin(site)
    calls = site.run(*flow.asked(site)).calls
    return rows([
        Fault(crashes.words(site, call), nothing, "", plan={"fail": call["n"], "errno": code},
              kind=f"{os.strerror(code)}: replacement", group=f"{call['call']} fails")
        for call in calls[::every] if call["call"] not in ("start", "kill")], site)  # fmt: skip


CODES = (errno.ENOSPC, errno.EIO)


# What goes on after the host program has died

def left_alone(site: Site) -> list[Row]:
    """It dies while sm_main stops or starts a slow rmi, and the next run comes at once."""
    found = []
    for number, verb in enumerate(("stop rmi", "start rmi", "start rmi")):
        site.rest()
        site.instance.set(stop_delay=1.5, start_delay=1.5, start="works" if number < 2 else "hangs@1")
        old, wanted = promises.contents(site.current), promises.contents(site.other)
        row = Row("killed, and the next run comes at once", f"sm_main {verb}", before="old")
        if number == 2:
            row.where += ", which hangs"
        asked = "replace", site.parameters(start_timeout=6, stop_timeout=6)
        if not site.run(*asked, kill=verb, half=True).was_killed:
            row.broken.append("it did not die there")
        row.during = site.served_in_words()
        answer = site.ask("replace", site.parameters(start_timeout=6, stop_timeout=6))
        row.saw, row.after, row.recovered_by = told.outcome(answer), site.served_in_words(), "the next run"
        if answer["refused"] or answer["failure"] or not answer["recovered"]:
            row.broken.append(f"the next run: {told.message(answer)}, recovered={answer.get('recovered')}")
        if verb == "start rmi" and number == 1 and answer["recovered"] != "finished":
            row.broken.append("the program that was left alone was not waited for")
        if (running := standin_processes.all_of(site.instance.home)) != [site.instance.pid()]:
            row.broken.append(f"there is more of it than rmi: {running}")
        if any(not step["ok"] for step in answer.get("steps", [])):
            row.broken.append(f"the two were in each other's way: {answer['steps']}")
        if row.after != "new":
            row.broken.append(f"the port serves {row.after}")
        row.message = told.message(answer)
        row.broken += promises.of_the_end(site.tree(), wanted) + promises.of_any_moment(site.tree(), old, wanted)
        row.broken += told.broken(answer) + site.gave_away()
        found.append(row)
    return found
