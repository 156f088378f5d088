# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Every switch and fault of the stand-in, in one table.

The table is the only place that knows names, values, defaults and meanings: validation, ``standin.py switches``,
``--help`` and the programs themselves all read it. A *switch* stands for something that no source says about the
product; a *fault* is something that can go wrong and that a test can order. To the code they are the same thing.
"""

from __future__ import annotations

import re
import typing as t

# When a value is read, and therefore what a limit such as ``fails@1`` counts.
MOMENTS = {
    "create": "once, when the instance is made",
    "start": "at every start of rmi",
    "stop": "at every `sm_main stop` of a running rmi",
    "end": "whenever rmi gets SIGTERM",
    "status": "at every `sm_main status`",
    "call": "at every call of sm_main",
}

YES_NO = {"yes": "", "no": ""}
TLS_VERSIONS = {"any": "no limit of our own", "1.0": "", "1.1": "", "1.2": "", "1.3": ""}

Value = str | float | int
Settings = dict[str, Value]


class StandinError(Exception):
    """Something a user can understand and repair; shown as one line."""


class Switch(t.NamedTuple):
    """One row of the table. ``kind`` is choice, choice_or_text, text, seconds, seconds_or_never or exit_code."""

    name: str
    moment: str
    default: str
    kind: str
    meaning: str
    values: t.Mapping[str, str] = {}

    def parse(self, text: str) -> Value:
        """The typed value of ``text``; a clear error names what was wanted."""
        if self.kind == "choice" and text not in self.values:
            raise StandinError(f"{self.name}={text}: the values of {self.name} are {', '.join(self.values)}")
        if self.kind == "seconds_or_never" and text == "never":
            return -1.0
        if self.kind.startswith("seconds"):
            if not re.fullmatch(r"\d+(\.\d+)?", text):
                raise StandinError(f"{self.name}={text}: {self.name} wants {self.wanted()}")
            return float(text)
        if self.kind == "exit_code":
            if not re.fullmatch(r"\d{1,3}", text) or int(text) > 255:
                raise StandinError(f"{self.name}={text}: {self.name} wants {self.wanted()}")
            return int(text)
        if "\n" in text or "\0" in text:
            raise StandinError(f"{self.name}: a value is one line of text")
        return text

    def wanted(self) -> str:
        """The possible values in words."""
        if self.kind == "choice":
            return " | ".join(self.values)
        if self.kind == "choice_or_text":
            return " | ".join([*self.values, "TEXT"])
        return {
            "text": "TEXT",
            "seconds": "a number of seconds such as 0.5",
            "seconds_or_never": "never | a number of seconds such as 0.5",
            "exit_code": "an exit code from 0 to 255",
        }[self.kind]


def _table() -> t.Iterator[Switch]:
    # --- the installation
    yield Switch(
        "ssl_folder",
        "create",
        "exists",
        "choice",
        "the folder <SESAM_VAR>/ini/ssl after the installation",
        {"exists": "is there, empty", "absent": "is not there"},
    )
    yield Switch("sm_ini_lgc", "create", "yes", "choice", "sm.ini names the log folder in gv_rw_lgc", YES_NO)
    yield Switch(
        "log_folder",
        "start",
        "lgc",
        "choice",
        "where rmi writes sm_gui_server.log",
        {"lgc": "<SESAM_VAR>/log/lgc", "log": "<SESAM_VAR>/log"},
    )

    # --- sm_main
    yield Switch(
        "start",
        "start",
        "works",
        "choice",
        "what `sm_main start rmi` does",
        {
            "works": "starts rmi",
            "fails": "starts nothing and says so",
            "lies": "starts nothing, claims success",
            "hangs": "hangs before it starts rmi",
            "hangs_after": "starts rmi, then hangs",
        },
    )
    yield Switch(
        "stop",
        "stop",
        "works",
        "choice",
        "what `sm_main stop rmi` does",
        {
            "works": "stops rmi",
            "fails": "stops nothing and says so",
            "ignored": "stops nothing, claims success",
            "hangs": "hangs before it stops rmi",
            "hangs_after": "stops rmi, then hangs",
        },
    )
    yield Switch(
        "status",
        "status",
        "works",
        "choice",
        "what `sm_main status` does",
        {"works": "reports", "fails": "reports nothing and says so", "hangs": "hangs"},
    )
    yield Switch("hang_seconds", "call", "600", "seconds", "how long a hanging sm_main hangs before it gives up")
    yield Switch("start_delay", "start", "0", "seconds", "time from the start call until the port listens")
    yield Switch("start_waits", "start", "yes", "choice", "`sm_main start` returns only when rmi is ready", YES_NO)
    yield Switch("start_limit", "start", "60", "seconds", "how long `sm_main start` waits for rmi beyond start_delay")
    yield Switch("stop_delay", "end", "0", "seconds", "time from SIGTERM until rmi has ended; its port closes at once")
    yield Switch("stop_limit", "stop", "30", "seconds", "how long `sm_main stop` waits for rmi to end")
    yield Switch("start_exit", "start", "0", "exit_code", "exit code of a start that worked")
    yield Switch("start_running_exit", "call", "0", "exit_code", "exit code of a start when rmi runs already")
    yield Switch("start_fail_exit", "start", "1", "exit_code", "exit code of a start that failed")
    yield Switch("stop_exit", "stop", "0", "exit_code", "exit code of a stop that worked")
    yield Switch("stop_stopped_exit", "call", "0", "exit_code", "exit code of a stop when rmi does not run")
    yield Switch("stop_fail_exit", "stop", "1", "exit_code", "exit code of a stop that failed")
    yield Switch("status_exit", "status", "0", "exit_code", "exit code of status when rmi runs")
    yield Switch("status_stopped_exit", "status", "0", "exit_code", "exit code of status when rmi does not run")
    yield Switch("status_fail_exit", "status", "1", "exit_code", "exit code of a status that failed")
    yield Switch("offline_words", "call", "offline", "text", "the word for a daemon that does not run")
    yield Switch(
        "offline_line",
        "call",
        "words",
        "choice",
        "the line of a daemon that does not run",
        {
            "words": "`rmi                : offline`",
            "pid": "the last pid in brackets, then the word",
            "absent": "no line at all",
        },
    )
    yield Switch(
        "report",
        "call",
        "5",
        "choice",
        "the first lines that sm_main prints",
        {
            "5": "as release 5: Python version in the $Id line, and SP=",
            "4": "as release 4.4.3",
            "none": "only the lines about daemons",
        },
    )
    yield Switch(
        "start_stop_output",
        "call",
        "report",
        "choice",
        "what start, stop and reload print",
        {"report": "first lines as in status, what is done, the daemon's line", "quiet": "nothing"},
    )

    # --- the process rmi
    yield Switch(
        "environment",
        "start",
        "inherited",
        "choice",
        "the environment of rmi",
        {"inherited": "that of whoever called sm_main", "clean": "only what sesam2000.profile exports"},
    )
    yield Switch(
        "stdout",
        "start",
        "closed",
        "choice",
        "standard output and error of rmi",
        {"closed": "go to a file of the instance", "inherited": "those of whoever called sm_main"},
    )
    yield Switch(
        "umask",
        "start",
        "inherited",
        "choice",
        "the umask of rmi",
        {"inherited": "that of whoever called sm_main", "clean": "022"},
    )
    yield Switch(
        "signals",
        "start",
        "inherited",
        "choice",
        "signals that the caller ignores",
        {"inherited": "rmi ignores them too, SIGTERM included, as a JVM does", "clean": "rmi does not"},
    )
    yield Switch(
        "session",
        "start",
        "own",
        "choice",
        "session and process group of rmi",
        {"own": "its own, as a good daemon", "shared": "those of sm_main: dies with its process group"},
    )
    yield Switch(
        "dies_after",
        "start",
        "never",
        "seconds_or_never",
        "rmi dies this long after its start (exit code 1), also before it listens",
    )
    yield Switch("command_line_certificate", "start", "", "text", "file name for -z on the command line of rmi")
    yield Switch("command_line_key", "start", "", "text", "file name for -k on the command line of rmi")
    yield Switch(
        "command_line_form",
        "start",
        "short",
        "choice",
        "spelling of these two options",
        {"short": "-z and -k", "long": "--sslCertificate and --sslPrivateKey"},
    )

    # --- the look-up
    yield Switch(
        "broken_pair",
        "start",
        "next",
        "choice",
        "what a broken pair does",
        {
            "next": "the next source is tried",
            "generated": "the generated pair is used at once",
            "refuse": "rmi refuses to start",
        },
    )
    yield Switch(
        "half_pair",
        "start",
        "broken",
        "choice",
        "one of the two files alone counts as",
        {"broken": "a broken pair", "absent": "no pair"},
    )
    yield Switch(
        "key_check",
        "start",
        "strict",
        "choice",
        "what is asked of a private key",
        {
            "strict": "unencrypted PKCS#8 PEM that belongs to the certificate",
            "form": "unencrypted PKCS#8 PEM; with a mismatch every handshake fails",
            "lenient": "any unencrypted PEM that belongs to the certificate",
        },
    )
    yield Switch(
        "key_file_text",
        "start",
        "accepted",
        "choice",
        "other text or blocks in the key file",
        {"accepted": "are skipped", "refused": "break the pair"},
    )
    yield Switch("host_name", "start", "", "text", "CN of the generated certificate (empty: name of this host)")

    # --- the log
    yield Switch(
        "log_line",
        "start",
        "written",
        "choice",
        "the line `Setting up HTTPS certificate ...`",
        {"written": "is written before the port opens", "never": "is not written"},
    )
    yield Switch("log_late", "start", "0", "seconds", "the line comes this long after the port opened")
    yield Switch(
        "log_path",
        "start",
        "real",
        "choice_or_text",
        "the path in the line",
        {"real": "that of the certificate in use"},
    )
    yield Switch(
        "log_quotes",
        "start",
        "closing",
        "choice",
        "quotes around that path",
        {
            "closing": "only a closing ', as in the documented sample",
            "opening": "only an opening '",
            "both": "'...'",
            "double": '"..."',
            "none": "none",
        },
    )
    yield Switch(
        "log_words",
        "start",
        "usual",
        "choice_or_text",
        "the words in parentheses",
        {"usual": "the seen ones for the default location, invented ones for the others", "none": "no parentheses"},
    )
    yield Switch("log_context", "start", "main", "text", "the context, before the hyphen")
    yield Switch("log_colours", "start", "no", "choice", "ANSI colours in the log", YES_NO)
    yield Switch(
        "log_milliseconds",
        "start",
        "no",
        "choice",
        "milliseconds in the time stamp",
        {"no": "", "comma": "12:00:00,123", "point": "12:00:00.123"},
    )
    yield Switch(
        "log_at_start",
        "start",
        "appended",
        "choice",
        "what happens to the log at a start",
        {
            "appended": "nothing",
            "rotated": "renamed to .1, a new file is begun",
            "truncated": "emptied in place",
            "rotated_after": "renamed to .1 as soon as the line is written, a new file is begun",
        },
    )

    # --- the port
    yield Switch(
        "listener",
        "start",
        "tls",
        "choice",
        "what the port does",
        {
            "tls": "speaks TLS",
            "closed": "rmi runs and never listens",
            "plain_http": "speaks HTTP without TLS",
            "both": "speaks TLS and plain HTTP",
            "silent": "accepts connections and never answers",
        },
    )
    yield Switch(
        "serves",
        "start",
        "looked_up",
        "choice_or_text",
        "the certificate served (the log still names ours)",
        {
            "looked_up": "that of the look-up",
            "other": "another one: same subject and names, other key and serial number",
            "CERTIFICATE,KEY": "this pair of files, or one file that holds both",
        },
    )
    yield Switch(
        "bind",
        "start",
        "address",
        "choice",
        "where rmi listens",
        {"address": "on the instance's address only", "wildcard": "everywhere, dual-stack, as Java does"},
    )
    yield Switch(
        "port_busy",
        "start",
        "dies",
        "choice",
        "when another process has the port, rmi",
        {"dies": "ends with exit code 1", "stays": "goes on without listening"},
    )
    yield Switch("tls_min", "start", "any", "choice", "lowest TLS version", TLS_VERSIONS)
    yield Switch("tls_max", "start", "any", "choice", "highest TLS version", TLS_VERSIONS)


SWITCHES: t.Mapping[str, Switch] = {switch.name: switch for switch in _table()}


def find(name: str) -> Switch:
    """The row called ``name``."""
    if name not in SWITCHES:
        raise StandinError(f"{name}: there is no such switch; `standin.py switches` lists them")
    return SWITCHES[name]


def describe() -> str:
    """The table as text for a person."""
    lines: list[str] = []
    for moment, when in MOMENTS.items():
        lines += [f"Read {when}:", ""]
        for switch in SWITCHES.values():
            if switch.moment != moment:
                continue
            lines.append(f"  {switch.name} = {switch.wanted()}   (default: {switch.default or 'empty'})")
            lines.append(f"      {switch.meaning}")
            lines += [f"        {value}: {meaning}" for value, meaning in switch.values.items() if meaning]
        lines.append("")
    return "\n".join(lines)
