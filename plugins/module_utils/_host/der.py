# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading DER, the binary form of keys and certificates (X.690)."""

import typing as t

SEQUENCE, INTEGER, OCTETS = 0x30, 0x02, 0x04


def element(content: bytes, position: int) -> t.Optional[t.Tuple[int, int, int]]:
    """Tag, start and end of the contents of the element at a position; None when it does not fit."""
    if position + 2 > len(content):
        return None
    tag, length, start = content[position], content[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            return None
        length = int.from_bytes(content[start:start + size], "big")
        start += size
    if start + length > len(content):
        return None
    return tag, start, start + length
