# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The daemon rmi: the stand-in for the product's REST server (started by sm_main, not by hand).

The main thread only waits for SIGTERM, so that nothing can delay the end; a second thread starts the server and
accepts, and every connection has a thread of its own, so that a client that stalls does not block the others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import sys
import threading
import time
import typing as t

from . import lookup, pages, pairs, state
from .home import Home, read_json
from .key_form import BrokenPair
from .server_log import Log
from .switches import Settings, StandinError

TLS_VERSIONS = {
    "any": None,
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
TLS_HANDSHAKE = 0x16  # the first byte of a TLS connection
TERMINATED = 143  # the exit code of a JVM that ends on SIGTERM


class Server:
    """One life of rmi."""

    def __init__(self, home: Home, order: dict[str, t.Any], command_line: tuple[str, str]) -> None:
        self.home = home
        self.order = order
        self.settings: Settings = order["settings"]
        self.command_line = command_line
        self.listener: socket.socket | None = None
        self.log = Log(home, self.settings)
        self._ending = threading.Event()
        self._leaving = threading.Lock()
        self._kept: list[socket.socket] = []

    def run(self) -> None:
        """Start, then accept until the process ends; any failure ends the process."""
        try:
            context, source, path = self._set_up()
            late = float(self.settings["log_late"])
            if not late:
                self.log.certificate(source, path)
            time.sleep(max(0.0, self.order["called"] + float(self.settings["start_delay"]) - time.monotonic()))
            if self.settings["listener"] != "closed":
                self._listen()
            self._ready()
            if late:
                timer = threading.Timer(late, self.log.certificate, (source, path))
                timer.daemon = True
                timer.start()
            while self.listener is not None:
                self._accept(context)
        except StandinError as error:
            self._fail(str(error))
        except Exception as error:  # whatever it is, a thread that is gone must not leave a process that waits
            if not self._ending.is_set():
                self._fail(f"{type(error).__name__}: {error}")

    def _set_up(self) -> tuple[ssl.SSLContext, str, str]:
        """The look-up, and the context for what it found or for what was ordered instead."""
        self.log.line("Starting SEP sesam REST server")
        outcome = lookup.look_up(self.home, self.settings, self.command_line, os.environ)
        for one in outcome.judged:
            if one.verdict in ("broken", "half"):
                self.log.line(f"Pair of source {one.source} can't be used: {one.reason}", "WARN")
        if outcome.used == "refused":
            raise StandinError(f"the pair {outcome.certificate} is broken")
        path, key = outcome.certificate, outcome.private_key
        if outcome.used == "generated":
            path, key = pairs.generated(self.home, str(self.settings["host_name"]) or socket.gethostname())
        try:
            context = lookup.context(*self._served(path, key), self.settings)
        except BrokenPair as error:
            raise StandinError(str(error)) from error
        for name in ("tls_min", "tls_max"):
            version = TLS_VERSIONS[str(self.settings[name])]
            if version:
                setattr(context, "minimum_version" if name == "tls_min" else "maximum_version", version)
        return context, outcome.used, path

    def _served(self, path: str, key: str) -> tuple[str, str]:
        serves = str(self.settings["serves"])
        if serves == "looked_up":
            return path, key
        if serves == "other":
            with open(path, "rb") as stream:
                return pairs.look_alike(self.home, stream.read())
        certificate, _comma, private_key = serves.partition(",")
        return certificate, private_key or certificate

    def _listen(self) -> None:
        address, port = self.order["address"], self.order["port"]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if self.settings["bind"] == "wildcard":
            family, address = (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.settings["bind"] == "wildcard" and family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listener.bind((address, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if self.settings["port_busy"] == "dies":
                raise StandinError(f"can't listen on {address} port {port}: {error.strerror}") from error
            self.log.line(f"Can't listen on {address} port {port}: {error.strerror}", "ERROR")
            return
        self.listener = listener
        self.log.line(f"REST server listens on {address} port {port}")

    def _ready(self) -> None:
        """Tell a waiting sm_main."""
        descriptor = self.order.get("ready")
        if descriptor is not None:
            try:
                os.write(descriptor, b"1")
            except BrokenPipeError:
                pass  # sm_main was ended in the meantime
            os.close(descriptor)

    def _accept(self, context: ssl.SSLContext) -> None:
        assert self.listener is not None
        try:
            connection, _peer = self.listener.accept()
        except ConnectionAbortedError:
            return
        if self.settings["listener"] == "silent":
            self._kept.append(connection)
            return
        threading.Thread(target=self._talk, args=(connection, context), daemon=True).start()

    def _talk(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        try:
            connection.settimeout(pages.PATIENCE)
            tls = self.settings["listener"] == "tls"
            if self.settings["listener"] == "both":
                tls = connection.recv(1, socket.MSG_PEEK) == bytes([TLS_HANDSHAKE])
            if tls:
                connection = context.wrap_socket(connection, server_side=True)
            pages.answer(connection)
        except OSError:
            pass  # the client's affair
        finally:
            connection.close()

    def _fail(self, reason: str) -> t.NoReturn:
        self.log.line(f"REST server ends: {reason}", "ERROR")
        print(f"rmi: {reason}", file=sys.stderr, flush=True)
        self.leave(1)

    def leave(self, code: int) -> t.NoReturn:
        """End the process now; the temporary folder goes with it."""
        self._leaving.acquire()  # held for ever: only one thread may leave
        self._close()
        pairs.forget(self.home)
        os._exit(code)

    def _close(self) -> None:
        """Close the port. Left to the kernel, that would come a moment after the process seems to be gone."""
        self._ending.set()
        if self.listener is not None:
            with contextlib.suppress(OSError):  # it was closed before
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()

    def terminated(self) -> t.NoReturn:
        """The end by SIGTERM: the port closes at once, the process after its delay."""
        self._close()
        try:
            time.sleep(float(state.take(self.home.folder, "end")["stop_delay"]))
            self.log.line("REST server ends")
        except (StandinError, OSError):
            pass  # the folder is gone
        self.leave(TERMINATED)


def main(words: list[str]) -> str:
    """``standin.py rmi FOLDER [-z CERTIFICATE] [-k KEY]``, for an order that lies in the folder."""
    try:
        _run(words[0], words[1:])
    except (StandinError, IndexError) as error:
        return f"rmi: {error}"


def _run(folder: str, words: list[str]) -> t.NoReturn:
    ignores_sigterm = signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    # A JVM that inherits SIG_IGN for SIGTERM leaves it at that; waiting for a blocked signal would undo it.
    signals = [] if ignores_sigterm else [signal.SIGTERM]
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    home = Home(folder)
    order = read_json(home.start_file)
    if order is None:
        raise StandinError(f"{home.folder}: no order to start; use sm_main start rmi")
    options = dict(zip(words[::2], words[1::2], strict=False))
    command_line = (
        options.get("-z") or options.get("--sslCertificate") or "",
        options.get("-k") or options.get("--sslPrivateKey") or "",
    )
    pairs.forget(home)
    server = Server(home, order, command_line)
    threading.Thread(target=server.run, daemon=True).start()
    dies_at = order["called"] + float(server.settings["dies_after"])
    dies = float(server.settings["dies_after"]) >= 0
    while os.path.exists(home.state_file):  # a folder that was deleted takes its server with it
        pause = min(1.0, max(0.0, dies_at - time.monotonic())) if dies else 1.0
        if signals and signal.sigtimedwait(signals, pause) is not None:
            server.terminated()
        elif not signals:
            time.sleep(pause)
        if dies and time.monotonic() >= dies_at:
            server.leave(1)
    server.leave(1)
