# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which address the port is asked, where a host name has several."""

from __future__ import annotations

import socket
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import processes, rest_port, served


@pytest.mark.parametrize(("listener", "statuses", "asked"), [
    ("0.0.0.0", ["closed", "tls"], ["127.9.9.8", "127.9.9.9"]),
    ("::", ["silent", "plain_http"], ["127.9.9.8", "127.9.9.9"]),
    ("0.0.0.0", ["tls"], ["127.9.9.8"]),
    ("0.0.0.0", ["closed", "closed"], ["127.9.9.8", "127.9.9.9"]),
    ("127.9.9.9", ["closed"], ["127.9.9.9"]),
])
def test_addresses_of_a_name_are_tried_until_one_answers(
    monkeypatch: pytest.MonkeyPatch, listener: str, statuses: list[str], asked: list[str]
) -> None:
    seen: list[str] = []

    def look(address: str, *_others: t.Any) -> served.Served:
        seen.append(address)
        return served.Served(statuses[len(seen) - 1], "")

    def getaddrinfo(host: str, *_others: t.Any, **_named: t.Any) -> list[tuple[t.Any, ...]]:
        assert host == "two.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.9.9.8", "127.9.9.9")]

    monkeypatch.setattr(processes, "listeners", lambda _port: [processes.Listener(listener, "1")])
    monkeypatch.setattr(served, "look", look)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    rest_port._addresses.cache_clear()
    assert rest_port.RestPort(11401, "two.example").look().status == statuses[-1]
    assert seen == asked
    rest_port._addresses.cache_clear()
