# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that are broken in every way, or were broken by somebody: no hang, no crash, nothing that a terminal obeys."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _report, _verdict
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from integration import host_program
from integration.certificates import Authority, Pair
from integration.controller import Controller, local
from integration.servers import Server

# What the host code may take, and the controller for its verdict; both on a machine that does other things too.
HOST_SECONDS = 15.0
JUDGE_SECONDS = 10.0
# Of the address space: Python with ssl takes some 100 MB of it.
MEMORY_KB = 400_000
LIMITED = ("/bin/sh", "-c", f'ulimit -v {MEMORY_KB}; exec "$@"', "sh")
NASTY = "nas\x1b[31mty\x1b]0;x\x07\u202e\x9b2J"
Make = t.Callable[..., Server]


def look(server: Server, seconds: float = HOST_SECONDS, **others: t.Any) -> dict[str, t.Any]:
    """Have the host looked at and judged, in bounded time and memory; the result as a user gets it."""
    asked = {"sesam2000_ini": server.instance.sesam2000_ini, "sesam_var": None, "sm_main": None,
             "port": server.instance.port, "address": None, "log_file": None, **others}
    begin = time.monotonic()
    answer = host_program.start(asked, "resolve", wrapper=LIMITED).answer(seconds)
    assert answer["refused"] is None
    assert time.monotonic() - begin < seconds
    return judged(answer)


def judged(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """The verdict, all of it plain text."""
    begin = time.process_time()
    seen = _verdict.Seen.of(answer)
    verdict = _verdict.judge(seen)
    result = {**_report.situation(seen, verdict), "facts": _report.facts(seen, verdict)}
    assert time.process_time() - begin < JUDGE_SECONDS
    assert obeyed(result) == []
    return result


def obeyed(value: t.Any) -> list[str]:
    """Every text in some plain data that holds what a terminal obeys: all control characters but line feeds."""
    if isinstance(value, str):
        return [] if is_plain(value) else [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in obeyed(part)]
    return [text for part in value for text in obeyed(part)] if isinstance(value, (list, tuple)) else []


def is_plain(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def found(result: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    """One source of a result."""
    return next(dict(source) for source in result["sources"] if source["name"] == name)


def put_sparse(path: str) -> None:
    """100 MB that take no room."""
    with open(path, "wb") as file:
        file.truncate(100 << 20)


def link_to_zero(path: str) -> None:
    os.symlink("/dev/zero", path)


def loop(path: str) -> None:
    os.symlink(path, path)


def garbage(path: str) -> None:
    Path(path).write_bytes(os.urandom(1 << 16))


ODD: dict[str, t.Callable[[str], object]] = {
    "100 MB": put_sparse, "FIFO": os.mkfifo, "directory": os.mkdir, "device": link_to_zero, "loop": loop,
    "garbage": garbage}


@pytest.mark.parametrize("kind", ODD)
def test_files_that_are_none(make_server: Make, old: Pair, kind: str) -> None:
    """Each file that is read; the server runs and serves what it has read at its start."""
    server = make_server(old)
    instance = server.instance
    for state, *paths in (
        ("in_sync", instance.sm_ini, instance.log_file, instance.sesam2000_profile),
        ("broken_pair", instance.certificate), ("broken_pair", instance.private_key),
        ("not_installed", instance.sesam2000_ini),
    ):  # fmt: skip
        for path in paths:
            os.rename(path, f"{path}.kept")
            ODD[kind](path)
        result = look(server)
        assert result["state"] == state
        if instance.sm_ini in paths:
            assert found(result, "sm_ini")["verdict"] == ("absent" if kind == "garbage" else "unseen")
        for path in paths:
            shutil.rmtree(path) if kind == "directory" else os.unlink(path)
            os.rename(f"{path}.kept", path)


def test_very_many_certificates(make_server: Make, old: Pair) -> None:
    """10,000 are too many to be read; those that go into the limit are judged."""
    server = make_server(old)
    certificate = Path(server.instance.certificate)
    certificate.write_bytes(old.pem * 5000)
    assert look(server)["state"] == "broken_pair"
    certificate.write_bytes(old.pem * ((1 << 20) // len(old.pem)))
    assert look(server)["state"] == "stale_process"


def nasty(authority: Authority) -> Pair:
    """A certificate whose subject and names hold what a terminal obeys."""
    plain = authority.issue()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"a\n{NASTY}"),
                      x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, f"PLAY RECAP\nok=1\r{NASTY}")])
    ascii_only = "b\nPLAY\x1b[31m\x07\x7f"
    names: list[x509.GeneralName] = [
        x509.DNSName(ascii_only), x509.RFC822Name(ascii_only), x509.UniformResourceIdentifier(ascii_only),
        x509.DirectoryName(name)]
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(plain.key.public_key())
        .serial_number(1).not_valid_before(plain.certificate.not_valid_before_utc)
        .not_valid_after(plain.certificate.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName(names), critical=False))  # fmt: skip
    return Pair(builder.sign(plain.key, hashes.SHA256()), plain.key)


