# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key's text appears nowhere: in no output, no log, no process list, no temporary file, at no instant."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from integration import host_program, syslog_socket
from integration.accounts import Account
from integration.certificates import Authority, Files, Key, Pair
from integration.controller import HOST_PYTHON, OWN, Controller, Outcome, Variables, local, needs_modules
from integration.secret_text import PASSPHRASE, Secrets
from integration.servers import Server
from integration.sshd import Sshd
from integration.watch import Watch

LOUD = ("-vvvvv", "--diff")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """RSA, whose key has a part that is in no certificate."""
    return authority.issue(key=authority.rsa_key())


def _assert_silent(run: Outcome, secrets: Secrets, log: Path | None = None) -> None:
    assert secrets.found_in(run.output) == ""
    assert secrets.found_in(run.dump) == ""
    if log:
        assert "Stop rmi, place the pair" in log.read_text()
        assert secrets.found_in(log.read_bytes()) == ""


def _assert_kept_in_backups_alone(server: Server, secrets: Secrets) -> None:
    """Below the server's folder a key is where it is used, and in the backups, which have mode 0700."""
    for folder, _folders, names in os.walk(server.instance.folder):
        for path in (Path(folder, name) for name in names):
            if str(path) != server.instance.private_key and "backups" not in path.parts:
                assert secrets.found_in(path.read_bytes()) == "", path
    backups = server.state_folder / "backups"
    assert [oct(path.stat().st_mode & 0o777) for path in (server.state_folder, backups)] == ["0o700", "0o700"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in backups.rglob("*"))


def test_nothing_is_seen_over_ssh_with_pipelining_off_and_a_vaulted_key(
    own_sshd: Sshd, account: Account, controller: Controller, server: Server, pair: Pair, tmp_path: Path
) -> None:
    """Encrypted twice: with a passphrase, and by Ansible Vault. The inventory has pipelining off."""
    files = pair.write(tmp_path / "files", "TraditionalOpenSSL", PASSPHRASE)
    secrets = Secrets(pair, PASSPHRASE, account.password)
    secrets.add_encrypted(files.private_key.read_bytes())
    vault = tmp_path / "vault"
    vault.write_text("vault password")
    command: list[str | Path] = [OWN / "ansible-vault", "encrypt", "--vault-password-file", vault, files.private_key]
    subprocess.run(command, env=controller.environment(), check=True, capture_output=True)
    host = {**local(), **own_sshd.variables("127.0.1.1", account.name), **account.variables(),
            **server.variables(files, passphrase=PASSPHRASE), "ansible_pipelining": False}  # fmt: skip
    server.instance.set(stop_delay=0.5, start_delay=0.5)
    log = tmp_path / "ansible.log"
    homes = [account.home, Path("~root").expanduser() / ".ansible", controller.home]

    with Watch(secrets, homes, ignore=[own_sshd.folder]) as watch:
        run = controller.run(
            {"one": host}, *LOUD, "--vault-password-file", vault, env={"ANSIBLE_LOG_PATH": str(log)}
        )

    assert run.rc == 0, run.output
    assert server.served() == pair.fingerprint
    assert watch.rounds > 20
    assert watch.found == set()
    _assert_silent(run, secrets, log)
    _assert_kept_in_backups_alone(server, secrets)


