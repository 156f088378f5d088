# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door of the host code: plain data out, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import answer, gather, refusal, transaction


def stub(monkeypatch: pytest.MonkeyPatch, exc: Exception) -> None:
    def fail(parameters: dict[str, t.Any]) -> t.NoReturn:
        raise exc

    monkeypatch.setattr(gather, "gather", fail)
    monkeypatch.setattr(transaction, "replace", fail)


@pytest.mark.parametrize("question", ["resolve", "replace"])
@pytest.mark.parametrize(("exc", "expected"), [
    (refusal.Refused("locked", "Why.", "What to do.", "current"),
     {"id": "locked", "subject": "current", "level": "error", "message": "Why.", "fix": "What to do."}),
    (OSError(28, "No space left on device", "/x"),
     {"id": "host-error", "subject": "place", "level": "error",
      "fix": "Free space there, blocks and inodes (df, df -i), and run again.",
      "message": "The operating system refused: No space left on device: /x."}),
    (OSError(24, "Too many open files"),
     {"id": "host-error", "subject": "place", "level": "error", "fix": "Mend what it names and run again.",
      "message": "The operating system refused: Too many open files."}),
])
def test_what_is_refused_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, question: str, exc: Exception, expected: dict[str, str]
) -> None:
    stub(monkeypatch, exc)
    assert answer.answer(question, {}) == {"changed": False, "refused": expected}


def test_an_error_without_words_has_words() -> None:
    assert refusal.in_words(OSError("odd")) == "OSError: odd"
    assert refusal.in_words(ValueError("odd")) == "ValueError: odd"


def test_an_answer_always_says_whether_it_was_refused(installation: Path) -> None:
    seen = answer.answer("resolve", {"sesam2000_ini": str(installation / "sesam2000.ini"), "port": 1})
    assert seen["refused"] is None
    assert seen["installation"]["sesam_var"] == str(installation / "var")
    assert seen["rmi"]["is_running"] is False
    json.dumps(seen)


def test_not_installed_is_an_answer_and_no_refusal() -> None:
    seen = answer.answer("resolve", {"sesam2000_ini": "/nowhere"})
    assert (seen["installation"], seen["refused"]) == (None, None)
    assert "/nowhere" in seen["not_installed"]


def test_not_installed_refuses_a_replacement() -> None:
    assert answer.answer("replace", {"sesam2000_ini": "/nowhere"})["refused"]["id"] == "sesam-not-found"


def test_a_python_without_ssl(program: t.Any) -> None:
    code = "import sys; sys.modules['ssl'] = None\nfrom _host import answer\nprint(answer.answer('resolve', {}))"
    with program.spawn(code) as process:
        assert "python-without-ssl" in process.communicate()[0]
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["other"], ["resolve", "x"]])
def test_usage(program: t.Any, arguments: list[str]) -> None:
    folder = Path(answer.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-B", "-m", "_host", *arguments], cwd=folder, capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: python3 -m _host resolve|replace|convert|key_files < parameters.json\n"


def test_the_host_code_needs_nothing_but_the_standard_library(program: t.Any) -> None:
    """Isolated, without site-packages, and without Ansible."""
    folder = Path(answer.__file__).resolve().parents[1]
    code = (f"import sys; sys.path.insert(0, {str(folder)!r})\n"
            "from _host import answer, conversion, key_files, transaction\n"
            "print([name for name in sys.modules if name.split('.')[0] in ('ansible', 'cryptography')])")
    done = subprocess.run([sys.executable, "-B", "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
