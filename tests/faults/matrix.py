# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the host: disk, files, sm_main, rmi, other people. Each has an outcome and words that say what to do.

What tests/integration proves of stop, start, port and log (test_failures.py), of bad pairs (test_refusals.py), of the
lock (test_lock.py) and of interruptions (test_interrupted.py) is not repeated.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.sep.sesam.plugins.module_utils._host import processes
from standin import processes as standin_processes

from . import crashes, flows, promises
from .flows import Flow
from .site import Answer, Site
from .table import Row

Arrange = t.Callable[[Site, contextlib.ExitStack], None]


class Fault(t.NamedTuple):
    """How it is made, and what comes of it: the id of the refusal, C(failed) and the step, or the action."""

    name: str
    arrange: Arrange
    outcome: str
    says: str = ""
    options: dict[str, t.Any] = {}  # noqa: RUF012
    after: str = "old"


def rows(faults: t.Sequence[Fault], site: Site) -> list[Row]:
    """Each fault, and the run that comes when it is gone."""
    return [_row(fault, site) for fault in faults]


def _row(fault: Fault, site: Site) -> Row:
    site.rest()
    old, wanted = promises.contents(site.current), promises.contents(site.other)
    row = Row("fault of the host", fault.name, before="old")
    with contextlib.ExitStack() as mended:
        fault.arrange(site, mended)
        row.during = site.served_in_words()
        begin = time.monotonic()
        answer = site.ask("replace", site.parameters(**{"start_timeout": 6, "stop_timeout": 4, **fault.options}))
        seconds = time.monotonic() - begin
        row.saw = _outcome(answer)
        row.after = site.served_in_words()
        if row.saw != fault.outcome:
            row.broken.append(f"the outcome is not {fault.outcome}: {words_of(answer)}")
        if fault.says not in words_of(answer):
            row.broken.append(f"it does not say {fault.says}: {words_of(answer)}")
        if row.after != fault.after:
            row.broken.append(f"the port serves {row.after}")
        if seconds > 45:
            row.broken.append(f"it took {seconds:.0f} s")
    row.broken += promises.of_any_moment(site.tree(), old, wanted)
    row.recovered_by = "nothing to recover" if answer.get("refused") else "the run itself"
    _next_run(site, row, wanted)
    return row


def _next_run(site: Site, row: Row, wanted: promises.Contents) -> None:
    site.instance.unset()
    answer = site.ask("replace", site.parameters(start_stopped=True))
    if answer["refused"] or answer["failure"]:
        row.broken.append(f"the next run fails: {words_of(answer)}")
    row.broken += promises.of_the_end(site.tree(), wanted)
    if site.served_in_words() != "new":
        row.broken.append(f"after the next run the port serves {site.served_in_words()}")


def _outcome(answer: Answer) -> str:
    if answer["refused"]:
        return f"refused: {answer['refused']['id']}"
    if answer["failure"]:
        return f"failed: {answer['failure']['step']}{', NO WAY BACK' if answer['failure']['way_back'] else ''}"
    return str(answer["action"])


def words_of(answer: Answer) -> str:
    found = [json.dumps(answer[name]) for name in ("refused", "failure") if answer.get(name)]
    return " ".join([*found, json.dumps(answer.get("findings", []))])


# Files and folders

