# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of an input: of its bytes, of its lines and blocks, and of the elements of the DER within."""

from __future__ import annotations

import base64
import binascii
import functools
import random
import typing as t

from integration import forms

# No more than so much: what is large has tests of its own.
MOST_BYTES = 1 << 16
_BEGIN, _END = b"-----BEGIN ", b"-----END "
_LABELS = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY", b"DSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY",
           b"OPENSSH PRIVATE KEY", b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE", b"PKCS7", b"CMS",
           b"PKCS12", b"CERTIFICATE REQUEST", b"X509 CRL", b"PUBLIC KEY", b"EC PARAMETERS", b"", b"certificate")
_TOKENS = (b"\0", b"\xff", b"\r\n", b"\n\n", b"-----", b"-----BEGIN ", b"-----END ", b"Proc-Type: 4,ENCRYPTED\n",
           b"DEK-Info: AES-192-CBC,00\n", b"DEK-Info: AES-128-CBC,\xc3\xbc\n", b"\xef\xbb\xbf", b"\xff\xfe",
           b"\xfe\xff", b"\x30\x80", b"\0\0", b"\x02\x01\x00", b"\x30\x84\xff\xff\xff\xff",
           b"\x02\x84\x7f\xff\xff\xff", b"==", b":", "\N{GRINNING FACE}".encode(), b"\xed\xa0\x80", b"\x1b[2J")
_TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x80, 0xA0, 0xA1, 0xA3)
_NUMBERS = (0, 1, 2, -1, 0x7F, 0x80, 255, 256, 65535, 1 << 24, (1 << 31) - 1, 1 << 63, 1 << 64, 1 << 4096)

Rng = random.Random
Change = t.Callable[[Rng, bytes, bytes], bytes]


def mutated(rng: Rng, content: bytes, other: bytes) -> bytes:
    """The input after one change or several; C(other) is one to take pieces from."""
    for _turn in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 6))):
        content = rng.choice(_CHANGES)(rng, content, other)
    return content[:MOST_BYTES]


# Bytes

def _place(rng: Rng, content: bytes) -> int:
    return rng.randrange(len(content) + 1)


def _piece(rng: Rng, content: bytes) -> tuple[int, int]:
    begin = _place(rng, content)
    return begin, min(len(content), begin + rng.choice((1, 1, 2, 4, 16, 64, 256, 4096)))


