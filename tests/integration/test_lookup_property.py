# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next start will use, as the collection predicts it, is what the server uses: random configurations.

LOOKUP_CASES and LOOKUP_RESTARTS say how many, LOOKUP_SEED which: a failure names its own.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import pprint
import random
import re
import socket
import ssl
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import standin
from ansible_collections.sep.sesam.plugins.module_utils._host import gather, layout, lookup, sm_main
from ansible_collections.sep.sesam.plugins.plugin_utils import _lookup, _preflight, _verdict
from integration import addresses, lookup_cases
from integration.lookup_cases import BROKEN, HALF, SOURCES, Case

# The full numbers are for somebody who waits: 2000 and 60.
CASES = int(os.environ.get("LOOKUP_CASES", "600"))
RESTARTS = int(os.environ.get("LOOKUP_RESTARTS", "16"))
SEED = os.environ.get("LOOKUP_SEED", "sep.sesam")
PARTS = 4
_USED = {"refused": _lookup.NONE}


@pytest.fixture(scope="session")
def pairs() -> lookup_cases.Pairs:
    """The pairs of all cases."""
    return lookup_cases.Pairs()


class StandIn:
    """The stand-in's own look-up, in a process of its own that answers case after case."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("look_up.py")], env={"LC_ALL": "C.UTF-8"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, instance: standin.Instance, case: Case, written: lookup_cases.Written) -> dict[str, t.Any]:
        """What it uses for each value of the switches, and how it judges each source."""
        stdin, stdout = t.cast("t.IO[str]", self._process.stdin), t.cast("t.IO[str]", self._process.stdout)
        stdin.write(json.dumps({
            "folder": instance.folder, "command_line": written.command_line, "sources_profile": written.has_profile,
            "variables": written.process if case.is_running else written.everybody}) + "\n")
        stdin.flush()
        return dict(json.loads(stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=20)


def sources(instance: standin.Instance, pid: int | None) -> list[_lookup.Source]:
    """What the host code finds in each source, as it comes to the controller."""
    sm_main.environment_of.cache_clear()
    found = lookup.walk(layout.find({"sesam2000_ini": instance.sesam2000_ini}), pid)
    facts = json.loads(json.dumps([source.facts() for source in found]))
    return [_lookup.Source.of(source, facts[1]["pair"]) for source in facts]


def predictions(found: list[_lookup.Source]) -> dict[str, list[str]]:
    """What the next start may use, for each that is known of the server, and for nothing."""
    return {f"{broken} {half}": _lookup.next_sources(found, _lookup.Behaviour(broken, half))
            for broken in ("unknown", *BROKEN) for half in ("unknown", *HALF)}  # type: ignore[arg-type]


class Side:
    """Both sides of one installation."""

    def __init__(self, folder: Path, pairs: lookup_cases.Pairs) -> None:
        self.instance = standin.create(
            folder / "sesam's no 1", address=addresses.address(0), port=addresses.free_port())
        (folder / "scratch").mkdir()
        self.installation = lookup_cases.Installation(self.instance, folder / "scratch", pairs)
        self.stand_in = StandIn()
        self.seen: collections.Counter[str] = collections.Counter()

    def difference(self, case: Case) -> str:
        """In words, where the two differ about a case; empty where they do not."""
        written = self.installation.write(case)
        truth = self.stand_in.ask(self.instance, case, written)
        with self._process(case, written) as pid:
            found = sources(self.instance, pid)
        judged = truth.pop("judged")
        used = {values: _USED.get(name, name) for values, name in truth.items()}
        self.seen.update([f"{source.name} {source.verdict}" for source in found] + [f"used {used['next broken']}"])
        for values, predicted in predictions(found).items():
            possible = [used[both] for both in used if all(a in ("unknown", b) for a, b in
                                                           zip(values.split(), both.split(), strict=True))]
            # Neither more than what may be nor less, and first what comes of going on to the next source.
            if set(predicted) != set(possible) or (possible[0] == used["next broken"] and predicted[0] != possible[0]):
                told = {source.name: f"{source.verdict} {source.reason}" for source in found}
                return (f"broken_pair and half_pair {values}: predicted {predicted}, used {possible}\n"
                        f"collection {pprint.pformat(told)}\nstand-in {pprint.pformat(judged)}")
        return ""

    @contextlib.contextmanager
    def _process(self, case: Case, written: lookup_cases.Written) -> t.Iterator[int | None]:
        """The process of a server that has the command line and the variables of the case."""
        if not case.is_running:
            yield None
            return
        names = {"short": ("-z", "-k"), "long": ("--sslCertificate", "--sslPrivateKey")}[case.option_form]
        arguments = [word for name, value in zip(names, written.command_line, strict=True) if value
                     for word in (name, value)]
        with lookup_cases.process(arguments, written.process) as begun:
            yield begun.pid
            begun.kill()

    def close(self) -> None:
        """End what runs for it."""
        self.stand_in.close()
        self.instance.remove()


@pytest.fixture
def side(tmp_path: Path, pairs: lookup_cases.Pairs, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Side]:
    made = Side(tmp_path, pairs)
    monkeypatch.setattr(sm_main, "GLOBAL_VARIABLES", made.installation.everybody)
    yield made
    made.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_the_prediction_is_what_the_look_up_comes_to(side: Side, part: int) -> None:
    for number in range(part, CASES, PARTS):
        case = lookup_cases.draw(random.Random(f"{SEED}/{number}"))
        if side.difference(case):
            simplest = lookup_cases.simplest(case, lambda other: bool(side.difference(other)))
            pytest.fail(f"case {number} of LOOKUP_SEED={SEED}:\n{pprint.pformat(case)}\n{side.difference(case)}\n"
                        f"made simpler:\n{pprint.pformat(simplest)}\n{side.difference(simplest)}")
    # Nothing was drawn in vain.
    wanted = {f"{name} {verdict}" for name in SOURCES for verdict in ("absent", "half", "broken", "usable")}
    wanted |= {f"used {name}" for name in (*SOURCES, "generated")}
    assert CASES < 400 or not wanted - side.seen.keys()


# Really restarted

_SETUP = re.compile(r"Setting up HTTPS certificate from certificate file (.*?)'? \([^()]*\)$", re.MULTILINE)


def log_in(instance: standin.Instance, variables: dict[str, str], *words: str) -> None:
    """Call sm_main as an admin does: after a login with these variables, the profile sourced."""
    subprocess.run(["/bin/sh", "-c", '. "$0"; exec sm_main "$@"', instance.sesam2000_profile, *words], check=False,
                   env={"PATH": os.defpath, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def used(instance: standin.Instance, pairs: lookup_cases.Pairs) -> str:
    """Whose certificate the port serves."""
    if instance.pid() is None:
        return _lookup.NONE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (socket.create_connection((instance.address, instance.port), 10) as connection,
          context.wrap_socket(connection) as tls):
        leaf = tls.getpeercert(binary_form=True)
    return pairs.source_of(hashlib.sha256(leaf or b"").hexdigest()) or _lookup.GENERATED


def logged(instance: standin.Instance, written: lookup_cases.Written) -> str:
    """Whose certificate the last start has named in the log."""
    text = Path(instance.log_file).read_text(encoding="utf-8", errors="surrogateescape")
    path = _SETUP.findall(text.rpartition("Starting SEP sesam REST server")[2])
    named = [source for source, certificate in written.certificates.items()
             if path and os.path.normpath(path[-1]) == os.path.normpath(certificate)]
    return named[0] if named else _lookup.GENERATED if path else _lookup.NONE


class Restarts:
    """One installation that is restarted for case after case."""

    def __init__(self, side: Side, pairs: lookup_cases.Pairs) -> None:
        self._instance, self._installation, self._pairs = side.instance, side.installation, pairs

    def difference(self, case: Case) -> str:
        """In words, what differs between prediction and truth; empty where nothing does."""
        written = self._start(case)
        before = self._judged(case)
        log_in(self._instance, written.process, "stop", "rmi")
        log_in(self._instance, written.process if case.is_running else written.everybody, "start", "rmi")
        truth = used(self._instance, self._pairs)
        after = self._judged(case)
        told = {
            "predicted": before["known"], "served": [truth], "in the log": [logged(self._instance, written)],
            "source": [after["source"] or _lookup.NONE],
            "log of the collection": [after["log"] or truth],
        }
        problems = [name for name, value in told.items() if value != [truth]]
        is_first = before["unknown"][0] == truth or case.broken_pair != "next"
        if problems or truth not in before["unknown"] or not is_first:
            return f"{', '.join(problems)}: {pprint.pformat({**told, **before})}"
        return ""

    def _start(self, case: Case) -> lookup_cases.Written:
        """A server that runs, if it shall, with the command line and the variables of the case."""
        instance = self._instance
        instance.stop()
        Path(instance.log_file).unlink(missing_ok=True)
        written = self._installation.write(Case(command_line=case.command_line))
        instance.set(command_line_certificate=written.command_line[0], command_line_key=written.command_line[1],
                     command_line_form=case.option_form, broken_pair="next", half_pair="absent")
        # What is there when it starts is something else than what is there when it is started again.
        written = self._installation.write(case)
        if case.is_running:
            instance.start(env={"PATH": os.defpath, **written.process})
        instance.set(broken_pair=case.broken_pair, half_pair=case.half_pair)
        return written

    def _judged(self, case: Case) -> dict[str, t.Any]:
        """What the collection says: by all that is known of the server, and by nothing."""
        sm_main.environment_of.cache_clear()
        answer = gather.gather({"sesam2000_ini": self._instance.sesam2000_ini, "port": self._instance.port})
        seen = _verdict.Seen.of(json.loads(json.dumps(answer)))
        behaviour = _lookup.Behaviour(case.broken_pair, case.half_pair)  # type: ignore[arg-type]
        verdict = _verdict.judge(seen, None, _preflight.Policy(behaviour=behaviour))
        log = answer["log"] or {}
        return {"known": verdict.next_sources, "unknown": _verdict.judge(seen).next_sources, "source": verdict.source,
                "log": log.get("source") if log.get("of_this_start") else None}


@pytest.mark.parametrize("part", range(PARTS))
def test_the_prediction_is_what_a_restart_comes_to(side: Side, pairs: lookup_cases.Pairs, part: int) -> None:
    restarts = Restarts(side, pairs)
    for number in range(part, RESTARTS, PARTS):
        case = lookup_cases.draw(random.Random(f"{SEED}/restart/{number}"))
        if told := restarts.difference(case):
            pytest.fail(f"restart {number} of LOOKUP_SEED={SEED}:\n{pprint.pformat(case)}\n{told}")
