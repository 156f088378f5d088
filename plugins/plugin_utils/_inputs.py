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
import os
import re
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable

SIZE_LIMIT = 1 << 20
# Of a file, before it is read: encrypted with Ansible Vault, it is four times as large.
FILE_LIMIT = 5 * SIZE_LIMIT
_BEGIN = "-----BEGIN"
# From this length on, a value in base64 alone that is no file may be a damaged key.
_LONG = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")


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
    if "\n" in value or len(value) > os.pathconf("/", "PC_PATH_MAX"):
        raise _neither(option)
    try:
        return _bounded(Input(read_file(value), f"{option} ({printable(value)})"))
    except OSError as exc:
        if _may_be_content(value):
            raise _neither(option) from None
        raise _refused("input-missing", f"{option}: {printable(value)}: {printable(str(exc)).rstrip('.')}.",
                       "Give the path of a file on the controller, absolute or relative to where the command is run.",
                       ) from exc


def _content_in(value: str) -> bytes | None:
    if _BEGIN in value:
        return value.encode("utf-8")
    try:
        binary = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return binary if _is_one_sequence(binary) else None


def _may_be_content(value: str) -> bool:
    return len(value) >= _LONG and _BASE64.fullmatch(value) is not None


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
        raise _refused("input-empty", f"{found.name} is empty.", "Give a file that holds what the option asks for.")
    if len(found.content) > SIZE_LIMIT:
        raise too_large(f"{found.name} has {len(found.content)} bytes.")
    return found


def too_large(message: str) -> Refused:
    """The refusal of what is larger than any chain or key."""
    return _refused("input-too-large", message,
                    f"A certificate chain or a key has less than {SIZE_LIMIT} bytes: is it the right file?")


def _neither(option: str) -> Refused:
    return _refused("input-unrecognised", f"{option} is neither a path nor PEM nor base64 of DER.",
                    "Give the path of a file on the controller, or the text with its BEGIN and END lines.")


def _refused(id: str, message: str, fix: str) -> Refused:
    return Refused(Finding(id, "wanted", "error", message, fix))
