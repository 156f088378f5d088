# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that is sent and the answer that comes back, damaged in every way: it runs whole or not at all."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shlex
import subprocess
import termios
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program
from workbench import pythons

# Not that of the venv: a path with blanks would be a Python and its arguments.
PYTHON = str(pythons.this().path)
NONCE = "0123456789abcdef0123456789abcdef"
SECRET = "-----BEGIN PRIVATE KEY----- never to be seen"
MARKER = f"sep.sesam {NONCE} begin "
OTHERS: dict[str, t.Any] = dict.fromkeys(("sesam_var", "sm_main", "address", "log_file"))


@functools.cache
def program() -> bytes:
    """A question that changes nothing, of a machine without SEP sesam; with something in it that is secret."""
    asked = {"sesam2000_ini": "/nowhere/sesam2000.ini", "port": 1, "passphrase": SECRET, **OTHERS}
    return _host_program.program("resolve", asked, ["sesam2000_ini"], NONCE)


def sent(stream: bytes, interpreter: str | Path = "", **options: t.Any) -> subprocess.CompletedProcess[bytes]:
    """What a shell makes of the command and of this on its standard input."""
    command = _host_program.command(str(interpreter), "", NONCE)
    return subprocess.run(["/bin/sh", "-c", command], input=stream, capture_output=True, check=False, **options)


def read(done: subprocess.CompletedProcess[bytes]) -> _host_program.Reply:
    return _host_program.read(NONCE, done.stdout.decode())


