# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which text gives a key away, and where it is found."""

from __future__ import annotations

import base64
import typing as t

from cryptography.hazmat.primitives.asymmetric import rsa

from .certificates import Pair

_PIECE = 36


class Secrets:
    """Pieces of text, none of which may be seen anywhere.

    Only the second half of a key is looked for: the first half of an RSA key is its modulus, which stands in
    the certificate too.
    """

    def __init__(self, pair: Pair, *words: str) -> None:
        self._pieces = {word.encode(): "a passphrase or password" for word in words}
        self.add_key_of(pair)

    def add_key_of(self, pair: Pair) -> None:
        """The key of a pair, in every form."""
        if not isinstance(pair.key, rsa.RSAPrivateKey):
            raise TypeError("which half of the text is secret is known for RSA alone")
        pems = {"PKCS#8": pair.key_pem(), "PKCS#1": pair.key_pem("TraditionalOpenSSL")}
        for form, pem in pems.items():
            lines = _lines(pem)
            der = base64.b64decode(b"".join(lines))
            self._add(lines[len(lines) // 2 :], f"a line of the key in {form}")
            self._add(_of_base64(der), f"the key in {form} as base64")
            self._add(_of_base64(pem), f"the PEM text in {form} as base64")

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


def _of_base64(content: bytes) -> t.Iterator[bytes]:
    """Pieces of some content as base64 without line breaks, wherever in a group of three bytes it begins."""
    begin = len(content) * 3 // 4
    return (base64.b64encode(content[begin + shift : begin + shift + _PIECE]) for shift in range(3))
