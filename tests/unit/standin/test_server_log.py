# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The log: the seen line, and what switches make of it."""

from __future__ import annotations

import datetime
import os
import pathlib
import re

import pytest
from standin import processes, state
from standin.server_log import Log

PATH = "/var/opt/sesam/var/ini/ssl/sesam.https.crt"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
SEEN = f"Setting up HTTPS certificate from certificate file {PATH}' (via default location lookup)"


def written(instance, source: str = "default_location") -> str:
    """What one start adds to the log about the certificate."""
    Log(instance.home, state.peek(instance.folder)).certificate(source, PATH)
    path = pathlib.Path(instance.log_file)
    return path.read_text() if path.exists() else ""


def test_the_line_as_it_was_seen(make) -> None:
    assert re.fullmatch(rf"{STAMP} INFO  main - {re.escape(SEEN)}\n", written(make()))


@pytest.mark.parametrize(
    ("quotes", "shown"),
    [
        ("opening", f"'{PATH} "),
        ("closing", f"{PATH}' "),
        ("both", f"'{PATH}' "),
        ("double", f'"{PATH}" '),
        ("none", f"{PATH} "),
    ],
)
def test_quotes(make, quotes: str, shown: str) -> None:
    assert f"certificate file {shown}(via" in written(make(log_quotes=quotes))


@pytest.mark.parametrize(("form", "point"), [("comma", ","), ("point", r"\.")])
def test_milliseconds(make, form: str, point: str) -> None:
    assert re.match(rf"{STAMP}{point}\d\d\d INFO  ", written(make(log_milliseconds=form)))


def test_colours_can_be_stripped_to_the_seen_line(make) -> None:
    text = written(make(log_colours="yes"))
    assert text.count("\x1b[") >= 4
    assert re.fullmatch(rf"{STAMP} INFO  main - {re.escape(SEEN)}\n", re.sub(r"\x1b\[[0-9;]*m", "", text))


def test_another_path_other_words_another_context(make) -> None:
    instance = make(log_path="/another.crt", log_words="how so ever", log_context="main-thread-1")
    assert written(instance).endswith(
        "  main-thread-1 - Setting up HTTPS certificate from certificate file /another.crt' (how so ever)\n"
    )
    instance.set(log_words="none")
    assert written(instance).endswith("/another.crt'\n")


def test_each_source_has_words(make) -> None:
    instance = make()
    for source in ("command_line", "default_location", "sm_ini", "environment", "generated"):
        written(instance, source)
    words = re.findall(r"\((.*)\)", pathlib.Path(instance.log_file).read_text())
    assert len(set(words)) == 5


def test_never(make) -> None:
    assert written(make(log_line="never")) == ""


def test_the_other_folder(make) -> None:
    instance = make(log_folder="log")
    written(instance)
    assert instance.log_file == os.path.join(instance.sesam_var, "log", "sm_gui_server.log")
    assert not os.path.exists(os.path.join(instance.sesam_var, "log", "lgc", "sm_gui_server.log"))


def old_log(instance) -> pathlib.Path:
    path = pathlib.Path(instance.log_file)
    path.write_text("old\n")
    return path


def test_appended(make) -> None:
    instance = make()
    assert old_log(instance)
    assert written(instance).startswith("old\n")


def test_rotated_at_start(make) -> None:
    instance = make(log_at_start="rotated")
    path = old_log(instance)
    number = path.stat().st_ino
    assert SEEN in written(instance)
    assert "old" not in path.read_text()
    assert pathlib.Path(f"{path}.1").read_text() == "old\n"
    assert pathlib.Path(f"{path}.1").stat().st_ino == number


def test_truncated_at_start(make) -> None:
    instance = make(log_at_start="truncated")
    path = old_log(instance)
    number = path.stat().st_ino
    assert "old" not in written(instance)
    assert path.stat().st_ino == number


def test_rotated_after_the_line(make) -> None:
    instance = make(log_at_start="rotated_after")
    path = old_log(instance)
    assert SEEN not in written(instance)
    assert SEEN in pathlib.Path(f"{path}.1").read_text()


def lines(instance) -> str:
    return pathlib.Path(instance.log_file).read_text()


def test_the_line_of_a_real_start_comes_before_the_port(make, pair) -> None:
    instance = make()
    pair().put(instance.ssl_folder)
    instance.start()
    line, port = (lines(instance).index(words) for words in ("Setting up", "listens on"))
    assert line < port
    assert f"{instance.certificate}' (via default location lookup)\n" in lines(instance)


def test_late(make) -> None:
    """By the log's own clock, which a busy machine does not change."""
    instance = make(log_late="0.5", log_milliseconds="point")
    instance.start()
    assert processes.wait_until(lambda: "Setting up" in lines(instance), 15)
    stamps = [
        datetime.datetime.fromisoformat(line[:23])
        for words in ("listens on", "Setting up")
        for line in lines(instance).splitlines()
        if words in line
    ]
    assert stamps[1] - stamps[0] >= datetime.timedelta(seconds=0.49)


def test_a_broken_pair_is_told(make, pair) -> None:
    instance = make()
    pair().put(instance.ssl_folder, b"garbage")
    instance.start()
    assert re.search(r" WARN  main - .*default_location.*no private key", lines(instance))
    assert re.search(r"certificate file .*/sesam-https-\w+/sesam.https.crt' ", lines(instance))
