# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The daemon rmi: its port, its process and its end."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time

import pytest
from standin import StandinError, processes


def proc_status(pid: int, field: str) -> str:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _colon, value = line.partition(":")
        if name == field:
            return value.strip()
    raise AssertionError(field)


def environment(pid: int) -> dict[str, str]:
    entries = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries if entry)


def shell(instance, script: str, **keywords) -> subprocess.CompletedProcess:
    """Run sm_main as ``$0`` from a shell script, so that the script can prepare what rmi may inherit."""
    return subprocess.run(["/bin/sh", "-c", script, instance.sm_main], check=True, timeout=20, **keywords)


def log(instance) -> str:
    return pathlib.Path(instance.log_file).read_text()


# --- which certificate


def test_it_serves_what_it_found(make, pair, client) -> None:
    instance, one = make(), pair()
    one.put(instance.ssl_folder)
    instance.start()
    assert client(instance).der() == one.der


def test_it_reads_the_certificate_at_the_start_only(make, pair, client) -> None:
    instance, one, two = make(), pair(), pair()
    one.put(instance.ssl_folder)
    instance.start()
    two.put(instance.ssl_folder)
    instance.run("reload", "rmi")
    assert client(instance).der() == one.der
    instance.stop()
    instance.start()
    assert client(instance).der() == two.der


def test_the_generated_pair(make, client) -> None:
    instance = make(host_name="backup.example")
    instance.start()
    certificate = client(instance).certificate()
    assert certificate.subject.rfc4514_string() == "CN=backup.example"
    certificate.verify_directly_issued_by(certificate)
    folder = pathlib.Path(pathlib.Path(instance.home.generated_note).read_text().strip())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "sesam.https.key").exists()
    instance.stop()
    assert not folder.exists()


def test_the_generated_pair_of_a_killed_server_goes_too(make) -> None:
    instance = make()
    instance.start()
    folder = pathlib.Path(instance.home.generated_note).read_text().strip()
    os.kill(instance.pid(), signal.SIGKILL)
    assert processes.wait_until(lambda: instance.pid() is None, 15)
    assert os.path.isdir(folder)
    instance.remove()
    assert not os.path.exists(folder)


@pytest.mark.parametrize("form", ["short", "long"])
def test_the_command_line(make, pair, client, tmp_path, form: str) -> None:
    one = pair()
    certificate, key = one.put(tmp_path / "named")
    instance = make(command_line_certificate=certificate, command_line_key=key, command_line_form=form)
    instance.start()
    assert client(instance).der() == one.der
    names = {"short": ["-z", "-k"], "long": ["--sslCertificate", "--sslPrivateKey"]}[form]
    words = processes.arguments(instance.pid())
    assert words[-4:] == [names[0], certificate, names[1], key]
    assert instance.folder in words


def test_the_environment_inherited_or_clean(make, pair, client, tmp_path) -> None:
    instance, one = make(), pair()
    paths = one.put(tmp_path / "named")
    env = {**os.environ, **dict(zip(("SESAM_SSL_CERT", "SESAM_SSL_KEY"), paths, strict=True))}
    instance.start(env=env)
    assert client(instance).der() == one.der
    assert environment(instance.pid())["SESAM_SSL_CERT"] == paths[0]
    instance.stop()
    instance.set(environment="clean")
    instance.start(env=env)
    assert client(instance).der() != one.der
    assert environment(instance.pid())["SESAM_STANDIN"] == instance.folder
    assert "SESAM_SSL_CERT" not in environment(instance.pid())
    instance.stop()
    with open(instance.sesam2000_profile, "a", encoding="utf-8") as stream:
        stream.write(f"export SESAM_SSL_CERT='{paths[0]}' SESAM_SSL_KEY='{paths[1]}'\n")
    instance.start()
    assert client(instance).der() == one.der


def test_a_broken_pair_refuses(make, pair, client) -> None:
    instance = make(broken_pair="refuse")
    pair().put(instance.ssl_folder, b"garbage")
    assert instance.run("start", "rmi").returncode == 1
    assert instance.pid() is None
    assert not client(instance).listens()
    assert "is broken" in log(instance)
    with pytest.raises(StandinError, match="is broken"):
        instance.start()


def test_a_mismatch_that_was_not_checked_fails_every_handshake(make, pair, client) -> None:
    instance = make(key_check="form")
    pair().put(instance.ssl_folder, pair().key_pem())
    instance.start()
    assert instance.certificate in log(instance)
    with pytest.raises(ssl.SSLError):
        client(instance).der()


