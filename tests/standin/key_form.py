# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""What a PEM file holds, and whether a private key is PKCS#8 as a Java server wants it.

The form is judged by the DER structure as well as by the label: a PKCS#1 key under the label ``PRIVATE KEY`` is
still not PKCS#8, and Java's ``PKCS8EncodedKeySpec`` would refuse it.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_WRONG_LABELS = {
    "ENCRYPTED PRIVATE KEY": "the private key is encrypted",
    "RSA PRIVATE KEY": "the private key is PKCS#1, not PKCS#8",
    "EC PRIVATE KEY": "the private key is SEC1, not PKCS#8",
    "DSA PRIVATE KEY": "the private key is in the old DSA form, not PKCS#8",
    "OPENSSH PRIVATE KEY": "the private key is in the form of OpenSSH, not PKCS#8",
}


class BrokenPair(Exception):
    """Why the server can't use a pair."""


class Block(t.NamedTuple):
    """One PEM block."""

    label: str
    body: str

    def der(self) -> bytes:
        """The decoded content."""
        try:
            return base64.b64decode("".join(self.body.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BrokenPair(f"the block {self.label} is not base64") from error

    def pem(self) -> str:
        """The block again, in lines of 64 characters, which every reader understands."""
        text = base64.b64encode(self.der()).decode()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        return "\n".join([f"-----BEGIN {self.label}-----", *lines, f"-----END {self.label}-----", ""])


def blocks(content: bytes) -> list[Block]:
    """Every PEM block of a file, in order."""
    return [Block(*match.groups()) for match in _BLOCK.finditer(content.decode("latin-1"))]


def certificates(content: bytes) -> list[Block]:
    """The certificates of a file; the first is the leaf."""
    found = [block for block in blocks(content) if block.label == "CERTIFICATE"]
    if not found:
        raise BrokenPair("the certificate file holds no certificate in PEM form")
    if content.count(b"-----BEGIN CERTIFICATE-----") > len(found):
        raise BrokenPair("a certificate of the file is cut off")
    return found


def pkcs8_key(content: bytes, *, text_around: bool) -> Block:
    """The one unencrypted PKCS#8 key of a file."""
    keys = [block for block in blocks(content) if block.label.endswith("PRIVATE KEY")]
    if not keys:
        raise BrokenPair("the key file holds no private key in PEM form")
    key = keys[0]
    if key.label != "PRIVATE KEY":
        raise BrokenPair(_WRONG_LABELS.get(key.label, f"the private key is {key.label}, not PKCS#8"))
    if not is_pkcs8(key.der()):
        raise BrokenPair("the private key is labelled as PKCS#8, but its content is not")
    if not text_around and _BLOCK.sub("", content.decode("latin-1"), count=1).strip():
        raise BrokenPair("the key file holds more than the private key")
    return key


def is_pkcs8(der: bytes) -> bool:
    """SEQUENCE { INTEGER 0 or 1, SEQUENCE { OBJECT IDENTIFIER ... }, OCTET STRING ... } and nothing after it."""
    try:
        tag, body, rest = _element(der)
        if tag != 0x30 or rest:
            return False
        tag, version, body = _element(body)
        if tag != 0x02 or version not in (b"\0", b"\1"):
            return False
        tag, algorithm, body = _element(body)
        if tag != 0x30 or _element(algorithm)[0] != 0x06:
            return False
        return _element(body)[0] == 0x04
    except IndexError:
        return False


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what follows; IndexError if the data ends too early."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise IndexError("truncated")
    return data[0], data[start : start + length], data[start + length :]