@pytest.fixture(params=["3.6", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """The oldest and the newest Python that a host of this machine's can have."""
    versions = pythons.VERSIONS[::-1] if request.param == "newest" else [request.param]
    found = next(filter(None, map(pythons.find, versions)), None)
    if not found:
        pytest.skip(f"no Python {request.param} was found")
    return found


def test_the_whole_is_answered(python: Path) -> None:
    reply = read(sent(program(), python))
    assert (reply.began, reply.problem, reply.no_python) == (True, "", False)
    assert reply.python.split(" ", 1)[1] == str(python)
    assert reply.answer
    assert "/nowhere/sesam2000.ini: it does not exist" in json.dumps(reply.answer)


def test_the_program_is_a_file_that_can_be_run(python: Path, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_bytes(program())
    done = subprocess.run([python, "-I", path], capture_output=True, check=True)
    assert read(done) == read(sent(program(), python))


# A stream that breaks

# Runs the start with each of many damaged streams in one Python, and tells which of them began, and what was printed.
_DAMAGED = """
import io, json, sys, traceback, types
start, offsets, data = sys.argv[1], json.loads(sys.argv[2]), sys.stdin.buffer.read()
began, printed = [], set()
for damage in ("cut", "flipped", "missing"):
    for at in offsets:
        text = {"cut": data[:at], "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1:],
                "missing": data[:at] + data[at + 1:]}[damage]
        out, err = types.SimpleNamespace(buffer=io.BytesIO()), io.StringIO()
        sys.stdin, sys.stdout, sys.stderr = types.SimpleNamespace(buffer=io.BytesIO(text)), out, err
        try:
            exec(start, {})
        except BaseException:
            traceback.print_exc(file=err)
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        if out.buffer.getvalue():
            began.append([damage, at])
        printed.add(err.getvalue())
json.dump([began, sorted(printed)], sys.stdout)
"""


def offsets() -> list[int]:
    """The first line, all of the last line but the packed sources, and a sample of the rest."""
    size, request = len(program()), program().rindex(b", request=")
    return [*range(100), *range(100, request, 211), *range(request, size)]


def test_a_stream_that_breaks_anywhere_never_begins(python: Path) -> None:
    """Cut there, one bit of that byte turned, or that byte lost. Nor is anything of it printed: it holds a key."""
    code = [python, "-I", "-c", _DAMAGED, _host_program._START, json.dumps(offsets())]
    done = subprocess.run(code, input=program(), capture_output=True, check=True)
    began, printed = json.loads(done.stdout)
    # The digest is looked for in the first line: what stands before it there does not count, and shows that this test
    # can see a program begin.
    assert {damage for damage, _at in began} == {"flipped", "missing"}
    assert max(at for _damage, at in began) < program().index(b": ") + 2
    assert printed == ["", "sep.sesam: the program did not come whole; nothing was done.\n"]


def test_a_stream_that_is_cut_for_real(python: Path) -> None:
    size = len(program())
    for cut in (0, 1, 99, 200, size // 2, size - 2000, *range(size - 60, size, 15), size - 2, size - 1):
        done = sent(program()[:cut], python)
        assert (done.stdout, done.returncode) == (b"", 0), cut
        assert done.stderr == (b"sep.sesam: the program did not come whole; nothing was done.\n" if cut else b"")


@pytest.mark.parametrize("taken", ["nothing", "a part", "all but the end", "all"])
@pytest.mark.parametrize("ends", ["killed", "failed"])
def test_a_python_that_dies_leaves_the_next_one_nothing_that_it_could_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: str, ends: str
) -> None:
    """The next one is tried after a failure alone; where the first has taken nothing, there is something to run."""
    size = {"nothing": 0, "a part": 5000, "all but the end": len(program()) - 20, "all": len(program())}[taken]
    dies = script(tmp_path, "dies", f"""exec {PYTHON} -c '
import os
left = {size}
while left:
    left -= len(os.read(0, left))
{"os.kill(os.getpid(), 9)" if ends == "killed" else "os._exit(1)"}'""")
    monkeypatch.setattr(_host_program, "INTERPRETERS", (str(dies), "python3"))
    done = sent(program())
    assert done.returncode == (137 if ends == "killed" else 0)
    assert (read(done).began, read(done).no_python) == (taken == "nothing" and ends == "failed", False)


# Interpreters

def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def too_old(tmp_path: Path) -> list[str]:
    """What a host has that has no Python 3.6: none there, a Python 2, a Python 3.5, and something else."""
    two = 'echo "Unknown option: -I" >&2\necho "usage: python [option] ... [-c cmd | -m mod | file | -]" >&2\nexit 2'
    five = f"""exec {PYTHON} -I -c 'import sys
sys.version_info = (3, 5, 9, "final", 0)
exec(sys.argv[1])' "$3" """
    return ["/nowhere/python3", str(script(tmp_path, "python2", two)), str(script(tmp_path, "python3.5", five)),
            "/bin/false"]


def test_a_python_that_is_too_old_leaves_the_stream_to_the_next(
    monkeypatch: pytest.MonkeyPatch, too_old: list[str]
) -> None:
    monkeypatch.setattr(_host_program, "INTERPRETERS", (*too_old, "python3"))
    reply = read(sent(program()))
    assert reply.answer
    monkeypatch.setattr(_host_program, "INTERPRETERS", tuple(too_old))
    assert read(sent(program())) == _host_program.Reply(False, no_python=True)


def test_a_python_2_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    path = pythons.find("2.7")
    if not path:
        pytest.skip("no Python 2.7 was found")
    done = sent(program(), path)
    assert read(done).no_python
    assert b"Unknown option: -I" in done.stderr
    monkeypatch.setattr(_host_program, "INTERPRETERS", (str(path), "python3"))
    assert read(sent(program())).answer


def test_a_python_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Under a locale that cannot say it: Python 3.6 takes ASCII for C."""
    python = pythons.find("3.6") or pythons.this().path
    folder = tmp_path / "größe"
    folder.mkdir()
    # A name of its own for the interpreter, as a virtual environment has it.
    (folder / "python3").symlink_to(python)
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    reply = read(sent(program(), folder / "python3", env={"LC_ALL": "C", "PATH": os.defpath}))
    assert reply.answer
    assert reply.python.isascii()
    assert "/gr\\" in reply.python


def test_a_shell_that_repeats_the_command_says_nothing_of_python() -> None:
    command = _host_program.command("", "", NONCE)
    for stdout in (command, f"{command}\n", f"unknown command: {command}\r\n", f"+ {shlex.quote(command)}\n"):
        assert _host_program.read(NONCE, stdout) == _host_program.Reply(False)
    for stdout in (f"hello\nsep.sesam {NONCE} no-python\n", f"\r\nsep.sesam {NONCE} no-python\r\nbye"):
        assert _host_program.read(NONCE, stdout) == _host_program.Reply(False, no_python=True)


def test_nothing_is_started_on_a_terminal() -> None:
    """There the end of the program would never come; and it is told not to repeat what is sent."""
    ours, its = os.openpty()
    command = _host_program.command(PYTHON, "", NONCE)
    done = subprocess.run(["/bin/sh", "-c", command], stdin=its, capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"sep.sesam: standard input is a terminal; nothing was started.\n"
    assert not termios.tcgetattr(its)[3] & termios.ECHO
    assert _host_program.read(NONCE, done.stdout.decode()) == _host_program.Reply(False)
    os.close(its)
    os.close(ours)


# An answer that breaks

@functools.cache
def answered() -> str:
    return sent(program(), PYTHON).stdout.decode()


def test_an_answer_that_is_cut_anywhere_is_none_and_it_is_known_whether_it_began() -> None:
    end = len(answered().rstrip("\n"))
    for cut in range(end):
        reply = _host_program.read(NONCE, f"Welcome\n{answered()[:cut]}")
        assert reply.answer is None
        # The line feed in front of the marker is no part of it.
        assert (reply.began, bool(reply.problem)) == (cut > 1, cut > 1), cut
    assert _host_program.read(NONCE, answered()[:end]).answer


@pytest.mark.parametrize("where", ["before", "after", "in the first line", "in the last line", "CRLF", "between"])
@pytest.mark.parametrize("what", [
    "x", "\n", "sep.sesam", "\x1b[31m\udcff", f"sep.sesam {'f' * 32} answer 2 {'0' * 64}\n{{}}\n"])
def test_garbage(where: str, what: str) -> None:
    """Around the frame it does no harm, in the answer it is seen."""
    answer = answered().index(f"sep.sesam {NONCE} answer ")
    spoilt = {
        "before": what + answered(), "after": answered() + what,
        "in the first line": answered().replace(NONCE, f"{NONCE[:9]}{what}{NONCE[9:]}", 1),
        "in the last line": answered()[:-9] + what + answered()[-9:],
        "CRLF": what + answered().replace("\n", "\r\n") + what,
        "between": answered()[:answer] + what + answered()[answer:],
    }[where]
    reply = _host_program.read(NONCE, spoilt)
    assert reply.began
    assert bool(reply.answer) == (where != "in the last line")
    if where == "in the last line":
        assert reply.problem == "something else was printed into the answer"


def framed(text: str, length: str = "") -> str:
    """An answer as somebody would make it who wants to do harm."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"\n{MARKER}3.6.15 /usr/bin/python3\n\nsep.sesam {NONCE} answer {length or len(text)} {digest}\n{text}\n"


@pytest.mark.parametrize(("stdout", "problem"), [
    (framed("{}", "9" * 17), f"the answer has {'9' * 17} bytes, more than any answer has"),
    (framed("{}", "9" * 5000), "no answer came"),
    (framed("{}", "٣"), "no answer came"),
    (framed("{}", "-1"), "no answer came"),
    (framed("{}"), "what it answers is no answer of the program that was sent"),
    (framed("[1]"), "what it answers is no answer of the program that was sent"),
    (framed("{'a'"), "what it answers is no answer of the program that was sent"),
    (framed("[" * 100_000), "what it answers is no answer of the program that was sent"),
    (framed("9" * 100_000), "what it answers is no answer of the program that was sent"),
], ids=range(9))
def test_an_answer_that_is_none(stdout: str, problem: str) -> None:
    assert _host_program.read(NONCE, stdout) == _host_program.Reply(True, "3.6.15 /usr/bin/python3", problem=problem)


@pytest.mark.parametrize("garbage", ["y " * 25_000_000, "\n" * 50_000_000, MARKER[:-1] * 1_000_000, "s" * 50_000_000])
def test_50_mb(garbage: str) -> None:
    begin = time.process_time()
    for stdout in (garbage, garbage + answered(), answered() + garbage):
        reply = _host_program.read(NONCE, stdout)
        assert len(reply.python) < 400
        assert len(reply.problem) < 400
    assert reply.answer
    assert time.process_time() - begin < 5


def test_an_answer_of_50_mb() -> None:
    """Whole, and larger than any: it is not even read."""
    text = json.dumps({"refused": None, "state": "y" * 50_000_000})
    problem = f"the answer has {len(text)} bytes, more than any answer has"
    reply = _host_program.read(NONCE, framed(text))
    assert reply == _host_program.Reply(True, "3.6.15 /usr/bin/python3", problem=problem)


# Somebody who asked and is gone

def test_nobody_is_there_before_it_begins() -> None:
    """Then nothing is done: it says so, and asks for nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    command = _host_program.command(PYTHON, "", NONCE)
    done = subprocess.run(
        ["/bin/sh", "-c", command], input=program(), stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert b"nobody hears an answer; nothing was done." in done.stderr


def test_interpreter_is_no_command_of_a_shell(tmp_path: Path) -> None:
    done = sent(b"", f"$(touch {tmp_path}/one)`touch {tmp_path}/two`; touch {tmp_path}/three")
    assert done.stdout.endswith(f"sep.sesam {NONCE} no-python\n".encode())
    assert list(tmp_path.iterdir()) == []
