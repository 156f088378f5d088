# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DER, as far as keys and signatures need it (ITU-T X.690).

An element is cut out of its parent before it is looked into, so that a length can lead no further than
that, and no reader goes deeper than it asks.
"""

import itertools
import typing as t

INTEGER, BIT_STRING, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x03, 0x04, 0x05, 0x06, 0x30
# Context-specific and constructed: [0], [1] in the standards.
FIRST, SECOND = 0xA0, 0xA1


class Damaged(ValueError):
    """What was read is not DER of the kind that was expected."""


class Element(t.NamedTuple):
    """One element: its tag, its contents, and all of it."""

    tag: int
    content: bytes
    whole: bytes

    @property
    def number(self) -> int:
        """The value of an INTEGER."""
        return int.from_bytes(self.content, "big", signed=True)


def first(data: bytes, position: int = 0) -> Element:
    """The element at the beginning of some data, or at a position in it.

    :raises Damaged: there is none, or it is longer than the data.
    """
    if position + 2 > len(data):
        raise Damaged("an element is cut off")
    length, start = data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise Damaged("the length of an element has %d bytes" % size)
        length = int.from_bytes(data[start:start + size], "big")
        start += size
    if start + length > len(data):
        raise Damaged("an element is longer than what it stands in")
    return Element(data[position], data[start:start + length], data[position:start + length])


def elements(data: bytes) -> t.Iterator[Element]:
    """The elements that some data, or the contents of an element, consists of.

    :raises Damaged: when the next one is; so no more is read than asked for.
    """
    position = 0
    while position < len(data):
        element = first(data, position)
        yield element
        position += len(element.whole)


def members(data: bytes, most: int) -> t.List[Element]:
    """The first members of the SEQUENCE at the beginning of some data.

    :raises Damaged: there is none, or one of these members is damaged.
    """
    outer = first(data)
    if outer.tag != SEQUENCE:
        raise Damaged("it is no SEQUENCE")
    return list(itertools.islice(elements(outer.content), most))


def exactly(data: bytes, *tags: int) -> t.List[Element]:
    """The members of the SEQUENCE that the data consists of, which begin with these tags.

    :raises Damaged: they do not, or there is something behind the SEQUENCE.
    """
    if len(first(data).whole) != len(data):
        raise Damaged("there is something behind it")
    found = members(data, len(tags) + 9)
    if tuple(element.tag for element in found[:len(tags)]) != tags:
        raise Damaged("its members are of other kinds")
    return found


def encode(tag: int, *contents: bytes) -> bytes:
    """An element with these contents."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def bit_string(content: bytes) -> bytes:
    """A BIT STRING of whole bytes."""
    return encode(BIT_STRING, b"\0", content)
