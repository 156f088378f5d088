# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to the syslog of this machine, where none runs: a socket of the tests' own takes its place."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import socket
import threading
import typing as t
from pathlib import Path

from .processes import wait_until

PLACE = Path("/dev/log")
_PATIENCE = 120.0


@dataclasses.dataclass
class Syslog:
    """Every line so far; C(missing) says why there is none."""

    lines: list[bytes] = dataclasses.field(default_factory=list)
    missing: str = ""


@contextlib.contextmanager
def listening(place: Path = PLACE) -> t.Iterator[Syslog]:
    """Listen until the end, if the place is free; then it is free again. Others who listen by this are waited for."""
    if os.geteuid() != 0:
        yield Syslog(missing="only root can listen in the place of syslog")
        return
    with _turn(place), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        try:
            listener.bind(str(place))
        except OSError as error:
            yield Syslog(missing=f"somebody else has {place}: {error.strerror}")
            return
        syslog, end = Syslog(), threading.Event()
        listener.settimeout(0.1)
        thread = threading.Thread(target=_listen, args=(listener, syslog.lines, end), daemon=True)
        try:
            place.chmod(0o666)  # users without rights write there too
            thread.start()
            yield syslog
        finally:
            place.unlink(missing_ok=True)
            end.set()
            thread.join(10)


@contextlib.contextmanager
def _turn(place: Path) -> t.Iterator[None]:
    """Tests that run side by side take turns; who does not get his turn finds the place taken."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: _is_ours(folder), _PATIENCE, "the other tests have listened")
        yield
    finally:
        os.close(folder)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listen(listener: socket.socket, lines: list[bytes], end: threading.Event) -> None:
    """What was sent before the end is in the lines at the end."""
    while True:
        try:
            lines.append(listener.recv(1 << 16))
        except TimeoutError:
            if end.is_set():
                return
