# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures what the collection costs, against what anybody would compare it with; everything on this machine.

    .venv/bin/python tests/bench/measure.py            all figures (needs root and sshd)
    .venv/bin/python tests/bench/measure.py downtime

`audit`: one task with sesam_cert_resolve, and the playbook drift_check, on 20 hosts over SSH, against a playbook with
`ansible.builtin.ping` alone; wall clock, and the processor time of the controller (ansible-playbook and its children).
`fleet`: the role with nothing to do on 20 hosts over SSH, against a playbook with `ansible.builtin.ping` alone.
`selfsigned`: the same with the source selfsigned.
`conversion`: one key to PKCS#8 in this process, against what the library takes to read it.
`downtime`: from the last answer of the old server to the first of the new one, seen by a poller of the port, of a
replacement against `sm_main stop rmi; sm_main start rmi`. Both in turn, five times, medians.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(TESTS), str(TESTS.parent / ".venv" / "collections")]

import pytest  # noqa: E402
import standin  # noqa: E402
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _inputs, _keys  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: E402
from integration import addresses, downtime, host_program, servers, sshd  # noqa: E402
from integration.certificates import Authority  # noqa: E402
from integration.controller import REPLACE, Controller, Outcome, Variables, local  # noqa: E402

ROUNDS = 5
HOSTS = 20
STOP_DELAY, START_DELAY = 1, 2
FLEET = f"{HOSTS} hosts over SSH, pipelining on, interpreter given, {HOSTS} forks"
QUIET = {"ANSIBLE_CALLBACKS_ENABLED": "none", "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s"}


class Cost(t.NamedTuple):
    """What a run took: by the clock, and of the processor on the controller."""

    seconds: float
    processor: float


