# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pair at two paths, read as a server does; see C(test_host_pair_files) for one that is held by its folder."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import pairs
from unit import pki


@pytest.fixture
def both(tmp_path: Path, new: pki.Pair) -> tuple[str, str]:
    (tmp_path / "c").write_bytes(new.pem)
    (tmp_path / "k").write_bytes(new.key_pem)
    return str(tmp_path / "c"), str(tmp_path / "k")


def test_links_are_followed_by_path_and_not_in_a_folder(tmp_path: Path, both: tuple[str, str], new: pki.Pair) -> None:
    for link, target in zip("xy", both, strict=True):
        os.symlink(target, tmp_path / link)
    found = pairs.read(str(tmp_path / "x"), str(tmp_path / "y"))
    assert (found.works, found.leaf) == (True, new.der)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        in_folder, context = pairs.prove("x", "y", folder)
        assert (in_folder.works, in_folder.certificate.status, context) == (False, "not_regular", None)
        assert isinstance(pairs.prove("c", "k", folder)[1], ssl.SSLContext)
    finally:
        os.close(folder)


def test_a_pair_of_two_folders_works(tmp_path: Path, both: tuple[str, str]) -> None:
    (tmp_path / "other").mkdir()
    os.rename(both[1], tmp_path / "other" / "key")
    assert pairs.read(both[0], str(tmp_path / "other" / "key")).works


def test_one_file_for_both(tmp_path: Path, new: pki.Pair) -> None:
    (tmp_path / "both").write_bytes(new.key_pem + new.pem)
    assert pairs.read(str(tmp_path / "both"), str(tmp_path / "both")).works


def test_no_descriptor_stays_open(tmp_path: Path, both: tuple[str, str]) -> None:
    before = os.listdir("/proc/self/fd")
    for paths in (both, (both[0], "/nowhere"), ("/nowhere", both[1]), (both[1], both[0]), (both[0], str(tmp_path))):
        pairs.read(*paths)
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize(("name", "status", "reason"), [
    ("x" * 5000, "absent", "it does not exist"), ("nu\0l", "absent", "no file can have that name"),
    ("loop/x", "absent", "its folder is a symbolic link that leads to itself"),
    ("loop", "not_regular", "it is a symbolic link, not a regular file"),
    ("dangling", "not_regular", "it is a symbolic link that leads nowhere"),
    ("dangling/x", "absent", "it does not exist"), ("c/x", "absent", "it does not exist"),
    ("", "not_regular", "it is a directory, not a regular file"),
])
def test_what_cannot_be_opened(tmp_path: Path, both: tuple[str, str], name: str, status: str, reason: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("/nowhere")
    found = pairs.read(f"{tmp_path}/{name}", both[1]).certificate
    assert (found.status, found.reason) == (status, reason)


def test_a_request_in_a_file(tmp_path: Path, new: pki.Pair) -> None:
    assert pairs.csr_in(new.pem) is None
    begin = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
    assert pairs.csr_in(new.pem + begin) == b"\0\0\0"
    assert pairs.csr_in(begin.replace(b"CERT", b"NEW CERT")) == b"\0\0\0"
    assert pairs.csr_in(begin[:-20]) is None
