# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an action asks the host: over standard input where that is possible, else by an ordinary module.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import time
import typing as t
import uuid

from ansible import constants, errors
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _catalogue, _host_program, _progress, _report, _run
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable

# What Ansible takes for "find one".
# Raised by ansible-core 2.19 and later where a value is C(omit).
_OMITTED: t.Any = getattr(errors, "AnsibleValueOmittedError", ())
# The exit codes of a shell that could not start a program.
_NOT_STARTED = (126, 127)
_DISCOVERY = ("", "auto", "auto_silent", "auto_legacy", "auto_legacy_silent")
_TRANSPORT_VARIABLE = "SEP_SESAM_TRANSPORT"
_PROGRAM_VARIABLE = "SEP_SESAM_HOST_PROGRAM"
_SSH_ARGUMENTS = "ssh_extra_args"
# A module would tell the host's syslog what it is invoked with, whatever it says of that itself. The host code writes a
# line of its own, for a change alone.
_NO_SYSLOG = {"ansible_no_target_syslog": True}
# Of what a host has printed, so much is shown.
_TAIL = 300
# So much of what was sent is no coincidence in what was printed.
_PIECE = 24
# What tells no reason of a failure: what ssh says of itself, at -vvvv very much, and our own mark for a host without
# Python.
_IDLE = re.compile(
    r"(?:^|(?<=ssh: ))(?:debug[123]: | *#\d+ |OpenSSH_\d|Authenticated to |Authenticated using |Transferred: sent |"
    r"Bytes per second: sent |Warning: Permanently added |Warning: No xauth data|X11 forwarding request failed|"
    r"Pseudo-terminal will not be allocated|ControlSocket .* already exists, disabling|\*\* |"
    r"(?:Shared c|C)onnection to \S+ closed\.|sep\.sesam [0-9a-f]{32} no-python)[^\r\n]*[\r\n]*", re.MULTILINE)
# Nobody knows how far it came: ansible-core tells of a connection that fails alike at every time.
_GOES_ON = ("If the host had begun its work by then, it goes on alone, and ends it or takes it back by itself. Run the "
            "play again: it looks anew at what is there, and finishes or undoes what was left.")
# What the task keyword timeout raises: no Exception, of the same name in every ansible-core, and public in none.
_CUT_OFF = "TaskTimeoutError"
# What lets a call take long.
_LIMITS = ("lock_timeout", "stop_timeout", "start_timeout")

Options = dict[str, t.Any]
Result = dict[str, t.Any]


