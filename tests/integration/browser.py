# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Chromium with a certificate store of its own: what a person would see who opens an address."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

# Of a machine with two busy cores.
_PATIENCE = 90
# How certutil says whom to trust: a CA for servers; a server whose certificate is its own.
CA, SERVER = "C,,", "P,,"


# The browser listens on descriptor 3 and answers on 4.
_WITH_PIPES = """
import os, sys
for number, descriptor in ((103, sys.argv[1]), (104, sys.argv[2]), (3, 103), (4, 104)):
    os.dup2(int(descriptor), number)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Page(t.NamedTuple):
    """What is shown: why it is not the page that was asked for, the title, and the words."""

    error: str
    title: str
    text: str


class Browser:
    """Knows nothing of the machine's own settings and certificates: its home is a new folder."""

    def __init__(self, home: Path) -> None:
        for program, package in (("chromium", "chromium"), ("certutil", "libnss3-tools")):
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed (Debian: {package})")
        self._home = home
        self._store = home / ".pki" / "nssdb"
        self._store.mkdir(parents=True)
        self._certutil("-N", "--empty-password")

    def trust(self, certificate: bytes, how: str = CA) -> None:
        """Put a certificate in PEM into the store, as trusted."""
        self._certutil("-A", "-n", f"number {len(os.listdir(self._home))}", "-t", how, "-a", input=certificate)

    def trusted(self) -> str:
        """What the store holds, in certutil's words."""
        return self._certutil("-L")

    def _certutil(self, *arguments: str, input: bytes = b"") -> str:
        done = subprocess.run(["certutil", "-d", f"sql:{self._store}", *arguments], input=input, capture_output=True,
                              timeout=30, check=True)
        return done.stdout.decode()

    @contextlib.contextmanager
    def running(self, address: str) -> t.Iterator[Tab]:
        """A tab for which every name is at an IP address: no name server is asked."""
        # --no-sandbox: root in a container has no other way, and the page is ours.
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--window-size=900,600",
                   "--remote-debugging-pipe", f"--user-data-dir={self._home / 'profile'}",
                   f"--host-resolver-rules=MAP * {address}", "about:blank"]  # fmt: skip
        environment = {"HOME": str(self._home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        (reads, to_it), (from_it, writes) = os.pipe(), os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, str(reads), str(writes), "chromium", *options], env=environment,
            pass_fds=(reads, writes), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(reads)
        os.close(writes)
        try:
            yield Tab(to_it, from_it)
        finally:
            # It and the many processes that it has started: a group of their own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(to_it)
            os.close(from_it)


class Tab:
    """Talks to the browser in its own protocol (DevTools), each message ended by a NUL."""

    def __init__(self, to_it: int, from_it: int) -> None:
        self._to_it, self._from_it, self._left = to_it, from_it, b""
        self._number, self._deadline = 0, time.monotonic() + _PATIENCE
        self._session: dict[str, str] = {}
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}

    def open(self, url: str) -> Page:
        """Open an address as if it had been typed."""
        error = self._ask("Page.navigate", url=url).get("errorText", "")
        # Whatever comes, a page or a warning, it has words.
        while not (self._value("document.readyState") == "complete" and self._value("document.body.innerText")):
            time.sleep(0.05)
        return Page(error, self._value("document.title"), " ".join(self._value("document.body.innerText").split()))

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _value(self, expression: str) -> str:
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return str(answer["result"].get("value", ""))

    def _ask(self, method: str, **parameters: object) -> dict[str, t.Any]:
        self._number += 1
        question = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._to_it, json.dumps(question).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass  # It tells much that nobody has asked.
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, t.Any] = answer["result"]
        return result

    def _next(self) -> dict[str, t.Any]:
        while b"\0" not in self._left:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._from_it], [], [], left)[0]:
                raise TimeoutError(f"the browser does not answer for {_PATIENCE} s")
            part = os.read(self._from_it, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._left += part
        message, _nul, self._left = self._left.partition(b"\0")
        decoded: dict[str, t.Any] = json.loads(message)
        return decoded