def _flip(rng: Rng, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _turn in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set(rng: Rng, content: bytes, other: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] + bytes([rng.randrange(256)]) + content[place + 1:]


def _cut(rng: Rng, content: bytes, other: bytes) -> bytes:
    begin, end = _piece(rng, content)
    return content[:begin] + content[end:]


def _repeat(rng: Rng, content: bytes, other: bytes) -> bytes:
    begin, end = _piece(rng, content)
    return content[:end] + content[begin:end] * rng.choice((1, 1, 2, 20)) + content[end:]


def _insert(rng: Rng, content: bytes, other: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] + rng.choice((*_TOKENS, rng.randbytes(rng.randrange(9)))) + content[place:]


def _truncate(rng: Rng, content: bytes, other: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] if rng.random() < 0.7 else content[place:]


def _splice(rng: Rng, content: bytes, other: bytes) -> bytes:
    return content[: _place(rng, content)] + other[_place(rng, other):]


def _append(rng: Rng, content: bytes, other: bytes) -> bytes:
    return content + other if rng.random() < 0.5 else other + content


# Lines and blocks

def _lines(rng: Rng, content: bytes, other: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    number, another = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        del lines[number]
    elif change == 1:
        lines.insert(another, lines[number])
    elif change == 2:
        lines[number], lines[another] = lines[another], lines[number]
    else:
        rng.shuffle(lines)
    return b"".join(lines)


def _label(rng: Rng, content: bytes, other: bytes) -> bytes:
    """Another label on some block, mostly at both of its ends."""
    begins = _places(content, _BEGIN)
    if not begins:
        return content
    start = rng.choice(begins) + len(_BEGIN)
    old, new = content[start : content.find(b"-----", start)][:40], rng.choice(_LABELS)
    times = rng.choice((1, 1, -1))
    text = content[:start] + new + content[start + len(old):]
    return text if rng.random() < 0.1 else text.replace(_END + old + b"-", _END + new + b"-", times)


def _places(content: bytes, word: bytes) -> list[int]:
    places, place = [], content.find(word)
    while place >= 0:
        places.append(place)
        place = content.find(word, place + 1)
    return places


def _disturb(rng: Rng, content: bytes, other: bytes) -> bytes:
    try:
        return rng.choice(forms.DISTURBANCES).make(content)
    except (ValueError, UnicodeDecodeError):
        return content  # It is no text, or not of one block.


# DER

def _in_der(rng: Rng, content: bytes, other: bytes) -> bytes:
    """A change of elements, also within a block."""
    begins = _places(content, _BEGIN)
    if not begins:
        return _changed(rng, content, other)
    block = content[rng.choice(begins):]
    _label, dashes, rest = block[len(_BEGIN):].partition(b"-----")
    body = rest.partition(b"-----")[0]
    try:
        der = base64.b64decode(body)
    except (binascii.Error, ValueError):
        return content
    return content.replace(body, b"\n" + base64.encodebytes(_changed(rng, der, other)), 1) if dashes else content


class Element(t.NamedTuple):
    """One element: where it begins, where its contents begin and end, and the number of the one around it."""

    begin: int
    inner: int
    end: int
    parent: int


@functools.lru_cache(512)
def elements(der: bytes) -> list[Element]:
    """All elements, those within OCTET STRINGs and BIT STRINGs too, each behind the one around it."""
    found: list[Element] = []
    _collect(der, 0, len(der), -1, found, 0)
    return found


def _collect(der: bytes, position: int, end: int, parent: int, found: list[Element], depth: int) -> bool:
    """Whether the stretch is elements from its begin to its end."""
    while position < end:
        if position + 2 > end or len(found) > 2000 or depth > 40:
            return False
        length, inner = der[position + 1], position + 2
        if length & 0x80:
            size = length & 0x7F
            length, inner = int.from_bytes(der[inner : inner + size], "big"), inner + size
            if not 1 <= size <= 4:
                return False
        if inner + length > end:
            return False
        found.append(Element(position, inner, inner + length, parent))
        number, tag = len(found) - 1, der[position]
        if tag & 0x20 or tag in (0x03, 0x04):
            skipped = 1 if tag == 0x03 and length else 0
            if not _collect(der, inner + skipped, inner + length, number, found, depth + 1) and not tag & 0x20:
                del found[number + 1:]
        position = inner + length
    return True


def encoded(tag: int, content: bytes) -> bytes:
    """An element in DER."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def replaced(der: bytes, number: int, new: bytes) -> bytes:
    """The whole with another element in the place of one, and all lengths around it right."""
    found = elements(der)
    element = found[number]
    begin, end = element.begin, element.end
    while element.parent >= 0:
        element = found[element.parent]
        new = encoded(der[element.begin], der[element.inner : begin] + new + der[end : element.end])
        begin, end = element.begin, element.end
    return der[:begin] + new + der[end:]


def _changed(rng: Rng, der: bytes, other: bytes) -> bytes:
    found = elements(der)
    if not found:
        return der
    change = rng.choice(_ELEMENT_CHANGES)
    numbers = [number for number, element in enumerate(found) if der[element.begin] == 0x02]
    number = rng.choice(numbers) if change is _another_number and numbers else rng.randrange(len(found))
    whole = der[found[number].begin : found[number].end]
    if rng.random() < 0.1:  # Only here the lengths are wrong.
        return der[: found[number].begin] + _wrong_length(rng, whole) + der[found[number].end:]
    if rng.random() < 0.1 and elements(other):
        piece = rng.choice(elements(other))
        return replaced(der, number, other[piece.begin : piece.end])
    return replaced(der, number, change(rng, whole))


def _inner(whole: bytes) -> bytes:
    return whole[elements(whole)[0].inner:] if elements(whole) else b""


def _wrong_length(rng: Rng, whole: bytes) -> bytes:
    return whole[:1] + bytes([rng.randrange(256)]) + rng.randbytes(rng.choice((0, 0, 1, 4))) + _inner(whole)


def _another_number(rng: Rng, whole: bytes) -> bytes:
    value = rng.choice(_NUMBERS) + rng.choice((0, 0, 1, -1))
    return encoded(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _no_element(rng: Rng, whole: bytes) -> bytes:
    return b""


def _many_elements(rng: Rng, whole: bytes) -> bytes:
    return whole * rng.choice((2, 2, 3, 50))


def _another_tag(rng: Rng, whole: bytes) -> bytes:
    return encoded(rng.choice(_TAGS), _inner(whole))


def _nested(rng: Rng, whole: bytes) -> bytes:
    for _turn in range(rng.choice((1, 3, 200))):
        whole = encoded(0x30, whole)
    return whole


def _flipped_within(rng: Rng, whole: bytes) -> bytes:
    return encoded(whole[0], _flip(rng, _inner(whole), b""))


def _other_contents(rng: Rng, whole: bytes) -> bytes:
    inner = _inner(whole)
    return encoded(whole[0], rng.choice((b"", b"\0", b"\xff" * 20, inner[:-1], inner + b"\0", inner[::-1])))


_ELEMENT_CHANGES: tuple[t.Callable[[Rng, bytes], bytes], ...] = (
    _another_number, _no_element, _many_elements, _another_tag, _nested, _flipped_within, _flipped_within,
    _other_contents)
_CHANGES: tuple[Change, ...] = (
    _flip, _set, _cut, _repeat, _insert, _truncate, _splice, _append, _lines, _label, _disturb, *(_in_der,) * 8)
