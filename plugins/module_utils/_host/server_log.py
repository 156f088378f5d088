# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log C(sm_gui_server.log): the line that names the certificate which the REST server loaded at its start, and
what else of it is shown.

Seen: C(<date> <time> INFO  <context> - Setting up HTTPS certificate from certificate file
<path>' (via default location lookup)). Quotes may stand on either side or be missing, ANSI colours are
stripped, the words in the parentheses are reported and never judged.
"""

import itertools
import os
import re
import time
import typing as t

from . import files, refusal

PIECE_BYTES = 1 << 20
_REMEMBERED_BYTES = 256
_LONGEST_LINE = 1 << 13
_BYTES_SHOWN = 1 << 16
_LINES_SHOWN = 30
_LINE_LENGTH_SHOWN = 300
_NO_LIMIT = 1 << 62
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# All that a terminal obeys or that hides text: C0 and C1 but tab and line feed, separators, bidirectional marks.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# What no line of text has. Tab, carriage return and what colours and bells are made of is not among it.
_NO_TEXT = re.compile(b"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_KEY_MARK = re.compile("-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_LONGEST_KEY = 1 << 16
_BASE64 = re.compile(r"\s*[A-Za-z0-9+/]+={0,2}\s*$")
# A line of base64 that is as long is no word.
_CERTAIN_LENGTH = 40
LEFT_OUT = "[left out: it may be a private key]"
_PHRASE = "Setting up HTTPS certificate from "
_KIND_OF_FILE = "certificate file "
_QUOTES = ("'", '"')
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")


class SetupLine(t.NamedTuple):
    """One success line: its text without colours, the certificate's path, the words in the parentheses."""

    text: str
    path: str
    words: str

    @property
    def time(self) -> t.Optional[float]:
        """Its time stamp, taken as the host's local time, in seconds since the epoch."""
        stamp = _TIME.search(self.text)
        if stamp is None:
            return None
        try:
            return time.mktime(time.strptime(" ".join(stamp.groups()), "%Y-%m-%d %H:%M:%S"))
        except (ValueError, OverflowError):
            return None

    def names(self, path: str) -> bool:
        """Whether the line names this file."""
        return os.path.realpath(self.path) == os.path.realpath(path)


def clean(content: bytes) -> str:
    """A piece of a log as text, without ANSI colours and other control characters."""
    return _CONTROL.sub("", _ANSI.sub("", content.decode("utf-8", "replace")))


def shown(content: bytes) -> str:
    """A piece of a log as it may be shown: whatever has been given its name, no private key in it is repeated.

    Left out is what is no text (such as a key in DER), a PEM block of a private key, and lines of base64 that may be of
    one which begins before the piece or ends after it.
    """
    text = "\n".join(clean(line) if _is_text(line) else LEFT_OUT for line in content.split(b"\n"))
    lines: t.List[str] = []
    for is_alike, group in itertools.groupby(_without_blocks(text).split("\n"), _may_be_of_a_key):
        found = list(group)
        if is_alike and any(LEFT_OUT in line or len(line) >= _CERTAIN_LENGTH for line in found):
            found = [line for line in found if LEFT_OUT in line and line != LEFT_OUT] or [LEFT_OUT]
        lines += found
    return "\n".join(lines)


def _is_text(line: bytes) -> bool:
    # A line in another encoding than UTF-8 is text as well: few of its letters are none of UTF-8.
    return not _NO_TEXT.search(line) and line.decode("utf-8", "replace").count("\ufffd") * 4 <= len(line)


def _without_blocks(text: str) -> str:
    """Without blocks of private keys; of one that is cut off, without the rest of the line in which the mark stands."""
    parts, at = [], 0
    marks = list(_KEY_MARK.finditer(text))
    for mark, following in zip(marks, marks[1:] + [None]):
        begin, end = mark.span()
        if begin < at:
            continue
        if mark.group(1) == "END":
            begin = max(text.rfind("\n", 0, begin) + 1, at)
        elif following and following.group(1) == "END" and following.end() - begin <= _LONGEST_KEY:
            end = following.end()
        else:
            end = len(text) if text.find("\n", end) < 0 else text.find("\n", end)
        parts += [text[at:begin], LEFT_OUT]
        at = end
    return "".join(parts) + text[at:]


def _may_be_of_a_key(line: str) -> bool:
    return LEFT_OUT in line or bool(_BASE64.match(line))


def setup_lines(content: bytes) -> t.List[SetupLine]:
    """Every success line in a piece of the log, oldest first."""
    lines = content.split(b"\n")
    told = (_setup_line(clean(line).strip()) for line in lines if b"HTTPS" in line and len(line) <= _LONGEST_LINE)
    return [line for line in told if line is not None]


def _setup_line(line: str) -> t.Optional[SetupLine]:
    """What a line says of the certificate; in time that grows as the line does, since others may have written it."""
    _before, phrase, path = line.partition(_PHRASE)
    if path.startswith(_KIND_OF_FILE):
        path = path[len(_KIND_OF_FILE):]
    before, _bracket, words = path[:-1].rpartition("(") if path.endswith(")") else ("", "", "")
    if before and ")" not in words:
        path = before.rstrip()
    else:
        words = ""
    if path.startswith(_QUOTES) and len(path) > 1:
        path = path[1:]
    if path.endswith(_QUOTES) and len(path) > 1:
        path = path[:-1]
    return SetupLine(line, path, words) if phrase and path else None


def last_setup_line(paths: t.Iterable[str], is_named: bool = False) -> t.Optional[t.Tuple[str, SetupLine]]:
    """The newest success line and the log that it stands in: the first log that has one counts.

    C(is_named), here and below: see C(layout.Layout.log_is_named).

    At most the last C(PIECE_BYTES) of a log are read.
    """
    for path in paths:
        descriptor = _open(path, is_named)
        if descriptor is None:
            continue
        try:
            lines = setup_lines(_tail(descriptor, 0))
        finally:
            os.close(descriptor)
        if lines:
            return path, lines[-1]
    return None


class Watch:
    """What is written to some logs after the watch began, through rotation and truncation."""

    def __init__(self, paths: t.Iterable[str], is_named: bool = False) -> None:
        self._marks = [_Mark(path, is_named) for path in paths]

    def setup_lines(self, deadline: float) -> t.List[SetupLine]:
        """Every success line that was written since the watch began, as far as it can be read until C(deadline)
        (C(time.monotonic)): who writes the log might else hold us as long as he likes."""
        found: t.List[SetupLine] = []
        for piece in itertools.chain.from_iterable(mark.each(_pieces) for mark in self._marks):
            found += setup_lines(piece)
            if time.monotonic() > deadline:
                break
        return found

    def tail(self) -> bytes:
        """The last of all that was written since the watch began."""
        return b"".join(piece for mark in self._marks for piece in mark.each(_last))

    def told(self) -> str:
        """The last lines of it as they may be shown, and which logs are there and cannot be read."""
        lines = [line[:_LINE_LENGTH_SHOWN] for line in shown(self.tail()[-_BYTES_SHOWN:]).splitlines() if line.strip()]
        unread = [found for found in self.unread().items() if found[1] and os.path.lexists(found[0])]
        return "\n".join(lines[-_LINES_SHOWN:] + ["%s cannot be read: %s" % found for found in unread])

    def unread(self) -> t.Dict[str, str]:
        """Why each log cannot be read, by its path; empty for one that can."""
        return {mark.path: why_unread(mark.path, mark.is_named) for mark in self._marks}

    def close(self) -> None:
        """Let go of the logs."""
        for mark in self._marks:
            mark.close()


class _Mark:
    """The end of one log, held by an open descriptor and remembered with the bytes before it.

    A log that is renamed is read on to its end, and the file that took its name from its beginning. A log
    whose remembered bytes are gone was truncated, even when it has grown past the mark since.
    """

    def __init__(self, path: str, is_named: bool) -> None:
        self.path = path
        self.is_named = is_named
        self._descriptor = _open(path, is_named)
        self._offset = 0
        self._before = b""
        if self._descriptor is not None:
            self._offset = os.fstat(self._descriptor).st_size
            self._before = self._remembered(self._descriptor)

    def each(self, read: "Reader") -> t.Iterator[bytes]:
        """Read the log that was there from its mark, and the one that has its name now from its beginning."""
        if self._descriptor is not None:
            was_truncated = self._remembered(self._descriptor) != self._before
            yield from read(self._descriptor, 0 if was_truncated else self._offset)
        current = _open(self.path, self.is_named)
        if current is None:
            return
        try:
            if self._descriptor is None or not os.path.sameopenfile(current, self._descriptor):
                yield from read(current, 0)
        finally:
            os.close(current)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _remembered(self, descriptor: int) -> bytes:
        begin = max(self._offset - _REMEMBERED_BYTES, 0)
        return os.pread(descriptor, self._offset - begin, begin)


# Reads a file from an offset to its end.
Reader = t.Callable[[int, int], t.Iterable[bytes]]


def opened(path: str, is_named: bool = False) -> int:
    """A descriptor of a log.

    Root reads it and shows what it says. So whoever may write where it is found must not lead us elsewhere.

    :raises files.Unreadable: it cannot be read; C(status) is C(absent) where there is none.
    """
    if is_named:
        return files.open_regular(path, _NO_LIMIT, follow_links=True)
    try:
        return files.open_guarded(path, _NO_LIMIT)
    except files.Unreadable as exc:
        if exc.status != "not_regular":
            raise
        raise files.Unreadable(exc.status, "%s; name the log's real place with log_file (sesam_https_log_file)" %
                               exc.reason) from exc


def _open(path: str, is_named: bool) -> t.Optional[int]:
    try:
        return opened(path, is_named)
    except (files.Unreadable, OSError):
        return None


def why_unread(path: str, is_named: bool = False) -> str:
    """Why a log cannot be read, empty where it can."""
    try:
        os.close(opened(path, is_named))
    except files.Unreadable as exc:
        return exc.reason
    except OSError as exc:
        return refusal.in_words(exc)
    return ""


def _pieces(descriptor: int, begin: int) -> t.Iterator[bytes]:
    """All that stands behind an offset, in pieces that end where a line ends."""
    rest = b""
    while True:
        piece = os.pread(descriptor, PIECE_BYTES, begin)
        if not piece:
            break
        begin += len(piece)
        # Also where no line ends in it, so that whoever reads may give up.
        whole, _line_feed, rest = (rest + piece).rpartition(b"\n")
        yield whole
        rest = rest[-_LONGEST_LINE - 1:]
    yield rest


def _last(descriptor: int, begin: int) -> t.Iterator[bytes]:
    yield _tail(descriptor, begin)


def _tail(descriptor: int, begin: int) -> bytes:
    """What stands behind an offset, at most the last C(PIECE_BYTES)."""
    end = os.fstat(descriptor).st_size
    begin = max(begin, end - PIECE_BYTES)
    return os.pread(descriptor, end - begin, begin) if end > begin else b""
