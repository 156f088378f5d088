# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the integration tests start from: pairs, stand-ins, a controller, an sshd. Each test has its own."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest
from integration import accounts, addresses, servers, sshd
from integration.accounts import Account
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller
from integration.servers import Server
from integration.sshd import Sshd

SSH_ADDRESSES = [addresses.address(number) for number in range(3)]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The CA that signs every certificate."""
    return Authority()


@pytest.fixture(scope="session")
def old(authority: Authority) -> Pair:
    """The pair that is replaced."""
    return authority.issue("old.example")


@pytest.fixture(scope="session")
def wanted(authority: Authority) -> Pair:
    """The pair that replaces it."""
    return authority.issue("backup.example")


@pytest.fixture
def files(wanted: Pair, tmp_path: Path) -> Files:
    """The wanted pair on the controller."""
    return wanted.write(tmp_path / "controller's files")


@pytest.fixture
def make_server(tmp_path: Path) -> t.Iterator[t.Callable[..., Server]]:
    """Makes stand-ins, in folders whose names hold a blank; all are removed at the end."""
    with contextlib.ExitStack() as stack:
        made: list[Server] = []

        def make(pair: Pair | None = None, *, start: bool = True, **switches: object) -> Server:
            server = servers.create(tmp_path / f"sesam no {len(made)}", len(made), **switches)
            stack.callback(server.instance.remove)
            made.append(server)
            if pair:
                server.put(pair)
            if start:
                server.instance.start(env=servers.ENVIRONMENT)
            return server

        yield make


@pytest.fixture
def server(make_server: t.Callable[..., Server], old: Pair) -> Server:
    """A running stand-in that serves the old pair."""
    return make_server(old)


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """The ansible-core that the tests run in."""
    return Controller(tmp_path / "controller")


@pytest.fixture(scope="session")
def own_sshd() -> t.Iterator[Sshd]:
    """An sshd on some loopback addresses."""
    with sshd.running(addresses.free_port(), SSH_ADDRESSES) as server:
        yield server


@pytest.fixture(scope="session")
def account() -> t.Iterator[Account]:
    """A user who becomes root by sudo with a password."""
    with accounts.throwaway() as user:
        yield user