class HostFailed(Exception):
    """The host did not answer, and may have done something; C(result) is that of the task."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


@dataclasses.dataclass(frozen=True)
class Call:
    """One question to the host. C(has_secret): whether a key or a passphrase is among the arguments."""

    module: str
    arguments: dict[str, t.Any]
    has_secret: bool

    @property
    def retries(self) -> int | None:
        """How often a connection may send it again when it breaks; C(None): as configured.

        A look may come twice, and a replacement: where its run has begun, the second call waits for the answer of that.
        """
        return None if not self.changes or _arguments.OF_MODULE[self.module].question == "replace" else 0

    @property
    def changes(self) -> bool:
        """Whether it may change something, which a look does not."""
        verb = (self.arguments.get("order") or {}).get("verb")
        return _arguments.OF_MODULE[self.module].question != "resolve" and verb != "look"

    @property
    def secret(self) -> str:
        """What may not be shown, as it is sent; empty where nothing is secret."""
        return json.dumps(self.arguments) if self.has_secret else ""

    @property
    def limits(self) -> str:
        """How long it may wait for what, in words."""
        return ", ".join(f"{name} {self.arguments[name]} s" for name in _LIMITS if name in self.arguments)

    def program(self, check_mode: bool, nonce: str) -> bytes:
        """The question as the host code takes it, which is how the module of that name would put it."""
        spec = _arguments.OF_MODULE[self.module]
        given = {name: entry.get("default") for name, entry in spec.arguments.items()} | self.arguments
        paths = [name for name, entry in spec.arguments.items() if entry["type"] == "path" and given[name] is not None]
        return _host_program.program(spec.question, _arguments.parameters(given, check_mode), paths, nonce)


class HostCalls(ActionBase):  # type: ignore[misc]
    """The part of an action that talks to the host. C(options): those of the task, once they are checked."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Mapping[str, t.Any]]]
    options: Options

    def ask_host(self, task_vars: dict[str, t.Any], module: str = "", has_secret: bool = False,
                 **arguments: t.Any) -> Result:
        """Ask the host what a module asks, that of the same name where no other is named.

        Sent once: a second way is taken only where the program cannot have run by the first.

        :raises Refused: it could not be asked.
        :raises HostFailed: its answer was lost, or the ordinary module did not run.
        """
        self._host = str(task_vars.get("inventory_hostname", ""))
        call = Call(module or self._task.action.rpartition(".")[2], {**self._installation(), **arguments}, has_secret)
        if call.changes:
            call.arguments["order"] = {**call.arguments["order"], "run": _run.new()}
        with self._progress_told(call), self._failure_explained(call):
            return self._by_some_way(call, task_vars)

    def _by_some_way(self, call: Call, task_vars: dict[str, t.Any]) -> Result:
        """By the way that is chosen, or else the other."""
        transport, obstacle = self._transport(), self._obstacle()
        if transport == "module" or (transport == "auto" and obstacle):
            return self._by_module(call, task_vars, obstacle or "transport is module")
        if obstacle:
            raise Refused(_catalogue.finding("transport-impossible", "place", f"transport is stdin, but {obstacle}."))
        reply, seen = self._by_stdin(call, task_vars)
        if reply.answer is not None:
            return reply.answer
        if reply.began:
            raise HostFailed(_lost(reply, seen))
        if reply.no_python:
            raise Refused(_catalogue.finding("python-missing", "place", self._no_python(task_vars, seen)))
        if transport == "stdin":
            raise Refused(_catalogue.finding(
                "transport-impossible", "place", f"The host did not start the program that was sent ({seen})."))
        # Where standard input does not arrive, a pipelined module would not either: a sudo that requires a terminal.
        return self._by_module(call, task_vars, f"the host did not start what was sent to its standard input ({seen})",
                               pipelined=False)

    def ask_host_or_refuse(self, task_vars: dict[str, t.Any], module: str = "", has_secret: bool = False,
                           **arguments: t.Any) -> Result:
        """The same; what the host refuses is refused.

        :raises Refused: with the finding of the host.
        """
        answer = self.ask_host(task_vars, module, has_secret, **arguments)
        if answer["refused"]:
            raise Refused(Finding(**answer["refused"]))
        return answer

    def _installation(self) -> dict[str, t.Any]:
        """The options that say where the installation is, where they were given."""
        return {name: self.options[name] for name in _arguments.INSTALLATION if name in self._task.args}

    def _transport(self) -> str:
        """How to ask: what the option says; where that is C(auto), the environment of the controller may choose."""
        option, variable = self.options["transport"], os.environ.get(_TRANSPORT_VARIABLE)
        chosen = variable if variable and option == "auto" else option
        choices = self.ARGUMENTS["transport"]["choices"]
        if chosen not in choices:
            raise AnsibleActionFail(f"{_TRANSPORT_VARIABLE} is {chosen!r} in the environment of the controller; it has "
                                    f"to be one of {', '.join(choices)}.")
        return t.cast(str, chosen)

    def _obstacle(self) -> str:
        """Why nothing can be sent to the standard input of a program on the host; empty if it can."""
        family, become = getattr(self._connection._shell, "SHELL_FAMILY", "sh"), self._connection.become
        windows = "The host is reached by PowerShell." if family == "powershell" else ""
        if become is not None and become.name == "runas":
            windows = "become method runas is for Windows; for Linux there is sudo."
        if windows:
            raise Refused(_catalogue.finding("host-windows", "place", windows))
        if family != "sh":
            return f"the shell is {family}, no POSIX shell"
        if not self._connection.has_pipelining:
            return f"the connection {self._connection.transport} passes no standard input to a program"
        # ansible-core before 2.19 knows this of su alone.
        if become is not None and not getattr(become, "pipelining", become.name != "su"):
            return f"become method {become.name} passes no standard input to a program"
        return ""

    # By standard input

    def _by_stdin(self, call: Call, task_vars: dict[str, t.Any]) -> tuple[_host_program.Reply, str]:
        """Send the program and read what comes back; and what was seen, in words for a message."""
        nonce = uuid.uuid4().hex
        program = call.program(self._task.check_mode, nonce)
        self._keep_program(call, program)
        command = _host_program.command(self._interpreter(task_vars), self._compute_environment_string(), nonce)
        begin = time.monotonic()
        # Without pipelining, a connection may use a terminal for the prompt of become, and the program would go there.
        with self._connected(pipelining=True, reconnection_retries=call.retries):
            seen = self._low_level_execute_command(command, in_data=program)
        reply = _host_program.read(nonce, seen["stdout"])
        if seen["rc"] < 0 and not reply.began:
            # ssh, or what else connects to it: the host may have told of its beginning all the same.
            reply = _host_program.Reply(True, problem="what connects to it told of no end")
        self._say(f"host code over standard input, Python {printable(reply.python) or '(did not start)'}, "
                  f"{len(program)} bytes there, {len(seen['stdout'])} back, {time.monotonic() - begin:.2f} s")
        return reply, _in_words(seen, reply, call.secret)

    def _interpreter(self, task_vars: dict[str, t.Any]) -> str:
        """The Python that is configured for the host; empty if the host is to find one."""
        if self._task.delegate_to:
            task_vars = task_vars["ansible_delegated_vars"][self._task.delegate_to]
        configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        try:
            found = str(self._templar.template(configured) or "").strip()
        except _OMITTED:
            return ""
        return "" if found in _DISCOVERY else found

    def _no_python(self, task_vars: dict[str, t.Any], seen: str) -> str:
        configured = self._interpreter(task_vars)
        if configured:
            return f"ansible_python_interpreter is {configured}, which is no Python 3.6 or later on the host ({seen})."
        return f"The host has no Python 3.6 or later as {', '.join(_host_program.INTERPRETERS)} ({seen})."

    def _keep_program(self, call: Call, program: bytes) -> None:
        """Write what is sent to a folder of the controller, for somebody who wants to run it by hand."""
        folder = os.environ.get(_PROGRAM_VARIABLE)
        if not folder:
            return
        if call.has_secret:
            self._refuse_to_expose(f"{_PROGRAM_VARIABLE} is set")
        name = f"{self._host}-{call.module}.py".replace(os.sep, "_")
        path = os.path.join(folder, name)
        try:
            with open(path, "wb", opener=_new_file) as file:
                file.write(program)
        except OSError as exc:
            raise AnsibleActionFail(
                f"{_PROGRAM_VARIABLE} is set, but {path} cannot be written: {exc.strerror}.") from None
        self._say(f"the program is kept as {path}")

    # By an ordinary module

    def _by_module(self, call: Call, task_vars: dict[str, t.Any], why: str, pipelined: bool | None = None) -> Result:
        """Run the module of that name; C(why) not otherwise; C(pipelined) as configured where it is C(None)."""
        # Without, its arguments would lie on the host's disk in clear.
        with self._connected(pipelining=True if call.has_secret and pipelined is None else pipelined,
                             reconnection_retries=call.retries):
            if call.has_secret:
                self._refuse_to_expose(*self._exposures(why))
            begin = time.monotonic()
            answer: Result = self._execute_module(
                module_name=f"sep.sesam.{call.module}", module_args=call.arguments,
                task_vars={**task_vars, **_NO_SYSLOG})
        self._say(f"ordinary module, since {why}; {time.monotonic() - begin:.2f} s")
        if "module_stdout" in answer:  # What it printed is no answer.
            raise _without_answer(answer, call.secret)
        if "refused" not in answer:
            raise HostFailed(answer)
        # By standard input there is none.
        answer.pop("invocation", None)
        return answer

    def _exposures(self, why: str) -> t.Iterator[str]:
        """What makes Ansible write the arguments of a module to the host's disk, or perhaps print them."""
        if constants.DEFAULT_DEBUG:
            yield "ANSIBLE_DEBUG is on"
        if constants.DEFAULT_KEEP_REMOTE_FILES:
            yield "ANSIBLE_KEEP_REMOTE_FILES is on"
        elif not self._is_pipelining_enabled("new"):
            yield f"the module cannot be pipelined, since {why}"

    def _refuse_to_expose(self, *reasons: str) -> None:
        if reasons and not self.options["allow_key_exposure"]:
            raise Refused(_catalogue.finding(
                "key-exposure", "place",
                f"The private key would be written to a disk or could be printed: {'; '.join(reasons)}."))

    @contextlib.contextmanager
    def _connected(self, **options: t.Any) -> t.Iterator[None]:
        """Set options of the connection, whatever is configured, for the time being; C(None) leaves one."""
        wanted = {name: value for name, value in options.items() if value is not None}
        before = {name: self._connection.get_option(name) for name in (*wanted, _SSH_ARGUMENTS)
                  if self._has_option(name)}
        # The last word on terminals, whatever ssh is told elsewhere; where Ansible needs one, its own -tt comes later.
        wanted[_SSH_ARGUMENTS] = f"{before.get(_SSH_ARGUMENTS) or ''} -T".strip()
        for name in before:
            self._connection.set_option(name, wanted[name])
        try:
            with self._pipelined(wanted.get("pipelining")):
                yield
        finally:
            for name, value in before.items():
                self._connection.set_option(name, value)

    @contextlib.contextmanager
    def _pipelined(self, wanted: bool | None) -> t.Iterator[None]:
        """The same for a connection that has no such option, as community.general.chroot."""
        # ansible-core looks there instead: into the first one before 2.19, into the second one since.
        contexts = (self._play_context, self._connection._play_context) if wanted is not None else ()
        before = [context.pipelining for context in contexts]
        for context in contexts:
            context.pipelining = wanted
        try:
            yield
        finally:
            for context, value in zip(contexts, before):
                context.pipelining = value

    def _has_option(self, name: str) -> bool:
        """Whether this kind of connection has it."""
        try:
            self._connection.get_option(name)
        except (KeyError, AttributeError, ValueError):
            return False
        return True

    @contextlib.contextmanager
    def _failure_explained(self, call: Call) -> t.Iterator[None]:
        """Where the connection fails: the reason alone, and what becomes of a host that has begun.

        Where the task is cut off, ansible-core makes the result: the host is told of in a warning.
        """
        may_go_on = call.changes and not self._task.check_mode
        try:
            yield
        except AnsibleConnectionFailure as exc:
            reason = _in_a_line(str(exc.message))
            if reason.endswith(":"):
                reason = _in_a_line(str(exc.message), but=None)  # What ssh says of itself is all that there is.
            reason = _unless_it_repeats(call.secret, reason)
            if may_go_on:
                reason = f"{reason.rstrip('.')}. {_GOES_ON}"
            raise AnsibleConnectionFailure(reason) from None
        except BaseException as exc:
            if may_go_on and type(exc).__name__ == _CUT_OFF:
                self._display.warning(f"{self._host}: The task was cut off after {self._task.timeout} s, its timeout. "
                                      f"{_GOES_ON} sep.sesam.drift_check shows what it serves by now.")
            raise

    def _progress_told(self, call: Call) -> contextlib.AbstractContextManager[None]:
        """For somebody who waits: -v."""
        if not self._display.verbosity:
            return contextlib.nullcontext()
        limits = f" ({call.limits})" if call.limits else ""
        return _progress.told(lambda passed: self._display.v(
            f"sep.sesam: {call.module}: no answer of the host after {passed}{limits}", host=self._host))

    def _say(self, text: str) -> None:
        """For somebody who looks for a fault: -vvvv."""
        self._display.vvvv(f"sep.sesam: {text}", host=self._host)


