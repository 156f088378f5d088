# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ways to a host: which is taken, what is never taken twice, and what holds a key."""

from __future__ import annotations

import os
import subprocess
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.executor import task_executor
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.sep.sesam.plugins.action import (
    sesam_cert_replace,
    sesam_cert_resolve,
    sesam_pkcs8_convert,
    sesam_selfsigned,
)
from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program, _progress
from unit import answers, pki
from unit.actions import asked

PAIR = pki.make("new.example")
REPLACE = {"certificate": PAIR.pem.decode(), "private_key": PAIR.key_pem.decode()}
NOT_INSTALLED = {"sesam2000_ini": "/nowhere/sesam2000.ini"}
REFUSAL = {"id": "not-yet-valid", "subject": "wanted", "level": "error", "message": "no.", "fix": "Mend."}
UNTOUCHED = "Nothing was touched. "
VARIABLES: dict[str, t.Any] = {"inventory_hostname": "one"}


class Host:
    """A shell on this machine, in the place of a connection; what it was sent, and what it lets through."""

    def __init__(self, action: t.Any, spoil: t.Callable[[str], str] = str, send: t.Callable[[bytes], bytes] = bytes):
        self.commands: list[str] = []
        self.programs: list[bytes] = []
        self._spoil, self._send = spoil, send
        action._connection.has_pipelining = True
        action._low_level_execute_command = self.execute
        action._compute_environment_string = lambda: "LANGUAGE=en"
        action._templar = Templar(DataLoader())
        self.said: list[str] = []
        self.progress: list[str] = []
        self.warnings: list[str] = []
        action._display = types.SimpleNamespace(
            warning=self.warnings.append,
            verbosity=0, v=lambda text, host: self.progress.append(f"{host}: {text}"),
            vvvv=lambda text, host: self.said.append(f"{host}: {text}"))

    def execute(self, command: str, in_data: bytes) -> dict[str, t.Any]:
        self.commands.append(command)
        self.programs.append(in_data)
        done = subprocess.run(["/bin/sh", "-c", command], input=self._send(in_data), capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": self._spoil(done.stdout.decode()), "stderr": done.stderr.decode()}


def look(act: t.Any, transport: str = "auto", **variables: t.Any) -> tuple[t.Any, t.Callable[[], dict[str, t.Any]]]:
    action = act(sesam_cert_resolve, **NOT_INSTALLED, transport=transport)
    return action, lambda: t.cast(dict[str, t.Any], action.run(task_vars={**VARIABLES, **variables}))


def test_the_host_is_asked_over_standard_input(act: t.Any) -> None:
    action, run = look(act)
    host, calls = Host(action), asked(action, {})
    assert run()["state"] == "not_installed"
    assert (len(host.programs), calls) == (1, [])
    assert host.commands[0].count("LANGUAGE=en \\0044python -I -c ") == 1
    assert "sesam2000.ini" not in host.commands[0]
    assert b"/nowhere/sesam2000.ini" in host.programs[0]
    assert len(host.said) == 1
    assert host.said[0].startswith("one: sep.sesam: host code over standard input, Python 3.")
    assert f", {len(host.programs[0])} bytes there, " in host.said[0]


@pytest.mark.parametrize("verbosity", [0, 1])
@pytest.mark.parametrize("transport", ["stdin", "module"])
def test_a_long_wait_is_told_to_whoever_wants_to_see_it(
    act: t.Any, transport: str, verbosity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_progress, "FIRST", 0.1)
    action = act(sesam_cert_replace, **REPLACE, **NOT_INSTALLED, transport=transport, stop_timeout=7)
    host, calls = Host(action), asked(action, {"refused": REFUSAL})
    action._display.verbosity = verbosity
    for way in ("_low_level_execute_command", "_execute_module"):
        monkeypatch.setattr(action, way, _slow(getattr(action, way)), raising=False)

    assert action.run(task_vars=VARIABLES)["failed"]

    assert (len(host.programs), len(calls)) == ((1, 0) if transport == "stdin" else (0, 1))
    # After 0.1 and 0.3 s, and not any more when it is over.
    told = list(host.progress)
    time.sleep(0.5)
    assert len(told) >= 2 * verbosity
    assert host.progress == (told if verbosity else [])
    for line in told:
        assert line.startswith("one: sep.sesam: sesam_cert_replace: no answer of the host after ")
        assert line.endswith(" s (lock_timeout 300 s, stop_timeout 7 s, start_timeout 120 s)")


def _slow(work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def later(*given: t.Any, **named: t.Any) -> t.Any:
        time.sleep(0.5)
        return work(*given, **named)

    return later


def test_a_module_tells_syslog_nothing_of_what_it_is_asked(act: t.Any) -> None:
    """By what Ansible looks up in the variables: that, and not what a module says of itself, is what counts."""
    action, run = look(act, "module", ansible_no_target_syslog=False)
    calls = asked(action, answers.in_sync(PAIR))
    assert run()["state"] == "in_sync"
    assert constants.config.get_config_value("DEFAULT_NO_TARGET_SYSLOG", variables=calls[0]["task_vars"]) is True
    assert calls[0]["task_vars"]["inventory_hostname"] == "one"


def test_the_host_expands_its_own_paths(act: t.Any) -> None:
    action = act(sesam_cert_resolve, sesam2000_ini="~/$LANGUAGE.ini")
    Host(action)
    assert f"{Path.home()}/en.ini: it does not exist" in action.run(task_vars=VARIABLES)["reason"]


@pytest.mark.parametrize(("become", "has_pipelining", "reason"), [
    (None, False, "the connection imaginary passes no standard input to a program"),
    (types.SimpleNamespace(name="su", pipelining=False), True,
     "become method su passes no standard input to a program"),
])
def test_what_passes_no_input_gets_the_module(
    act: t.Any, become: t.Any, has_pipelining: bool, reason: str
) -> None:
    for transport in ("auto", "module", "stdin"):
        action, run = look(act, transport)
        host = Host(action)
        action._connection.become, action._connection.has_pipelining = become, has_pipelining
        calls = asked(action, answers.in_sync(PAIR))
        result = run()
        assert host.programs == []
        if transport == "stdin":
            assert result["msg"].startswith(f"{UNTOUCHED}transport-impossible: transport is stdin, but {reason}. ")
            assert calls == []
        else:
            assert (result["state"], len(calls)) == ("in_sync", 1)
            assert calls[0]["pipelining"] is False
            assert calls[0]["task_vars"] == {**VARIABLES, "ansible_no_target_syslog": True}
            assert f"ordinary module, since {reason}; " in host.said[0]


def test_the_module_is_taken_where_it_is_chosen(act: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for option, variable, is_module in (
        ("module", "", True), ("module", "stdin", True), ("auto", "module", True), ("auto", "", False),
        ("auto", "auto", False), ("auto", "stdin", False), ("stdin", "module", False),
    ):
        monkeypatch.setenv("SEP_SESAM_TRANSPORT", variable)
        action, run = look(act, option)
        host, calls = Host(action), asked(action, answers.in_sync(PAIR))
        run()
        assert (len(calls), len(host.programs)) == (int(is_module), int(not is_module)), (option, variable)
    monkeypatch.setenv("SEP_SESAM_TRANSPORT", "sdtin")
    with pytest.raises(AnsibleActionFail, match=r"SEP_SESAM_TRANSPORT is 'sdtin'.*auto, stdin, module"):
        look(act)[1]()


def test_a_program_that_did_not_begin_is_followed_by_a_module_without_pipelining(act: t.Any) -> None:
    """As sudo with requiretty does it."""
    for transport in ("auto", "stdin"):
        action, run = look(act, transport)
        action._connection.options["pipelining"] = True
        host, calls = Host(action), asked(action, answers.in_sync(PAIR))
        action._low_level_execute_command = lambda command, in_data: {
            "rc": 1, "stdout": "", "stderr": "sudo: sorry, you must have a tty to run sudo\r\n"}
        result = run()
        why = "exit code 1: sudo: sorry, you must have a tty to run sudo"
        if transport == "stdin":
            assert f"The host did not start the program that was sent ({why})." in result["msg"]
            assert calls == []
        else:
            assert (result["state"], [call["pipelining"] for call in calls]) == ("in_sync", [False])
            assert why in host.said[-1]
        assert action._connection.options["pipelining"] is True


@pytest.mark.parametrize("spoil", [
    lambda out: out[:out.index("begin") + 20],
    lambda out: out[:out.index("answer") + 5],
    lambda out: out[:-20],
    lambda out: out.replace('"state', 'Broadcast message from root\n"state').replace("refused", "refuse!"),
    lambda out: out.replace(" answer ", " answer 9999"),
], ids=["nothing after the beginning", "cut in the frame", "cut in the answer", "words in the answer", "50 MB"])
def test_what_began_is_never_asked_again(act: t.Any, spoil: t.Callable[[str], str]) -> None:
    for transport in ("auto", "stdin"):
        action, run = look(act, transport)
        host, calls = Host(action, spoil), asked(action, answers.in_sync(PAIR))
        message = run()["msg"]
        assert message.startswith("answer-lost: The host has begun its work (Python 3.")
        assert "Run the play again" in message
        assert (len(host.programs), calls) == (1, [])


@pytest.mark.parametrize("transport", ["auto", "stdin"])
def test_what_may_have_begun_is_never_asked_again(act: t.Any, transport: str) -> None:
    """An ssh that is killed may have had the beginning before it."""
    action, run = look(act, transport)
    _host, calls = Host(action), asked(action, answers.in_sync(PAIR))
    action._low_level_execute_command = lambda command, in_data: {"rc": -9, "stdout": "", "stderr": ""}
    message = run()["msg"]
    assert message.startswith("answer-lost: The host may have begun its work, but what connects to it told of no end (")
    assert calls == []


@pytest.mark.parametrize(("rc", "stdout", "stderr", "told"), [
    (137, "", "", "exit code 137"),
    (127, "half {", "", "exit code 127: half {"),
    (1, "half {", REPLACE["private_key"], "exit code 1: what was printed is not shown, since it repeats what was sent"),
])
def test_a_module_without_an_answer(act: t.Any, rc: int, stdout: str, stderr: str, told: str) -> None:
    """It was killed, it ended by itself, or what it is asked comes back."""
    action = act(sesam_cert_replace, **REPLACE, **NOT_INSTALLED, transport="module")
    host = Host(action)
    asked(action, {"failed": True, "msg": "MODULE FAILURE", "rc": rc, "module_stdout": stdout, "module_stderr": stderr})
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], [found["id"] for found in result["findings"]]) == (True, ["answer-lost"])
    assert result["msg"].startswith(
        f"answer-lost: The host may have begun its work, but the ordinary module ended without an answer ({told}). ")
    assert "BEGIN PRIVATE" not in str(result)
    assert host.programs == []


@pytest.mark.parametrize("rc", [126, 127])
def test_a_module_that_is_not_started(act: t.Any, rc: int) -> None:
    """There is no Python: the host has done nothing."""
    action = act(sesam_cert_replace, **REPLACE, **NOT_INSTALLED, transport="module")
    Host(action)
    asked(action, {"failed": True, "msg": "MODULE FAILURE", "rc": rc, "module_stdout": "\r\n",
                   "module_stderr": "/bin/sh: 1: /nowhere/python3: not found\n"})
    result = action.run(task_vars=VARIABLES)
    assert [found["id"] for found in result["findings"]] == ["python-missing"]
    assert result["msg"].startswith(f"{UNTOUCHED}python-missing: The ordinary module was not started (exit code {rc}: "
                                    "/bin/sh: 1: /nowhere/python3: not found). ")


@pytest.mark.parametrize("spoil", [
    lambda out: "Welcome!\r\n" + out.replace("\n", "\r\n") + "\r\nGood bye\r\n",
    lambda out: "no newline here" + out + "sep.sesam answer 3 abc",
])
def test_banners_do_no_harm(act: t.Any, spoil: t.Callable[[str], str]) -> None:
    action, run = look(act)
    Host(action, spoil)
    assert run()["state"] == "not_installed"


@pytest.mark.parametrize(("interpreter", "says"), [
    ("/nowhere/python3", "ansible_python_interpreter is /nowhere/python3, which is no Python 3.6 or later on the host"),
    ("/bin/false", "ansible_python_interpreter is /bin/false, which is no Python"),
    ("{{ found }}", "ansible_python_interpreter is /nowhere/python3, which"),
])
def test_no_python(act: t.Any, interpreter: str, says: str) -> None:
    action, run = look(act, ansible_python_interpreter=trust_as_template(interpreter))
    host, calls = Host(action), asked(action, {})
    action._templar.available_variables = {"found": "/nowhere/python3"}
    message = run()["msg"]
    assert message.startswith(f"{UNTOUCHED}python-missing: ")
    assert says in message
    assert (len(host.commands), calls) == (1, [])


@pytest.mark.parametrize("interpreter", [
    "auto", "auto_silent", "", "/usr/bin/env python3", "{{ nothing | default(omit) }}"])
def test_pythons_that_are_found(act: t.Any, monkeypatch: pytest.MonkeyPatch, interpreter: str) -> None:
    """The first of the usual places that starts; one that does not, or that fails, is passed over."""
    monkeypatch.setattr(_host_program, "INTERPRETERS", ("/nowhere/python3", "/bin/false", "python3"))
    action, run = look(act, ansible_python_interpreter=trust_as_template(interpreter))
    Host(action)
    assert run()["state"] == "not_installed"


def test_the_interpreter_of_the_host_to_which_it_is_delegated(act: t.Any) -> None:
    action, run = look(act, ansible_python_interpreter="/nowhere/a", ansible_delegated_vars={
        "two": {"ansible_python_interpreter": "/nowhere/b"}})
    Host(action)
    action._task.delegate_to = "two"
    assert "ansible_python_interpreter is /nowhere/b" in run()["msg"]


@pytest.mark.parametrize("transport", ["auto", "stdin", "module"])
@pytest.mark.parametrize(("family", "become", "says"), [
    ("powershell", None, "The host is reached by PowerShell."),
    ("sh", "runas", "become method runas is for Windows; for Linux there is sudo."),
    ("powershell", "runas", "become method runas is for Windows; for Linux there is sudo."),
])
def test_windows_is_refused_before_anything_is_sent(
    act: t.Any, family: str, become: str | None, says: str, transport: str
) -> None:
    action, run = look(act, transport)
    host, calls = Host(action), asked(action, {})
    action._connection._shell = types.SimpleNamespace(SHELL_FAMILY=family)
    action._connection.become = become and types.SimpleNamespace(name=become)
    assert run()["msg"].startswith(f"{UNTOUCHED}host-windows: {says} This collection is for SEP sesam on Linux")
    assert (host.programs, calls) == ([], [])


@pytest.mark.parametrize("family", ["csh", "fish"])
def test_a_shell_that_is_configured_and_is_no_posix_shell_gets_the_module(act: t.Any, family: str) -> None:
    action, run = look(act)
    host, calls = Host(action), asked(action, answers.in_sync(PAIR))
    action._connection._shell = types.SimpleNamespace(SHELL_FAMILY=family)
    assert run()["state"] == "in_sync"
    assert (host.programs, len(calls)) == ([], 1)
    assert f"ordinary module, since the shell is {family}, no POSIX shell; " in host.said[0]


@pytest.mark.parametrize(("module", "options", "retries"), [
    (sesam_cert_resolve, NOT_INSTALLED, [3]), (sesam_cert_replace, {**REPLACE, **NOT_INSTALLED}, [3]),
    (sesam_pkcs8_convert, {"src": "/nowhere/a", "dest": "/nowhere/b"}, [0]),
    (sesam_selfsigned, {"private_key_path": "/etc/none.key", "csr_path": "/etc/none.csr", "names": ["a.example"],
                        "key_size": 2048}, [3, 0])])
def test_a_connection_that_breaks_sends_only_what_may_come_twice(
    act: t.Any, module: types.ModuleType, options: dict[str, t.Any], retries: list[int]
) -> None:
    """A look, and a replacement: the run that has begun gives its answer to a second call."""
    action = act(module, **options)
    action._connection.options["reconnection_retries"] = 3
    action._task.check_mode = True
    host, seen = Host(action), []

    def execute(command: str, in_data: bytes) -> dict[str, t.Any]:
        seen.append(dict(action._connection.options))
        return host.execute(command, in_data)

    action._low_level_execute_command = execute
    action.run(task_vars=VARIABLES)
    assert seen == [{"pipelining": True, "reconnection_retries": number} for number in retries]
    assert action._connection.options == {"pipelining": False, "reconnection_retries": 3}


@pytest.mark.parametrize("given", [None, "-v", "-tt -o RequestTTY=force"])
@pytest.mark.parametrize("transport", ["stdin", "module"])
def test_ssh_is_asked_for_no_terminal(act: t.Any, transport: str, given: str | None) -> None:
    """Of C(-t) and C(-T), the last one counts."""
    action, run = look(act, transport)
    action._connection.options["ssh_extra_args"] = given
    seen: list[str | None] = []

    def set_option(name: str, value: t.Any) -> None:
        action._connection.options[name] = value
        if name == "ssh_extra_args":
            seen.append(value)

    action._connection.set_option = set_option
    Host(action)
    asked(action, answers.in_sync(PAIR))
    run()
    assert seen == [f"{given} -T" if given else "-T", given]


SSH_TALKS = (
    "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.11\r\ndebug1: Reading configuration data\r\n  #2 client-session\r\n"
    "Warning: Permanently added '[127.0.1.1]:2222' (ED25519) to the list of known hosts.\r\n"
    "** WARNING: connection is not using a post-quantum key exchange algorithm.\r\n"
    "Pseudo-terminal will not be allocated because stdin is not a terminal.\r\n")


@pytest.mark.parametrize(("stderr", "stdout", "shown"), [
    (f"{SSH_TALKS}sudo: no\r\nShared connection to 127.0.1.1 closed.\r\n", "", ": sudo: no"),
    (f"{SSH_TALKS}Connection to one closed.\r\n", "", ""),
    (f"Authorised users only\r\n{SSH_TALKS}", "This account is not available.\n",
     ": Authorised users only; This account is not available."),
    ("Connection to one closed by remote host.\r\n", "", ": Connection to one closed by remote host."),
])
def test_words_of_ssh_hide_no_reason(act: t.Any, stderr: str, stdout: str, shown: str) -> None:
    action, run = look(act, "stdin")
    Host(action)
    action._low_level_execute_command = lambda command, in_data: {"rc": 1, "stdout": stdout, "stderr": stderr}
    assert f"The host did not start the program that was sent (exit code 1{shown})." in run()["msg"]


GOES_ON = "it goes on alone, and ends it or takes it back by itself. Run the play again"
CORE = 'Data could not be sent to remote host "one". Make sure this host can be reached over ssh: '


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("transport", ["stdin", "module"])
@pytest.mark.parametrize(("module", "options", "may_go_on"), [
    (sesam_cert_resolve, NOT_INSTALLED, False), (sesam_cert_replace, {**REPLACE, **NOT_INSTALLED}, True),
    (sesam_pkcs8_convert, {"src": "/nowhere/a", "dest": "/nowhere/b"}, True),
    (sesam_selfsigned, {"private_key_path": "/nowhere/a", "csr_path": "/nowhere/b"}, False)])
def test_a_connection_that_fails(
    act: t.Any, module: types.ModuleType, options: dict[str, t.Any], may_go_on: bool, transport: str, check_mode: bool
) -> None:
    """The reason is that of ssh, and where something may be at work, it is told what becomes of it."""
    action = act(module, **options, transport=transport)
    Host(action)
    action._task.check_mode = check_mode

    def fail(*given: t.Any, **named: t.Any) -> t.NoReturn:
        raise AnsibleConnectionFailure(f"{CORE}{SSH_TALKS}one: Permission denied (publickey).\r\n")

    action._low_level_execute_command = action._execute_module = fail
    with pytest.raises(AnsibleConnectionFailure) as failure:
        action.run(task_vars=VARIABLES)
    message = failure.value.message
    assert message.startswith(f"{CORE}one: Permission denied (publickey).")
    assert (GOES_ON in message) == (may_go_on and not check_mode)
    assert "\n" not in message


class TaskTimeoutError(BaseException):
    """As that of ansible-core 2.16."""


# The newer ones have another place for it.
CUT_OFF = getattr(task_executor, "_task_timeout", task_executor).TaskTimeoutError(3)


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("transport", ["stdin", "module"])
@pytest.mark.parametrize(("module", "options", "ends", "is_told"), [
    (sesam_cert_resolve, NOT_INSTALLED, CUT_OFF, False),
    (sesam_cert_replace, {**REPLACE, **NOT_INSTALLED}, CUT_OFF, True),
    (sesam_cert_replace, {**REPLACE, **NOT_INSTALLED}, TaskTimeoutError(), True),
    (sesam_cert_replace, {**REPLACE, **NOT_INSTALLED}, KeyboardInterrupt(), False),
    (sesam_pkcs8_convert, {"src": "/nowhere/a", "dest": "/nowhere/b"}, CUT_OFF, True)])
def test_a_task_that_is_cut_off(
    act: t.Any, module: types.ModuleType, options: dict[str, t.Any], ends: BaseException, is_told: bool,
    transport: str, check_mode: bool,
) -> None:
    """The result is that of ansible-core; what becomes of a host that may be at work, is a warning."""
    action = act(module, **options, transport=transport)
    host = Host(action)
    action._task.check_mode, action._task.timeout = check_mode, 3

    def cut(*given: t.Any, **named: t.Any) -> t.NoReturn:
        raise ends

    action._low_level_execute_command = action._execute_module = cut
    with pytest.raises(BaseException) as ended:
        action.run(task_vars=VARIABLES)
    assert ended.value is ends
    assert len(host.warnings) == int(is_told and not check_mode)
    for warning in host.warnings:
        assert warning.startswith("one: The task was cut off after 3 s, its timeout. If the host had begun its work")
        assert GOES_ON in warning
        assert warning.endswith(" sep.sesam.drift_check shows what it serves by now.")


@pytest.mark.parametrize(("said", "shown"), [
    ("Shared connection to one closed.\r\n", "via ssh: Shared connection to one closed. If the host had begun"),
    (f"{SSH_TALKS}sh: {REPLACE['private_key']!r}: not found\n", "is not shown, since it repeats what was sent"),
])
def test_a_connection_that_fails_with_little_and_with_too_much(act: t.Any, said: str, shown: str) -> None:
    """What ssh says of itself is better than nothing; a key is not."""
    action = act(sesam_cert_replace, **REPLACE, **NOT_INSTALLED)
    Host(action)

    def fail(*given: t.Any, **named: t.Any) -> t.NoReturn:
        raise AnsibleConnectionFailure(f"Failed to connect to the host via ssh: {said}")

    action._low_level_execute_command = fail
    with pytest.raises(AnsibleConnectionFailure) as failure:
        action.run(task_vars=VARIABLES)
    assert shown in failure.value.message
    assert GOES_ON in failure.value.message
    assert "PRIVATE KEY" not in failure.value.message


def test_a_mark_of_ours_is_not_shown(act: t.Any) -> None:
    action, run = look(act, ansible_python_interpreter="/bin/false")
    Host(action)
    assert "no Python 3.6 or later on the host (exit code 127)." in run()["msg"]


def test_of_very_much_that_is_printed_the_end_is_told(act: t.Any) -> None:
    action, run = look(act, "stdin")
    host = Host(action, lambda out: "y " * 10_000_000 + "the end")
    message = run()["msg"]
    assert message.count("y y y") > 10
    assert "the end)" in message
    assert len(message) < 1000
    assert len(host.said) == 1


# Keys

def exposure(act: t.Any, host: t.Callable[[t.Any], Host] | None = None, **options: t.Any) -> tuple[str, list[t.Any]]:
    """What is said of a key that is to be sent, and the modules that were run."""
    action = act(sesam_cert_replace, **REPLACE, **options)
    calls = asked(action, {"failed": True, "msg": "sent"})
    if host:
        host(action)
    return str(action.run(task_vars=VARIABLES)["msg"]), calls


@pytest.mark.parametrize(("debug", "keep", "says"), [
    (False, False, []), (True, False, ["ANSIBLE_DEBUG"]), (False, True, ["ANSIBLE_KEEP_REMOTE_FILES"]),
    (True, True, ["ANSIBLE_DEBUG", "ANSIBLE_KEEP_REMOTE_FILES"]),
])
def test_a_module_gets_no_key_where_it_would_be_seen(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, debug: bool, keep: bool, says: list[str]
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_DEBUG", debug)
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", keep)
    message, calls = exposure(act)
    assert message.startswith(f"{UNTOUCHED}key-exposure: ") == bool(says)
    assert len(calls) == (not says)
    assert all(words in message for words in says)
    assert exposure(act, allow_key_exposure=True)[0] == "sent"


def test_a_module_with_a_key_is_pipelined_whatever_is_configured(act: t.Any) -> None:
    _message, calls = exposure(act)
    assert [call["pipelining"] for call in calls] == [True]


def test_a_key_is_not_sent_where_a_module_cannot_be_pipelined(act: t.Any) -> None:
    def requires_a_terminal(action: t.Any) -> Host:
        host = Host(action)
        of_ssh = "debug3: channel 2: status: The following connections are open:\r\n  #2 client-session (t4 r2)\r\n"
        action._low_level_execute_command = lambda command, in_data: {
            "rc": 1, "stdout": "", "stderr": f"{of_ssh}no tty\r\n{50 * of_ssh}"}
        return host

    message, calls = exposure(act, requires_a_terminal)
    assert message.startswith(f"{UNTOUCHED}key-exposure: ")
    assert "the module cannot be pipelined, since the host did not start what was sent" in message
    assert "exit code 1: no tty" in message
    assert calls == []
    assert exposure(act, requires_a_terminal, allow_key_exposure=True)[0] == "sent"


def test_a_key_that_comes_back_is_not_shown(act: t.Any) -> None:
    """A terminal repeats what is sent to it, and a shell the line that it does not understand."""
    def echoes(action: t.Any) -> Host:
        host = Host(action)
        action._low_level_execute_command = lambda command, in_data: {
            "rc": 2, "stdout": "", "stderr": f"sh: syntax error near `{in_data.decode().splitlines()[-1]}'"}
        return host

    message, calls = exposure(act, echoes, transport="stdin")
    assert "(exit code 2: what was printed is not shown, since it repeats what was sent)" in message
    assert [line for line in PAIR.key_pem.decode().splitlines() if line in message] == []
    assert calls == []


@pytest.mark.parametrize("core", ["before 2.19", "since 2.19"])
@pytest.mark.parametrize("configured", [False, True])
def test_a_key_is_pipelined_over_a_connection_without_an_option_for_it(
    act: t.Any, configured: bool, core: str
) -> None:
    """As that of community.general.chroot, which goes by what is configured for all."""
    action = act(sesam_cert_replace, **REPLACE, transport="module")
    Host(action)
    action._connection.options.clear()
    contexts = (action._play_context, action._connection._play_context)
    for context in contexts:
        context.pipelining = configured
    action._is_pipelining_enabled = lambda style: contexts[core == "since 2.19"].pipelining
    action._execute_module = lambda **call: {
        "failed": True, "msg": f"pipelined: {action._is_pipelining_enabled('new')}"}
    assert action.run(task_vars=VARIABLES)["msg"] == "pipelined: True"
    assert [context.pipelining for context in contexts] == [configured] * 2


def test_a_connection_that_knows_no_pipelining_is_left_alone(act: t.Any) -> None:
    action, run = look(act)
    action._connection.options.clear()
    host = Host(action)
    assert run()["state"] == "not_installed"
    assert len(host.programs) == 1
    assert action._connection.options == {}


# The program in a file

def test_the_program_is_kept_and_can_be_run_by_hand(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEP_SESAM_HOST_PROGRAM", str(tmp_path))
    action, run = look(act)
    host = Host(action)
    run()
    (kept,) = tmp_path.iterdir()
    assert kept.name == "one-sesam_cert_resolve.py"
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (host.programs[0], 0o600)
    assert str(kept) in host.said[0]
    printed = subprocess.run(["python3", "-I", kept], capture_output=True, check=True).stdout.decode()
    assert "/nowhere/sesam2000.ini: it does not exist" in printed


@pytest.mark.parametrize("put", [
    lambda place, other: place.symlink_to(other), lambda place, other: place.symlink_to(other.with_name("none")),
    lambda place, other: place.hardlink_to(other), lambda place, other: place.touch(0o666),
], ids=["link", "link to nothing", "second name", "file that others may read"])
def test_the_program_is_kept_in_a_file_of_its_own(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, put: t.Callable[[Path, Path], None]
) -> None:
    """Whatever somebody else has put in its place."""
    kept, other = tmp_path / "one-sesam_cert_resolve.py", tmp_path / "other"
    other.write_text("of somebody else")
    put(kept, other)
    monkeypatch.setenv("SEP_SESAM_HOST_PROGRAM", str(tmp_path))
    action, run = look(act)
    host = Host(action)
    run()
    assert not kept.is_symlink()
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777, kept.stat().st_nlink) == (host.programs[0], 0o600, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [kept.name, other.name]
    assert other.read_text() == "of somebody else"


@pytest.mark.parametrize("put", [Path.touch, lambda place: place.symlink_to("other")], ids=["file", "link"])
def test_the_program_is_not_kept_in_what_is_put_there_meanwhile(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, put: t.Callable[[Path], None]
) -> None:
    """After whatever has the name was removed, and before the file is made."""
    kept = tmp_path / "one-sesam_cert_resolve.py"
    monkeypatch.setattr(os, "unlink", lambda path: put(Path(path)))
    monkeypatch.setenv("SEP_SESAM_HOST_PROGRAM", str(tmp_path))
    action, run = look(act)
    host = Host(action)
    with pytest.raises(AnsibleActionFail, match=r"one-sesam_cert_resolve\.py cannot be written: File exists"):
        run()
    assert host.programs == []
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_no_program_with_a_key_is_kept(act: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEP_SESAM_HOST_PROGRAM", str(tmp_path))
    message, _calls = exposure(act, Host)
    assert message.startswith(f"{UNTOUCHED}key-exposure: ")
    assert "SEP_SESAM_HOST_PROGRAM is set" in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_the_program_that_is_not_there(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEP_SESAM_HOST_PROGRAM", str(tmp_path / "none"))
    action, run = look(act)
    host = Host(action)
    with pytest.raises(AnsibleActionFail, match=r"SEP_SESAM_HOST_PROGRAM is set, but .*No such file or directory"):
        run()
    assert host.programs == []
