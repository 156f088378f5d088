# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before a stop: is the port that of rmi?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import gather, place_checks, processes, refusal

LISTENS = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(s.getsockname()[1]);" \
          "sys.stdout.flush(); sys.stdin.read()"


@pytest.fixture
def other() -> t.Iterator[tuple[int, int]]:
    """Another process that listens: its PID and its port."""
    with subprocess.Popen([sys.executable, "-c", LISTENS, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())
        process.kill()


def rmi(port: int) -> gather.Rmi:
    """What was found on a port."""
    return gather.Rmi(True, "127.0.0.1", port, None)


def test_the_port_of_rmi_and_of_its_child_is_right(other: tuple[int, int]) -> None:
    """A daemon may be known by the process that started the one which listens."""
    pid, port = other
    place_checks.check_rmi(rmi(port), pid)
    place_checks.check_rmi(rmi(port), os.getpid())


def test_the_port_of_somebody_else_is_refused(other: tuple[int, int]) -> None:
    pid, _port = other
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = f"process {os.getpid()} listens there, and rmi is process {pid}"
        with pytest.raises(refusal.Refused, match=said) as told:
            place_checks.check_rmi(rmi(port), pid)
    assert told.value.id == "foreign-listener"


def test_an_rmi_that_listens_elsewhere_is_told_with_the_place(other: tuple[int, int]) -> None:
    pid, port = other
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        nobody = free.getsockname()[1]
        with pytest.raises(refusal.Refused, match=rf"listens on 127\.0\.0\.1 port {port}, and not on"):
            place_checks.check_rmi(rmi(nobody), pid)


def test_an_rmi_that_hangs_before_it_listens_is_not_refused() -> None:
    """It shall be restarted."""
    with socket.socket() as free, subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as silent:
        free.bind(("127.0.0.1", 0))
        place_checks.check_rmi(rmi(free.getsockname()[1]), silent.pid)
        silent.kill()


def test_nothing_is_refused_where_sm_main_shows_no_process(other: tuple[int, int]) -> None:
    place_checks.check_rmi(rmi(other[1]), None)


def test_family(other: tuple[int, int]) -> None:
    assert {os.getpid(), other[0]} <= processes.family(os.getpid())
    assert processes.family(other[0]) == {other[0]}
