# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that somebody else may have put there, and files of our own that nobody else may see."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import files
from integration.accounts import NOBODY

# TIOCSPTLCK and TIOCGPTN of ioctl_tty(2).
UNLOCK_TERMINAL, NUMBER_OF_TERMINAL = 0x40045431, 0x80045430


def why_not(path: Path | str, limit: int = 100, **keywords: t.Any) -> files.Unreadable:
    with pytest.raises(files.Unreadable) as raised:
        files.read_regular(str(path), limit, **keywords)
    return raised.value


def test_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    read = files.read_regular(str(tmp_path / "file"), 100)
    assert read.content == b"x" * 100
    assert read.stat.st_size == 100
    assert why_not(tmp_path / "file", 99).status == "too_large"
    assert "100 bytes" in why_not(tmp_path / "file", 99).reason


def test_relative_to_an_open_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert files.read_regular("file", 100, dir_fd=descriptor).content == b"content"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("kind", ["FIFO", "socket"])
def test_what_blocks_a_reader_does_not_block_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("file")
    told = why_not(path)
    assert told.status == "not_regular"
    assert kind in told.reason


def test_a_device_is_not_opened() -> None:
    """A terminal tells whether it was: its other end hangs up after the first who opened it, and not before."""
    other_end = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(other_end, UNLOCK_TERMINAL, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(other_end, NUMBER_OF_TERMINAL, bytes(4)))[0]
        assert why_not(f"/dev/pts/{number}").reason == "it is a character device, not a regular file"
        hung_up = select.poll()
        hung_up.register(other_end, select.POLLHUP)
        assert hung_up.poll(0) == []
        os.close(os.open(f"/dev/pts/{number}", os.O_RDONLY | os.O_NOCTTY))
        assert hung_up.poll(0) != []
    finally:
        os.close(other_end)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    assert why_not(tmp_path / "link").status == "not_regular"
    assert "symbolic link" in why_not(tmp_path / "link").reason
    assert files.read_regular(str(tmp_path / "link"), 100, follow_links=True).content == b"content"
    assert why_not(tmp_path / "loop", follow_links=True).status == "not_regular"


@pytest.mark.parametrize(("path", "status", "words"), [
    ("/", "not_regular", "a directory"), ("/dev/zero", "not_regular", "a character device"),
    ("/nowhere/file", "absent", "does not exist"), ("/dev/null/file", "absent", "does not exist"),
])
def test_what_is_no_file(path: str, status: str, words: str) -> None:
    assert why_not(path).status == status
    assert words in why_not(path).reason


# Where others may have made the way

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make links of somebody else")


def guarded(path: Path | str) -> str:
    """What a file holds that is reached so, or why it is not."""
    try:
        descriptor = files.open_guarded(str(path), 100)
    except files.Unreadable as exc:
        return exc.reason
    try:
        return files.contents(descriptor, 100).content.decode()
    finally:
        os.close(descriptor)


@pytest.fixture
def way(tmp_path: Path) -> Path:
    """C(real/file), and links of root's in folders of root's: C(folder) to C(real), C(real/link) to its file."""
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "real/file").write_text("content")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "real/link").symlink_to("file")
    return tmp_path


def test_links_of_root_are_followed(way: Path) -> None:
    (way / "real/absolute").symlink_to(way / "folder/link")
    (way / "real/back").symlink_to("../folder/../real/./link")
    for name in ("file", "link", "absolute", "back"):
        assert guarded(way / "real" / name) == guarded(way / "folder" / name) == "content"
    assert guarded(way / "folder//link") == "content"


def test_what_is_no_file_there(way: Path) -> None:
    (way / "loop").symlink_to("loop")
    (way / "dangling").symlink_to("nowhere")
    os.mkfifo(way / "fifo")
    assert guarded(way / "loop") == "it is a symbolic link, not a regular file"
    assert guarded(way / "dangling") == guarded(way / "none") == guarded(way / "real/file/x") == "it does not exist"
    assert guarded(way / "fifo") == "it is a FIFO, not a regular file"
    assert guarded("/") == guarded(way / "real") == "it is a directory, not a regular file"


@needs_root
@pytest.mark.parametrize("name", ["folder", "real/link"])
@pytest.mark.parametrize("how", ["his link", "his folder", "open folder", "sticky folder"])
def test_links_that_others_may_have_made_are_not_followed(way: Path, name: str, how: str) -> None:
    link = way / name
    if how == "his link":
        os.lchown(link, NOBODY, NOBODY)
    elif how == "his folder":
        os.chown(link.parent, NOBODY, NOBODY)
    else:
        link.parent.chmod(0o777 if how == "open folder" else 0o1777)
    told = guarded(way / "folder/link")
    assert told.startswith(f"{link} is a symbolic link that others than root may have made (uid ")
    status = link.parent.stat()
    assert f"(uid {link.lstat().st_uid}, its folder uid {status.st_uid}, mode {status.st_mode & 0o7777:04o})" in told
    # The file itself is still reached, in a folder of anybody.
    assert guarded(way / "real/file") == "content"