def _link(name: str, target: str) -> Arrange:
    """A symbolic link in the place of something, which is kept aside."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = site.ini / name
        kept = site.ini.parent / "kept"
        place.rename(kept)
        place.symlink_to(target.format(kept=kept, place=place))

        def mend() -> None:
            place.unlink()
            kept.rename(place)

        mended.callback(mend)

    return arrange


def _hard_link(site: Site, mended: contextlib.ExitStack) -> None:
    other = site.ini.parent / "other name"
    os.link(site.instance.private_key, other)
    mended.callback(other.unlink)


def _missing(site: Site, mended: contextlib.ExitStack) -> None:
    shutil.rmtree(site.instance.ssl_folder)
    # Nobody takes away what rmi has in its memory: it goes on with the old pair, which is nowhere else now.
    (site.server.state_folder / "backups").mkdir(exist_ok=True)
    kept = site.server.state_folder / "backups" / "kept by hand"
    kept.mkdir(mode=0o700)
    for name, content in zip(("sesam.https.crt", "sesam.https.key"), promises.contents(site.current), strict=True):
        (kept / name).touch(mode=0o600)
        (kept / name).write_bytes(content)


def _other_owner(site: Site, mended: contextlib.ExitStack) -> None:
    os.chown(site.instance.private_key, 65534, 65534)


def _immutable(site: Site, mended: contextlib.ExitStack) -> None:
    path = site.instance.certificate
    subprocess.run(["chattr", "+i", path], check=True)
    mended.callback(subprocess.run, ["chattr", "-i", path], check=True)


def _mounted(folder: t.Callable[[Site], Path], *options: str, fill: bool = False) -> Arrange:
    """A small file system of its own in the place of a folder, with the same contents."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = folder(site)
        place.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", place], check=True)
        mended.callback(subprocess.run, ["umount", "-l", place], check=True)
        if fill:
            with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(b"x" * 1024)
        for option in options:
            subprocess.run(["mount", "-o", f"remount,{option}", place], check=True)

    return arrange