def compare(what: str, ours: t.Callable[[], float], theirs: t.Callable[[], float], names: tuple[str, str]) -> None:
    """Measure both in turn and print medians, the spread and the ratio."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _round in range(ROUNDS):
        seconds[1].append(theirs())
        seconds[0].append(ours())
    print(what)
    for name, values in zip(names, seconds, strict=True):
        print(f"  {name:44} median {statistics.median(values):6.3f} s  ({min(values):.3f} to {max(values):.3f})")
    ratios = [one / other for one, other in zip(*seconds, strict=True)]
    ratio = statistics.median(seconds[0]) / statistics.median(seconds[1])
    print(f"  {'ratio of the medians':44} {ratio:6.3f}    ({min(ratios):.3f} to {max(ratios):.3f} in pairs)")


def measure_downtime(folder: Path) -> None:
    """The replacement against the bare stop and start."""
    authority = Authority()
    both = itertools.cycle([authority.issue("one.example"), authority.issue("two.example")])
    server = servers.create(folder / "server", 0, stop_delay=STOP_DELAY, start_delay=START_DELAY)
    with server.instance as instance:
        server.put(next(both))
        instance.start(env=servers.ENVIRONMENT)

        def bare() -> None:
            instance.run("stop", "rmi", env=servers.ENVIRONMENT)
            instance.run("start", "rmi", env=servers.ENVIRONMENT)

        def replace() -> None:
            answer = host_program.start(host_program.parameters(server, next(both))).answer()
            if answer["action"] != "replaced":
                raise RuntimeError(f"the replacement failed: {answer}")

        place = (instance.address, instance.port)
        compare(
            f"Downtime, a server that takes {STOP_DELAY} s to stop and {START_DELAY} s to start",
            lambda: downtime.measured(*place, replace),
            lambda: downtime.measured(*place, bare),
            ("sesam_cert_replace", "sm_main stop rmi; sm_main start rmi"),
        )


@contextlib.contextmanager
def fleet(
    folder: Path, **variables: t.Any
) -> t.Iterator[tuple[t.Callable[[str | Path], Cost], standin.Instance]]:
    """Twenty hosts, whose connections are made: what runs a playbook and says what it cost; the one server of all."""
    pair = Authority().issue()
    server = servers.create(folder / "server", 0, bind="wildcard")
    with server.instance as instance, contextlib.ExitStack() as stack:
        server.put(pair)
        instance.start(env=servers.ENVIRONMENT)
        variables = variables or pair.write(folder / "files")._asdict()
        as_text = {name: value if isinstance(value, list) else str(value) for name, value in variables.items()}
        common = {**local(), **server.variables(**as_text), "ansible_pipelining": True}
        hosts = {f"host{n}": {**common, **login} for n, login in enumerate(_logins(stack))}
        controller = Controller(folder / "controller")

        def run(playbook: str | Path) -> Cost:
            before = _processor()
            seconds = _succeeded(controller.run(hosts, playbook=playbook, env=QUIET)).seconds
            return Cost(seconds, _processor() - before)

        run(_play(folder, "ansible.builtin.ping"))
        yield run, instance


def _processor() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _play(folder: Path, module: str, **options: t.Any) -> Path:
    """A playbook with one task."""
    path = folder / f"{module}.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{module: options}]}]))
    return path


def measure_audit(folder: Path) -> None:
    """A look at every server against ping."""
    with fleet(folder) as (run, instance):
        options = {"sesam2000_ini": instance.sesam2000_ini, "port": instance.port}
        plays: dict[str, str | Path] = {
            "ansible.builtin.ping": _play(folder, "ansible.builtin.ping"),
            "sesam_cert_resolve, one task": _play(folder, "sep.sesam.sesam_cert_resolve", **options),
            "sep.sesam.drift_check": "sep.sesam.drift_check",
        }
        costs: dict[str, list[Cost]] = {name: [] for name in plays}
        for _round, (name, play) in itertools.product(range(ROUNDS + 1), plays.items()):
            costs[name].append(run(play))
        print(FLEET)
        ping = costs["ansible.builtin.ping"]
        for name, spent in costs.items():
            for part in ("seconds", "processor"):
                ours, theirs = ([getattr(cost, part) for cost in some[1:]] for some in (spent, ping))
                ratio = statistics.median(ours) / statistics.median(theirs)
                print(f"  {name:32} {part:10} median {statistics.median(ours):6.3f} s  ({min(ours):.3f} to "
                      f"{max(ours):.3f}), {ratio:.3f} x ping")


def measure_fleet(folder: Path, **variables: t.Any) -> None:
    """The role with nothing to do against ping."""
    with fleet(folder, **variables) as (run, _instance):
        run(REPLACE)
        ping = _play(folder, "ansible.builtin.ping")
        compare(FLEET, lambda: run(REPLACE).seconds, lambda: run(ping).seconds, (
            f"sep.sesam.replace, {variables.get('source', 'provided')}, nothing to do", "ansible.builtin.ping"))


def measure_selfsigned(folder: Path) -> None:
    """The certificate in place is the one that is asked for."""
    measure_fleet(folder, source="selfsigned", key_type="EC", names=["backup.example"])


def measure_conversion(_folder: Path) -> None:
    """Keys of each kind in the forms that admins have."""
    keys = {"RSA 2048": rsa.generate_private_key(65537, 2048), "RSA 4096": rsa.generate_private_key(65537, 4096),
            "P-256": ec.generate_private_key(ec.SECP256R1())}
    secret = serialization.BestAvailableEncryption(b"passphrase")
    print("One key to PKCS#8, medians of 20")
    for name, key in keys.items():
        plain, encrypted = (key.private_bytes(serialization.Encoding.PEM, form, encryption) for form, encryption in (
            (serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
            (serialization.PrivateFormat.PKCS8, secret)))
        pfx = pkcs12.serialize_key_and_certificates(b"name", key, None, None, secret)
        for form, content, read in (
            ("traditional", plain, lambda content: serialization.load_pem_private_key(content, None)),
            ("encrypted PKCS#8", encrypted, lambda content: serialization.load_pem_private_key(content, b"passphrase")),
            ("PKCS#12", pfx, lambda content: pkcs12.load_pkcs12(content, b"passphrase")),
        ):
            ours = _milliseconds(lambda content=content: _converted(content))
            theirs = _milliseconds(lambda content=content, read=read: read(content))
            print(f"  {name + ', ' + form:44} {ours:7.1f} ms, the library alone reads it in {theirs:7.1f} ms")


def _converted(content: bytes) -> None:
    found = _contents.of(_inputs.Input(content, "key"), "passphrase")
    _keys.to_pkcs8(_keys.one_of(found), "passphrase")


def _milliseconds(work: t.Callable[[], object]) -> float:
    seconds = []
    for _round in range(20):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds) * 1000


def _logins(stack: contextlib.ExitStack) -> t.Iterator[Variables]:
    """How to log in on each host. One sshd listens on 16 addresses at most."""
    places = [addresses.address(number) for number in range(HOSTS)]
    for some in (places[:HOSTS // 2], places[HOSTS // 2 :]):
        daemon = stack.enter_context(sshd.running(addresses.free_port(), some))
        yield from (daemon.variables(place, "root") for place in some)


def _succeeded(run: Outcome) -> Outcome:
    if run.rc or "changed=1" in run.output:
        raise RuntimeError(f"this run was to succeed and change nothing:\n{run.output}")
    return run


MEASURES: dict[str, t.Callable[[Path], None]] = {
    "audit": measure_audit,
    "conversion": measure_conversion,
    "downtime": measure_downtime,
    "fleet": measure_fleet,
    "selfsigned": measure_selfsigned,
}


def main(names: list[str]) -> str | None:
    """Run the measures named, or all."""
    if unknown := set(names) - MEASURES.keys():
        return f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in names or MEASURES:
            (Path(folder) / name).mkdir()
            try:
                MEASURES[name](Path(folder) / name)
            except pytest.skip.Exception as missing:
                return f"{name}: {missing}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