def test_nothing_is_seen_when_it_fails_and_the_key_is_given_as_content(
    make_server: t.Callable[..., Server],
    authority: Authority,
    old: Pair,
    pair: Pair,
    controller: Controller,
    tmp_path: Path,
) -> None:
    """Failures are where most programs begin to talk: of the host, of the pair, of the options themselves."""
    made = {name: make_server(old) for name in ("served", "start", "mismatch", "option", "variable")}
    made["served"].instance.set(serves="other@1")
    made["start"].instance.set(start="fails@1")
    content = {"certificate": pair.pem.decode(), "private_key": pair.key_pem("TraditionalOpenSSL").decode()}
    bad: dict[str, dict[str, t.Any]] = {
        "mismatch": {"certificate": authority.issue().pem.decode()},
        "option": {"log_check": "somtimes"},
        "variable": {"port": "not a port"},
    }
    hosts = {n: {**local(), **s.variables(**{**content, **bad.get(n, {})})} for n, s in made.items()}
    secrets = Secrets(pair)
    log = tmp_path / "ansible.log"

    with Watch(secrets, [controller.home], ignore=[tmp_path]) as watch:
        run = controller.run(hosts, *LOUD, env={"ANSIBLE_LOG_PATH": str(log)})

    assert run.rc == 2
    assert all(run.recap(name)["failures"] == 1 for name in made), run.output
    assert watch.found == set()
    _assert_silent(run, secrets, log)
    for name in ("served", "start"):
        _assert_kept_in_backups_alone(made[name], secrets)


MISTAKES: dict[str, dict[str, object]] = {
    "a list": {"private_key": ["{{ key }}"]},
    "a dictionary": {"private_key": {"content": "{{ key }}"}},
    "a misspelt option": {"private_key": "{{ key }}", "privatekey": "{{ key }}"},
    "another option": {"private_key": "{{ key }}", "port": "{{ key }}"},
}


def test_key_that_is_given_wrongly_to_the_module_is_not_repeated(
    pair: Pair, files: Files, controller: Controller, tmp_path: Path
) -> None:
    tasks = [
        {"sep.sesam.sesam_cert_replace": {"certificate": str(files.certificate), **mistake}, "ignore_errors": True}
        for mistake in MISTAKES.values()
    ]
    playbook = tmp_path / "module.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    run = controller.run({"one": {**local(), "key": pair.key_pem().decode()}}, *LOUD, playbook=playbook)
    assert run.recap()["ignored"] == len(MISTAKES), run.output
    _assert_silent(run, Secrets(pair))


def _play(folder: Path, *tasks: dict[str, t.Any]) -> Path:
    playbook = folder / "tasks.json"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return playbook


def test_result_that_is_a_key_is_hidden_and_can_be_used(pair: Pair, controller: Controller, tmp_path: Path) -> None:
    """Registered, looped over, and shown to nobody; its failure is shown."""
    files = pair.write(tmp_path / "files", "TraditionalOpenSSL", PASSPHRASE)
    convert = {"private_key": str(files.private_key), "certificate": str(files.certificate), "passphrase": PASSPHRASE}
    digest = hashlib.sha256(pair.key_pem()).hexdigest()
    is_right = [f"{name}.private_key | hash('sha256') == '{digest}'" for name in ("one", "many.results[1]")]
    playbook = _play(
        tmp_path,
        {"sep.sesam.sesam_pkcs8_convert": convert, "register": "one"},
        {"sep.sesam.sesam_pkcs8_convert": convert, "register": "many", "loop": [1, 2]},
        {"ansible.builtin.assert": {"that": is_right}},
        {"sep.sesam.sesam_pkcs8_convert": {**convert, "passphrase": "wrong"}, "ignore_errors": True},
    )
    secrets = Secrets(pair, PASSPHRASE)
    secrets.add_encrypted(files.private_key.read_bytes())

    with Watch(secrets, [controller.home], ignore=[tmp_path]) as watch:
        run = controller.run({"one": local()}, *LOUD, playbook=playbook)

    assert run.rc == 0, run.output
    assert watch.found == set()
    _assert_silent(run, secrets)
    assert "key-passphrase-wrong: private_key (" in run.output


