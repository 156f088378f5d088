# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mutated inputs get a right answer or one clear refusal: a slice of `make fuzz`, and what it would see."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _keys
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused
from cryptography.exceptions import InvalidSignature
from fuzz import engine, hostile, mutations, programs, seeds, targets
from fuzz.seeds import Seed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# `make test` without arguments has a minute; by hand a few seconds will do.
SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))


def test_a_slice(tmp_path: Path, record_property: t.Callable[[str, object], None]) -> None:
    """In a process of its own, whose memory is nobody else's."""
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seconds", str(SECONDS), "--folder", tmp_path], env=programs.environment(),
        capture_output=True, text=True, check=False)  # fmt: skip
    report = json.loads(done.stdout.splitlines()[-1] if done.returncode == 0 else "{}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert report["inputs"] > 20 * SECONDS
    record_property("fuzz", next(line for line in done.stdout.splitlines() if "mutated inputs" in line))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    """All seeds, the costly ones left out."""
    found, _missing = seeds.make(tmp_path_factory.mktemp("stock"))
    return [seed for seed in found if seed.weight == seeds.CHEAP]


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_files_of_pieces(made: list[Seed], data: st.DataObject) -> None:
    """Hypothesis puts them together from blocks, tokens and noise, and makes small what fails."""
    pieces = st.one_of(
        st.sampled_from([seed.content for seed in made]), st.sampled_from(mutations._TOKENS), st.binary(max_size=40))
    content = b"".join(data.draw(st.lists(pieces, max_size=4)))
    targets.run(data.draw(st.sampled_from(made)), content)


@settings(deadline=None, max_examples=150)
@given(value=st.text(st.characters(), max_size=80) | st.from_regex(r"[A-Za-z0-9+/ \n]{1,90}={0,2}"))
def test_values_of_options(value: str) -> None:
    """Any text, as the action plugin reads it: half of a surrogate pair and control characters too."""
    assert targets.judged(hostile.SEED, lambda: hostile.option(value)) != "answer" or os.path.isfile(value)


# What it would see

def tried(seed: Seed, tmp_path: Path) -> engine.Report:
    """A few turns of the engine."""
    return engine.Engine([seed], tmp_path, 1).run(30, 60)


SEED = Seed("a text", b"nothing that is known, in some words", seeds.CHEAP)


def test_nothing_is_broken_by_itself(tmp_path: Path) -> None:
    report = tried(SEED, tmp_path)
    assert (report.inputs, report.broken) == (30, {})
    assert report.outcomes["input-unrecognised"] > 0


class Panic(BaseException):
    """As the library's panics are, no Exception."""


@pytest.mark.parametrize("raised", [KeyError("x"), Panic("x"), MemoryError(), RecursionError()])
def test_it_sees_an_exception(raised: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(*arguments: object) -> None:
        raise raised

    monkeypatch.setattr(_contents, "of", of)
    report = tried(SEED, tmp_path)
    assert sum(report.broken.values()) == 30
    assert type(raised).__name__ in report.problems[0]
    assert (tmp_path / "broken-1-0").exists()


def refusal(**changes: t.Any) -> Refused:
    return Refused(dataclasses.replace(Finding("an-id", "wanted", "error", "a message.", "Mend it."), **changes))


@pytest.mark.parametrize("refused", [
    refusal(fix=""), refusal(message=""), refusal(id="x"), refusal(level="warning"), refusal(message="a\x1b[2J"),
    refusal(message="long " * 1000), refusal(message="it is hunter2"), Refused(*refusal().findings * 2),
    refusal(message="it is Xv0QmZ7tBdYw4Ra9Cs1l8jKp2Xv"),
])
def test_it_sees_an_error_that_is_not_clear(refused: Refused) -> None:
    def refuse() -> t.NoReturn:
        raise refused

    text = b"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgl8jKp2Xv0QmZ7tBdYw4Ra9Cs1l8jKp2Xv0QmZ7tBdYw4"
    with pytest.raises(targets.Broken):
        targets.judged(SEED._replace(passphrase="hunter2", private_key=text), refuse)


def test_it_sees_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_SECONDS", 0.05)
    end = time.process_time() + 0.2

    def work() -> None:
        while time.process_time() < end:
            pass

    with pytest.raises(targets.Broken, match="of processor time"):
        targets.judged(SEED, work)


def test_it_sees_another_key(made: list[Seed], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is said to be converted and is not that of the input."""
    seed = next(seed for seed in made if seed.kind == "P-256: PKCS#8")
    other = next(seed for seed in made if seed.kind == "key of secp256k1")
    to_pkcs8 = _keys.to_pkcs8
    wrong = to_pkcs8(_keys.one_of(_contents.of(targets.source(other.content))), None).pem
    monkeypatch.setattr(_keys, "to_pkcs8", lambda *arguments: to_pkcs8(*arguments)._replace(pem=wrong))
    with pytest.raises(InvalidSignature):
        targets.run(seed, seed.content)


def test_it_sees_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "MOST_MEMORY", 1)
    assert any("more than 1" in problem for problem in tried(SEED, tmp_path).problems)


def test_mutations_reach_what_they_are_meant_for(made: list[Seed]) -> None:
    """DER is changed within, and its lengths stay right."""
    seed = next(seed for seed in made if seed.kind == "P-256: leaf in DER")
    found = mutations.elements(seed.content)
    assert len(found) > 30
    changed = mutations.replaced(seed.content, len(found) - 1, mutations.encoded(4, b"\xff" * 300))
    assert len(mutations.elements(changed)) == len(found)
    assert mutations.elements(changed)[0].end == len(changed)
