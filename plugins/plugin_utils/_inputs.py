# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an option holds: content, or the path of a file on the controller. Private to this collection.

One rule: text with C(-----BEGIN) is content; strict base64 of exactly one ASN.1 SEQUENCE is binary content;
all else is a path. A value may be a key, so it is never repeated in a message unless it is a path.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import itertools
import os
import re
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused, printable, refused

SIZE_LIMIT = 1 << 20
# Of a file, before it is read: encrypted with Ansible Vault, it is four times as large.
FILE_LIMIT = 5 * SIZE_LIMIT
_BEGIN = "-----BEGIN"
# From this length on, a value in base64 alone that is no file may be a damaged key.
_LONG = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")
# And so may one with a piece in which capital letters, small ones and digits follow each other without any rule.
_PIECE = re.compile(r"[A-Za-z0-9+/]{24,}")
_UNRULY = 0.36
_PATH = "Give the path of a file on the controller, absolute or relative to where the command is run."
_VAULT = "Give the password of Ansible Vault: --ask-vault-pass, or --vault-password-file FILE."
# A message shows no more of a path, nor of the words about it.
_MOST_SHOWN = 300


@dataclasses.dataclass(frozen=True)
class Input:
    """The content of an option, and its name in messages: C(private_key (/path/of/it))."""

    content: bytes
    name: str


class FileReader(t.Protocol):
    """Finds and reads a file on the controller, vault-encrypted files decrypted in memory.

    :raises OSError: the file cannot be read.
    """

    def __call__(self, path: str) -> bytes: ...


def read(option: str, value: str, read_file: FileReader) -> Input:
    """Read an option that holds content or a path.

    :raises Refused: with C(input-missing), C(input-empty) or C(input-too-large).
    """
    content = _content_in(value)
    if content is not None:
        return _bounded(Input(content, f"{option} (given as content)"))
    if not may_be_path(value):
        raise _neither(option)
    try:
        return _bounded(Input(read_file(value), f"{option} ({_shown(value)})"))
    except ValueError:  # It has a NUL or half of a character.
        raise _neither(option) from None
    except OSError as exc:
        if _may_be_content(value):
            raise _neither(option) from None
        raise refused("input-missing", f"{option}: {_shown(value)}: {_shown(str(exc)).rstrip('.')}.",
                      _VAULT if "vault" in str(exc).lower() else _PATH) from exc


def is_content(value: str) -> bool:
    """Whether a value is content, and no path."""
    return _content_in(value) is not None


def may_be_path(value: str) -> bool:
    """Whether a value that is no content can be a path."""
    return "\n" not in value and len(value) <= os.pathconf("/", "PC_PATH_MAX")


def _content_in(value: str) -> bytes | None:
    if _BEGIN in value:
        # Half of a surrogate pair, which YAML and JSON can hold, is no part of any block.
        return value.encode("utf-8", "replace")
    try:
        binary = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return binary if _is_one_sequence(binary) else None


def _may_be_content(value: str) -> bool:
    if len(value) >= _LONG and _BASE64.fullmatch(value):
        return True
    if any("\ud800" <= character <= "\udfff" for character in value):  # Bytes that are no UTF-8: DER as text.
        return True
    return any(map(_is_unruly, _PIECE.findall(value)))


def _is_unruly(piece: str) -> bool:
    """Whether a piece is no words; digits and letters of one case alone are a hash, which files are named for."""
    characters = [character for character in piece if character.isalnum()]
    kinds = [character.isdigit() or character.isupper() + 2 for character in characters]
    changes = sum(kind != other for kind, other in itertools.pairwise(kinds))
    return {2, 3} <= set(kinds) and changes > _UNRULY * len(kinds)


def _shown(text: str) -> str:
    shown = printable(text[: _MOST_SHOWN + 1])
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


def _is_one_sequence(der: bytes) -> bool:
    """Whether the data is one SEQUENCE in DER from its first byte to its last (X.690, 8.1.3)."""
    if len(der) < 4 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    size = der[1] & 0x7F
    return 1 <= size <= 4 and len(der) == 2 + size + int.from_bytes(der[2 : 2 + size], "big")


def _bounded(found: Input) -> Input:
    if not found.content.strip():
        raise refused("input-empty", f"{found.name} is empty.", "Give a file that holds what the option asks for.")
    if len(found.content) > SIZE_LIMIT:
        raise too_large(f"{found.name} has {len(found.content)} bytes.")
    return found


def too_large(message: str) -> Refused:
    """The refusal of what is larger than any chain or key."""
    return refused("input-too-large", message,
                   f"A certificate chain or a key has less than {SIZE_LIMIT} bytes: is it the right file?")


def _neither(option: str) -> Refused:
    return refused("input-unrecognised", f"{option} is neither a path nor PEM nor base64 of DER.",
                   "Give the path of a file on the controller, or the text with its BEGIN and END lines.")
