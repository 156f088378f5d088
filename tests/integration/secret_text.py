# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which text gives a key away, and where it is found."""

from __future__ import annotations

import base64
import typing as t

from .certificates import Pair

_PIECE = 36


class Secrets:
    """Pieces of text, none of which may be seen anywhere."""

    def __init__(self, pair: Pair, *others: str) -> None:
        self._pieces = {word.encode(): "a passphrase or password" for word in others}
        pairs: list[tuple[str, bytes]] = [
            ("PKCS#8", pair.key_pem()),
            ("its traditional form", pair.key_pem("TraditionalOpenSSL")),
        ]
        for form, pem in pairs:
            self._pieces.update(dict.fromkeys(_lines(pem), f"a line of the key in {form}"))
            der = base64.b64decode(b"".join(pem.split(b"-----")[2].split()))
            self._pieces.update(dict.fromkeys(_of_base64(der), f"the key in {form} as base64"))
            # The private part is in the second half of a PEM text's lines and everywhere in RSA's.
            self._pieces.update(dict.fromkeys(_of_base64(pem), f"the PEM text in {form} as base64"))

    def add_text_of(self, pem: bytes) -> None:
        """An encrypted key is a secret too, if a weaker one."""
        self._pieces.update(dict.fromkeys(_lines(pem), "a line of the encrypted key"))

    def found_in(self, content: bytes | str) -> str:
        """What gives the key away in a text, empty if nothing does."""
        content = content.encode() if isinstance(content, str) else content
        return next((what for piece, what in self._pieces.items() if piece in content), "")


def _lines(pem: bytes) -> t.Iterator[bytes]:
    """The lines of a PEM body that are long enough to be nobody else's."""
    return (line for line in pem.splitlines() if not line.startswith(b"-----") and len(line) > 20 and b":" not in line)


def _of_base64(content: bytes) -> t.Iterator[bytes]:
    """Pieces from the middle of some content as base64 without line breaks, wherever in a group of three it begins."""
    middle = len(content) // 2
    for shift in range(3):
        part = content[middle + shift : middle + shift + _PIECE]
        yield base64.b64encode(part)
