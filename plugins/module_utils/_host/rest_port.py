# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The port of the REST server: who listens on it, and what it serves."""

import functools
import socket
import typing as t

from . import processes, refusal, served

USUAL = 11401
_LOOK_SECONDS = 5.0
# Who listens everywhere is asked here. Java listens dual-stack, so IPv4 answers too.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}


class RestPort(t.NamedTuple):
    """A port, on one address (or host name), or without one wherever somebody listens."""

    number: int
    address: t.Optional[str]

    def listeners(self) -> t.List[processes.Listener]:
        """The sockets that listen here."""
        found = processes.listeners(self.number)
        if not found or self.address is None:
            return found
        addresses = _addresses(self.address)
        return [one for one in found if one.address in _EVERYWHERE or one.address in addresses]

    def look(self) -> served.Served:
        """What is served here."""
        seen = served.Served("closed", "nobody listens on port %d" % self.number)
        for listener in self.listeners()[:1]:
            for address in self._addresses_of(listener):
                seen = served.look(address, self.number, _LOOK_SECONDS)
                if seen.status not in ("closed", "silent"):
                    break
        return seen

    def at(self, listener: processes.Listener) -> str:
        """The address on which one who listens is asked."""
        return self.address or _EVERYWHERE.get(listener.address, listener.address)

    def _addresses_of(self, listener: processes.Listener) -> t.Tuple[str, ...]:
        """Those that are tried in turn; never a name, which may be unknown the next time."""
        if listener.address not in _EVERYWHERE:
            return (listener.address,)
        return (self.at(listener),) if self.address is None else _addresses(self.address)


@functools.lru_cache()
def _addresses(name: str) -> t.Tuple[str, ...]:
    """The addresses of a host name, asked of the name service once: it may fail while rmi is stopped."""
    try:
        return tuple(str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as exc:
        raise refusal.Refused("address-unknown", "The host does not know the address %s: %s." % (name, exc),
                              "Correct the option address; without it the address where rmi listens is taken.") from exc
