# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings files: what is not known about them is read with tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import files, sm_ini
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("line", "value"), [
    ("name=value", "value"),
    ("  name =\t value  ", "value"),
    ("name=a=b", "a=b"),
    ("name=", ""),
    ('name="a value"', "a value"),
    ("name='a value'", "a value"),
    ("name='", "'"),
    ("name=\"it's", "\"it's"),
    ("name=''", ""),
    ("name=%(other)s ${other} $other", "%(other)s ${other} $other"),
    (r"name=D:\new\table", r"D:\new\table"),
    ("name=/a # b", "/a # b"),
    ("name=/größe/", "/größe/"),
])
def test_value(line: str, value: str) -> None:
    assert sm_ini.parse(line) == {"": {"name": value}}


@pytest.mark.parametrize("line", [
    "", "   ", "# name=value", "; name=value", "  # name=value", "no setting", "name=/a\0b",
])
def test_what_is_no_setting_is_passed_over(line: str) -> None:
    assert sm_ini.parse(line) == {"": {}}


def test_export_is_a_word_of_the_shell_alone() -> None:
    """A name with a blank in C(sm.ini) is not that of its last word."""
    for line in ("export name=value", "  export  name = value"):
        assert sm_ini.parse(line, is_shell=True) == {"": {"name": "value"}}
    assert sm_ini.parse("my  name = value") == {"": {"my  name": "value"}}


def test_sections() -> None:
    text = "a=1\n[PATHES]\na=2\n[ UI ]\na=3\n[PATHES]\nb=4\na=5\n"
    assert sm_ini.parse(text) == {"": {"a": "1"}, "PATHES": {"a": "5", "b": "4"}, "UI": {"a": "3"}}


@pytest.mark.parametrize("content", [
    b"[PATHES]\r\na=1\r\n", b"\xef\xbb\xbf[PATHES]\na=1\n", b"\xef\xbb\xbf[PATHES]\r\na=1", b"\n\n[PATHES]\n\na=1\n\n",
])
def test_encodings(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sm.ini").write_bytes(content)
    assert sm_ini.read(str(tmp_path / "sm.ini"))["PATHES"] == {"a": "1"}


def test_unknown_bytes_do_not_hide_the_rest(tmp_path: Path) -> None:
    (tmp_path / "sm.ini").write_bytes(b"gr\xf6\xdfe=1\nb=2\n")
    assert sm_ini.read(str(tmp_path / "sm.ini"))[""]["b"] == "2"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"a=1\n" * sm_ini.SIZE_LIMIT)
    for name, status in ((".", "not_regular"), ("none", "absent"), ("large", "too_large")):
        with pytest.raises(files.Unreadable) as told:
            sm_ini.read(str(tmp_path / name))
        assert told.value.status == status


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert "" in sm_ini.parse(text)
