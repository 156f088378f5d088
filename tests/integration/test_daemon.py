# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The new rmi is started as the old one was, whatever ansible-playbook itself was started with."""

from __future__ import annotations

import os
import signal
import typing as t

import pytest
from integration import processes
from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.processes import environment, status
from integration.servers import ENVIRONMENT, Server

# Starts a program with an umask that forbids nothing and with signals that it does not get.
ODD_START = ("/bin/sh", "-c", 'umask 0; trap "" TERM HUP INT; exec "$@"', "sh")
# Not the caller's: what Python itself ignores, for the stand-in is a Python program, and two signals of the C library,
# which it lets nobody change (GNU make starts its children so that they ignore one of them).
_OF_NO_CONCERN = sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ, 32, 33))


@pytest.fixture
def inheriting(make_server: t.Callable[..., Server], old: Pair) -> Server:
    """A server whose rmi takes over all that whoever starts it has, standard output included."""
    return make_server(old, environment="inherited", umask="inherited", signals="inherited", stdout="inherited")


def test_new_rmi_has_nothing_of_the_controller(
    inheriting: Server, controller: Controller, wanted: Pair, files: Files
) -> None:
    old = inheriting.instance.pid()
    assert old
    umask = status(old)["Umask"]

    host = {"one": {**local(), **inheriting.variables(files)}}
    odd = {"FOO": "bar", "JAVA_ODD": "no", "TZ": "UTC"}
    run = controller.run(host, env=odd, wrapper=ODD_START)

    assert run.rc == 0, run.output
    assert inheriting.served() == wanted.fingerprint
    assert [f for f in run.replace().result["findings"] if f["id"] == "process-context-changed"] == []
    new = inheriting.instance.pid()
    assert new
    assert new != old
    assert (status(new)["Umask"], int(status(new)["SigIgn"], 16) & ~_OF_NO_CONCERN) == (umask, 0)
    assert not environment(new).keys() & {"FOO", "JAVA_ODD", "DUMP_RESULTS", "VIRTUAL_ENV"}
    kept = ("LANG", "TZ", "JAVA_TEST")
    assert {name: environment(new).get(name) for name in kept} == {name: ENVIRONMENT[name] for name in kept}
    # A daemon that kept our standard output would have held the run, too.
    for descriptor in (0, 1, 2):
        assert not os.readlink(f"/proc/{new}/fd/{descriptor}").startswith(("pipe:", "socket:", "/dev/pts"))
    assert os.readlink(f"/proc/{new}/cwd") == "/"
    inheriting.instance.stop()
    assert not processes.is_alive(new)
