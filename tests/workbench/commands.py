# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the workbench runs other programs: their environment, their output, their failure."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


class WorkbenchError(Exception):
    """What stops the workbench; its text is all that a user sees of it."""


def say(text: str) -> None:
    """Print at once, so that lines of the workbench and of its children keep their order."""
    print(text, flush=True)


@contextmanager
def timed(done: str) -> t.Iterator[None]:
    """Say how long something took that came to a good end."""
    start = time.monotonic()
    yield
    say(f"{done} ({time.monotonic() - start:.1f} s)")


def clean_environment() -> dict[str, str]:
    """Our environment without what would change how Python and Ansible behave in a clone.

    Ansible refuses to start in a locale that is not UTF-8, "C" of a bare container among them.
    """
    unwanted = ("ANSIBLE_", "PYTHON", "LC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "LC_ALL": "C.UTF-8"}


def run(argv: t.Sequence[str | Path], *, env: t.Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a program to its end and return what it printed; raise with the same when it fails."""
    try:
        process = subprocess.run(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise WorkbenchError(f"{argv[0]} is missing: {error.strerror}") from error
    if process.returncode != 0:
        words = " ".join(str(word) for word in argv)
        raise WorkbenchError(f"{process.stdout.rstrip()}\nexit code {process.returncode}: {words}")
    return process.stdout


def show(argv: t.Sequence[str | Path], *, env: t.Mapping[str, str]) -> None:
    """Run a program to its end with its output on the terminal; raise when it fails."""
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise WorkbenchError(f"exit code {done.returncode}: {' '.join(str(word) for word in argv)}")


def become(argv: t.Sequence[str | Path], *, env: t.Mapping[str, str]) -> t.NoReturn:
    """Turn into another program: signals and the exit code are its own from here on."""
    os.execve(argv[0], [str(word) for word in argv], dict(env))


def all_at_once(*jobs: t.Callable[[], object]) -> None:
    """Run jobs side by side, let each come to its end, then raise what went wrong."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = [future.exception() for future in [pool.submit(job) for job in jobs]]
    unexpected = [error for error in errors if error and not isinstance(error, WorkbenchError)]
    if unexpected:
        raise unexpected[0]
    failed = [str(error) for error in errors if error]
    if failed:
        raise WorkbenchError("\n".join(failed))