def _read_only(site: Site, mended: contextlib.ExitStack) -> None:
    subprocess.run(["mount", "--bind", site.ini, site.ini], check=True)
    mended.callback(subprocess.run, ["umount", "-l", site.ini], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", site.ini], check=True)


# sm_main and rmi

def _switches(**values: object) -> Arrange:
    return lambda site, mended: site.instance.set(**values)


def _sm_main(text: str, mode: int = 0o755) -> Arrange:
    """Another program in its place; {real} in the text is the one that was there."""

    def arrange(site: Site, mended: contextlib.ExitStack) -> None:
        place = Path(site.instance.sm_main)
        kept = place.with_name("sm_main.kept")
        place.rename(kept)
        names = {"real": kept, "certificate": site.instance.certificate, "pid": site.temporary / "pid"}
        if text:
            place.write_text("#!/bin/sh\n" + text.format(**{n: shlex.quote(str(v)) for n, v in names.items()}) + "\n")
            place.chmod(mode)

        def mend() -> None:
            place.unlink(missing_ok=True)
            kept.rename(place)

        mended.callback(mend)

    return arrange


def _swapped(site: Site, mended: contextlib.ExitStack) -> None:
    """Somebody puts a certificate of his own in place between stop and start; only once."""
    other = site.temporary / "somebody.crt"
    other.write_bytes(site.current.pem)
    mended.callback(other.unlink, missing_ok=True)
    _sm_main(f'[ "$1" = start ] && mv {shlex.quote(str(other))} {{certificate}} 2>/dev/null\nexec {{real}} "$@"')(
        site, mended)  # fmt: skip


def _stopped(site: Site, mended: contextlib.ExitStack) -> None:
    site.instance.stop()


def _log(change: t.Callable[[Path], object]) -> Arrange:
    return lambda site, mended: change(Path(site.instance.log_file)) and None


# Who else is there

def _noted(site: Site, words: t.Callable[[int], dict[str, t.Any]], mended: contextlib.ExitStack) -> int:
    """A program that a run which died is said to have left; a stranger, whom nobody may end."""
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    mended.callback(stranger.wait)
    mended.callback(stranger.kill)
    lock = site.server.state_folder / "lock"
    lock.write_text(json.dumps({"id": "dead", "by": "somebody", "pid": 4711, "program": words(stranger.pid)}))
    return stranger.pid


def _pid_reused(site: Site, mended: contextlib.ExitStack) -> None:
    pid = _noted(site, lambda pid: {"pid": pid, "birth": "another boot 1"}, mended)

    def check() -> None:
        if processes.birth(pid) is None:
            raise RuntimeError("a stranger was ended who has the PID of a program that is gone")

    mended.callback(check)


def _left_alone(site: Site, mended: contextlib.ExitStack) -> None:
    pid = _noted(site, lambda pid: {"pid": pid, "birth": processes.birth(pid)}, mended)

    def check() -> None:
        if processes.birth(pid) is not None:
            raise RuntimeError("a program that hangs was not ended")

    mended.callback(check)


LINK = "refused: destination-is-link"
UNUSABLE = "refused: sm-main-unusable"
FAULTS = (
    Fault("the ssl folder is a link to elsewhere", _link("ssl", "{kept}"), LINK, "a symbolic link"),
    Fault("the ssl folder is a dangling link", _link("ssl", "/nowhere"), LINK, "a symbolic link"),
    Fault("the ssl folder is a link to itself", _link("ssl", "{place}"), LINK, "a symbolic link"),
    Fault("the certificate is a link", _link("ssl/sesam.https.crt", "{kept}"), LINK, "a symbolic link"),
    Fault("the key is a link", _link("ssl/sesam.https.key", "{kept}"), LINK, "a symbolic link"),
    Fault("the key is a link to itself", _link("ssl/sesam.https.key", "{place}"), LINK, "a symbolic link"),
    Fault("the key is a dangling link", _link("ssl/sesam.https.key", "/nowhere"), LINK, "a symbolic link"),
    Fault("the key has another name (hard link)", _hard_link, LINK, "hard links"),
    Fault("the state folder is a link", _link(".sep-sesam", "{kept}"), "refused: state-folder-unsafe", "symbolic link"),
    Fault("the ssl folder is missing", _missing, "replaced", after="new"),
    Fault("the key belongs to another user", _other_owner, "replaced", after="new"),
    Fault("sm_main is missing", _sm_main(""), UNUSABLE, "Set the option sm_main"),
    Fault("sm_main is not executable", _sm_main("exit 0", 0o644), UNUSABLE, "Set the option sm_main"),
    Fault("sm_main may be written by all", _sm_main("exit 0", 0o757), UNUSABLE, "Give it to root"),
    Fault("sm_main exits 1, whatever it is asked", _sm_main("exit 1"), "failed: stop", "exit code 1"),
    Fault("sm_main prints garbage", _sm_main("head -c 300000 /dev/urandom; exec {real} \"$@\""), "replaced",
          after="new"),
    Fault("sm_main hangs at stop, with a child", _sm_main(
        '[ "$1" = stop ] && {{ sleep 300 & sleep 300; }}\nexec {real} "$@"'), "failed: stop", "did not end within"),
    Fault("rmi keeps the output and session of sm_main", _switches(stdout="inherited", session="shared"), "replaced",
          after="new"),
    Fault("rmi was stopped before", _stopped, "placed", after="nothing"),
    Fault("rmi starts slowly", _switches(start_delay=4, start_waits="no"), "replaced", after="new"),
    Fault("rmi starts more slowly than is waited for", _switches(start_delay="9@1", start_waits="no"),
          "failed: served", options={"start_timeout": 4}),
    Fault("the log is missing", _log(lambda path: path.unlink()), "replaced", after="new"),
    Fault("the log is rotated at the start", _switches(log_at_start="rotated"), "replaced", after="new"),
    Fault("the log is rotated after the start", _switches(log_at_start="rotated_after"), "replaced", after="new"),
    Fault("the log is truncated at the start", _switches(log_at_start="truncated"), "replaced", after="new"),
    Fault("the log has a gigabyte", _log(lambda path: os.truncate(path, 1 << 30)), "replaced", after="new"),
    Fault("somebody swaps the certificate during the run", _swapped, "failed: served"),
    Fault("the clock is an hour behind", lambda site, mended: None, "refused: not-yet-valid", "correct the clock",
          {"not_before": time.time() + 3600}),
    Fault("a lock of a process that is gone", lambda site, mended: (
        site.server.state_folder / "lock").write_text('{"id": "dead", "pid": 4711}') and None, "replaced", after="new"),
    Fault("the PID of a program that is gone has a stranger", _pid_reused, "replaced", after="new"),
    Fault("a program of a run that died hangs", _left_alone, "replaced", after="new"),
)  # fmt: skip
AS_ROOT = (
    Fault("the file system is read-only", _read_only, "refused: directory-not-writable", "mounted read-only"),
    Fault("the folder for backups is full", _mounted(lambda site: site.server.state_folder / "backups", fill=True),
          "refused: host-error", "No space left"),
    Fault("the folder for backups is read-only", _mounted(lambda site: site.server.state_folder / "backups", "ro"),
          "refused: host-error", "Read-only file system"),
    Fault("the certificate is immutable", _immutable, "failed: place", "Operation not permitted"),
)  # fmt: skip


# Every call fails once

def failing(site: Site, code: int, every: int = 1) -> list[Row]:
    """A replacement in which each call that changes anything fails once, as on a disk that is full or broken."""
    flow = Flow()
    flow.begin(site)
    calls = site.run(*flow.asked(site)).calls
    return [_failing_at(site, call, code) for call in calls[::every] if call["call"] not in ("start", "kill")]


def _failing_at(site: Site, call: dict[str, t.Any], code: int) -> Row:
    site.rest()
    old, wanted = promises.contents(site.current), promises.contents(site.other)
    row = Row(f"{os.strerror(code)}: replacement", crashes.words(site, call), before="old",
              group=f"{call['call']} fails")  # fmt: skip
    ran = site.run("replace", site.parameters(), fail=call["n"], errno=code)
    row.during = "old" if ran.answer else "unknown"
    row.after = site.served_in_words()
    row.recovered_by = "the run itself"
    if ran.answer is None:
        row.broken.append(f"no answer: {ran.said[-300:]}")
    else:
        row.saw = flows.in_words(ran.answer)
        if (ran.answer["refused"] or {}).get("id") == "host-bug":
            row.broken.append(words_of(ran.answer))
        # What is told as done is done, and what is told as not done is not.
        is_done = not ran.answer["refused"] and not ran.answer.get("failure")
        if row.after != ("new" if is_done else "old"):
            row.broken.append(f"the port serves {row.after}: {words_of(ran.answer)}")
    row.broken += promises.of_any_moment(site.tree(), old, wanted)
    _next_run(site, row, wanted)
    return row


CODES = (errno.ENOSPC, errno.EIO)


# What goes on after the host program has died

def left_alone(site: Site) -> list[Row]:
    """It dies while sm_main stops or starts a slow rmi, and the next run comes at once."""
    found = []
    site.rest()
    calls = site.run("replace", site.parameters()).calls
    for number, verb in enumerate(("stop rmi", "start rmi", "start rmi")):
        site.rest()
        site.instance.set(stop_delay=1.5, start_delay=1.5, start="works" if number < 2 else "hangs@1")
        old, wanted = promises.contents(site.current), promises.contents(site.other)
        row = Row("killed, and the next run comes at once", f"sm_main {verb}", before="old")
        if number == 2:
            row.where += ", which hangs"
        asked = "replace", site.parameters(start_timeout=6, stop_timeout=6)
        place = next(call["n"] for call in calls if call.get("arguments") == verb)
        if not site.run(*asked, kill=place, half=True).was_killed:
            row.broken.append("it did not die there")
        row.during = site.served_in_words()
        answer = site.ask("replace", site.parameters(start_timeout=6, stop_timeout=6))
        row.saw, row.after, row.recovered_by = flows.in_words(answer), site.served_in_words(), "the next run"
        if answer["refused"] or answer["failure"] or not answer["recovered"]:
            row.broken.append(f"the next run: {words_of(answer)}, recovered={answer.get('recovered')}")
        if verb == "start rmi" and number == 1 and answer["recovered"] != "finished":
            row.broken.append("the program that was left alone was not waited for")
        if (running := standin_processes.all_of(site.instance.home)) != [site.instance.pid()]:
            row.broken.append(f"there is more of it than rmi: {running}")
        if any(not step["ok"] for step in answer.get("steps", [])):
            row.broken.append(f"the two were in each other's way: {answer['steps']}")
        if row.after != "new":
            row.broken.append(f"the port serves {row.after}")
        row.broken += promises.of_the_end(site.tree(), wanted) + promises.of_any_moment(site.tree(), old, wanted)
        found.append(row)
    return found