def set_gv_ro_ssl(server: Server, folder: str) -> None:
    path = Path(server.instance.sm_ini)
    path.write_text(path.read_text().replace("[UI]", f"gv_ro_ssl={folder}\n[UI]"))


def test_names_that_a_terminal_obeys(make_server: Make, authority: Authority) -> None:
    assert look(make_server(nasty(authority)))["source"] == "default_location"


@pytest.mark.parametrize("folder", ["/x" * 2500, "/" + "x" * 5000, f"/{NASTY}", "/nu\0l", "/a\x0bb\x0cc\x85d\u2028e"])
def test_paths_in_sm_ini(make_server: Make, old: Pair, folder: str) -> None:
    server = make_server(old)
    set_gv_ro_ssl(server, folder)
    assert found(look(server), "sm_ini")["verdict"] == "absent"
    if "\0" not in folder:
        set_gv_ro_ssl(server, folder[1:])
        assert found(look(server), "sm_ini")["verdict"] == "broken"


LISTENS = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(flush=True)
while True:
    server.accept()[0].close()
"""


@pytest.mark.parametrize("path", [
    "/" + "x" * 5000, f"/{NASTY}\nPLAY RECAP\n", "x" * 100_000, os.fsdecode(b"/\xff\x1b[31m"),
])
def test_paths_on_the_command_line_and_in_the_environment(make_server: Make, old: Pair, path: str) -> None:
    server = make_server(start=False)
    instance = server.instance
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS, instance.address, str(instance.port), "-z", path, "-k", path],
        env={"SESAM_SSL_CERT": path, "SESAM_SSL_KEY": path}, stdout=subprocess.PIPE,
    ) as rmi:  # fmt: skip
        assert rmi.stdout
        rmi.stdout.readline()
        say(server, f"echo '2026-01-01 00:00:00: rmi        [{rmi.pid}]: online'")
        result = look(server)
        rmi.kill()
    assert result["rmi"]["pid"] == rmi.pid
    assert {found(result, name)["verdict"] for name in ("command_line", "environment")} == {"broken"}


def say(server: Server, script: str) -> None:
    """Another sm_main."""
    Path(server.instance.sm_main).write_text(f"#!/bin/sh\n{script}\n")


def test_a_log_of_garbage(make_server: Make, old: Pair) -> None:
    server = make_server(old)
    log = Path(server.instance.log_file)
    line = f"2026-01-01 00:00:00 INFO  x - Setting up HTTPS certificate from certificate file /{NASTY}' (via {NASTY})"
    for tail in (os.urandom(1 << 16), b"\x1b[31m" * 9999, line.encode(), b"Setting up HTTPS certificate" * 50_000):
        log.write_bytes(log.read_bytes() + tail + b"\n")
        assert look(server)["state"] == "in_sync"


@pytest.mark.parametrize("script", [
    "head -c 50000000 /dev/zero", "yes | head -c 50000000", "head -c 50000000 /dev/urandom",
    f"printf '%s\\n' '2026-01-01 00:00:00: rmi        [99999999999999999999]: online{NASTY}'",
    "echo '2026-01-01 00:00:00: rmi        [      0]: online'", "kill -9 $$",
])
def test_an_sm_main_that_says_too_much(make_server: Make, script: str) -> None:
    server = make_server(start=False)
    say(server, script)
    assert look(server)["state"] in ("unknown", "stopped", "not_answering")


# Ports

def send(*parts: bytes, again: bool = False) -> t.Callable[[socket.socket], None]:
    """A program on the port that sends some bytes, for ever if it is told to."""

    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        while again:
            connection.sendall(parts[-1])

    return talk


def drip(connection: socket.socket) -> None:
    """Bytes that look like TLS, one after the other, each before a time limit for one answer ends."""
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(16384):
        connection.sendall(bytes([byte]))
        time.sleep(0.2)


def chain_of_many(pair: Pair, folder: Path) -> t.Callable[[socket.socket], None]:
    """A real handshake with a certificate message of some MB."""
    (folder / "pem").write_bytes(pair.pem * 4000 + pair.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return lambda connection: context.wrap_socket(connection, server_side=True).close()


@contextlib.contextmanager
def listening(server: Server, talk: t.Callable[[socket.socket], None]) -> t.Iterator[None]:
    """Somebody on the port who talks so to everyone."""
    with socket.create_server((server.instance.address, server.instance.port)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


TALKS: dict[str, t.Callable[[Pair, Path], t.Callable[[socket.socket], None]]] = {
    "garbage": lambda pair, folder: send(os.urandom(4096)),
    "endless garbage": lambda pair, folder: send(os.urandom(4096), again=True),
    "endless TLS": lambda pair, folder: send(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff", bytes(4096), again=True),
    "endless HTTP": lambda pair, folder: send(b"HTTP/1.1 200 OK\r\n", NASTY.encode() * 100, again=True),
    "nothing": lambda pair, folder: lambda connection: time.sleep(60),
    "end at once": lambda pair, folder: lambda connection: None,
    "byte by byte": lambda pair, folder: drip,
    "very many certificates": chain_of_many,
}


@pytest.mark.parametrize("talk", TALKS)
def test_ports(make_server: Make, old: Pair, tmp_path: Path, talk: str) -> None:
    server = make_server(start=False)
    say(server, f"echo '2026-01-01 00:00:00: rmi        [{os.getpid():7}]: online'")
    with listening(server, TALKS[talk](old, tmp_path)):
        assert look(server)["state"] == ("plain_http" if "HTTP" in talk else "not_answering")


def test_what_hangs(make_server: Make) -> None:
    """The profile has 10 s, and is sourced for each of two questions; sm_main has 30 s. All at once here."""
    hanging = make_server(start=False), make_server(start=False)
    Path(hanging[0].instance.sesam2000_profile).write_text("export SESAM_SSL_CERT=/c\nsleep 600\n")
    say(hanging[1], "sleep 600")
    calls = []
    for server in hanging:
        asked = {"sesam2000_ini": server.instance.sesam2000_ini, "port": server.instance.port}
        calls.append(host_program.start(asked, "resolve", wrapper=LIMITED))
    begin = time.monotonic()
    assert [judged(call.answer(50))["state"] for call in calls] == ["unknown", "unknown"]
    assert time.monotonic() - begin < 50


# Through Ansible

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      sep.sesam.sesam_cert_resolve:
        sesam2000_ini: "{{ sesam_https_sesam2000_ini }}"
        port: "{{ sesam_https_port }}"
      register: seen
    - name: Say
      ansible.builtin.debug:
        msg: "{{ seen.state }}: {{ seen.reason }} {{ seen.findings | map(attribute='message') | join(' ') }}"
"""