def _new_file(path: str, flags: int) -> int:
    """A file that nobody else has made or reads, in the place of what has its name: the folder may be open to all."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _lost(reply: _host_program.Reply, seen: str) -> Result:
    """The result of a task that does not know what the host has done."""
    begun = f"has begun its work (Python {printable(reply.python)})" if reply.python else "may have begun its work"
    finding = _catalogue.finding("answer-lost", "place", f"The host {begun}, but {reply.problem} ({seen}).")
    return {"failed": True, "msg": str(finding), "findings": _report.findings_as_data([finding])}


def _without_answer(answer: Result, secret: str) -> Refused | HostFailed:
    """What is to be said of a module that died, or that was never started."""
    seen = {"rc": answer.get("rc"), "stdout": answer["module_stdout"], "stderr": answer.get("module_stderr", "")}
    reply = _host_program.Reply(began=False, problem="the ordinary module ended without an answer")
    words = _in_words(seen, reply, secret)
    if seen["rc"] in _NOT_STARTED and not seen["stdout"].strip():
        return Refused(_catalogue.finding("python-missing", "place", f"The ordinary module was not started ({words})."))
    return HostFailed(_lost(reply, words))


def _in_words(seen: dict[str, t.Any], reply: _host_program.Reply, secret: str) -> str:
    """Exit code, and the ends of what was printed as errors and otherwise; of an answer, where there is no error.

    Unless it repeats a piece of what is secret: a terminal does, or a shell that takes the program for its own.
    """
    errors = _end(seen["stderr"])
    ends = [errors] if errors and reply.began else [errors, _end(seen["stdout"])]
    printed = _unless_it_repeats(secret, "; ".join(filter(None, ends)))
    return f"exit code {seen['rc']}" + (f": {printed}" if printed else "")


def _unless_it_repeats(secret: str, printed: str) -> str:
    """What was printed, unless it has a piece of what is secret."""
    if any(printed[begin:begin + _PIECE] in secret for begin in range(len(printed) - _PIECE + 1)):
        return "what was printed is not shown, since it repeats what was sent"
    return printed


def _end(text: str) -> str:
    """The end of what was printed, in one line, without what tells no reason."""
    # A host may print very much.
    return _in_a_line(text[-100 * _TAIL:])[-_TAIL:].strip()


def _in_a_line(text: str, but: re.Pattern[str] | None = _IDLE) -> str:
    """Several lines as one, without those that tell no reason."""
    return printable(" ".join((but.sub("", text) if but else text).split()))
