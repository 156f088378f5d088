# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mutates inputs for a number of them or of seconds, gives each to the targets, and says what came of it."""

from __future__ import annotations

import collections
import dataclasses
import mmap
import random
import resource
import signal
import time
import traceback
import typing as t
import warnings
from pathlib import Path

from ansible_collections.sep.sesam.plugins.plugin_utils import _limits

from . import mutations, targets
from .seeds import CHEAP, Seed

MOST_MEMORY = 300  # MiB
# An input that does not come to an end takes the engine with it: by then it lies in the folder.
_PATIENCE = 60
_MOST_BROKEN = 50


@dataclasses.dataclass
class Report:
    """What was done; C(broken) names what was neither a right answer nor a clear refusal, by its traceback."""

    seed: int
    inputs: int = 0
    seconds: float = 0.0
    children: int = 0
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    broken: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Everything that must not be."""
        found = [f"{times} times: {text}" for text, times in self.broken.items()]
        for who, megabytes in memory().items():
            if megabytes > MOST_MEMORY:
                found.append(f"{who} took {megabytes} MiB, more than {MOST_MEMORY}")
        return found

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0
        longest = targets.LONGEST
        return "\n".join([
            f"{self.inputs} mutated inputs in {self.seconds:.0f} s ({rate:.0f} a second), seed {self.seed}",
            f"of kinds: {_counted(self.kinds)}",
            f"opened in a child with limits: {self.children}",
            f"answers and refusals: {_counted(self.outcomes)}",
            f"slowest: {longest.processor:.2f} s of processor time, {longest.wall:.2f} s on the clock: {longest.kind}",
            "peak memory: " + ", ".join(f"{who} {megabytes} MiB" for who, megabytes in memory().items()),
            f"problems: {len(self.problems)}", *self.problems,
        ])  # fmt: skip


def _counted(counter: collections.Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())


def memory() -> dict[str, int]:
    """The most that this process had, and the largest of its children, in MiB.

    Of itself by /proc: the number of getrusage holds what its parent had before it started this program.
    """
    status = Path("/proc/self/status").read_text()
    return {"this process": int(status.partition("VmHWM:")[2].split()[0]) >> 10,
            "its children": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10}


class Engine:
    """Takes seeds by their weights; what breaks something is kept in a folder."""

    def __init__(self, seeds: t.Sequence[Seed], folder: Path, seed: int) -> None:
        self._seeds, self._folder = seeds, folder
        self._weights = [each.weight for each in seeds]
        self._rng = random.Random(seed)
        self.report = Report(seed)
        # What is being tried lies in a file, also after a crash.
        with (folder / "current").open("w+b") as file:
            file.truncate(mutations.MOST_BYTES + 8)
            self._current = mmap.mmap(file.fileno(), 0)
        self._bounded = _limits.bounded

    def run(self, inputs: int, seconds: float, said: t.Callable[[str], None] = lambda text: None) -> Report:
        """Go on until so many inputs are tried or so many seconds are over."""
        begin = time.monotonic()
        next_word = begin + 60
        _limits.bounded = self._counted
        before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            with warnings.catch_warnings():
                # As the actions do.
                warnings.simplefilter("ignore")
                while self.report.inputs < inputs and self.report.seconds < seconds:
                    for seed in self._rng.choices(self._seeds, self._weights, k=min(100, inputs - self.report.inputs)):
                        self._try(seed)
                    self.report.seconds = time.monotonic() - begin
                    if time.monotonic() > next_word:
                        next_word += 60
                        said(str(self.report))
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            _limits.bounded = self._bounded
        return self.report

    def _counted(self, work: t.Callable[[], list[bytes]]) -> list[bytes]:
        self.report.children += 1
        return self._bounded(work)

    def _try(self, seed: Seed) -> None:
        other = self._rng.choice(self._seeds).content
        content = mutations.mutated(self._rng, seed.content, other)
        self._current[: 8 + len(content)] = len(content).to_bytes(8, "little") + content
        signal.alarm(_PATIENCE)
        # What is costly is given to one target, and so is tried more often.
        is_cheap = seed.weight == CHEAP
        try:
            outcome = targets.run(seed, content, is_cheap)
        except BaseException as exc:  # A panic of the library is no Exception.
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                raise
            outcome = "broken"
            self._keep(seed, content, exc)
        self.report.inputs += 1
        self.report.kinds["cheap" if is_cheap else "encrypted"] += 1
        self.report.outcomes[outcome] += 1

    def _keep(self, seed: Seed, content: bytes, exc: BaseException) -> None:
        """One of each kind, told apart by where it came from."""
        where = traceback.extract_tb(exc.__traceback__)[-3:]
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(where))
        text = f"{type(exc).__name__}: {str(exc)[:300]} at {place}" if where else str(exc)
        key = next((known for known in self.report.broken if known.rpartition(" at ")[2] == place), text)
        if key not in self.report.broken and len(self.report.broken) < _MOST_BROKEN:
            number = len(self.report.broken)
            (self._folder / f"broken-{self.report.seed}-{number}").write_bytes(content)
            (self._folder / f"broken-{self.report.seed}-{number}.txt").write_text(
                f"{seed.kind}\n{text}\n{''.join(traceback.format_exception(exc))}")
        self.report.broken[key] = self.report.broken.get(key, 0) + 1
