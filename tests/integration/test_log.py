# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log: the line of *this* start with *this* path, however it is written and whatever happens to the file."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from integration import servers
from integration.certificates import Files, Pair
from integration.controller import Controller, Outcome, local
from integration.servers import Server

FORMS: dict[str, dict[str, object]] = {
    "colours": {"log_colours": "yes"},
    **{f"quotes-{form}": {"log_quotes": form} for form in ("closing", "opening", "both", "double", "none")},
    "other-words": {"log_words": "by some other way"},
    "no-words": {"log_words": "none"},
    "milliseconds": {"log_milliseconds": "comma"},
    "rotated": {"log_at_start": "rotated"},
    "rotated-after": {"log_at_start": "rotated_after"},
    "truncated": {"log_at_start": "truncated"},
    "late": {"log_late": "2"},
    "log-folder": {"log_folder": "log", "sm_ini_lgc": "no"},
}


@pytest.fixture(scope="module")
def fleet(old: Pair, wanted: Pair, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, t.Any]]:
    """One run in which every host writes its log in another way, after an old line for the same path."""
    folder = tmp_path_factory.mktemp("logs")
    files = wanted.write(folder / "files")
    made = {name: servers.create(folder / name, number, **FORMS[name]) for number, name in enumerate(FORMS)}
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda server: _start(server, old), made.values()))
        hosts = {name: {**local(), **server.variables(files)} for name, server in made.items()}
        run = Controller(folder / "controller").run(hosts)
        yield {"run": run, "served": {name: server.served() for name, server in made.items()}, "made": made}
    finally:
        for server in made.values():
            server.instance.remove()


def _start(server: Server, pair: Pair) -> None:
    server.put(pair)
    server.instance.start()


@pytest.mark.parametrize("form", FORMS)
def test_line_is_read(fleet: dict[str, t.Any], wanted: Pair, form: str) -> None:
    run: Outcome = fleet["run"]
    assert run.recap(form)["failures"] == 0, run.output
    result = run.replace(form).result
    assert fleet["served"][form] == wanted.fingerprint
    assert fleet["made"][form].instance.certificate in result["log_line"]
    assert "\x1b" not in result["log_line"]
    seconds = next(step["seconds"] for step in result["steps"] if step["name"] == "log_line")
    assert seconds >= 1.5 if form == "late" else seconds < 1.5


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