def test_new_key_is_hidden_too(controller: Controller, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    playbook = _play(
        tmp_path,
        {"sep.sesam.sesam_selfsigned": {"current": "", "names": ["a.example"], "key_size": 2048}, "register": "made"},
        {"ansible.builtin.copy": {"dest": str(kept), "mode": "0600", "content": "{{ made.private_key }}"},
         "no_log": True, "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}},
    )  # fmt: skip
    run = controller.run({"one": local()}, *LOUD, playbook=playbook)
    assert run.rc == 0, run.output
    lines = kept.read_text().splitlines()[10:-1]
    assert len(lines) > 10
    assert [line for line in lines if line in run.output + run.dump] == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_key_on_the_host_is_converted_without_a_trace(
    pipelining: bool, pair: Pair, controller: Controller, tmp_path: Path
) -> None:
    """The passphrase goes there, to openssl, and is in no process list and no file; neither is the key."""
    files = pair.write(tmp_path / "host", "TraditionalOpenSSL", PASSPHRASE)
    dest = tmp_path / "host" / "new.key"
    task = {"src": str(files.private_key), "dest": str(dest), "passphrase": PASSPHRASE}
    secrets = Secrets(pair, PASSPHRASE)
    host = {**local(), "ansible_pipelining": pipelining}
    playbook = _play(tmp_path, {"sep.sesam.sesam_pkcs8_convert": task})

    with Watch(secrets, [controller.home, Path("/tmp")], ignore=[tmp_path]) as watch:
        runs = [controller.run({"one": host}, *LOUD, playbook=playbook) for _turn in range(2)]

    assert [run.rc for run in runs] == [0, 0], runs[0].output
    assert [run.recap()["changed"] for run in runs] == [1, 0]
    assert dest.read_bytes() == pair.key_pem()
    assert dest.stat().st_mode & 0o777 == 0o600
    assert watch.found == set()
    for run in runs:
        _assert_silent(run, secrets)


@pytest.mark.parametrize("key_from", ["host", "controller"])
def test_key_of_a_request_is_nowhere_else(
    key_from: str, server: Server, controller: Controller, tmp_path: Path
) -> None:
    """It is in the pending folder, 0600 in 0700; in no output, no file of the controller and no other of the host."""
    host = {**local(), **server.variables(key_size=2048, key_from=key_from, csr_folder=str(tmp_path / "csr"))}
    run = controller.run({"one": host}, *LOUD, playbook="sep.sesam.request_csr")
    assert run.rc == 0, run.output
    key = server.state_folder / "pending" / "sesam.https.key"
    lines = key.read_text().splitlines()[10:-1]
    assert len(lines) > 10
    assert [line for line in lines if line in run.output + run.dump] == []
    places = [server.instance.folder, controller.folder, tmp_path / "csr"]
    holds = [path for place in places for path in Path(place).rglob("*")
             if path.is_file() and lines[0].encode() in path.read_bytes()]
    assert holds == [key]
    assert [oct(path.stat().st_mode & 0o777) for path in (key, key.parent)] == ["0o600", "0o700"]


# What makes Ansible keep or print the arguments of a module.
EXPOSING = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_DEBUG": "1"}
BY_STDIN = {"SEP_SESAM_TRANSPORT": "stdin"}
BY_MODULE = {"SEP_SESAM_TRANSPORT": "module"}


def _new_key(path: Path, old: Pair) -> Pair:
    """A key that a run has made, in the shape in which keys are searched for."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Key)
    return Pair(old.certificate, key)


@needs_modules
@pytest.mark.parametrize("pipelining", [True, False])
def test_nothing_is_seen_over_ssh_by_a_module(
    pipelining: bool, own_sshd: Sshd, make_server: t.Callable[..., Server], old: Pair, pair: Pair,
    controller: Controller, tmp_path: Path,
) -> None:
    """The connection prints what a module answers: in it is neither a key that was given nor one that was made."""
    server, asking = make_server(old), make_server(old)
    files, place = pair.write(tmp_path / "files", "TraditionalOpenSSL", PASSPHRASE), tmp_path / "host"
    place.mkdir()
    made, converted = place / "made.key", place / "converted.key"
    playbook = _play(
        tmp_path,
        {"name": "Stop rmi, place the pair", "sep.sesam.sesam_cert_replace": {
            "certificate": str(files.certificate), "private_key": str(files.private_key), "passphrase": PASSPHRASE,
            "sesam2000_ini": server.instance.sesam2000_ini, "port": server.instance.port}},
        {"sep.sesam.sesam_selfsigned": {
            "names": ["a.example"], "key_size": 2048, "certificate_path": str(place / "made.crt"),
            "private_key_path": str(made)}},
        {"sep.sesam.sesam_selfsigned": {
            "names": ["a.example"], "key_size": 2048, "pending": True, "key_from": "controller",
            "sesam2000_ini": asking.instance.sesam2000_ini}},
        {"sep.sesam.sesam_pkcs8_convert": {
            "src": str(files.private_key), "dest": str(converted), "passphrase": PASSPHRASE}},
    )  # fmt: skip
    host = {**local(), **own_sshd.variables("127.0.1.1", "root"), "ansible_pipelining": pipelining}
    log = tmp_path / "ansible.log"

    # Where a syslog runs, what it is sent is not seen here.
    with syslog_socket.listening() as syslog:
        run = controller.run({"one": host}, *LOUD, playbook=playbook, env={"ANSIBLE_LOG_PATH": str(log), **BY_MODULE})

    assert (run.rc, run.recap()["changed"]) == (0, 4), run.output
    assert run.output.count("sep.sesam: ordinary module, since transport is module") >= 4
    assert converted.read_bytes() == pair.key_pem()
    secrets = Secrets(pair, PASSPHRASE)
    secrets.add_encrypted(files.private_key.read_bytes())
    for path in (made, asking.state_folder / "pending" / "sesam.https.key"):
        secrets.add(_new_key(path, old))
    _assert_silent(run, secrets, log)
    assert [line for line in syslog.lines if secrets.found_in(line)] == []
    # Not even what Ansible hides in it by chance: what looks like the password of an address.
    assert [line for line in syslog.lines if b"Invoked with" in line and bytes(tmp_path) in line] == []


@needs_modules
@pytest.mark.parametrize("variable", EXPOSING)
def test_key_is_not_sent_where_ansible_would_keep_or_print_it(
    variable: str, server: Server, old: Pair, pair: Pair, controller: Controller, tmp_path: Path
) -> None:
    pid = server.instance.pid()
    host = {"one": {**local(), **server.variables(pair.write(tmp_path / "files"))}}

    with Watch(Secrets(pair), [controller.home], ignore=[tmp_path]) as watch:
        run = controller.run(host, env={variable: EXPOSING[variable], **BY_MODULE})

    assert run.rc == 2
    assert "key-exposure: " in run.replace().message
    assert variable in run.replace().message
    assert "allow_key_exposure: true" in run.replace().message
    assert (server.instance.pid(), server.served()) == (pid, old.fingerprint)
    assert watch.found == set()
    assert Secrets(pair).found_in(run.output) == ""


@needs_modules
def test_key_is_sent_there_when_that_is_allowed_and_the_watch_would_see_it(
    server: Server, pair: Pair, controller: Controller, tmp_path: Path
) -> None:
    """The counter-proof of the other tests: where a key does lie about, the watch finds it."""
    host = {"one": {**local(), **server.variables(pair.write(tmp_path / "files"), allow_key_exposure=True)}}
    with Watch(Secrets(pair), [controller.home], ignore=[tmp_path]) as watch:
        run = controller.run(host, env={"ANSIBLE_KEEP_REMOTE_FILES": "1", **BY_MODULE})
    assert run.rc == 0, run.output
    assert server.served() == pair.fingerprint
    assert [place for place in watch.found if "ansible-tmp-" in place]


def test_nothing_is_seen_by_standard_input_whatever_is_switched_on(
    syslog: list[bytes], own_sshd: Sshd, server: Server, pair: Pair, controller: Controller, tmp_path: Path
) -> None:
    """With all that makes Ansible talk and keep; every file that the host code opens and writes is looked at."""
    _require_strace()
    secrets = Secrets(pair)
    trace, python, log = tmp_path / "trace", tmp_path / "python3", tmp_path / "ansible.log"
    calls = "trace=open,openat,creat,write,writev,pwrite64,sendto,sendmsg,execve"
    # -b execve: what the host code starts is not followed; the execve itself is seen.
    python.write_text(f"#!/bin/sh\nexec strace -f -b execve -y -s 99999 -e {calls} -o {trace} {HOST_PYTHON} \"$@\"\n")
    python.chmod(0o755)
    files = pair.write(tmp_path / "files")
    host = {**local(python), **own_sshd.variables("127.0.1.1", "root"), **server.variables(files)}
    env = {**BY_STDIN, **EXPOSING, "ANSIBLE_LOG_PATH": str(log)}
    homes = [controller.home, Path("~root").expanduser() / ".ansible"]

    with Watch(secrets, homes, ignore=[own_sshd.folder, tmp_path]) as watch:
        run = controller.run({"one": host}, *LOUD, env=env)

    assert run.rc == 0, run.output
    assert "host code over standard input" in run.output
    assert server.served() == pair.fingerprint
    assert watch.found == set()
    _assert_silent(run, secrets, log)
    assert [line for line in syslog if secrets.found_in(line)] == []
    _assert_kept_in_backups_alone(server, secrets)
    _assert_written_to_the_key_alone(trace, server, secrets)


def _assert_written_to_the_key_alone(trace: Path, server: Server, secrets: Secrets) -> None:
    """The key is written beside the one in place, and nowhere else, neither by name nor into a pipe.

    Outside of the server, nothing is opened for writing but files without a name for what programs print, and the file
    by which C(tempfile) tries a folder.
    """
    lines = trace.read_text(errors="replace").splitlines()
    to = [match[1] for line in lines if (match := re.search(r"(?:write|writev|pwrite64|send\w+)\(\d+<([^>]*)>", line))
          and secrets.found_in(line)]
    assert {os.path.dirname(path) for path in to} == {server.instance.ssl_folder}
    assert not [line for line in lines if "execve(" in line and secrets.found_in(line)]
    # Where the file is that was opened, by whatever name.
    opened = [match[1] for line in lines if (match := re.search(
        r'(?:open|openat|creat)\([^)]*(?:O_WRONLY|O_RDWR|O_CREAT)[^)]*\) += \d+<([^>]*)>', line))]
    below = (server.instance.sesam_var, "/dev/null")
    outside = {path for path in opened if not path.startswith(below)}
    assert [path for path in outside if not re.fullmatch(r"/tmp/([a-z0-9_]{8}|#\d+( \(deleted\))?)", path)] == []
    assert opened


def _require_strace() -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace may not trace here")


@pytest.fixture
def syslog() -> t.Iterator[list[bytes]]:
    """What is sent to the syslog of this machine, where none runs: a socket of our own takes its place."""
    with contextlib.ExitStack() as stack:
        heard = stack.enter_context(syslog_socket.listening())
        if heard.missing:
            pytest.skip(heard.missing)
        yield heard.lines


@needs_modules
def test_syslog_gets_one_line_for_a_change_and_no_key(
    syslog: list[bytes], make_server: t.Callable[..., Server], old: Pair, pair: Pair, controller: Controller,
    tmp_path: Path,
) -> None:
    """By either transport; for an audit, and where there is nothing to do, none."""
    made = {transport: make_server(old) for transport in ("stdin", "module")}
    hosts: dict[str, Variables] = {name: {**local(), **server.variables()} for name, server in made.items()}
    place = {"sesam2000_ini": "{{ sesam_https_sesam2000_ini }}", "port": "{{ sesam_https_port }}",
             "transport": "{{ inventory_hostname }}"}
    audit = {"sep.sesam.sesam_cert_resolve": place}
    content = {"certificate": pair.pem.decode(), "private_key": pair.key_pem().decode()}
    replace = {"sep.sesam.sesam_cert_replace": {**place, **content}}
    run = controller.run(hosts, playbook=_play(tmp_path, audit, replace, replace))
    assert [run.recap(name)["changed"] for name in made] == [1, 1], run.output
    secrets = Secrets(pair)
    assert [secrets.found_in(line) for line in syslog if secrets.found_in(line)] == []
    ours = [line.decode() for line in syslog if f"sha256={pair.fingerprint}".encode() in line]
    assert len(ours) == len(made), syslog
    told = r"sep\.sesam\[\d+\]: HTTPS certificate of rmi: replaced; wanted sha256=\w+; run=\w+ by=\S+@\S+"
    assert [line for line in ours if not re.search(told, line)] == []
    # An ordinary module would tell what it is invoked with, an audit too.
    folders = [server.instance.folder.encode() for server in made.values()]
    assert [line for line in syslog if any(folder in line for folder in folders)] == []


# A call of strace: its name, its first words with the path, and the last number in it.
_CREATED = re.compile(r'open(?:at)?\(.*"(?P<path>[^"]+)", [^)]*O_CREAT[^)]*, (?P<mode>0\d+)\)')
_MADE = re.compile(r'mkdir(?:at)?\(.*"(?P<path>[^"]+)", (?P<mode>0\d+)\)')
_CHANGED = re.compile(r'f?chmod(?:at)?\((?:\d+<(?P<path>[^>]+)>|.*"(?P<name>[^"]+)"), (?P<mode>0\d+)')
_CALLS = "trace=open,openat,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,umask,link,linkat,symlink,symlinkat"


def test_mode_of_the_key_is_never_wider_than_0600(server: Server, old: Pair, pair: Pair, tmp_path: Path) -> None:
    """Every call that makes a file or changes a mode, with a caller whose umask forbids nothing."""
    _require_strace()
    server.instance.set(serves="other@1")  # with the way back in it
    trace = tmp_path / "trace"
    # -b execve: what the host code starts is not followed.
    wrapper = ("strace", "-f", "-b", "execve", "-y", "-e", _CALLS, "-o", trace)
    asked = host_program.parameters(server, pair)
    answer = host_program.start(asked, wrapper=wrapper, umask=0).answer()
    assert answer["failure"]["step"] == "served"
    assert server.served() == old.fingerprint

    made, changed = _modes(trace.read_text(), server)
    keys = [path for path in made if path.endswith(".key") or ".key." in path]
    assert keys, "the trace shows no key that is written"
    assert {path: mode for path, mode in made.items() if mode & 0o077} == {}
    assert {path: oct(mode) for path, mode in changed.items() if mode & 0o077 and ".crt" not in path} == {}


def _modes(trace: str, server: Server) -> tuple[dict[str, int], dict[str, int]]:
    """The widest mode with which each file was made, and to which it was changed, below the server's folder."""
    made: dict[str, int] = {}
    changed: dict[str, int] = {}
    names = (Path(server.instance.certificate).name, Path(server.instance.private_key).name)
    for line in trace.splitlines():
        for pattern, modes in ((_CREATED, made), (_MADE, made), (_CHANGED, changed)):
            if match := pattern.search(line):
                path = match["path"] or match.groupdict().get("name") or ""
                if path.startswith((server.instance.sesam_var, *names)):
                    modes[path] = modes.get(path, 0) | int(match["mode"], 8)
    return made, changed


def test_no_link_to_a_key_is_made(server: Server, pair: Pair, files: Files) -> None:
    """A second name would keep the old key alive behind its owner's back."""
    answer = host_program.start(host_program.parameters(server, pair)).answer()
    assert answer["action"] == "replaced"
    assert os.stat(server.instance.private_key).st_nlink == 1