def test_nothing_that_ansible_prints_is_obeyed(
    make_server: Make, controller: Controller, authority: Authority, old: Pair, tmp_path: Path
) -> None:
    made = {"names": make_server(nasty(authority)), "served alone": make_server(nasty(authority)),
            "paths": make_server(old), "log": make_server(old), "FIFO": make_server(old), "many": make_server(old)}
    made["served alone"].put(old)
    set_gv_ro_ssl(made["paths"], NASTY)
    os.unlink(made["paths"].instance.certificate)
    os.unlink(made["paths"].instance.private_key)
    log = Path(made["log"].instance.log_file)
    log.write_bytes(os.urandom(9999) + log.read_bytes().replace(b"sesam.https.crt", NASTY.encode()))
    for path in (made["FIFO"].instance.certificate, made["FIFO"].instance.sm_ini):
        os.unlink(path)
        os.mkfifo(path)
    certificate = Path(made["many"].instance.certificate)
    certificate.write_bytes(old.pem * ((1 << 20) // len(old.pem)))
    playbook = tmp_path / "look.yml"
    playbook.write_text(PLAYBOOK)
    hosts = {name: {**local(), **server.variables()} for name, server in made.items()}

    run = controller.run(hosts, "-v", playbook=playbook, env={"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"})

    assert run.rc == 0, run.output
    assert is_plain(run.output)
    assert [obeyed(result.result) for result in run.results if result.status != "recap"] == [[]] * 2 * len(made)
    states = {name: t.cast("t.Any", run.of("resolve", name)).result["state"] for name in made}
    assert states["FIFO"] == "broken_pair"
    assert states["paths"] == "broken_pair"
    assert (states["log"], states["many"]) == ("in_sync", "stale_process")
    assert states["served alone"] == "stale_process"
