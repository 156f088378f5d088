# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked before anything is touched."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import layout, place_checks, refusal

AsNobody = t.Callable[[t.Callable[[], object]], str]


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    return raised.value


def check_folder(places: layout.Layout) -> None:
    place_checks.check_rights(places)
    place_checks.check_files(places)


@pytest.mark.parametrize(("now", "id", "says"), [
    (1000.0, None, ""), (2000.0, None, ""), (2001.0, "expired", "ended on 1970-01-01 00:33:20 UTC"),
    (999.0, "not-yet-valid", "begins on 1970-01-01 00:16:40 UTC"),
])
def test_validity_is_judged_by_the_clock_of_the_host(
    monkeypatch: pytest.MonkeyPatch, now: float, id: str | None, says: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    dates = {"not_before": 1000.0, "not_after": 2000.0}
    if id is None:
        place_checks.check_validity(dates)
        return
    told = refused(lambda: place_checks.check_validity(dates))
    assert (told.id, told.subject) == (id, "wanted")
    assert says in told.message


def test_a_good_place(places: layout.Layout) -> None:
    check_folder(places)
    place_checks.check_sm_main(places.sm_main)
    os.rmdir(places.ssl_folder)
    check_folder(places)


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda path: path.unlink(), "No such file"),
    (lambda path: path.chmod(0o644), "no program"),
    (lambda path: (path.unlink(), path.mkdir()), "no program"),
    (lambda path: path.chmod(0o757), "mode 0757"),
    (lambda path: (os.chown(path, 0, 12), path.chmod(0o775)), "mode 0775"),
    (lambda path: os.chown(path, 65534, 0), "uid 65534"),
])
def test_an_sm_main_that_cannot_be_used(
    places: layout.Layout, spoil: t.Callable[[Path], object], says: str
) -> None:
    try:
        spoil(Path(places.sm_main))
    except PermissionError:
        pytest.skip("only root can give a file away")

    def check() -> None:
        place_checks.check_sm_main(places.sm_main)
        place_checks.check_sm_main_owner(places.sm_main)

    told = refused(check)
    assert told.id == "sm-main-unusable"
    assert says in told.message
    assert places.sm_main in told.message


@pytest.mark.parametrize("name", ["sesam.https.crt", "sesam.https.key"])
@pytest.mark.parametrize(("make", "kind"), [
    (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link"),
    (lambda path: path.symlink_to("/nowhere"), "a symbolic link"),
    (os.mkfifo, "a FIFO"), (os.mkdir, "a directory"),
    (lambda path: (path.touch(), os.link(path, f"{path}.other")), "2 names (hard links)"),
])
def test_a_destination_that_is_no_file_of_its_own(
    places: layout.Layout, name: str, make: t.Callable[[Path], object], kind: str
) -> None:
    path = Path(places.ssl_folder) / name
    make(path)
    told = refused(lambda: check_folder(places))
    assert told.id == "destination-is-link"
    assert kind in told.message
    assert str(path) in told.message


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/tmp"), lambda path: path.symlink_to("/nowhere"),
                                  lambda path: path.touch()])
def test_a_folder_that_is_none(places: layout.Layout, make: t.Callable[[Path], None]) -> None:
    os.rmdir(places.ssl_folder)
    make(Path(places.ssl_folder))
    told = refused(lambda: check_folder(places))
    assert told.id == "destination-is-link"
    assert places.ssl_folder in told.message


def test_rights_are_missing(places: layout.Layout, as_nobody: AsNobody) -> None:
    for path in (places.sesam_var, places.ini_folder, places.ssl_folder):
        os.chmod(path, 0o755)
    assert as_nobody(lambda: refused(lambda: check_folder(places)).id) == "not-root"
    assert "--become" in as_nobody(lambda: refused(lambda: check_folder(places)).fix)
    os.chmod(places.ssl_folder, 0o700)
    assert as_nobody(lambda: refused(lambda: check_folder(places)).id) == "not-root"


def test_root_may_not_write(places: layout.Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert refused(lambda: check_folder(places)).id == "directory-not-writable"


@pytest.mark.parametrize(("name", "verdict", "is_refused"), [
    ("command_line", "usable", True), ("command_line", "half", True), ("command_line", "broken", True),
    ("command_line", "unseen", False), ("command_line", "absent", False), ("sm_ini", "usable", False),
    ("environment", "broken", False),
])
def test_a_pair_that_would_never_be_read(name: str, verdict: str, is_refused: bool) -> None:
    order = ("command_line", "default_location", "sm_ini", "environment")
    sources = [{"name": one, "verdict": verdict if one == name else "absent", "set_in": "the command line of process 7",
                "certificate": "", "private_key": f"/{one}/k"} for one in order]
    if not is_refused:
        place_checks.check_not_hidden(sources)
        return
    told = refused(lambda: place_checks.check_not_hidden(sources))
    assert told.id == "shadowed"
    assert "the command line of process 7 comes first, with /command_line/k" in told.message
