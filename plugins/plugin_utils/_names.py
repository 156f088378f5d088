# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of servers: their syntax, and whether a certificate is for them (RFC 9525). Private to this collection.

Pure functions over text. A name is compared with DNS names of the SAN, an address with IP addresses of the SAN; the
CN is never asked.
"""

from __future__ import annotations

import ipaddress
import typing as t
import unicodedata

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = 63
_TOTAL = 253
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*")
_IN_WORDS = {"_": "an underscore", "\0": "a NUL", " ": "a blank", "\t": "a blank", "\n": "a line break"}


def is_covered(wanted: str, dns_names: t.Iterable[str], addresses: t.Iterable[Address]) -> bool:
    """Whether a client that asks for a name or an address accepts a certificate with this SAN."""
    address = as_address(wanted)
    if address is not None:
        return address in set(addresses)
    name = to_a_labels(wanted.removesuffix(".")).lower()
    # A name that ends in a number is no DNS name: clients take it for an address.
    if name.rpartition(".")[2].isdigit():
        return False
    return any(_matches(pattern.lower(), name) for pattern in dns_names)


def _matches(pattern: str, name: str) -> bool:
    """A wildcard is the whole left label, and stands for one label (RFC 9525, 6.3)."""
    if pattern == name:
        return bool(name)
    wildcard, _dot, rest = pattern.partition(".")
    label, _dot, parent = name.partition(".")
    return wildcard == "*" and bool(label) and bool(rest) and rest == parent and "*" not in rest


def as_address(text: str) -> Address | None:
    """The IP address that a text is; an IPv6 address may stand in brackets, as in a URL."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def to_a_labels(name: str) -> str:
    """A name as it stands in certificates: C(büro.example) is C(xn--bro-hoa.example) (RFC 5891, RFC 3492)."""
    return ".".join(label if label.isascii() else _to_a_label(label) for label in name.split("."))


def _to_a_label(label: str) -> str:
    mapped = unicodedata.normalize("NFKC", label.lower())
    return mapped if mapped.isascii() else "xn--" + mapped.encode("punycode").decode("ascii")


def faults(name: str) -> list[str]:
    """What is wrong with a DNS name as written (RFC 1123, 2.1), each fault in a few words; nothing for a good one."""
    labels = name.split(".")
    found = [f"a label of {len(label)} characters (at most {_LABEL})" for label in labels if len(label) > _LABEL]
    if len(name) > _TOTAL:
        found.append(f"{len(name)} characters (at most {_TOTAL})")
    if name.startswith("."):
        found.append("a leading dot")
    if "" in (labels[1:] if name.startswith(".") else labels):
        found.append("an empty label")
    if any("*" in label and (label != "*" or number > 0) for number, label in enumerate(labels)):
        found.append("a wildcard that is not the whole left label")
    odd = dict.fromkeys(_IN_WORDS.get(char, f"the character {char!r}") for char in name if char not in _PLAIN)
    return found + list(odd)
