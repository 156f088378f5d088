# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line to syslog, whatever listens there."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import system_log


def listener(path: Path, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    return made


def test_a_line_as_syslog_writes_it(tmp_path: Path) -> None:
    with listener(tmp_path / "log", socket.SOCK_DGRAM) as log:
        system_log.tell("replaced", str(tmp_path / "log"))
        assert re.fullmatch(rb"<13>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} sep\.sesam\[\d+\]: replaced", log.recv(1 << 10))


def test_a_change_is_one_line_whatever_its_paths_hold(tmp_path: Path) -> None:
    with listener(tmp_path / "log", socket.SOCK_DGRAM) as log:
        system_log.tell("placed /a\nroot: all is well\x1b[2J\udcff\x00; by=\u00e4", str(tmp_path / "log"))
        assert log.recv(1 << 10).decode().endswith(": placed /a?root: all is well?[2J??; by=\u00e4")


def test_a_syslog_of_the_other_kind(tmp_path: Path) -> None:
    with listener(tmp_path / "log", socket.SOCK_STREAM) as log:
        log.listen()
        system_log.tell("replaced", str(tmp_path / "log"))
        with log.accept()[0] as connection:
            assert connection.recv(1 << 10).endswith(b": replaced\0")


def test_no_syslog(tmp_path: Path) -> None:
    system_log.tell("replaced", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    system_log.tell("replaced", str(tmp_path / "log"))


def test_a_syslog_that_takes_nothing_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader sleeps, and the queue is full."""
    monkeypatch.setattr(system_log, "_SECONDS", 0.5)
    with listener(tmp_path / "log", socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.setblocking(False)
        others.connect(str(tmp_path / "log"))
        with contextlib.suppress(BlockingIOError):
            for _line in range(100000):
                others.send(b"x")
        begin = time.monotonic()
        system_log.tell("replaced", str(tmp_path / "log"))
        assert 0.4 < time.monotonic() - begin < 5