def test_it_can_serve_another_certificate_at_one_start(make, pair, client) -> None:
    instance, one = make(), pair()
    one.put(instance.ssl_folder)
    instance.set(serves="other@1")
    instance.start()
    served = client(instance).certificate()
    assert served.subject == one.certificate.subject
    assert list(served.extensions) == list(one.certificate.extensions)
    assert served.serial_number != one.certificate.serial_number
    assert served.public_key() != one.certificate.public_key()
    assert instance.certificate in log(instance)
    instance.stop()
    instance.start()
    assert client(instance).der() == one.der


def test_it_can_serve_a_given_pair(make, pair, client, tmp_path) -> None:
    instance, one, given = make(), pair(), pair()
    one.put(instance.ssl_folder)
    certificate, key = given.put(tmp_path / "given")
    instance.set(serves=f"{certificate},{key}")
    instance.start()
    assert client(instance).der() == given.der
    instance.stop()
    both = tmp_path / "both.pem"
    both.write_bytes(given.pem + given.key_pem())
    instance.set(serves=str(both))
    instance.start()
    assert client(instance).der() == given.der
    instance.stop()
    instance.set(serves="/not/there")
    assert instance.run("start", "rmi").returncode == 1


# --- the port


def test_pages(make, client) -> None:
    instance = make()
    instance.start()
    for path in ("/", "/sep/ui/", "/sep/api/", "/sep/api/?x=1"):
        head, _blank, body = client(instance).get(path).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/html")
        assert b"<html>" in body
        assert f"Content-Length: {len(body)}\r\n".encode() in head
    assert client(instance).get("/sep").startswith(b"HTTP/1.1 404 ")
    assert client(instance).get("/", "POST").startswith(b"HTTP/1.1 405 ")
    assert client(instance).get("/", "HEAD").endswith(b"\r\n\r\n")
    assert client(instance).get("/ no http").startswith(b"HTTP/1.1 400 ")


def test_tls_only(make, client) -> None:
    instance = make()
    instance.start()
    with contextlib.suppress(ConnectionResetError):
        assert not client(instance).get_plain().startswith(b"HTTP/")


def test_plain_http(make, client) -> None:
    instance = make(listener="plain_http")
    instance.start()
    assert client(instance).get_plain().startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ssl.SSLError):
        client(instance).get()


def test_both(make, client) -> None:
    instance = make(listener="both")
    instance.start()
    assert client(instance).get_plain().startswith(b"HTTP/1.1 200 ")
    assert client(instance).get().startswith(b"HTTP/1.1 200 ")


def test_closed_at_one_start(make, client) -> None:
    instance = make(listener="closed@1")
    instance.start()
    assert instance.pid()
    assert "Setting up" in log(instance)
    assert not client(instance).listens()
    instance.stop()
    instance.start()
    assert client(instance).listens()


def test_silent(make, client) -> None:
    instance = make(listener="silent")
    instance.start()
    assert client(instance).listens()
    with pytest.raises(TimeoutError), client(instance).tls(timeout=0.3):
        pass


def test_clients_that_stall_block_nobody(make, client) -> None:
    instance = make()
    instance.start()
    with contextlib.ExitStack() as stack:
        for _turn in range(20):
            stack.enter_context(client(instance).connect())
        stack.enter_context(client(instance).tls()).sendall(b"GET /")
        began = time.monotonic()
        assert client(instance).get().startswith(b"HTTP/1.1 200 ")
        instance.stop()
        assert time.monotonic() - began < 15


def test_a_port_that_is_taken(make) -> None:
    instance = make()
    with socket.socket() as taken:
        taken.bind((instance.address, instance.port))
        taken.listen()
        assert instance.run("start", "rmi").returncode == 1
        assert instance.pid() is None
        assert "can't listen" in log(instance)
        instance.set(port_busy="stays")
        instance.start()
        assert instance.pid()


