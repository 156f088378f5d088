# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a command of the product so that what it starts can outlive us and owes us nothing.

A daemon started by C(sm_main) keeps whatever its caller had: a pipe to stdout would hold the caller for
ever, an ignored SIGTERM would make a Java process that cannot be stopped, our umask would widen or narrow
its files. So: argument list and no shell, stdin from C(/dev/null), output to an unlinked file, a session of
its own, cwd C(/), default signals, and umask, limits and environment as the running rmi has them.
"""

import contextlib
import functools
import os
import pwd
import re
import resource
import signal
import subprocess
import tempfile
import time
import typing as t

from . import core_dumps, files, layout, processes, refusal, server_log, sm_ini

# Variables for every login, set by an admin.
GLOBAL_VARIABLES = "/etc/environment"
_PROFILE_SECONDS = 10
_PROFILE_BYTES = 1 << 20
_STATUS_SECONDS = 30
# Where sm_main status came to this limit and had told nothing: it is not waited for again in this run.
_SILENT: t.Set[str] = set()
_OUTPUT_BYTES = 4 << 20
_OUTPUT_ROOM = 1 << 16
_SAID_LENGTH = 300
_GRACE = 2.0
_PAUSE = 0.05
_ONLINE = re.compile(r": rmi\s+\[\s*(\d+)\s*\]: online\s*$", re.MULTILINE)
# The line of any daemon, whatever the word for its state: a name, a PID perhaps, a colon, the word.
_ANY_DAEMON = re.compile(r": [\w-]+\s+(?:\[\s*\d+\s*\]\s*)?: \S", re.MULTILINE)
_HANDLED = ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM")


# Asked at a time limit for processes that are not to be ended: rmi.
Spare = t.Callable[[], t.Iterable[int]]
# Called in the new process before its program, to write down who it is.
Note = t.Optional[t.Callable[[], None]]


class Outcome(t.NamedTuple):
    """How a command ended: its exit code (C(None): ended by the time limit), its output, its seconds."""

    code: t.Optional[int]
    output: bytes
    seconds: float

    def how(self) -> str:
        """In words, how it ended."""
        if self.code is None:
            return "it did not end within %.0f s and was ended" % self.seconds
        return "it ended with exit code %d" % self.code

    def words(self) -> str:
        """For a message: how it ended and the last thing that it said."""
        lines = server_log.clean(self.output).strip().splitlines()
        said = "it said: %s" % lines[-1].strip()[:_SAID_LENGTH] if lines else "it said nothing"
        return "%s; %s" % (self.how(), said)


class Report(t.NamedTuple):
    """Whether rmi is online, C(None) where no daemon at all is reported, and its process where it is."""

    is_online: t.Optional[bool]
    pid: t.Optional[int]


@contextlib.contextmanager
def signals_handled() -> t.Iterator[None]:
    """Let a signal that is meant to end us pass by: what was begun is finished.

    The signals are handled and not ignored, because a handler is not inherited by a new program.
    """
    numbers = [getattr(signal, name) for name in _HANDLED]
    before = {number: signal.signal(number, _let_pass) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _let_pass(number: int, frame: object) -> None:
    pass


class SmMain:
    """The product's C(sm_main), run as the running rmi would want it."""

    def __init__(self, path: str, profile: str, context: t.Optional[processes.Context], note: Note = None) -> None:
        self._path = path
        self._note = note
        self._context = context
        self._environment = environment(profile, context)

    def run(self, arguments: t.List[str], timeout: float, spare: Spare = tuple) -> Outcome:
        """Run it with a time limit, at which the process group that it started is ended."""
        return _run([self._path] + arguments, timeout, self._environment, self._context, spare, note=self._note)

    def report(self) -> "Report":
        """What C(sm_main status) says of rmi."""
        if self._path in _SILENT:
            return Report(None, None)
        outcome = self.run(["status"], _STATUS_SECONDS)
        text = server_log.clean(outcome.output)
        match = _ONLINE.search(text)
        if match:
            return Report(True, int(match.group(1)))
        if _ANY_DAEMON.search(text):
            return Report(False, None)
        if outcome.code is None:
            _SILENT.add(self._path)
        return Report(None, None)

    def rmi_pid(self) -> t.Optional[int]:
        """The PID of rmi as C(sm_main status) shows it, C(None) when it is not C(online)."""
        return self.report().pid


def report(places: layout.Layout) -> Report:
    """What C(sm_main status) says of rmi, where it can be asked."""
    try:
        if not os.access(places.sm_main, os.X_OK) or not files.may_only_we_write(os.stat(places.sm_main)):
            return Report(None, None)
        return SmMain(places.sm_main, places.profile, None).report()
    except (refusal.Refused, OSError):
        return Report(None, None)


def environment(profile: str, context: t.Optional[processes.Context]) -> t.Dict[str, str]:
    """The environment of a start: that of a clean login of the product, and what matters as rmi has it.

    Of the variables that name a pair the profile has the last word, as after a login; where rmi does not run, those
    that are set for everybody count.
    """
    clean = environment_of(profile)
    if context is None:
        return dict(global_variables(), **clean)
    own = {name: value for name, value in clean.items()
           if name in layout.PAIR_VARIABLES or not processes.matters(name)}
    return dict(context.environment, **own)


