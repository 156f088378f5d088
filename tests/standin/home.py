# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The names of everything in an instance's folder, and how its small files are read and written."""

from __future__ import annotations

import json
import os
import typing as t

from .switches import StandinError

CERTIFICATE_NAME = "sesam.https.crt"
KEY_NAME = "sesam.https.key"
LOG_NAME = "sm_gui_server.log"


class Home:
    """The names of everything in an instance's folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.state_file = os.path.join(folder, "standin.json")
        self.sesam2000_ini = os.path.join(folder, "etc", "sesam2000.ini")
        self.programs = os.path.join(folder, "opt", "bin", "sesam")
        self.sm_main = os.path.join(self.programs, "sm_main")
        self.sesam_var = os.path.join(folder, "var")
        self.sm_ini = os.path.join(self.sesam_var, "ini", "sm.ini")
        self.profile = os.path.join(self.sesam_var, "ini", "sesam2000.profile")
        self.ssl_folder = os.path.join(self.sesam_var, "ini", "ssl")
        self.certificate = os.path.join(self.ssl_folder, CERTIFICATE_NAME)
        self.private_key = os.path.join(self.ssl_folder, KEY_NAME)
        self.run = os.path.join(folder, "run")
        self.pid_file = os.path.join(self.run, "rmi.pid")
        self.start_file = os.path.join(self.run, "start.json")
        self.console = os.path.join(self.run, "rmi.out")
        self.generated_note = os.path.join(self.run, "generated")
        self.lock_file = os.path.join(self.run, "lock")

    def log_file(self, place: str = "lgc") -> str:
        """The server's log, for a value of the switch ``log_folder``."""
        return os.path.join(self.sesam_var, "log", "lgc" if place == "lgc" else "", LOG_NAME)


def write_whole(path: str, text: str) -> None:
    """Put ``text`` in place so that a reader sees the old file or the new one, never half of one."""
    beside = f"{path}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(beside, path)


def read_text(path: str) -> str | None:
    """The file's text, or None if it is not there."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return None


def read_json(path: str) -> dict[str, t.Any] | None:
    """The object in the file, or None if there is none."""
    text = read_text(path)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StandinError(f"{path}: not JSON ({error})") from error
    return value if isinstance(value, dict) else None
