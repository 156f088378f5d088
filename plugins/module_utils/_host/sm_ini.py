# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's settings files: C(sesam2000.ini) and C(sm.ini).

Both are C(NAME=value) lines. What is not known about them (encoding, comment signs) is read with
tolerance: a BOM, CRLF, blanks around the equal sign, quotes, C(#) and C(;) comments. Nothing is
interpolated and backslashes stay.
"""

import shlex
import typing as t

from . import files

SIZE_LIMIT = 1 << 20

Sections = t.Dict[str, t.Dict[str, str]]


def read_shell(path: str) -> t.Dict[str, str]:
    """Read C(sesam2000.ini), which a shell can source: values are unquoted as a shell would.

    :raises files.Unreadable: as for C(read).
    """
    return parse(_text(path), is_shell=True)[""]


def read(path: str) -> Sections:
    """Read C(sm.ini) as section -> name -> value; lines before the first section are in section C('').

    :raises files.Unreadable: the file is absent, no regular file, too large, or may not be read.
    """
    return parse(_text(path))


def _text(path: str) -> str:
    content = files.read_regular(path, SIZE_LIMIT, follow_links=True).content
    # What is no UTF-8 may be a part of a path, and stays what it is.
    return content.decode("utf-8-sig", "surrogateescape")


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _shell_name(text: str) -> str:
    """The last word: before it C(export) may stand."""
    return (text.split() or [""])[-1]


def _shell_value(value: str) -> str:
    try:
        return "".join(shlex.split(value)[:1])
    except ValueError:
        return value


def parse(text: str, is_shell: bool = False) -> Sections:
    """Parse the text of a settings file; what is no setting is passed over."""
    name_of, value_of = (_shell_name, _shell_value) if is_shell else (str.strip, _unquoted)
    sections: Sections = {"": {}}
    current = sections[""]
    for line in map(str.strip, text.splitlines()):
        # What holds NUL is no path, and the functions that take one raise at it.
        if not line or line[0] in "#;" or "\0" in line:
            continue
        if line[0] == "[" and line[-1] == "]":
            current = sections.setdefault(line[1:-1].strip(), {})
            continue
        name, equal_sign, value = line.partition("=")
        if equal_sign:
            current[name_of(name)] = value_of(value.strip())
    return sections
