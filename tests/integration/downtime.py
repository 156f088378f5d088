# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long nobody is served: an independent poller of the port, and the two ways to replace that are compared."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import typing as t

_PAUSE = 0.005
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONTEXT.check_hostname, _CONTEXT.verify_mode = False, ssl.CERT_NONE


class Poller:
    """Asks the port again and again; C(longest_gap) is the longest time between two answers.

    Between two answers of the same process it is tiny; so the longest one is that from the last answer of the
    old process to the first answer of the new one.
    """

    def __init__(self, address: str, port: int) -> None:
        self._place = (address, port)
        self._answers: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Poller:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end.set()
        self._thread.join(30)

    @property
    def longest_gap(self) -> float:
        """In seconds."""
        return max((new - old for old, new in zip(self._answers, self._answers[1:], strict=False)), default=0.0)

    def wait_for_answer(self, seconds: float = 30.0) -> None:
        """Until it has been answered after now."""
        seen, end = len(self._answers), time.monotonic() + seconds
        while len(self._answers) < seen + 2 and time.monotonic() < end:
            time.sleep(_PAUSE)

    def _run(self) -> None:
        while not self._end.is_set():
            if self._is_answered():
                self._answers.append(time.monotonic())
            time.sleep(_PAUSE)

    def _is_answered(self) -> bool:
        try:
            with socket.create_connection(self._place, 5) as plain, _CONTEXT.wrap_socket(plain):
                return True
        except OSError:
            return False


def measured(address: str, port: int, act: t.Callable[[], object]) -> float:
    """The downtime while something is done."""
    with Poller(address, port) as poller:
        poller.wait_for_answer()
        act()
        poller.wait_for_answer()
    return poller.longest_gap