def test_one_address_or_all(make) -> None:
    instance = make()
    elsewhere = ("127.0.20.99", instance.port)
    instance.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(elsewhere, timeout=3)
    instance.stop()
    instance.set(bind="wildcard")
    instance.start()
    socket.create_connection(elsewhere, timeout=3).close()
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # a machine without ::1
            socket.create_connection(("::1", instance.port), timeout=3).close()
        tables = [pathlib.Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
        mark = f":{instance.port:04X} 0"
        assert [any(mark in line and " 0A " in line for line in text.splitlines()) for text in tables] == [False, True]


@pytest.mark.parametrize(
    ("tls_min", "tls_max", "version"), [("1.2", "1.2", "TLSv1.2"), ("1.3", "any", "TLSv1.3"), ("any", "1.3", "TLSv1.3")]
)
def test_tls_versions(make, client, tls_min: str, tls_max: str, version: str) -> None:
    instance = make(tls_min=tls_min, tls_max=tls_max)
    instance.start()
    with client(instance).tls() as connection:
        assert connection.version() == version


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_tls_versions(make, version: str) -> None:
    """openssl is the client: Python would warn about these versions."""
    instance = make(tls_min=version, tls_max=version)
    instance.start()
    option = {"1.0": "-tls1", "1.1": "-tls1_1"}[version]
    done = subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"{instance.address}:{instance.port}",
            option,
            "-cipher",
            "DEFAULT:@SECLEVEL=0",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "New, TLSv1.0, Cipher is " in done.stdout or "Protocol  : TLSv1" in done.stdout


# --- the process


def test_a_good_daemon(make) -> None:
    instance = make()
    instance.start()
    pid = instance.pid()
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{pid}/fd/1") == instance.home.console
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_a_bad_daemon_stays_in_the_session(make) -> None:
    instance = make(session="shared")
    instance.start()
    assert os.getsid(instance.pid()) == os.getsid(0)
    assert os.getpgid(instance.pid()) == os.getpgid(0)


def test_stdout_inherited_or_closed(make) -> None:
    """A caller that reads a pipe to its end waits for rmi, if rmi has inherited the pipe."""
    instance = make()
    assert (
        b"Starting rmi"
        in subprocess.run([instance.sm_main, "start", "rmi"], stdout=subprocess.PIPE, timeout=20, check=True).stdout
    )
    instance.stop()
    instance.set(stdout="inherited")
    with subprocess.Popen([instance.sm_main, "start", "rmi"], stdout=subprocess.PIPE) as call:
        assert call.wait(15) == 0
        assert os.readlink(f"/proc/{instance.pid()}/fd/1") == os.readlink(f"/proc/self/fd/{call.stdout.fileno()}")
        instance.stop()
        assert b"Starting rmi" in call.stdout.read()


@pytest.mark.parametrize(("umask", "wanted"), [("inherited", "0077"), ("clean", "0022")])
def test_umask(make, umask: str, wanted: str) -> None:
    instance = make(umask=umask)
    shell(instance, 'umask 077; exec "$0" start rmi', stdout=subprocess.DEVNULL)
    assert proc_status(instance.pid(), "Umask") == wanted


def test_ignored_signals_inherited(make) -> None:
    """As a JVM: whoever starts it ignoring SIGTERM gets a server that SIGTERM does not end."""
    instance = make(stop_limit="0.3")
    shell(instance, "trap '' TERM HUP; exec \"$0\" start rmi", stdout=subprocess.DEVNULL)
    ignored = int(proc_status(instance.pid(), "SigIgn"), 16)
    for number in (signal.SIGTERM, signal.SIGHUP):
        assert ignored & 1 << (number - 1)
    with pytest.raises(StandinError, match="did not stop"):
        instance.stop()
    assert instance.pid()


def test_ignored_signals_clean(make) -> None:
    instance = make(signals="clean")
    shell(instance, "trap '' TERM HUP; exec \"$0\" start rmi", stdout=subprocess.DEVNULL)
    assert not int(proc_status(instance.pid(), "SigIgn"), 16) & 1 << (signal.SIGHUP - 1)
    instance.stop()


def test_dies_after(make, client) -> None:
    instance = make(dies_after="2.5")
    instance.start()
    assert client(instance).listens()
    assert processes.wait_until(lambda: instance.pid() is None, 15)
    assert not client(instance).listens()


def test_sigterm_ends_it_at_once_with_the_exit_code_of_a_jvm(make, client, yardstick) -> None:
    instance = make(start_waits="no")
    instance.start()
    assert processes.wait_until(client(instance).listens, 15)
    instance.stop()  # its order to start lies there still: now we can be the parent
    times = []
    for _turn in range(3):
        with subprocess.Popen(processes.command("rmi", instance.folder)) as server:
            assert processes.wait_until(client(instance).listens, 15)
            began = time.monotonic()
            server.terminate()
            assert server.wait(15) == 143
            times.append(time.monotonic() - began)
    assert min(times) < max(0.2, yardstick())


def test_a_deleted_folder_takes_its_server_with_it(make) -> None:
    instance = make()
    instance.start()
    pid = instance.pid()
    os.unlink(instance.home.state_file)
    assert processes.wait_until(lambda: not processes.arguments(pid), 15)


def test_without_an_order_it_says_so(make) -> None:
    done = subprocess.run(processes.command("rmi", make().folder), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no order" in done.stderr
    assert "Traceback" not in done.stderr


def test_many_side_by_side(make, pair, client) -> None:
    found = []
    for number in range(4):
        instance, one = make(), pair(f"host{number}")
        one.put(instance.ssl_folder)
        instance.start()
        found.append((instance, one))
    found[0][0].stop()
    for instance, one in found[1:]:
        assert client(instance).der() == one.der
