# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The stand-in for the product's ``sm_main``: ``sm_main start|stop|status|reload [DAEMON]``.

The instance's own ``opt/bin/sesam/sm_main`` calls this program with its folder before the user's words. What status
prints has been seen; what start, stop and reload print, and every exit code, is invented and can be switched.
Only rmi is a process. The other daemons are names with a number, there because the product shows them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time

from . import processes, state
from .home import Home, read_json, read_text, write_whole
from .switches import Settings, StandinError

OTHERS = {"qm": 8185, "db": 8190, "passd": 8201, "sms": 8233, "stpd": 8250, "ctrl": 8260, "sshd": 8275, "sepuler": 8288}
UNUSED = ("ui", "sds-2")
DAEMONS = [*OTHERS, "rmi", *UNUSED]
VERBS = ("status", "start", "stop", "reload")
USAGE = "usage: sm_main status|start|stop|reload [daemon]"
FIRST_JOB = 1635
CALLED = time.monotonic()  # the moment that start_delay counts from


class Call:
    """One call of sm_main."""

    def __init__(self, home: Home, words: list[str]) -> None:
        self.home = home
        self.words = words
        self.settings = state.peek(home.folder)
        self.shows = words[:1] == ["status"] or self.settings["start_stop_output"] == "report"

    def say(self, text: str) -> None:
        """One line as every line of sm_main is."""
        if self.shows:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {text}", flush=True)

    def run(self) -> int:
        """Do what was asked; the exit code."""
        verb, daemons = self.words[0], self.words[1:] or DAEMONS
        self._head()
        for daemon in daemons:
            if daemon not in DAEMONS:
                self.say(f"{daemon}: no such daemon")
                return 1
        code = 0
        if verb == "status":
            code = self._status_code()
        elif verb == "reload":
            self.say("Reload " + ", ".join(daemons))  # the certificate is read at the start only
        elif "rmi" in daemons:
            code = self._start() if verb == "start" else self._stop()
        for daemon in daemons:
            self._line(daemon)
        return code

    def _head(self) -> None:
        if self.settings["report"] == "none":
            return
        five = self.settings["report"] == "5"
        version = "5.1.0.9" if five else "4.4.3.64"
        python = f" Python {sys.version.split()[0]}" if five else ""
        self.say(f"$Id: 30e8e5a (HEAD, tag: stand-in) 2018-10-22 10:30:29 +0200{python} $")
        self.say(f"VERSION='server,{version},20181024102809'")
        if five:
            self.say("SP=''")
        self.say(f"sm_main[{os.getpid()}]")
        self.say(f"Arguments: {' '.join(['sm_main', *self.words])}")
        self.say(f"Daemons: {DAEMONS}")

    def _line(self, daemon: str) -> None:
        if daemon in UNUSED:
            self.say(f"{daemon:<10} {'':8}: unused")
            return
        pid = OTHERS.get(daemon) or processes.rmi(self.home)
        if pid:
            if daemon == "rmi":
                order = read_json(self.home.start_file) or {}
                self.say(f"Found job: {order.get('job', 0)}    rmi                   0 {pid:9} {order.get('started')}")
            self.say(f"{daemon:<10} [{pid:6}]: online")
        elif self.settings["offline_line"] == "words":
            self.say(f"{daemon:<10} {'':8}: {self.settings['offline_words']}")
        elif self.settings["offline_line"] == "pid":
            last = (read_text(self.home.pid_file) or "0").strip()
            self.say(f"{daemon:<10} [{last:>6}]: {self.settings['offline_words']}")

    def _hang(self) -> None:
        """Hang, but not for ever, and not longer than the instance lives."""
        end = CALLED + float(self.settings["hang_seconds"])
        while time.monotonic() < end and os.path.exists(self.home.state_file):
            time.sleep(0.05)
        sys.exit(1)

    def _status_code(self) -> int:
        settings = state.take(self.home.folder, "status")
        if settings["status"] == "hangs":
            self._hang()
        if settings["status"] == "fails":
            self.say("Status failed")
            sys.exit(int(settings["status_fail_exit"]))
        return int(settings["status_exit" if processes.rmi(self.home) else "status_stopped_exit"])

    def _start(self) -> int:
        if processes.rmi(self.home):
            self.say("rmi is already running")
            return int(self.settings["start_running_exit"])
        settings = state.take(self.home.folder, "start")
        self.say("Starting rmi")
        if settings["start"] == "hangs":
            self._hang()
        if settings["start"] == "lies":
            return int(settings["start_exit"])
        if settings["start"] == "fails" or not self._spawn(settings):
            self.say("Starting rmi failed")
            return int(settings["start_fail_exit"])
        if settings["start"] == "hangs_after":
            self._hang()
        return int(settings["start_exit"])

    def _spawn(self, settings: Settings) -> bool:
        """Start rmi; False if it ended, or was not ready in time, while we waited."""
        waits = settings["start_waits"] == "yes"
        reader, writer = os.pipe()
        instance = state.load(self.home.folder)
        last = read_json(self.home.start_file) or {}
        order = {
            "called": CALLED,
            "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            "job": last.get("job", FIRST_JOB) + 1,
            "ready": writer if waits else None,
            "address": instance["address"],
            "port": instance["port"],
            "settings": settings,
        }
        write_whole(self.home.start_file, json.dumps(order))
        if settings["umask"] == "clean":
            os.umask(0o022)
        if settings["signals"] == "clean":
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                if signal.getsignal(number) == signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
        with open(self.home.console, "ab") as console:
            own = console if settings["stdout"] == "closed" else None
            process = subprocess.Popen(
                self._command(settings),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=own,
                stderr=own,
                env=self._profile() if settings["environment"] == "clean" else None,
                start_new_session=settings["session"] == "own",
                pass_fds=(writer,) if waits else (),
            )
        os.close(writer)
        write_whole(self.home.pid_file, f"{process.pid}\n")
        if not waits:
            return True
        limit = float(settings["start_limit"]) + float(settings["start_delay"])
        return bool(select.select([reader], [], [], limit)[0] and os.read(reader, 1))

    def _command(self, settings: Settings) -> list[str]:
        command = processes.command("rmi", self.home.folder)
        names = {"short": ("-z", "-k"), "long": ("--sslCertificate", "--sslPrivateKey")}
        values = (settings["command_line_certificate"], settings["command_line_key"])
        for option, value in zip(names[str(settings["command_line_form"])], values, strict=True):
            if value:
                command += [option, str(value)]
        return command

    def _profile(self) -> dict[str, str]:
        """The environment that sesam2000.profile makes of an empty one."""
        output = subprocess.run(
            ["/bin/sh", "-c", '. "$0" && exec env -0', self.home.profile],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        return dict(os.fsdecode(entry).split("=", 1) for entry in output.split(b"\0") if b"=" in entry)

    def _stop(self) -> int:
        pid = processes.rmi(self.home)
        if not pid:
            self.say("rmi is not running")
            return int(self.settings["stop_stopped_exit"])
        settings = state.take(self.home.folder, "stop")
        delay = float(self.settings["stop_delay"])
        self.say("Stopping rmi")
        if settings["stop"] == "hangs":
            self._hang()
        if settings["stop"] == "ignored":
            return int(settings["stop_exit"])
        stopped = False
        if settings["stop"] != "fails":
            os.kill(pid, signal.SIGTERM)
            limit = float(settings["stop_limit"]) + delay
            stopped = processes.wait_until(lambda: processes.rmi(self.home) != pid, limit)
        if not stopped:
            self.say("Stopping rmi failed")
            return int(settings["stop_fail_exit"])
        if settings["stop"] == "hangs_after":
            self._hang()
        return int(settings["stop_exit"])


def main(words: list[str]) -> int:
    """``standin.py sm_main FOLDER VERB [DAEMON]``."""
    folder, *asked = words
    if not asked or asked[0] not in VERBS or len(asked) > 2:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        return Call(Home(folder), asked).run()
    except StandinError as error:
        print(f"sm_main: {error}", file=sys.stderr)
        return 1
