# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and ports that no other worker of pytest, and no other run on this machine, is given."""

from __future__ import annotations

import itertools
import os
import socket
import typing as t

_FIRST, _SLOTS, _IN_A_SLOT = 16000, 100, 160


def _numbers() -> t.Iterator[int]:
    """Ports below those that the kernel gives away, in a slot that depends on the process."""
    begin = _FIRST + os.getpid() % _SLOTS * _IN_A_SLOT
    return itertools.cycle(range(begin, begin + _IN_A_SLOT))


_numbers_of_this_process = _numbers()


def free_port() -> int:
    """A port that is free on every address: without an address, the collection looks at them all."""
    for number in itertools.islice(_numbers_of_this_process, _IN_A_SLOT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", number))
            except OSError:
                continue
            return number
    raise RuntimeError("there is no free port left")


def address(number: int) -> str:
    """A loopback address for the so-manyth host: 127.0.1.1 to 127.0.9.250."""
    return f"127.0.{1 + number % 9}.{1 + number // 9 % 250}"
