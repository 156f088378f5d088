# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would end a replacement half way, told before."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import gather, layout, obstacles, place_checks, refusal

# As statvfs has them.
FIELDS = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_flag",
          "f_namemax")
CHECKS: dict[str, t.Callable[[layout.Layout], None]] = {
    "pair": obstacles.check_space, "log": obstacles.check_log_space}


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    return raised.value


def with_space(monkeypatch: pytest.MonkeyPatch, below: str, **changes: int) -> None:
    """A disk below some path has other numbers."""
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        space = real(path)
        values = changes if str(path).startswith(below) else {}
        return os.statvfs_result([values.get(name, getattr(space, name)) for name in FIELDS])

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_a_good_place(places: layout.Layout) -> None:
    assert obstacles.found(places, {}) == []
    Path(places.log_files[0]).touch()
    Path(places.private_key).touch()
    assert obstacles.found(places, {}) == []


@pytest.mark.parametrize(("where", "named"), [("pair", "var/ini"), ("log", "var/log/lgc")])
@pytest.mark.parametrize(("changes", "says"), [
    ({"f_frsize": 1024, "f_bfree": 1023, "f_bavail": 1023}, "There are 1047552 bytes left"),
    ({"f_files": 1000, "f_ffree": 19}, "There are inodes for 19 more files"),
    ({"f_flag": os.ST_RDONLY}, "mounted read-only"),
])
def test_no_room(
    places: layout.Layout, monkeypatch: pytest.MonkeyPatch, where: str, named: str, changes: dict[str, int], says: str
) -> None:
    with_space(monkeypatch, f"{places.sesam_var}/{named[4:]}", **changes)
    told = refused(lambda: CHECKS[where](places))
    assert told.id == "disk-space"
    assert says in told.message
    assert named in told.message
    for other in set(CHECKS) - {where}:
        CHECKS[other](places)


@pytest.mark.parametrize("changes", [
    {"f_files": 0, "f_ffree": 0}, {"f_blocks": 0, "f_bfree": 0, "f_bavail": 0},
], ids=["inodes", "blocks"])
def test_file_systems_that_count_none(
    places: layout.Layout, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int]
) -> None:
    with_space(monkeypatch, "/", **changes)
    assert obstacles.found(places, {}) == []


def test_what_is_kept_for_root_is_no_room_for_others(places: layout.Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    log = Path(places.log_files[0])
    log.touch()
    with_space(monkeypatch, str(log.parent), f_bavail=0)
    obstacles.check_log_space(places)
    os.chown(log, 65534, 65534)
    assert refused(lambda: obstacles.check_log_space(places)).id == "disk-space"


@pytest.mark.parametrize(("make", "says"), [
    (os.mkfifo, "it is a FIFO"), (os.mkdir, "it is a directory"),
])
def test_a_log_that_cannot_be_read(places: layout.Layout, make: t.Callable[[str], None], says: str) -> None:
    obstacles.check_log(places)
    make(places.log_files[0])
    told = refused(lambda: obstacles.check_log(places))
    assert told.id == "log-unreadable"
    assert f"The log {places.log_files[0]} cannot be read: {says}" in told.message


def test_one_log_that_can_be_read_will_do(places: layout.Layout) -> None:
    os.mkdir(places.log_files[0])
    Path(places.log_files[-1]).touch()
    assert len(places.log_files) > 1
    obstacles.check_log(places)


@pytest.mark.parametrize(("flags", "says"), [(0x10, "immutable (lsattr)"), (0x20, "append-only (lsattr)"), (0, "")])
def test_flags(places: layout.Layout, monkeypatch: pytest.MonkeyPatch, flags: int, says: str) -> None:
    """Among flags that do no harm, which the folder has as well."""
    Path(places.private_key).touch()

    def flags_of(descriptor: int, *_arguments: object) -> bytes:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return struct.pack("=I", 0x80000 | (flags if is_file else 0)) + bytes(4)

    monkeypatch.setattr(fcntl, "ioctl", flags_of)
    if not says:
        obstacles.check_files(places)
        return
    told = refused(lambda: obstacles.check_files(places))
    assert told.id == "file-immutable"
    assert f"{places.private_key} cannot be replaced: it is {says}" in told.message


def test_file_systems_without_flags(places: layout.Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(places.private_key).touch()

    def fail(*_arguments: object) -> t.NoReturn:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(fcntl, "ioctl", fail)
    obstacles.check_files(places)


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("of_what", ["file", "folder"])
def test_flags_of_a_real_place(places: layout.Layout, flag: str, of_what: str) -> None:
    key = Path(places.private_key)
    key.touch()
    place = key if of_what == "file" else key.parent
    if not shutil.which("chattr") or subprocess.run(["chattr", f"+{flag}", place], check=False).returncode:
        pytest.skip(f"chattr +{flag} is not possible here")
    try:
        told = refused(lambda: obstacles.check_files(places))
        assert told.id == "file-immutable"
        assert f"chattr -{flag} {place}" in told.fix
        if of_what == "file":
            # A place where perhaps nothing is written.
            place_checks.check_destination(str(key))
        else:
            # Owner and mode of what is in it can be set.
            obstacles.check_files(places, are_replaced=False)
    finally:
        subprocess.run(["chattr", f"-{flag}", place], check=True)
    obstacles.check_files(places)


def test_an_audit_tells_them_all(places: layout.Layout, monkeypatch: pytest.MonkeyPatch, installation: Path) -> None:
    os.mkdir(places.log_files[0])
    with_space(monkeypatch, "/", f_bfree=0, f_bavail=0)
    seen = gather.gather({"sesam2000_ini": str(installation / "sesam2000.ini")})
    assert [told["id"] for told in seen["obstacles"]] == ["disk-space", "disk-space", "log-unreadable"]


@pytest.mark.parametrize(("parameters", "euid", "ids"), [
    ({}, 0, ["log-unreadable"]), ({"log_check": "required"}, 0, ["log-unreadable"]), ({"log_check": "warn"}, 0, []),
    ({"log_check": "off"}, 0, []), ({}, 1000, []),
])
def test_a_log_is_told_of_where_a_start_has_to_be_proved_and_root_looks(
    places: layout.Layout, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], euid: int, ids: list[str]
) -> None:
    os.mkdir(places.log_files[0])
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert [told["id"] for told in obstacles.found(places, parameters)] == ids
