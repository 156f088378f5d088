# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backups of a host as plain data: those that can be restored, and whatever else lies there."""

from __future__ import annotations

import calendar
import json
import os
import shutil
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import files, gather, pair_files, state
from unit import pki
from unit.host.conftest import RUN

NAME = "20261123T180000Z-01234567"


def to_itself(path: Path) -> None:
    """A link that leads nowhere but to itself."""
    path.symlink_to(path)


@pytest.fixture
def kept(tmp_path: Path) -> state.State:
    found = state.State(str(tmp_path / "state"))
    found.lock(RUN, 0, 0)
    found.unlock()
    return found


@pytest.fixture
def folder(kept: state.State, new: pki.Pair) -> Path:
    """The only backup, with a whole pair."""
    path = keep(kept, new)
    return path.rename(path.with_name(NAME))


def keep(kept: state.State, pair: pki.Pair, run: str = RUN["id"]) -> Path:
    copies = {pair_files.CERTIFICATE: pair_files.Copy(pair.pem, 0o644, (0, 0)),
              pair_files.PRIVATE_KEY: pair_files.Copy(pair.key_pem, 0o600, (0, 0))}
    return Path(kept.backups.keep(copies, {**RUN, "id": run}, {"seen": {}}) or "")


def listed(kept: state.State) -> dict[str, t.Any]:
    found = kept.backups.listed()
    assert found is not None
    (one,) = found
    assert json.loads(json.dumps(one).encode("utf-8")) == one
    return one


def test_a_backup_that_can_be_restored(kept: state.State, folder: Path, new: pki.Pair) -> None:
    assert listed(kept) == {
        "name": NAME, "path": str(folder), "private_key": str(folder / "sesam.https.key"),
        "made": float(calendar.timegm((2026, 11, 23, 18, 0, 0))),
        "by": RUN["by"], "run": RUN["id"], "chain": new.base64_chain, "works": True, "reason": ""}


