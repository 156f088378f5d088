# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The reader of sm.ini."""

from __future__ import annotations

import pytest
from standin import sm_ini


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"[PATHES]\ngv_ro_ssl=/a/\n", "/a/"),
        (b"[PATHES]\r\ngv_ro_ssl=/a/\r\n", "/a/"),
        (b"\xef\xbb\xbf[PATHES]\ngv_ro_ssl=/a/", "/a/"),
        (b" [ PATHES ] \n  gv_ro_ssl =  /a b/ \n", "/a b/"),
        (b'[PATHES]\ngv_ro_ssl="/a b/"\n', "/a b/"),
        (b"[PATHES]\ngv_ro_ssl='/a/'\n", "/a/"),
        (b"[PATHES]\ngv_ro_ssl=\"/a/'\n", "\"/a/'"),
        (b"[PATHES]\n#gv_ro_ssl=/a/\n;gv_ro_ssl=/b/\n", None),
        (b"[UI]\ngv_ro_ssl=/a/\n[PATHES]\n", None),
        (b"gv_ro_ssl=/a/\n", None),
        (b"[pathes]\ngv_ro_ssl=/a/\n", None),
        (b"[PATHES]\nGV_RO_SSL=/a/\n", None),
        (b"[PATHES]\ngv_ro_ssl=/a/\ngv_ro_ssl=/b/\n", "/b/"),
        (b"[PATHES]\ngv_ro_ssl=C:\\new\\%x%=1\n", "C:\\new\\%x%=1"),
        (b"[PATHES]\ngv_ro_ssl=\n", ""),
        (b"[PATHES]\nno equals sign\n[UI]\nx=1\n[PATHES]\ngv_ro_ssl=/a/\n", "/a/"),
        (b"", None),
    ],
)
def test_value(content: bytes, wanted: str | None) -> None:
    assert sm_ini.value_of(content, "PATHES", "gv_ro_ssl") == wanted


def test_bytes_that_are_not_utf8_are_kept() -> None:
    value = sm_ini.value_of(b"[PATHES]\ngv_ro_ssl=/\xe4/\n", "PATHES", "gv_ro_ssl")
    assert value is not None
    assert value.encode("utf-8", "surrogateescape") == b"/\xe4/"
