# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which text gives a key away, and where it is found."""

from __future__ import annotations

import base64
import secrets
import typing as t

from cryptography.hazmat.primitives.asymmetric import rsa

from .certificates import Key, Pair

# Of the tests' encrypted keys; another one in every run, so that it stands in no source, of which there may be copies.
PASSPHRASE = secrets.token_urlsafe()
_PIECE = 36
# So many lines of a key, from the one in which its secret number begins: of an elliptic curve, the point comes next.
_LINES = 2


class Secrets:
    """Pieces of text, none of which may be seen anywhere.

    Of a key only what begins with its secret number is looked for: the rest stands in the certificate too.
    """

    def __init__(self, pair: Pair, *words: str) -> None:
        self._pieces = {word.encode(): "a passphrase or password" for word in words}
        self.add(pair)

    def add(self, pair: Pair) -> None:
        """The key of one pair more."""
        pems = {"PKCS#8": pair.key_pem(), "the traditional form": pair.key_pem("TraditionalOpenSSL")}
        for form, pem in pems.items():
            lines = _lines(pem)
            der = base64.b64decode(b"".join(lines))
            begin = der.index(_secret_number(pair.key))
            first = begin * 4 // 3 // len(lines[0])
            self._add(lines[first : first + _LINES], f"a line of the key in {form}")
            self._add(_of_base64(der, begin), f"the key in {form} as base64")
            self._add(_of_base64(pem, pem.index(lines[first])), f"the PEM text in {form} as base64")

    def add_encrypted(self, pem: bytes) -> None:
        """An encrypted key is a secret too, if a weaker one."""
        self._add(_lines(pem), "a line of the encrypted key")

    def _add(self, pieces: t.Iterable[bytes], what: str) -> None:
        self._pieces.update((piece, what) for piece in pieces)

    def found_in(self, content: bytes | str) -> str:
        """What gives the key away in a text, empty if nothing does."""
        content = content.encode() if isinstance(content, str) else content
        return next((what for piece, what in self._pieces.items() if piece in content), "")


def _lines(pem: bytes) -> list[bytes]:
    """The whole lines of a PEM body: those that are nobody else's."""
    return [line for line in pem.splitlines() if line and not line.startswith(b"-----") and b":" not in line]


def _secret_number(key: Key) -> bytes:
    """What makes a key private, as DER has it: a prime, or the number of an elliptic curve."""
    numbers = key.private_numbers()
    number = numbers.q if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _of_base64(content: bytes, begin: int) -> t.Iterator[bytes]:
    """Pieces of some content as base64 without line breaks, wherever in a group of three bytes it begins."""
    return (base64.b64encode(content[begin + shift : begin + shift + _PIECE]) for shift in range(3))
