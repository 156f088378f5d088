# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scenarios: rmi does not run, does not answer, or is not who answers; a replacement was interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from . import addresses, host_program
from .scenario import Expected, Host, Steps

DEFAULT = ["default_location"]
# Enough for a kill in between, on a busy machine too.
_DELAY = 2


def not_installed(host: Host) -> Steps:
    host.others["sesam2000_ini"] = "/nowhere/sesam2000.ini"
    yield Expected("not_installed", "install", None, [], [], [], says="/nowhere/sesam2000.ini", is_mended=False)


def stopped(host: Host) -> Steps:
    host.put(host.wanted)
    yield Expected("stopped", "start", None, [], DEFAULT, says="rmi does not run")


def sm_main_cannot_be_asked(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.sm_main).chmod(0o644)
    repair = "become" if os.geteuid() else "reconfigure"
    yield Expected("unknown", repair, None, [], DEFAULT, says="sm_main cannot be asked")
    Path(host.instance.sm_main).chmod(0o755)


# An unfinished replacement: its module was killed on the host.


def killed_while_rmi_stops(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    host.instance.set(stop_delay=f"{_DELAY}@1")
    call = host_program.start(host_program.parameters(host.server, host.wanted))
    host.wait_until(lambda: not host.server.listens(), "rmi is being stopped")
    _kill(call)
    host.wait_until(lambda: host.instance.pid() is None, "rmi has ended")
    yield Expected("interrupted", "recover", None, {"interrupted-replacement"}, DEFAULT, says="Nothing is served")


def killed_while_rmi_starts(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    pid = host.instance.pid()
    host.instance.set(start_delay=f"{_DELAY}@1")
    call = host_program.start(host_program.parameters(host.server, host.wanted))
    host.wait_until(lambda: host.instance.pid() not in (None, pid), "rmi is being started")
    _kill(call)
    host.wait_until(host.server.listens, "rmi listens")
    yield Expected("interrupted", "recover", "default_location", {"interrupted-replacement"}, DEFAULT,
                   says="tester@controller")


def _kill(call: host_program.Call) -> None:
    os.kill(call.process.pid, signal.SIGKILL)
    call.process.communicate()


def journal_damaged(host: Host) -> Steps:
    host.put(host.wanted)
    host.start()
    host.server.state_folder.mkdir(mode=0o700)
    host.server.journal.write_text("{")
    yield Expected("interrupted", "reconfigure", "default_location", {"interrupted-replacement", "journal-damaged"},
                   DEFAULT, says="then remove the journal")
    host.server.journal.unlink()


# The port


def stopped_and_the_port_taken(host: Host) -> Steps:
    host.put(host.wanted)
    end = host.take_port()
    yield Expected("foreign_listener", "reconfigure", "unknown", {"foreign-listener", "served-name"}, DEFAULT,
                   says="rmi does not run")
    end()


def running_and_the_port_taken(host: Host) -> Steps:
    """The command line that counts is that of rmi, and not of whoever listens."""
    host.on_command_line(host.write("pair", host.wanted))
    end = host.take_port()
    host.start(port_busy="stays")
    yield Expected("foreign_listener", "reconfigure", "unknown", {"foreign-listener", "served-name"},
                   ["command_line"], says=f"rmi is process {host.instance.pid()}")
    end()


def another_port_than_asked(host: Host) -> Steps:
    host.put(host.wanted)
    host.start()
    host.others["port"] = addresses.free_port()
    yield Expected("not_answering", "reconfigure", None, {"not-answering"}, DEFAULT,
                   says=f"listens on {host.instance.address} port {host.instance.port}")
    del host.others["port"]


def port_never_opened(host: Host) -> Steps:
    host.put(host.wanted)
    host.start(listener="closed")
    yield Expected("not_answering", "restart", None, {"not-answering"}, DEFAULT)


def port_silent(host: Host) -> Steps:
    host.put(host.wanted)
    host.start(listener="silent")
    host.is_mute = True
    yield Expected("not_answering", "restart", None, {"not-answering"}, DEFAULT, says="does not answer with TLS")


def port_never_opened_and_another_pair(host: Host) -> Steps:
    host.put(host.old)
    host.start(listener="closed")
    yield Expected("not_answering", "replace", None, {"not-answering"}, DEFAULT, says="nobody listens")


def plain_http(host: Host) -> Steps:
    host.put(host.wanted)
    host.start(listener="plain_http")
    yield Expected("plain_http", "reconfigure", None, {"plain-http"}, DEFAULT, says="answers without TLS")
    host.restart()


def plain_http_beside_tls(host: Host) -> Steps:
    host.put(host.wanted)
    host.start(listener="both")
    yield Expected("in_sync", "none", "default_location", [], DEFAULT)


# The log


def log_missing(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    Path(host.instance.log_file).unlink()
    yield Expected("file_drift", "replace", "default_location", [], DEFAULT)


def nothing_is_logged(host: Host) -> Steps:
    """What is served is the proof."""
    host.put(host.wanted)
    host.start(log_line="never")
    yield Expected("in_sync", "none", "default_location", [], DEFAULT)


def tls_1_3_alone(host: Host) -> Steps:
    """The chain cannot be seen."""
    host.put(host.wanted)
    host.start(tls_min="1.3")
    yield Expected("in_sync", "none", "default_location", [], DEFAULT)


SCENARIOS = (
    not_installed, stopped, sm_main_cannot_be_asked, killed_while_rmi_stops, killed_while_rmi_starts, journal_damaged,
    stopped_and_the_port_taken, running_and_the_port_taken, another_port_than_asked, port_never_opened,
    port_never_opened_and_another_pair, port_silent, plain_http, plain_http_beside_tls, log_missing, nothing_is_logged,
    tls_1_3_alone,
)  # fmt: skip
