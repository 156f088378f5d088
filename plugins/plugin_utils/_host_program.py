# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host code as one program for the standard input of a Python: how it is made, started, and its answer read.

Private to this collection. Knows nothing of Ansible.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shlex
import typing as t
import zlib
from pathlib import Path

from ansible_collections.sep.sesam.plugins.module_utils import _host

# Where the Python of a system is, in this order; RHEL 8 and later have one for its own programs. 3.6 or later will do.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "python3", "/usr/local/bin/python3")
# No answer comes near it.
ANSWER_LIMIT = 16 * 1024 * 1024

_HEAD = "streamed.py"
# Constant, so that the list of processes of the host shows nothing of what is asked. A Python that is too old leaves
# the stream alone: Python 2 knows no -I. One that finds the stream empty has nothing to do. What did not come whole is
# not even compiled: a SyntaxError would print the line, and the key in it.
_START = ("import hashlib,sys;sys.version_info<(3,6)and sys.exit(1);"
          "seal=sys.stdin.buffer.readline();text=sys.stdin.buffer.read();"
          "exec(text if hashlib.sha256(text).hexdigest().encode()in seal else"
          ' "print(\'sep.sesam: the program did not come whole; nothing was done.\',file=sys.stderr)"if seal else"")')
# A terminal repeats what is sent to it, and has no end: nothing is started there, and it repeats no more.
_NO_TERMINAL = ("if [ -t 0 ]; then stty -echo 2>/dev/null; "
                "echo 'sep.sesam: standard input is a terminal; nothing was started.' >&2; exit 1; fi; ")
# What a shell may act on. "sudo -i" has the login shell read the command once more, and escapes for it all but "$".
_SPECIAL = re.compile(r"[$`\"'\\\n]")


def _read_sources() -> tuple[str, str]:
    """The head of the stream, and all other host code, packed."""
    folder = Path(_host.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    head = texts.pop(_HEAD)
    sources = {f"{folder.name}/{name}": text for name, text in texts.items()}
    return head, base64.b64encode(zlib.compress(json.dumps(sources).encode("ascii"))).decode("ascii")


# Once for all hosts: Ansible loads this file before it makes a process for each.
_HEAD_TEXT, _PACKED = _read_sources()


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back.

    C(began): whether the program ran, whatever became of it; C(python): its version and interpreter.
    C(answer): the answer, if it came whole; C(problem): why not, where it began.
    C(no_python): no interpreter did start.
    """

    began: bool
    python: str = ""
    answer: dict[str, t.Any] | None = None
    problem: str = ""
    no_python: bool = False


def program(question: str, parameters: t.Mapping[str, t.Any], paths: t.Sequence[str], nonce: str) -> bytes:
    """The whole of it, ASCII; can also be kept in a file and be run by hand, C(python3 -I file).

    :param paths: the parameters that are paths, whose C(~) and variables the host expands.
    """
    request = json.dumps({"question": question, "parameters": parameters, "paths": paths}, default=str)
    call = f"run(packed={_PACKED!r}, request={request!r}, nonce={nonce!r})\n"
    return sealed(f"{_HEAD_TEXT}\n\n{call}".encode("ascii"))


def sealed(text: bytes) -> bytes:
    """With its digest in front, in a line of its own."""
    return f"# SHA-256 of the following: {hashlib.sha256(text).hexdigest()}\n".encode("ascii") + text


def command(interpreter: str, environment: str, nonce: str) -> str:
    """The command for a POSIX shell that starts it with the first Python that works.

    :param interpreter: the one to take; empty for the first of the usual places.
    :param environment: assignments in front of a command, as a shell reads them.
    """
    # Not quoted again where they are used: an interpreter may be given with an argument, as Ansible allows it.
    places = " ".join(map(shlex.quote, [interpreter] if interpreter else INTERPRETERS))
    start = f"{environment} $python -I -c {shlex.quote(_START)}".strip()
    # One that was killed is not followed by another one.
    turn = f"{start} && exit 0; rc=$?; [ $rc -le 128 ] || exit $rc"
    return _coded(
        f"{_NO_TERMINAL}for python in {places}; do {turn}; done; echo; echo sep.sesam {nonce} no-python; exit 127")


def _coded(command: str) -> str:
    """The same command with nothing in it on which a shell acts that only passes it on."""
    coded = _SPECIAL.sub(lambda found: f"\\0{ord(found.group()):03o}", command)
    return f'eval "`printf %b {shlex.quote(coded)}`"'


def read(nonce: str, stdout: str) -> Reply:
    """Find the answer in what was printed; banners, lectures and CRLF around it do no harm."""
    marker = f"sep.sesam {nonce} begin "
    begin = re.search(rf"{marker}([^\r\n]{{0,300}})", stdout)
    frame = re.search(rf"sep\.sesam {nonce} answer ([0-9]{{1,18}}) ([0-9a-f]{{64}})\r?\n", stdout)
    last_line = stdout.rpartition("\n")[2]
    if not begin and not frame and not (last_line and marker.startswith(last_line)):
        # A shell that refuses the command may repeat it: its own words are a line.
        return Reply(False, no_python=bool(re.search(rf"^sep\.sesam {nonce} no-python\r?$", stdout, re.MULTILINE)))
    python = begin.group(1) if begin else "unknown"
    if not frame:
        return Reply(True, python, problem="no answer came")
    length, digest = int(frame.group(1)), frame.group(2)
    if length > ANSWER_LIMIT:
        return Reply(True, python, problem=f"the answer has {length} bytes, more than any answer has")
    text = stdout[frame.end():frame.end() + length]
    if len(text) < length:
        return Reply(True, python, problem=f"the answer was cut after {len(text)} of {length} bytes")
    if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != digest:
        return Reply(True, python, problem="something else was printed into the answer")
    return _understood(python, text)


def _understood(python: str, text: str) -> Reply:
    """An answer that came as it was sent: whoever sent it, it has to be one of the host code."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "refused" not in answer:
        return Reply(True, python, problem="what it answers is no answer of the program that was sent")
    return Reply(True, python, answer)
