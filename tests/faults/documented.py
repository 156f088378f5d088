# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which faults a row of the table "What a fault of the host comes to" in docs/troubleshooting.md tells of."""

from __future__ import annotations

import re
import typing as t

from workbench import tree

_PAGE = tree.ROOT / "docs" / "troubleshooting.md"
_HEADING = "## What a fault of the host comes to\n"

# The first cell of each row, and the names of its faults (regular expressions), or of a part of `make faults`.
ROWS: dict[str, tuple[str, ...]] = {
    "disk or inodes full, of the log too; backup folder full":
        ("disk", "the disk of the log (is full|has no inodes)", "the folder for backups is full"),
    "a disk or a file system that fails at any call": ("errors",),
    "read-only, or the folder immutable":
        ("the file system is read-only", "the (folder for backups|disk of the log) is read-only",
         "the (ssl|state) folder is immutable"),
    "a file of the pair immutable or append-only, or its folder append-only":
        ("the (certificate|key) is (immutable|append-only)", "the ssl folder is append-only"),
    "folder or file is a link, dangling or a loop; hard links":
        ("the (ssl folder|certificate|key|state folder) is a .*link.*", "the key has another name .*"),
    "the ini folder is a link": ("the ini folder is a link .*",),
    "the ini folder belongs to another user": ("the ini folder belongs to another user",),
    "no root; state folder of somebody else": ("the run has no rights", "the state folder (is open|belongs) to .*"),
    "ini folder missing": ("the ini folder is missing",),
    "ssl folder or state folder missing, key of another user":
        ("the (ssl|state) folder is missing", "the key belongs to another user"),
    "Python without `ssl`": ("the Python of the host has no ssl",),
    "clock an hour off, or it jumps during the run": ("the clock .*",),
    "`sm_main` missing, not executable, written by others":
        ("sm_main is (missing|not executable)", "sm_main may be written by all"),
    "`sm_main` fails or hangs at the stop":
        ("sm_main exits 1(, whatever it is asked| at the stop)", "sm_main stops nothing and claims success",
         "sm_main prints garbage and exits 1", "sm_main hangs at the stop.*"),
    "`sm_main` hangs at `status`": ("(rmi is stopped, and )?sm_main hangs at status",),
    "rmi ends only after `stop_timeout`": ("rmi (closes its port, and )?ends only after stop_timeout",),
    "rmi ends only after both `stop_timeout` and `start_timeout`": ("rmi ends only when nobody waits for it any more",),
    "`sm_main` fails or hangs at the start, rmi dies":
        ("sm_main exits 1 at the start", "sm_main starts nothing and claims success", "sm_main hangs at the start",
         "rmi dies (at|after) its start"),
    "`sm_main` hangs after it did its work, prints garbage, rmi keeps its output":
        ("sm_main hangs after .*", "sm_main prints garbage", "rmi keeps .*"),
    "rmi starts slowly, for a minute too":
        ("rmi starts slowly", "rmi starts more slowly than is waited for", "rmi takes 60 s to start"),
    "rmi was stopped": ("rmi was stopped before",),
    "rmi runs and does not listen": ("rmi runs and does not listen",),
    "it does not listen, answer or speak TLS after the start, or serves another certificate":
        ("rmi does not (listen|answer) after the start", "rmi speaks without TLS after the start",
         "rmi serves another certificate"),
    "another program has the port before": ("rmi is .*stopped.*has its port", "rmi is to be started.*has its port"),
    "another program takes the port during the run": ("another program takes the port while rmi is stopped",),
    "log missing, rotated, truncated, huge": ("the log is (missing|rotated|truncated).*", "the log has a gigabyte"),
    "log that cannot be read": ("the log that is named is a (folder|FIFO)",),
    "log without the line, or that is not there at the end":
        ("the log has no line of this start", "the log that is named is a dangling link"),
    "log that cannot be read, and `sesam_https_log_check` is `warn`":
        ("the log that is named is a folder, and a warning will do",),
    "somebody swaps the certificate during the run": ("somebody swaps the certificate during the run",),
    "another run, or a conversion, holds a lock":
        ("another run has the lock", "a key is being converted in the ssl folder"),
    "two runs at once on a host; the same call twice, as SSH sends it again": ("twice",),
    "a run died, its PID is a stranger's, or its `sm_main` hangs":
        ("a lock of a process that is gone", "the PID of a program that is gone has a stranger",
         "a program of a run that died hangs", "left_alone"),
    "the process on the host is killed, or the power fails, at any call": ("crashes", "power"),
    "the controller or the connection dies at any instant": ("elsewhere",),
}  # fmt: skip


def table() -> dict[str, str]:
    """What each fault comes to, by the first cell of its row."""
    section = _PAGE.read_text().partition(_HEADING)[2].partition("\n## ")[0]
    _head, _line, *rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1] for cells in rows}


def rows_of(name: str) -> list[str]:
    """The rows that tell of a fault: one, if all is well."""
    return [row for row, names in ROWS.items() if any(re.fullmatch(pattern, name) for pattern in names)]


def tells(comes_to: str, outcome: str) -> bool:
    """Whether the second cell of a row tells of an outcome, as C(told.outcome) words it."""
    kind, _colon, which = outcome.partition(": ")
    if which.endswith("NO WAY BACK"):
        return "THE WAY BACK FAILED TOO" in comes_to
    words = {"refused": ("refused: ", f"`{which}`"), "failed": ("back: ", f"`{which}`")}
    return all(word in comes_to for word in words.get(kind, (kind,)))


Outcomes = t.Iterable[tuple[str, str]]


def wrong(outcomes: Outcomes) -> list[str]:
    """Of faults and their outcomes: those that no row tells of, or several, or otherwise."""
    comes_to, found = table(), []
    for name, outcome in outcomes:
        rows = rows_of(name)
        if len(rows) != 1:
            found.append(f"{name}: tests/faults/documented.py has {len(rows)} rows for it")
        elif not tells(comes_to.get(rows[0], ""), outcome):
            found.append(f"{name}: {outcome} is not what docs/troubleshooting.md says: {comes_to.get(rows[0])}")
    return found


def stale(names: t.Sequence[str]) -> list[str]:
    """What is left in C(ROWS) of faults that are gone."""
    patterns = [pattern for row in ROWS.values() for pattern in row]
    return [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in names)]
