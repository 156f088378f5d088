# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log: the line of *this* start with *this* path, however it is written and whatever happens to the file."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from integration.certificates import Files, Pair
from integration.controller import Controller, local
from integration.servers import Server

FORMS: dict[str, dict[str, object]] = {
    "colours, both quotes": {"log_colours": "yes", "log_quotes": "both"},
    "only an opening quote, other words": {"log_quotes": "opening", "log_words": "by some other way"},
    "no quotes, no words, rotated": {"log_quotes": "none", "log_words": "none", "log_at_start": "rotated"},
    "double quotes, truncated": {"log_quotes": "double", "log_milliseconds": "comma", "log_at_start": "truncated"},
    "rotated after the line": {"log_at_start": "rotated_after", "log_milliseconds": "point"},
    "late": {"log_late": "2"},
}


def test_line_of_this_start_is_read_however_it_is_written(
    make_server: t.Callable[..., Server],
    controller: Controller,
    old: Pair,
    wanted: Pair,
    files: Files,
    subtests: pytest.Subtests,
) -> None:
    """One run in which every host writes its log in another way, after an old line for the same path."""
    made = {name: make_server(old, **switches) for name, switches in FORMS.items()}
    hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}

    run = controller.run(hosts)

    for name, server in made.items():
        with subtests.test(name):
            assert run.recap(name)["failures"] == 0, run.output
            result = run.replace(name).result
            assert server.served() == wanted.fingerprint
            assert server.instance.certificate in result["log_line"]
            assert "\x1b" not in result["log_line"]
            seconds = next(step["seconds"] for step in result["steps"] if step["name"] == "log_line")
            assert seconds >= 1.5 if name == "late" else seconds < 1.5


@pytest.fixture
def without_line(make_server: t.Callable[..., Server], old: Pair) -> Server:
    """A server whose log holds a good line for this very path, written just now, and gets no other one."""
    server = make_server(old)
    assert server.instance.certificate in Path(server.instance.log_file).read_text()
    server.instance.set(log_line="never")
    return server


def test_old_line_of_success_never_counts(
    without_line: Server, controller: Controller, old: Pair, files: Files
) -> None:
    run = controller.run({"one": {**local(), **without_line.variables(files)}})
    assert run.rc == 2
    assert run.replace().result["failed_step"] == "log_line"
    assert without_line.served() == old.fingerprint


def test_log_check_can_warn_or_be_off(
    make_server: t.Callable[..., Server], controller: Controller, old: Pair, wanted: Pair, files: Files
) -> None:
    made = {mode: make_server(old) for mode in ("warn", "off")}
    for server in made.values():
        server.instance.set(log_line="never")

    run = controller.run({mode: {**local(), **s.variables(files, log_check=mode)} for mode, s in made.items()})

    assert run.rc == 0, run.output
    assert {mode: server.served() for mode, server in made.items()} == dict.fromkeys(made, wanted.fingerprint)
    ids = {mode: [finding["id"] for finding in run.replace(mode).result["findings"]] for mode in made}
    assert "log-line-missing" in ids["warn"]
    assert "log-line-missing" not in ids["off"]
    assert "log_line" not in [step["name"] for step in run.replace("off").result["steps"]]
