# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the look-up of the server comes to, from what the host found in each source. Private to this collection.

The order of the sources is that of the host's answer.
"""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import printable

if t.TYPE_CHECKING:
    from cryptography import x509

Verdict = t.Literal["absent", "half", "broken", "usable", "unseen"]
# In the place of a source: the pair that the server makes itself, and no server at all.
GENERATED, NONE = "generated", "none"
DEFAULT_LOCATION = "default_location"
_CALLED = {"command_line": "the command line (-z and -k)", DEFAULT_LOCATION: "the default location",
           "sm_ini": "the folder in sm.ini (gv_ro_ssl)",
           "environment": "the environment (SESAM_SSL_CERT and SESAM_SSL_KEY)"}


@dataclasses.dataclass(frozen=True)
class Source:
    """One source: what it names, what is there, and the files in plain data where they could be looked at."""

    name: str
    verdict: Verdict
    reason: str
    certificate: str
    private_key: str
    set_in: str
    elsewhere: str
    pair: dict[str, t.Any] | None
    chain: list[x509.Certificate]

    @classmethod
    def of(cls, facts: t.Mapping[str, t.Any], in_place: dict[str, t.Any]) -> Source:
        """Take it from the host's answer, in which the pair of the default location stands by itself."""
        pair = in_place if facts["name"] == DEFAULT_LOCATION else facts["pair"]
        chain = _certificates.from_base64(pair["certificate"]["chain"]) if pair else []
        shown = {name: printable(facts[name])
                 for name in ("reason", "certificate", "private_key", "set_in", "elsewhere")}
        return cls(name=facts["name"], verdict=facts["verdict"], pair=pair, chain=chain, **shown)

    @property
    def called(self) -> str:
        """Its name in a sentence."""
        return _CALLED[self.name]

    @property
    def subject(self) -> str:
        """The same at the beginning of a sentence."""
        return self.called[0].upper() + self.called[1:]

    @property
    def is_set(self) -> bool:
        """Whether there is anything that the server would find."""
        return self.verdict in ("half", "broken", "usable")

    @property
    def is_hidden(self) -> bool:
        """Whether there are files which the server, with more rights than we have, may well use."""
        return self.verdict == "unseen" and bool(self.pair)

    def is_same(self, other: Source) -> bool:
        """Whether both name the same two files: one is neither hidden by the other, nor used where that fails."""
        mine, theirs = ([posixpath.normpath(path) for path in (source.certificate, source.private_key)]
                        for source in (self, other))
        return mine == theirs

    @property
    def files(self) -> dict[str, dict[str, t.Any]]:
        """C(certificate) and C(private_key) in plain data; neither where they were not looked at."""
        return {name: self.pair[name] for name in ("certificate", "private_key")} if self.pair else {}

    @property
    def is_key_open(self) -> bool:
        """Whether others than its owner can read the private key."""
        return bool(int(self.files.get("private_key", {}).get("mode", "0"), 8) & 0o077)

    def facts(self) -> dict[str, t.Any]:
        """As plain data, without raw certificates."""
        certificate = {name: value for name, value in self.files.get("certificate", {}).items() if name != "chain"}
        return {
            "name": self.name, "verdict": self.verdict, "reason": self.reason, "set_in": self.set_in,
            "certificate": {"path": self.certificate, **certificate,
                            "chain": [_certificates.facts(c) for c in self.chain]},
            "private_key": {"path": self.private_key, **self.files.get("private_key", {})},
        }


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What the server does on its way with a pair that does not work, as far as that is known of it."""

    broken_pair: t.Literal["unknown", "next", "generated", "refuse"] = "unknown"
    half_pair: t.Literal["unknown", "broken", "absent"] = "unknown"


def winner(sources: t.Iterable[Source]) -> Source | None:
    """The first source that works."""
    return next((source for source in sources if source.verdict == "usable"), None)


def next_sources(sources: t.Sequence[Source], behaviour: Behaviour) -> list[str]:
    """What the next start may use: names of sources, C(generated), or C(none) where it is refused.

    Several where the behaviour is not known, first what comes of going on to the next source; and where there are no
    rights to read a pair, first the source that has it.
    """
    for position, source in enumerate(sources):
        if source.verdict == "usable":
            return [source.name]
        if not source.is_set and not source.is_hidden:
            continue
        go_on = next_sources(sources[position + 1:], behaviour)
        if source.is_hidden:
            return _unique([source.name, *go_on])
        as_broken = {"next": go_on, "generated": [GENERATED], "refuse": [NONE],
                     "unknown": [*go_on, GENERATED, NONE]}[behaviour.broken_pair]
        if source.verdict == "broken" or behaviour.half_pair == "broken":
            return _unique(as_broken)
        return _unique(go_on if behaviour.half_pair == "absent" else [*go_on, *as_broken])
    return [GENERATED]


def _unique(names: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
