# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The socket of the tests in the place of syslog: only where none is, and gone at the end."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from integration import syslog_socket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen in the place of syslog")


def test_every_line_is_heard_and_the_place_is_free_again(tmp_path: Path) -> None:
    place = tmp_path / "log"
    with syslog_socket.listening(place) as syslog:
        assert stat.S_IMODE(place.stat().st_mode) == 0o666
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for number in range(1000):
                sender.sendto(b"line %d" % number, str(place))
    assert syslog.lines == [b"line %d" % number for number in range(1000)]
    assert not place.exists()


def test_another_one_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(place))
        with syslog_socket.listening(place) as syslog:
            assert "Address already in use" in syslog.missing
        assert place.exists()
