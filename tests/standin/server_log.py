# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Writing ``sm_gui_server.log``.

Only the line about the certificate has been seen; every other line here is invented and only stands around it.
"""

from __future__ import annotations

import os
import threading
import time

from .home import Home
from .switches import Settings

_WORDS = {
    "default_location": "via default location lookup",  # seen; the others are invented
    "command_line": "via command line",
    "sm_ini": "via sm.ini lookup",
    "environment": "via environment lookup",
    "generated": "generated self-signed",
}
_QUOTES = {"closing": ("", "'"), "opening": ("'", ""), "both": ("'", "'"), "double": ('"', '"'), "none": ("", "")}


class Log:
    """The log of one life of the server."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._settings = settings
        self._path = home.log_file(str(settings["log_folder"]))
        self._lock = threading.Lock()
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        if settings["log_at_start"] == "rotated":
            self._rotate()
        elif settings["log_at_start"] == "truncated":
            with open(self._path, "w", encoding="utf-8"):
                pass

    def line(self, text: str, level: str = "INFO") -> None:
        """One line with time stamp, level and context."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        point = {"comma": ",", "point": "."}.get(str(self._settings["log_milliseconds"]))
        if point:
            stamp += f"{point}{int(now * 1000) % 1000:03}"
        level = f"{level:<5}"
        if self._settings["log_colours"] == "yes":
            stamp, level, text = f"\x1b[36m{stamp}\x1b[0m", f"\x1b[1;34m{level}\x1b[0;39m", f"\x1b[32m{text}\x1b[0m"
        with self._lock, open(self._path, "ab", buffering=0) as stream:  # opened each time: a test may rotate it
            line = f"{stamp} {level} {self._settings['log_context']} - {text}\n"
            stream.write(line.encode("utf-8", "surrogateescape"))

    def certificate(self, source: str, path: str) -> None:
        """The line that says which certificate is used, or what a switch makes of it."""
        settings = self._settings
        if settings["log_line"] == "never":
            return
        opening, closing = _QUOTES[str(settings["log_quotes"])]
        shown = path if settings["log_path"] == "real" else settings["log_path"]
        text = f"Setting up HTTPS certificate from certificate file {opening}{shown}{closing}"
        words = settings["log_words"]
        if words != "none":
            text += f" ({_WORDS[source] if words == 'usual' else words})"
        self.line(text)
        if settings["log_at_start"] == "rotated_after":
            with self._lock:
                self._rotate()
            self.line("Log rotated")

    def _rotate(self) -> None:
        if os.path.exists(self._path):
            os.replace(self._path, f"{self._path}.1")
        with open(self._path, "a", encoding="utf-8"):
            pass