def test_what_the_newest_one_holds_is_not_kept_twice(kept: state.State, old: pki.Pair, new: pki.Pair) -> None:
    first = keep(kept, old)
    synced: list[t.Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync_folder", synced.append)
        assert keep(kept, old, "2") == first
    assert kept.backups._held in synced  # who made it may have died before
    second = keep(kept, new, "3")
    assert keep(kept, new, "4") == second != first
    assert keep(kept, old, "5") not in (first, second)  # Going back takes the newest.


@pytest.mark.parametrize("spoil", [
    lambda path: (path / pair_files.PRIVATE_KEY).write_bytes(b"damaged"),
    lambda path: (path / pair_files.PRIVATE_KEY).unlink(),
    lambda path: (path / "facts").write_text("{}"),
    lambda path: (path / "facts").write_text((path / "facts").read_text().replace(": 384", ": 416")),
])
def test_a_newest_one_that_differs_is_no_reason_to_keep_none(
    kept: state.State, old: pki.Pair, spoil: t.Callable[[Path], object]
) -> None:
    first = keep(kept, old)
    spoil(first)
    second = keep(kept, old, "2")
    assert second != first
    assert kept.backups.pair_in(str(second))[pair_files.PRIVATE_KEY].content == old.key_pem


def test_no_key_is_told(kept: state.State, folder: Path, new: pki.Pair) -> None:
    first = new.key_pem.decode().splitlines()[1]  # Those behind it hold the public key too.
    assert first in (folder / pair_files.PRIVATE_KEY).read_text()
    assert first not in json.dumps(listed(kept))


@pytest.mark.parametrize("make", [
    lambda path: None, Path.touch, to_itself, os.mkfifo, Path.mkdir,
])
def test_there_are_none(kept: state.State, make: t.Callable[[Path], None]) -> None:
    make(Path(kept.path) / "backups")
    assert kept.backups.listed() == []


def test_where_nobody_may_look(kept: state.State, folder: Path) -> None:
    """As somebody who is not root, in a process of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    child = os.fork()
    if child == 0:
        os.seteuid(65534)
        os._exit(0 if kept.backups.listed() is None else 1)
    assert os.waitpid(child, 0)[1] == 0


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_socket(path: Path) -> None:
    path.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")  # Such a name may not be long.
    os.close(folder)


def huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


HOSTILE = [Path.unlink, a_fifo, a_link, a_loop, a_folder, a_socket, huge, garbage, empty, cut_off]


@pytest.mark.parametrize("name", [pair_files.CERTIFICATE, pair_files.PRIVATE_KEY])
@pytest.mark.parametrize("spoil", HOSTILE, ids=lambda spoil: spoil.__name__)
def test_a_damaged_pair_is_listed_with_its_reason(
    kept: state.State, folder: Path, spoil: t.Callable[[Path], None], name: str
) -> None:
    spoil(folder / name)
    found = listed(kept)
    assert (found["name"], found["works"], found["by"]) == (NAME, False, RUN["by"])
    assert name in found["reason"]


def test_a_key_that_belongs_to_another_certificate(kept: state.State, folder: Path, old: pki.Pair) -> None:
    (folder / pair_files.PRIVATE_KEY).write_bytes(old.key_pem)
    found = listed(kept)
    assert not found["works"]
    assert "do not work together" in found["reason"]
    assert found["chain"]


def test_a_key_that_the_server_cannot_read(kept: state.State, folder: Path, new: pki.Pair) -> None:
    (folder / pair_files.PRIVATE_KEY).write_bytes(pki.key_bytes(new.key, "TraditionalOpenSSL"))
    assert "unencrypted PKCS#8" in listed(kept)["reason"]


def nested(path: Path) -> None:
    path.write_bytes(b"[" * 1_000_000)


def of_other_types(path: Path) -> None:
    path.write_text('{"run": {"by": ["a"], "id": 7}}')


def a_list(path: Path) -> None:
    path.write_text('{"run": ["by"]}')


@pytest.mark.parametrize("spoil", [*HOSTILE[:-1], nested, of_other_types, a_list], ids=lambda spoil: spoil.__name__)
def test_damaged_facts_hide_who_made_it_and_nothing_else(
    kept: state.State, folder: Path, new: pki.Pair, spoil: t.Callable[[Path], None]
) -> None:
    spoil(folder / "facts")
    found = listed(kept)
    assert (found["by"], found["run"]) == ("", "")
    assert (found["works"], found["chain"]) == (True, new.base64_chain)


def test_what_the_facts_say_has_an_end_and_can_be_sent(kept: state.State, folder: Path) -> None:
    (folder / "facts").write_text(json.dumps({"run": {"by": "\ud800" + "x" * 5000, "id": "y"}}))
    found = listed(kept)
    assert found["by"] == "\\ud800" + "x" * 199


@pytest.mark.parametrize(("make", "reason"), [
    (Path.touch, "it is a regular file, and no folder"),
    (os.mkfifo, "it is a FIFO, and no folder"),
    (lambda path: path.symlink_to(path.parent.parent), "it is a symbolic link, and no folder"),
    (to_itself, "it is a symbolic link, and no folder"),
])
def test_what_is_no_folder(kept: state.State, make: t.Callable[[Path], None], reason: str) -> None:
    (Path(kept.path) / "backups").mkdir()
    make(Path(kept.path) / "backups" / NAME)
    found = listed(kept)
    assert (found["works"], found["reason"], found["chain"]) == (False, reason, [])


@pytest.mark.parametrize("name", [b"a\nb", b"\x1b[2J", b"a b", b"\xff\xfe", b"\xc3\xbc", b"..a", b"-e", b"x" * 101])
def test_names_that_nobody_can_type(kept: state.State, folder: Path, name: bytes) -> None:
    os.rename(os.fsencode(folder), os.fsencode(folder.parent) + b"/" + name)
    found = listed(kept)
    assert not found["works"]
    assert found["reason"].startswith("its name has other characters")


def test_one_that_was_not_finished(kept: state.State, folder: Path) -> None:
    folder.rename(folder.with_name(f"{NAME}.new"))
    found = listed(kept)
    assert (found["works"], found["reason"][:19]) == (False, "it was not finished")


def test_one_that_an_admin_has_made(kept: state.State, folder: Path) -> None:
    """With a name of its own and no facts: it counts from the time of its folder."""
    (folder / "facts").unlink()
    own = folder.rename(folder.with_name("before-the-move"))
    os.utime(own, (1000, 1000))
    found = listed(kept)
    assert (found["name"], found["works"], found["made"]) == ("before-the-move", True, 1000.0)


def test_newest_first(kept: state.State, folder: Path) -> None:
    """Also over a year, and within a second by the time at which each was written."""
    names = ["20250101T000000Z-ffffffff", NAME, "20261123T180000Z-00000000", "20270101T000000Z-00000000"]
    for number, name in enumerate(names):
        if name != NAME:
            shutil.copytree(folder, folder.with_name(name))
        os.utime(folder.with_name(name), (number, number))
    assert [one["name"] for one in kept.backups.listed() or []] == names[::-1]


def test_backups_get_fewer_in_the_same_order(kept: state.State, folder: Path) -> None:
    """Within a second too; one that somebody has named stays, and takes no place away from another one."""
    order = ["20261123T180000Z-ffffffff", "20261123T180000Z-aaaaaaaa", NAME, "mine"]
    for number, name in enumerate(order):
        if name != NAME:
            shutil.copytree(folder, folder.with_name(name))
        os.utime(folder.with_name(name), (number, number))
    kept.backups.prune(2, None)
    assert sorted(os.listdir(folder.parent)) == sorted(order[1:])
    kept.backups.prune(0, None)
    assert os.listdir(folder.parent) == ["mine"]


def test_the_list_has_an_end(kept: state.State, folder: Path) -> None:
    for number in range(300):
        folder.with_name(f"20200101T000000Z-{number:08}").mkdir()
    found = kept.backups.listed() or []
    assert (len(found), found[0]["name"]) == (50, NAME)


def test_nothing_is_changed_by_a_look(kept: state.State, folder: Path) -> None:
    def tree() -> dict[str, tuple[int, int]]:
        return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in Path(kept.path).rglob("*")}

    before = tree()
    kept.backups.listed()
    assert tree() == before


def test_they_are_listed_when_they_are_asked_for(installation: Path) -> None:
    asked = {"sesam2000_ini": str(installation / "sesam2000.ini"), "port": 1, "address": "127.0.0.1"}
    assert "backups" not in gather.gather(asked)
    assert gather.gather({**asked, "backups": True})["backups"] == []
