# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drift of a fleet: which hosts are not as they should be, and the report on all of them.

Takes what M(sep.sesam.sesam_cert_resolve) returned for each host, and knows no Ansible. Private to this collection.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, printable

STATES: tuple[str, ...] = t.get_args(_verdict.State)
# In place of a state, where a host told none. Both always count: nobody knows what such a host serves.
UNREACHABLE, FAILED = "unreachable", "failed"

# Findings of these levels want somebody's time.
_WANTS_CARE = ("error", "warning")
# More names than fit here are counted.
_MOST_OF_NAMES = 60
# The words of a host that failed: their begin says what was tried, their end what came of it.
_MOST_OF_BEGIN, _MOST_OF_END = 150, 300
_NOTHING = "-"
_INDENT = "    "

Result = t.Mapping[str, t.Any]
Chosen = str | t.Iterable[t.Any] | None


def wrong_choice(chosen: Chosen) -> str:
    """What is wrong with the states that somebody chose to count; empty when nothing is."""
    names = _listed(chosen)
    known = (*STATES, UNREACHABLE, FAILED)
    unknown = [printable(name) for name in names if name not in known]
    if names and not unknown:
        return ""
    wrong = f"what is no state: {', '.join(unknown)}" if unknown else "no state"
    return (f"sesam_drift_states names {wrong}. Name one or more of {', '.join(STATES)}, or leave it out: then every"
            " state but in_sync counts.")


def drift(result: Result, chosen: Chosen = None) -> str:
    """Why a host counts as drift; empty when it does not."""
    state = _state(result)
    return f"{state}: {_reason(result)}" if state in _counted(chosen) else ""


def report(results: t.Mapping[str, Result], chosen: Chosen = None) -> list[str]:
    """Lines for a person: a sum, one for each host, and under those that need care why.

    Hosts that count as drift come first, then those with a warning, then the rest, by name in each.
    """
    drifting = {host for host, result in results.items() if drift(result, chosen)}
    cared_for = drifting | {host for host, result in results.items() if _pressing(result)}
    order = sorted(results, key=lambda host: (host not in drifting, host not in cared_for, host))
    lines = [_sum([_state(results[host]) for host in order if host in drifting], len(results))]
    for host, line in zip(order, _aligned([_cells(host, results[host]) for host in order])):
        lines.append(line)
        if host in cared_for:
            lines += [_INDENT + text for text in (_reason(results[host]), *_pressing(results[host]))]
    return lines


def _listed(chosen: Chosen) -> list[str]:
    """The states chosen, as they come from the command line: a list, or names with commas between them."""
    names = chosen if isinstance(chosen, (list, tuple, set)) else "" if chosen is None else str(chosen).split(",")
    return [name for name in (str(name).strip() for name in names) if name]


def _counted(chosen: Chosen) -> set[str]:
    """The states that count as drift."""
    names = set(STATES) - {"in_sync"} if chosen is None else set(_listed(chosen))
    return names | {UNREACHABLE, FAILED}


def _state(result: Result) -> str:
    if result.get("unreachable"):
        return UNREACHABLE
    return str(result["state"]) if "state" in result and not result.get("failed") else FAILED


def _reason(result: Result) -> str:
    """Why the host is in this state, on one line."""
    if _state(result) not in (UNREACHABLE, FAILED):
        return printable(result["reason"])
    told = str(result.get("msg") or "")
    text = printable(" ".join(told.split())).removeprefix("Task failed: ") or "Ansible did not say why."
    if len(text) <= _MOST_OF_BEGIN + _MOST_OF_END:
        return text
    return f"{text[:_MOST_OF_BEGIN]} ... {text[-_MOST_OF_END:]}"


def _pressing(result: Result) -> list[str]:
    """The findings that want somebody's time; those of a refusal are its message already."""
    if _state(result) in (UNREACHABLE, FAILED):
        return []
    found = [finding for finding in result["findings"] if finding["level"] in _WANTS_CARE]
    return [f"{finding['level']} {Finding(**finding)}" for finding in found]


def _cells(host: str, result: Result) -> list[str]:
    """The line of a host, in pieces."""
    state = _state(result)
    if state in (UNREACHABLE, FAILED):
        return [f"{printable(host)}:", state]
    days = result["days_left"]
    cells = [state, _names(result["names"]), _NOTHING if days is None else f"{days} {_plural('day', days)} left",
             result["source"] or _NOTHING, result["repair"]]
    return [f"{printable(host)}:", *(f"{cell};" for cell in cells[:-1]), cells[-1]]


def _names(names: t.Sequence[str]) -> str:
    """The names of a certificate; no blank or semicolon in one of them passes for the end of this piece."""
    shown: list[str] = []
    for name in names:
        shown.append(printable(name).replace(" ", "\\x20").replace(";", "\\x3b")[:_MOST_OF_NAMES])
        if len(", ".join(shown)) > _MOST_OF_NAMES:
            return f"{', '.join(shown[:-1])} and {len(names) - len(shown) + 1} more"
    return ", ".join(shown) or _NOTHING


def _aligned(lines: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Each piece at the same place in every line."""
    widths: dict[int, int] = collections.defaultdict(int)
    for cells in lines:
        for column, cell in enumerate(cells):
            widths[column] = max(widths[column], len(cell))
    return [" ".join(cell.ljust(widths[column]) for column, cell in enumerate(cells)).rstrip() for cells in lines]


def _sum(drifting: t.Sequence[str], hosts: int) -> str:
    """How many hosts drift, and their states in the order of precedence."""
    if not drifting:
        return f"No drift on {hosts} {_plural('host', hosts)}."
    found = collections.Counter(drifting)
    states = [f"{found[state]} {state}" for state in (UNREACHABLE, FAILED, *STATES) if state in found]
    return f"Drift on {len(drifting)} of {hosts} {_plural('host', hosts)}: {', '.join(states)}."


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"