@needs_root
def test_link_of_root_leads_to_no_link_of_somebody_else(way: Path) -> None:
    (way / "first").symlink_to("folder/file")
    assert guarded(way / "first") == "content"
    os.lchown(way / "folder", NOBODY, NOBODY)
    assert guarded(way / "first").startswith(f"{way}/folder is a symbolic link")
    with pytest.raises(files.Unreadable) as raised:
        files.open_guarded(str(way / "first"), 100)
    assert raised.value.status == "not_regular"  # and not absent: there is something
    with pytest.raises(files.NotFollowed):
        files.open_folder(str(way / "folder"))
    (way / "second").symlink_to("folder")
    with pytest.raises(files.NotFollowed):
        files.open_folder(str(way / "second"))


def test_second_name_is_not_read(way: Path) -> None:
    os.link(way / "real/file", way / "second")
    assert guarded(way / "second") == f"it has 2 names (hard links), and may be another file of uid {os.geteuid()}"


def test_no_descriptor_is_lost_on_the_way(way: Path) -> None:
    os.link(way / "real/file", way / "second")
    (way / "loop").symlink_to("loop")
    (way / "up").symlink_to("/")
    before = os.listdir("/proc/self/fd")
    for name in ("real/link", "folder/link", "second", "loop", "none", "real/none", "real/file/x", f"up{way}/real"):
        guarded(way / name)
    os.close(files.open_folder(str(way / "folder")))
    for name in ("real/file", "loop", "none"):
        with pytest.raises(OSError, match=str(way)):
            files.open_folder(str(way / name))
    assert os.listdir("/proc/self/fd") == before


def test_without_permission(tmp_path: Path, as_nobody: t.Callable[[t.Callable[[], object]], str]) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "file").chmod(0o600)
    assert as_nobody(lambda: why_not(tmp_path / "file").status) == "no_permission"


def test_no_descriptor_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 200)
    before = os.listdir("/proc/self/fd")
    for path in (tmp_path, tmp_path / "file", tmp_path / "none"):
        why_not(path)
    files.read_regular(str(tmp_path / "file"), 200)
    assert os.listdir("/proc/self/fd") == before


def test_a_growing_file_is_read_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(os, "pread", lambda descriptor, size, offset: b"x" * size)
    assert len(files.read_regular(str(tmp_path / "file"), 200_000).content) == 200_000


@pytest.fixture
def no_umask() -> t.Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_no_moment_shows_a_new_file_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_umask: None, mode: int
) -> None:
    """Until it is whole, a file is 0600, also where the umask hides nothing."""
    seen: list[tuple[str, int]] = []

    def watched(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: t.Any, **keywords: t.Any) -> t.Any:
            result = original(*arguments, **keywords)
            seen.append((name, stat.S_IMODE(os.stat(tmp_path / "file").st_mode)))
            return result

        monkeypatch.setattr(os, name, call)

    for name in ("open", "write", "fchown", "fchmod", "fsync"):
        watched(name)
    files.write_new(str(tmp_path / "file"), b"content", mode, (os.getuid(), os.getgid()))
    assert [name for name, _mode in seen] == ["open", "write", "fchown", "fchmod", "fsync"]
    assert {found for name, found in seen if name in ("open", "write", "fchown")} == {0o600}
    assert seen[-1] == ("fsync", mode)


def test_a_new_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    files.write_new(str(tmp_path / "file"), b"some content")
    assert (tmp_path / "file").read_bytes() == b"some content"


@pytest.mark.parametrize("target", [None, "none", "other"])
def test_a_new_file_takes_no_name_that_is_taken(tmp_path: Path, target: str | None) -> None:
    (tmp_path / "other").write_bytes(b"other")
    if target is None:
        (tmp_path / "file").write_bytes(b"other")
    else:
        (tmp_path / "file").symlink_to(target)
    with pytest.raises(FileExistsError):
        files.write_new(str(tmp_path / "file"), b"content")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert not (tmp_path / "none").exists()


def test_remove(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for _turn in range(2):
        files.remove(str(tmp_path / "file"))
        assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
def test_what_goes_wrong_is_told_with_the_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*arguments: object) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="No space left") as caught:
            files.write_new("x", b"x", dir_fd=folder)
    finally:
        os.close(folder)
    assert caught.value.filename == str(tmp_path / "x")


def test_of_a_renaming_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").touch()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError) as caught, files.named(folder):
            os.rename("y", "x", src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "x"), None)
