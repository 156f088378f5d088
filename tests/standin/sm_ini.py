# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Reading ``sm.ini``.

The product's file is ``key=value`` under ``[SECTION]``. Its encoding and comment signs are unknown, so this reader
bears a byte order mark, CRLF, blanks, quotes around a value, and lines that begin with ``#`` or ``;``. Names are
compared as they are spelt, backslashes are kept, nothing is interpolated, and the last of two equal keys counts.
"""

from __future__ import annotations


def value_of(content: bytes, section: str, key: str) -> str | None:
    """The value of ``key`` in ``[section]``, or None."""
    found = None
    current = ""
    for raw in content.decode("utf-8-sig", "surrogateescape").splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1].strip()
            continue
        name, equals, value = line.partition("=")
        if equals and current == section and name.strip() == key:
            found = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
