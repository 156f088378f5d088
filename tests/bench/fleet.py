# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts over SSH on loopback addresses, and what a playbook costs on them."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import resource
import sys
import typing as t
from pathlib import Path

import standin
from integration import addresses, servers, sshd
from integration.certificates import Authority
from integration.controller import MOST_FORKS, Controller, Variables, local
from workbench import neighbours, venvs

from .contest import Cost
from .scene import MODULE, STDIN, TRANSPORTS, carried_by

PING, AUDIT = "ansible.builtin.ping", "sep.sesam.sesam_cert_resolve"
PLAYS = Path(__file__).with_name("plays")
# One sshd listens on so many addresses at most.
_ADDRESSES_OF_AN_SSHD = 16
_SECONDS = 900.0
# What it says at -vvvv.
_SAID = {STDIN: "host code over standard input", MODULE: "ordinary module"}
_CHANGED = re.compile(r"changed=[1-9]")
_ENVIRONMENT = {
    "ANSIBLE_CALLBACKS_ENABLED": "none",
    "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=15m",
    # The plays that are compared with need community.crypto.
    **neighbours.environment(venvs.Venv()),
}


class Fleet:
    """Hosts that can be logged in to: each has its address, all of them one REST server."""

    def __init__(self, folder: Path, hosts: dict[str, Variables], instance: standin.Instance) -> None:
        self.folder = folder
        self.instance = instance
        self._hosts = hosts
        self._controller = Controller(folder / "controller")
        self.ping_play = play(folder, PING)
        self.audit = play(folder, AUDIT, sesam2000_ini=instance.sesam2000_ini, port=instance.port)

    def __str__(self) -> str:
        return (f"{len(self._hosts)} hosts over SSH, pipelining on, interpreter given, "
                f"{min(len(self._hosts), MOST_FORKS)} forks")

    def run(self, playbook: str | Path, *arguments: str | Path, env: dict[str, str] | None = None,
            hosts: int | None = None, changes: bool = False, says: str = "") -> Cost:
        """Run a playbook on all of them, or on so many; it has to succeed, and to change what it should and no more."""
        some = dict(itertools.islice(self._hosts.items(), hosts))
        before = _processor()
        done = self._controller.start(some, *arguments, playbook=playbook, env={**_ENVIRONMENT, **(env or {})}
                                      ).finish(_SECONDS)
        used = _processor() - before
        if done.rc or bool(_CHANGED.search(done.output)) != changes:
            raise RuntimeError(f"{playbook} was to succeed and {'change something' if changes else 'change nothing'}:\n"
                               f"{done.output}")
        if says not in done.output:
            raise RuntimeError(f"{playbook} was to say {says!r}:\n{done.output}")
        return Cost(done.seconds, used)

    def require(self, transport: str) -> None:
        """Whether the host code really goes that way: what is measured is to be what is said."""
        self.run(self.audit, "-vvvv", env=carried_by(transport), hosts=1, says=_SAID[transport])

    def ping(self, hosts: int | None = None) -> Cost:
        """The yardstick."""
        return self.run(self.ping_play, hosts=hosts)


@contextlib.contextmanager
def running(folder: Path, number: int, **switches: object) -> t.Iterator[Fleet]:
    """So many hosts, whose connections are made.

    The server is started before the daemons of SSH are: on a real host, the process that listens is not the last of a
    thousand either.
    """
    authority = Authority()
    pair = authority.issue()
    server = servers.create(folder / "server", 0, bind="wildcard", **switches)
    with server.instance as instance, contextlib.ExitStack() as stack:
        server.put(pair)
        instance.start(env=servers.ENVIRONMENT)
        files = pair.write(folder / "files")
        common = {**local(), **server.variables(files), **_of_others(server), "ansible_pipelining": True}
        hosts = {f"host{n}": {**common, **login} for n, login in enumerate(_logins(stack, number))}
        fleet = Fleet(folder, hosts, instance)
        fleet.ping()
        for transport in TRANSPORTS:
            fleet.require(transport)
        yield fleet


def play(folder: Path, module: str, **options: t.Any) -> Path:
    """A playbook with one task."""
    path = folder / f"{module}.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{module: options}]}]))
    return path


def given(**variables: t.Any) -> tuple[str, str]:
    """Variables on the command line."""
    return "--extra-vars", json.dumps(variables)


def _of_others(server: servers.Server) -> Variables:
    """What the plays without our collection want to be told."""
    instance = server.instance
    return {"certificate_path": instance.certificate, "private_key_path": instance.private_key,
            "rest_address": instance.address, "rest_port": instance.port, "sm_main": instance.sm_main,
            "python_with_cryptography": sys.executable}


def _logins(stack: contextlib.ExitStack, number: int) -> t.Iterator[Variables]:
    """How to log in on each host."""
    places = [addresses.address(n) for n in range(number)]
    for first in range(0, number, _ADDRESSES_OF_AN_SSHD):
        some = places[first:first + _ADDRESSES_OF_AN_SSHD]
        daemon = stack.enter_context(sshd.running(addresses.free_port(), some))
        yield from (daemon.variables(place, "root") for place in some)


def _processor() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