def global_variables() -> t.Dict[str, str]:
    """The variables that name a pair, as they are set for everybody."""
    try:
        found = sm_ini.read_shell(GLOBAL_VARIABLES)
    except files.Unreadable:
        return {}
    return {name: found[name] for name in layout.PAIR_VARIABLES if name in found}


@functools.lru_cache()
def environment_of(profile: str) -> t.Dict[str, str]:
    """What the profile makes of a clean environment.

    :raises refusal.Refused: it is there and cannot be used; a daemon started without it might not run.
    """
    clean = {"PATH": processes.USUAL_PATH, "HOME": _home()}
    if not os.path.lexists(profile):
        return clean
    fix = "Look at the profile: it and its folder have to belong to root, and it has to end well when it is sourced."
    descriptor = _opened_if_trustworthy(profile)
    if descriptor is None:
        message = "Others than root may have written %s, or put it there." % profile
        raise refusal.Refused("profile-unusable", message, fix)
    # As an admin would, whose shell is mostly bash.
    shell = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
    script = '. "$1" >/dev/null 2>&1; exec /usr/bin/env -0'
    try:
        # What was looked at is what is sourced, whatever its name leads to by then.
        sourced = _run([shell, "-c", script, "sh", "/proc/self/fd/%d" % descriptor], _PROFILE_SECONDS, clean, None,
                       inherited=[descriptor])
    finally:
        os.close(descriptor)
    found = processes.parse_environment(sourced.output)
    if sourced.code != 0 or not found:
        raise refusal.Refused("profile-unusable", "%s cannot be sourced: %s." % (profile, sourced.how()), fix)
    of_the_shell = ("_", "SHLVL", "PWD", "OLDPWD")
    return dict(clean, **{name: value for name, value in found.items() if name not in of_the_shell})


def _home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def _opened_if_trustworthy(path: str) -> t.Optional[int]:
    """A descriptor of a file, C(None) where others than root or ourselves can have written it, or have given its name
    to one that root has: a log of root's, perhaps, with words of theirs."""
    folders = {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}
    try:
        if not all(files.may_only_we_write(os.stat(folder)) for folder in folders):
            return None
        name, descriptor = os.lstat(path), files.open_regular(path, _PROFILE_BYTES, follow_links=True)
    except (OSError, files.Unreadable):
        return None
    if name.st_uid in (0, os.geteuid()) and files.may_only_we_write(os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _run(command: t.List[str], timeout: float, environment: t.Dict[str, str],
         context: t.Optional[processes.Context], spare: Spare = tuple, note: Note = None,
         inherited: t.Sequence[int] = ()) -> Outcome:
    begin = time.monotonic()
    with _place_for_output() as output:
        try:
            # Not run_command: the host code knows no AnsibleModule, and what it starts has to outlive it.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
                env=environment, start_new_session=True, close_fds=True, pass_fds=inherited,
                preexec_fn=lambda: _become_neutral(context, note))  # noqa: PLW1509 (there is one thread)
        except OSError as exc:
            reason = "%s: %s" % (command[0], exc.strerror)
            return Outcome(127, reason.encode("utf-8", "replace"), time.monotonic() - begin)
        try:
            code: t.Optional[int] = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
            _end_group(process.pid, set(spare()), process.poll)
        size = os.fstat(output.fileno()).st_size
        last = os.pread(output.fileno(), _OUTPUT_BYTES, max(size - _OUTPUT_BYTES, 0))
        return Outcome(code, last.rstrip(b"\0"), time.monotonic() - begin)  # Behind what was said is room alone.


def _place_for_output() -> t.IO[bytes]:
    """Where a program writes what it has to say. Where there is no place or no room, it is started all the same."""
    try:
        output = tempfile.TemporaryFile()  # noqa: SIM115 (whoever asks for it closes it)
        os.posix_fallocate(output.fileno(), 0, _OUTPUT_ROOM)
        return output
    except OSError:
        return open(os.devnull, "w+b")


def end_in_time(program: dict, seconds: float, spare: Spare) -> None:
    """Wait for a program (C(pid), C(birth)) that a run had started which died, and end it at the time limit."""
    deadline = time.monotonic() + seconds
    while processes.birth(program["pid"]) == program["birth"]:
        if time.monotonic() > deadline:
            _end_group(program["pid"], set(spare()))
            return
        time.sleep(_PAUSE)


def _become_neutral(context: t.Optional[processes.Context], note: Note) -> None:
    """In the new process, before its program: pass on nothing of ours."""
    if note is not None:
        try:
            note()
        except OSError:
            pass  # A disk that is full must not keep rmi from its start.
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError, RuntimeError):
            pass
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(context.umask if context and context.umask is not None else 0o022)
    for name, limit in dict(core_dumps.LIMIT_BEFORE, **(context.limits if context else {})).items():
        try:
            resource.setrlimit(getattr(resource, name), limit)
        except (OSError, ValueError):
            pass


def _end_group(group: int, spared: t.Set[int], reap: t.Callable[[], object] = lambda: None) -> None:
    """End what a command started, but never rmi: it may have stayed in the group of its starter."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE
        for pid in _members(group, spared, reap):
            try:
                os.kill(pid, number)
            except OSError:
                pass
        while _members(group, spared, reap) and time.monotonic() < deadline:
            time.sleep(0.02)
    reap()  # It may have ended between the last two looks.


def _members(group: int, spared: t.Set[int], reap: t.Callable[[], object]) -> t.Set[int]:
    reap()  # One that has ended is a zombie until it is asked.
    return set(processes.group_members(group)) - spared
