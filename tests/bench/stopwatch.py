# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the time of one process goes: each phase without the phases inside it.

Of the controller's processes, and of the host program: there the text of this file is sent in front of it, so it is
written for Python 3.6, and the clock starts first.
"""
# ruff: noqa: UP006

import time

_BEGIN = time.monotonic()

import atexit  # noqa: E402
import builtins  # noqa: E402
import functools  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import typing as t  # noqa: E402

STANDARD_LIBRARY = "importing the standard library"
UNPACKING = "unpacking the host code"
COMPILING = "compiling it"
LOADING = "running its files"
REST = "all else"
# The phases of an audit: functions of the host code, by file and name.
_OF_THE_AUDIT = {
    ("layout", "find"): "finding the installation",
    ("gather", "find_rmi"): "finding the process that listens",
    ("processes", "listeners"): "finding the process that listens",
    ("lookup", "walk"): "reading and proving the pairs",
    ("served", "look"): "TLS handshake with the port",
    ("server_log", "last_setup_line"): "reading the log",
    ("gather", "log_facts"): "reading the log",
    ("answer", "answer"): "the rest of the audit",
}

PHASES = (STANDARD_LIBRARY, UNPACKING, COMPILING, LOADING, *_OF_THE_AUDIT.values())

Function = t.TypeVar("Function", bound=t.Callable[..., t.Any])


class Stopwatch:
    """Seconds by phase, in the order in which the phases are given."""

    def __init__(self, *phases: str) -> None:
        self.seconds: t.Dict[str, float] = dict.fromkeys(phases, 0.0)
        self._inside: t.List[float] = []

    def timed(self, phase: str, function: Function) -> Function:
        """The same function, whose time counts as that of a phase."""

        @functools.wraps(function)
        def run(*arguments: t.Any, **keywords: t.Any) -> t.Any:
            begin = time.monotonic()
            self._inside.append(0.0)
            try:
                return function(*arguments, **keywords)
            finally:
                spent = time.monotonic() - begin
                self.seconds[phase] += spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return t.cast(Function, run)

    def watch(self, phase: str, owner: t.Any, *names: str) -> None:
        """Put timed functions in the place of those of a class or a module."""
        for name in names:
            setattr(owner, name, self.timed(phase, getattr(owner, name)))


def watch_host_program(program: t.Dict[str, t.Any]) -> None:
    """Time the host program that follows in this stream, and write the phases to standard error at its end.

    :param program: the names of the stream. Its head loads the packed files by C(compile) and C(exec), and these two
        are put in between here.
    """
    import base64
    import hashlib
    import zlib

    watch = Stopwatch(*PHASES)
    load = watch.timed(LOADING, builtins.exec)

    def load_and_watch(code: t.Any, names: t.Dict[str, t.Any]) -> None:
        load(code, names)
        for (file, function), phase in _OF_THE_AUDIT.items():
            if names["__name__"].endswith("." + file):
                names[function] = watch.timed(phase, names[function])

    program.update(compile=watch.timed(COMPILING, builtins.compile), exec=load_and_watch)
    for module, name in ((hashlib, "sha256"), (base64, "b64decode"), (zlib, "decompress"), (json, "loads")):
        watch.watch(UNPACKING, module, name)
    plain, from_library = builtins.__import__, watch.timed(STANDARD_LIBRARY, builtins.__import__)

    def imported(name: str, *arguments: t.Any, **keywords: t.Any) -> t.Any:
        # The host code imports its own files as relative to their package, which the last argument says.
        level = arguments[3] if len(arguments) > 3 else keywords.get("level", 0)
        return (plain if level else from_library)(name, *arguments, **keywords)

    builtins.__import__ = imported
    # What was imported up to here, the program would have had to import.
    watch.seconds[STANDARD_LIBRARY] += time.monotonic() - _BEGIN

    def tell() -> None:
        json.dump({"begin": _BEGIN, "seconds": watch.seconds}, sys.stderr)

    atexit.register(tell)
