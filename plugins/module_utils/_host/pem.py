# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PEM (RFC 7468), read and written.

A file is read in one pass: a BEGIN line and the END line that follows it. Text around the blocks does not
matter.
"""

import base64
import binascii
import re
import typing as t

_MARK = re.compile(br"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----([ \t]*\r?\n)?")
_COLUMNS = 64


class Block(t.NamedTuple):
    """What stands between two lines.

    C(is_whole) is false where the first is no line of its own, or the second does not belong to it.
    """

    label: str
    body: bytes
    is_whole: bool

    def der(self) -> bytes:
        """What it holds.

        :raises ValueError: it is cut off or no base64.
        """
        if not self.is_whole:
            raise ValueError("the BEGIN line or the END line is missing")
        try:
            return base64.b64decode(b"".join(self.body.split()), validate=True)
        except binascii.Error as exc:
            raise ValueError("it is no base64: %s" % exc) from exc


def blocks(content: bytes) -> t.Iterator[Block]:
    """The blocks of a file in their order."""
    marks = list(_MARK.finditer(content))
    for mark, following in zip(marks, marks[1:] + [None]):
        if mark.group(1) == b"BEGIN":
            end = len(content) if following is None else following.start()
            is_whole = bool(mark.group(3) and following and following.group(1, 2) == (b"END", mark.group(2)))
            yield Block(mark.group(2).decode("ascii"), content[mark.end():end], is_whole)


def encode(label: str, der: bytes) -> bytes:
    """One block, in lines of 64 letters that end with LF."""
    text = base64.b64encode(der)
    lines = [text[i:i + _COLUMNS] for i in range(0, len(text), _COLUMNS)]
    marks = [("-----%s %s-----" % (word, label)).encode("ascii") for word in ("BEGIN", "END")]
    return b"\n".join([marks[0]] + lines + [marks[1], b""])
