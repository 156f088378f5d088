# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and ports that no other worker of pytest, and no other run on this machine, is given."""

from __future__ import annotations

import atexit
import itertools
import socket

_FIRST, _SLOTS, _IN_A_SLOT = 16000, 100, 160


def _claimed() -> int:
    """The begin of the first slot that nobody has. Its first port is bound as long as this process lives, and says so.

    :raises RuntimeError: every slot is taken.
    """
    for begin in range(_FIRST, _FIRST + _SLOTS * _IN_A_SLOT, _IN_A_SLOT):
        claim = socket.socket()
        try:
            claim.bind(("0.0.0.0", begin))
        except OSError:
            claim.close()
            continue
        atexit.register(claim.close)
        return begin
    raise RuntimeError("every slot of ports is taken")


# All of them are below the ports that the kernel gives away.
_begin = _claimed()
_numbers_of_this_process = itertools.cycle(range(_begin + 1, _begin + _IN_A_SLOT))


def free_port() -> int:
    """A port that is free on every address: without an address, the collection looks at them all."""
    for number in itertools.islice(_numbers_of_this_process, _IN_A_SLOT - 1):
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
