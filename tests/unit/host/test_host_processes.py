# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Linux tells about sockets and processes, compared with sockets and processes of our own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import processes


@contextlib.contextmanager
def listening(address: str, dual_stack: bool = False) -> t.Iterator[int]:
    """A port on which somebody listens; zero where this machine can't."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual_stack)
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(("address", "dual_stack"), [
    ("127.0.0.1", False), ("127.3.2.1", False), ("0.0.0.0", False), ("::1", False), ("::", True), ("::", False),
    ("::ffff:127.0.0.1", True),
])
def test_listeners(address: str, dual_stack: bool) -> None:
    with listening(address, dual_stack) as port:
        listeners = processes.listeners(port)
        assert [listener.address for listener in listeners] == [address.replace("::ffff:", "")]
        assert processes.owner(listeners[0]) == os.getpid()
    assert processes.listeners(port) == []


def test_several_listeners_on_one_port() -> None:
    with listening("127.0.0.1") as port, socket.create_server(("127.0.0.2", port)):
        assert {listener.address for listener in processes.listeners(port)} == {"127.0.0.1", "127.0.0.2"}


def test_a_socket_that_does_not_listen_does_not_count() -> None:
    with socket.socket() as bound, listening("127.0.0.1") as port:
        bound.bind(("127.0.0.1", 0))
        assert processes.listeners(bound.getsockname()[1]) == []
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert processes.listeners(client.getsockname()[1]) == []
            assert len(processes.listeners(port)) == 1


def test_whose_socket_it_is_needs_rights(as_nobody: t.Callable[[t.Callable[[], object]], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def look() -> tuple[str, int | None]:
            server.close()  # the copy of this process
            listener = processes.listeners(port)[0]
            return listener.address, processes.owner(listener)

        assert as_nobody(look) == "('127.0.0.1', None)"


CHILD = """
import os, resource, signal, sys
os.umask(0o027)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_CORE, (0, 12345))
with open("/proc/self/comm", "w") as name: name.write("a) Z 1 (b")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child() -> t.Iterator[subprocess.Popen[str]]:
    """A process with a strange name and a context of its own."""
    environment = {"SESAM_X": "1", "LC_ALL": "C", "JAVA_HOME": "/j", "TZ": "UTC", "SECRET": "hush", "PATH": "/bin"}
    process = subprocess.Popen([sys.executable, "-c", CHILD], text=True, env=environment, start_new_session=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_context(child: subprocess.Popen[str]) -> None:
    context = processes.context(child.pid)
    assert context is not None
    assert (context.uid, context.gid, context.umask) == (os.getuid(), os.getgid(), 0o027)
    assert context.ignored_signals >> signal.SIGTERM - 1 & 1
    assert not context.ignored_signals >> signal.SIGHUP - 1 & 1
    assert context.limits["RLIMIT_CORE"] == (0, 12345)
    assert context.environment == {"SESAM_X": "1", "LC_ALL": "C", "JAVA_HOME": "/j", "TZ": "UTC"}


def test_context_of_nobody(child: subprocess.Popen[str]) -> None:
    assert processes.context(None) is None
    child.kill()
    child.wait()
    assert processes.context(child.pid) is None


def test_context_of_somebody_else(as_nobody: t.Callable[[t.Callable[[], object]], str]) -> None:
    assert as_nobody(lambda: processes.context(1)) == "None"


def test_differences_name_no_value() -> None:
    one = processes.Context(0, 0, 0o022, 0, {"RLIMIT_CORE": (0, 0)}, {"SESAM_X": "hush", "TZ": "UTC"})
    other = processes.Context(7, 0, None, 0x4000, {"RLIMIT_CORE": (0, 1)}, {"SESAM_X": "psst", "TZ": "UTC"})
    assert one.differences(one) == []
    assert one.differences(other) == [
        "uid was 0 and is 7", "umask was 0022 and is unknown", "ignored signals was 0x0 and is 0x4000",
        "limits differs in RLIMIT_CORE", "environment differs in SESAM_X",
    ]


def test_started(child: subprocess.Popen[str]) -> None:
    began = processes.started(child.pid)
    assert began is not None
    assert abs(time.time() - began) < 5
    before = processes.started(os.getpid())
    assert before is not None
    assert before <= began
    assert processes.started(1 << 22) is None


def test_started_to_the_hundredth() -> None:
    """A file that was placed just before a start is older than the process."""
    before = time.time()
    with subprocess.Popen(["sleep", "30"]) as process:
        began = processes.started(process.pid)
        process.kill()
    assert began is not None
    assert before - 0.03 < began < time.time() + 0.01


def test_group_members_and_life(child: subprocess.Popen[str]) -> None:
    assert processes.group_members(child.pid) == [child.pid]
    assert processes.is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # A zombie has ended, though it can still be seen.
    assert os.path.exists(f"/proc/{child.pid}")
    assert processes.group_members(child.pid) == []
    assert not processes.is_alive(child.pid)
    child.wait()
    assert not processes.is_alive(child.pid)


@pytest.mark.parametrize(("content", "environment"), [
    (b"", {}), (b"A=1\0B=2\0", {"A": "1", "B": "2"}), (b"A=1=2\0", {"A": "1=2"}), (b"A=\0", {"A": ""}),
    (b"A=a\nb\0", {"A": "a\nb"}), (b"=x\0y\0A=1", {"A": "1"}),
])
def test_parse_environment(content: bytes, environment: dict[str, str]) -> None:
    assert processes.parse_environment(content) == environment


@pytest.mark.parametrize(("name", "matters"), [
    ("LANG", True), ("LC_ALL", True), ("TZ", True), ("LD_LIBRARY_PATH", True), ("JAVA_HOME", True),
    ("SESAM_SSL_KEY", True), ("LANGUAGE", False), ("PATH", False), ("LD_PRELOAD", False), ("MY_SESAM_X", False),
])
def test_which_variables_matter(name: str, matters: bool) -> None:
    assert processes.matters(name) == matters


def test_mount_points(tmp_path: Path) -> None:
    assert {"/", "/proc"} <= processes.mount_points()
    table = tmp_path / "mountinfo"
    table.write_text("36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 - ext3 /dev/root rw\n"
                     "37 35 98:0 / /etc/x.key rw - ext3 /dev/root rw\n")
    assert processes.mount_points(str(table)) == {"/a b\\c", "/etc/x.key"}
    assert processes.mount_points("/nowhere") == set()
