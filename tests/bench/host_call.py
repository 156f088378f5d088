# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the milliseconds of one audit go on the host: its own program, started as the controller starts it."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
import uuid
from pathlib import Path

import standin
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program
from workbench import pythons

from . import stopwatch
from .profiles import Profile

_PYTHON = "Python starts and ends (python -I -c pass)"
_STREAM = "reading the stream"
_STOPWATCH = Path(stopwatch.__file__)


def profile(instance: standin.Instance, python: pythons.Interpreter, rounds: int) -> Profile:
    """The phases of so many runs; the whole is that of as many others, which nobody watches."""
    question = _arguments.OF_MODULE["sesam_cert_resolve"].question
    parameters = {"sesam2000_ini": instance.sesam2000_ini, "port": instance.port}
    found = Profile(f"One audit on the host, without SSH, Python {python.version}")
    for round_ in range(rounds + 1):
        nonce = uuid.uuid4().hex
        program = _host_program.program(question, parameters, [], nonce)
        argv = ["/bin/sh", "-c", _host_program.command(str(python.path), "", nonce)]
        bare, _errors, _start = _timed([python.path, "-I", "-c", "pass"], b"")
        whole, _errors, _start = _timed(argv, program, nonce)
        watched, errors, start = _timed(argv, _watched(program), nonce)
        if round_:  # The first one fills caches.
            found.add(_phases(bare, watched, json.loads(errors), start), whole)
    return found


def _watched(program: bytes) -> bytes:
    _seal, _line, text = program.partition(b"\n")
    return _host_program.sealed(_STOPWATCH.read_bytes() + b"\nwatch_host_program(globals())\n" + text)


def _phases(bare: float, watched: float, told: dict[str, t.Any], start: float) -> dict[str, float]:
    if lost := [phase for phase, seconds in told["seconds"].items() if not seconds]:
        raise RuntimeError(f"the host program has no such part any more: {', '.join(lost)}; mend stopwatch.py")
    seconds: dict[str, float] = {_PYTHON: bare, _STREAM: max(told["begin"] - start - bare, 0.0), **told["seconds"]}
    return {**seconds, stopwatch.REST: watched - sum(seconds.values())}


def _timed(argv: t.Sequence[str | Path], stream: bytes, nonce: str = "") -> tuple[float, str, float]:
    """Seconds, standard error, and when it began by the clock that all processes share."""
    start = time.monotonic()
    done = subprocess.run(argv, input=stream, capture_output=True, check=True, cwd="/")
    seconds = time.monotonic() - start
    if nonce:
        answer = _host_program.read(nonce, done.stdout.decode()).answer
        if not answer or answer["refused"] or answer["served"]["status"] != "tls":
            raise RuntimeError(f"this audit was to see a server: {answer}")
    return seconds, done.stderr.decode(), start
