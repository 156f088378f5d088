# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log line that names the certificate, in every shape, and the watch over what a start writes."""

from __future__ import annotations

import os
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import server_log
from integration.accounts import NOBODY
from unit import pki
from unit.host import keys

PATH = "/var/opt/sesam/var/ini/ssl/sesam.https.crt"
STAMP = "2026-11-23 18:00:00"
# A time limit that is never reached.
FAR = float("inf")
TOLD = "Setting up HTTPS certificate from certificate file"


def line(path: str = PATH) -> bytes:
    return f"{STAMP} INFO  main - {TOLD} {path}' (via default location lookup)\n".encode()


def paths(content: bytes) -> list[str]:
    return [found.path for found in server_log.setup_lines(content)]


@pytest.mark.parametrize(("text", "words"), [
    (f"{STAMP} INFO  main - {TOLD} {PATH}' (via default location lookup)", "via default location lookup"),
    (f"{STAMP} INFO  main - {TOLD} '{PATH}' (via command line)", "via command line"),
    (f"{STAMP} INFO  main - {TOLD} '{PATH} (via x)", "via x"),
    (f'{STAMP} INFO  main - {TOLD} "{PATH}" (via x)', "via x"),
    (f"{STAMP} INFO  main - {TOLD} {PATH} (via x)", "via x"),
    (f"{STAMP} INFO  main - {TOLD} {PATH}'(via x)", "via x"),
    (f"{STAMP} INFO  main - {TOLD} {PATH}'", ""),
    (f"{STAMP} INFO  main - {TOLD} {PATH}", ""),
    (f"{STAMP} INFO  main - {TOLD} {PATH}' ()", ""),
    (f"{STAMP},123 INFO  main - {TOLD} {PATH}' (via x)", "via x"),
    (f"{STAMP}.123 INFO  main - {TOLD} {PATH}' (via x)", "via x"),
    (f"{STAMP.replace(' ', 'T')} INFO [main] - {TOLD} {PATH}' (via x)  \r", "via x"),
    (f"\x1b[32m{STAMP}\x1b[0m \x1b[1;34mINFO\x1b[m  main - {TOLD} \x1b[33m{PATH}'\x1b[0m (via x)\x1b[K", "via x"),
    (f"{STAMP} INFO  main - Setting up HTTPS certificate from {PATH} (via x)", "via x"),
])
def test_shapes_of_the_line(text: str, words: str) -> None:
    found = server_log.setup_lines(b"before\n" + text.encode() + b"\nafter\n")
    assert [(one.path, one.words) for one in found] == [(PATH, words)]
    assert found[0].time == time.mktime(time.strptime(STAMP, "%Y-%m-%d %H:%M:%S"))
    assert "\x1b" not in found[0].text
    assert found[0].text.isprintable()


@pytest.mark.parametrize("path", ["/a (b)/c d.crt", "/it's/c.crt", "/größe/c.crt", r"D:\SEP\var\c.crt"])
def test_strange_paths(path: str) -> None:
    assert paths(line(path)) == [path]


def test_other_lines_do_not_count() -> None:
    assert paths(b"Setting up HTTPS port\nSetting up HTTPS certificate\nHTTPS certificate from x\n\xff\xfe\n") == []


@pytest.mark.parametrize("text", ["no stamp", "2026-99-23 18:00:00", "23.11.2026 18:00"])
def test_a_line_without_a_time(text: str) -> None:
    assert server_log.SetupLine(text, PATH, "").time is None


def test_names_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = server_log.SetupLine("", f"{tmp_path}/link/c.crt", "")
    assert found.names(f"{tmp_path}/real/c.crt")
    assert not found.names(f"{tmp_path}/real/d.crt")


def test_clean_leaves_nothing_that_a_terminal_obeys() -> None:
    content = b"a\x1b[2Jb\x07c\x1b]0;title\x07d\te\r\nf\xff\xc2\x9b31mg"
    cleaned = server_log.clean(content)
    assert all(char.isprintable() or char in "\n\t" for char in cleaned)
    assert cleaned.split("\n")[0].startswith("abc")


def test_the_last_line_of_the_first_log_that_has_one(tmp_path: Path) -> None:
    logs = [tmp_path / name for name in ("none", "empty", "full", "other")]
    logs[1].write_bytes(b"nothing\n")
    logs[2].write_bytes(line("/first") + line("/second") + b"later\n")
    logs[3].write_bytes(line("/third"))
    found = server_log.last_setup_line(map(str, logs))
    assert found is not None
    assert (found[0], found[1].path) == (str(logs[2]), "/second")
    assert server_log.last_setup_line([str(logs[0]), str(tmp_path)]) is None


def test_a_large_log_is_read_from_its_end(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        log.write(line("/too/old"))
        log.truncate(200 << 20)
        log.seek(0, os.SEEK_END)
        log.write(b"\n" + line("/at/the/end"))
    tracemalloc.start()
    begin = time.monotonic()
    found = server_log.last_setup_line([str(tmp_path / "log")])
    seconds, (_now, most) = time.monotonic() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert found[1].path == "/at/the/end"
    assert seconds < 5
    assert most < 64 << 20


def test_a_line_that_is_too_far_back_is_not_found(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        log.write(line())
        log.truncate(server_log.PIECE_BYTES + 1000)
    assert server_log.last_setup_line([str(tmp_path / "log")]) is None


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with a history: a start that named another file."""
    path = tmp_path / "log"
    path.write_bytes(b"history\n" * 100 + line("/old"))
    return path


@pytest.fixture
def watch(log: Path) -> t.Iterator[server_log.Watch]:
    watched = server_log.Watch([str(log), f"{log}.other"])
    yield watched
    watched.close()


def named(watch: server_log.Watch) -> list[str]:
    """The files that the lines since the beginning of the watch name."""
    return [found.path for found in watch.setup_lines(FAR)]


def append(path: Path, content: bytes) -> None:
    with open(path, "ab") as stream:
        stream.write(content)


def test_old_lines_never_count(log: Path, watch: server_log.Watch) -> None:
    assert watch.tail() == b""
    append(log, b"noise\n")
    assert watch.tail() == b"noise\n"
    append(log, line("/new"))
    assert named(watch) == ["/new"]
    assert named(watch) == ["/new"]


def test_watch_through_a_rotation(log: Path, watch: server_log.Watch) -> None:
    append(log, b"last words\n")
    log.rename(f"{log}.1")
    assert watch.tail() == b"last words\n"
    log.write_bytes(line("/new"))
    append(Path(f"{log}.1"), b"and more\n")
    assert watch.tail() == b"last words\nand more\n" + line("/new")


def test_watch_through_a_removal(log: Path, watch: server_log.Watch) -> None:
    log.unlink()
    assert watch.tail() == b""
    log.write_bytes(line("/new"))
    assert named(watch) == ["/new"]


def test_watch_through_a_truncation(log: Path, watch: server_log.Watch) -> None:
    os.truncate(log, 0)
    assert watch.tail() == b""
    append(log, line("/new"))
    assert named(watch) == ["/new"]


def test_watch_through_a_truncation_and_regrowth_past_the_mark(log: Path, watch: server_log.Watch) -> None:
    mark = log.stat().st_size
    os.truncate(log, 0)
    append(log, line("/new") + b"other words\n" * 200)
    assert log.stat().st_size > mark
    assert named(watch) == ["/new"]


def test_watch_over_a_log_that_appears_later(log: Path, watch: server_log.Watch) -> None:
    Path(f"{log}.other").write_bytes(line("/new"))
    assert named(watch) == ["/new"]


def test_watch_over_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    watched = server_log.Watch([str(tmp_path / "log")])
    append(tmp_path / "log", line("/new"))
    assert named(watched) == ["/new"]
    watched.close()


def test_a_watch_reads_all_however_much_it_is(log: Path, watch: server_log.Watch) -> None:
    """The line may be followed by more than is read at once, and may lie across the border of two pieces."""
    begin = log.stat().st_size
    append(log, line("/first"))
    for number in range(3):
        border = begin + (number + 1) * server_log.PIECE_BYTES
        append(log, b"x" * (border - log.stat().st_size - 30) + b"\n" + line(f"/across/{number}"))
    append(log, b"noise\n" * 200_000)
    assert named(watch) == ["/first", "/across/0", "/across/1", "/across/2"]
    assert len(watch.tail()) <= server_log.PIECE_BYTES


def test_watch_over_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    watched = server_log.Watch([str(tmp_path / "log")])
    assert watched.tail() == b""
    watched.close()


def test_a_watch_loses_no_descriptor(log: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    watched = server_log.Watch([str(log), f"{log}.other"])
    log.rename(f"{log}.1")
    log.touch()
    for _turn in range(3):
        watched.tail()
    watched.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("content", [
    f"{TOLD} {' ' * 20_000}x(".encode(), f"{TOLD} {'(' * 20_000}".encode(), b"\x1b[" * 20_000,
    *[f"{TOLD} a{part * 8000}x\n".encode() * 120 for part in " (\"'"], b"\x1b[0" * 300_000,
])
def test_lines_that_are_hard_to_understand(content: bytes) -> None:
    begin = time.process_time()
    server_log.setup_lines(content)
    assert time.process_time() - begin < 2


def test_log_that_never_ends(log: Path, watch: server_log.Watch) -> None:
    """It has got longer by more than anybody can read, which costs its writer nothing: none of it is on the disk."""
    append(log, line("/new"))
    os.truncate(log, 1 << 43)
    begin = time.monotonic()
    assert [found.path for found in watch.setup_lines(begin + 0.2)] == ["/new"]
    assert time.monotonic() - begin < 2


def test_why_a_log_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    os.mkfifo(tmp_path / "fifo")
    reasons = [server_log.why_unread(str(tmp_path / name), is_named=True) for name in ("log", "fifo", "absent", "")]
    assert reasons == ["", "it is a FIFO, not a regular file", "it does not exist",
                       "it is a directory, not a regular file"]
    named = "; name the log's real place with log_file (sesam_https_log_file)"
    assert [server_log.why_unread(str(tmp_path / name)) for name in ("log", "fifo", "absent", "")] == [
        "", reasons[1] + named, reasons[2], reasons[3] + named]


# Logs that others lead elsewhere

@pytest.fixture
def led(tmp_path: Path) -> Path:
    """A log that is a link of somebody without rights to a file of root's."""
    (tmp_path / "secret").write_bytes(line("/secret"))
    path = tmp_path / "led"
    path.symlink_to("secret")
    if os.geteuid() != 0:
        pytest.skip("only root can make a link of somebody else")
    os.lchown(path, NOBODY, NOBODY)
    return path


def test_link_of_somebody_else_is_not_followed(led: Path) -> None:
    assert server_log.last_setup_line([str(led)]) is None
    watched = server_log.Watch([str(led)])
    assert watched.setup_lines(FAR) == []
    assert watched.told().startswith(f"{led} cannot be read: {led} is a symbolic link that others")
    watched.close()


def test_log_that_is_named_may_be_any_link(led: Path) -> None:
    found = server_log.last_setup_line([str(led)], is_named=True)
    assert found is not None
    assert found[1].path == "/secret"
    watched = server_log.Watch([str(led)], is_named=True)
    append(led, line("/new"))
    assert named(watched) == ["/new"]
    assert watched.told() == line("/new").decode().strip()
    watched.close()


def test_link_that_is_made_meanwhile_is_not_followed(log: Path, watch: server_log.Watch, led: Path) -> None:
    append(log, b"last words\n")
    os.rename(led, log)
    assert watch.setup_lines(FAR) == []
    # The log of before is gone: its descriptor still shows what was written to it.
    told = watch.told().splitlines()
    assert told[0] == "last words"
    assert told[1].startswith(f"{log} cannot be read: ")
    assert len(told) == 2


def test_log_that_is_not_there_is_not_told(watch: server_log.Watch, log: Path) -> None:
    log.unlink()
    assert watch.told() == ""


def test_the_last_lines_are_told(log: Path, watch: server_log.Watch) -> None:
    append(log, b"".join(b"\n%d %s\n" % (number, b"x " * 500) for number in range(100)))
    told = watch.told().splitlines()
    assert [text.split()[0] for text in told] == [str(number) for number in range(70, 100)]
    assert {len(text) for text in told} == {300}


# Keys in a log

FORMS: tuple[tuple[str, pki.Form], ...] = (
    ("RSA-2048", "PKCS8"), ("P-256", "PKCS8"), ("Ed25519", "PKCS8"), ("RSA-2048", "TraditionalOpenSSL"),
    ("P-256", "TraditionalOpenSSL"), ("RSA-2048", "OpenSSH"))
BEFORE, AFTER = b"2026-11-23 INFO  main - before\n", b"2026-11-23 INFO  main - after\n"


def of_key(text: str, pem: bytes) -> list[str]:
    """The words of a text that are of a key."""
    body = b"".join(pem.splitlines()[1:-1]).decode()
    return [word for word in text.split() if len(word) > 5 and word in body]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_key_in_a_log_is_not_shown(name: str, form: pki.Form) -> None:
    """Whole, or cut off at any place."""
    pem = pki.key_bytes(keys.key(name), form)
    whole = server_log.shown(BEFORE + pem + AFTER)
    assert whole.splitlines() == [BEFORE.decode().strip(), server_log.LEFT_OUT, AFTER.decode().strip()]
    assert of_key((BEFORE + pem).decode(), pem) != []
    for cut in range(len(pem)):
        assert of_key(server_log.shown(pem[cut:] + AFTER), pem) == []
        assert of_key(server_log.shown(BEFORE + pem[:cut]), pem) == []
    inner = b"\n".join(pem.splitlines()[1:-1])
    assert server_log.shown(BEFORE + inner + b"\n" + AFTER) == whole


@pytest.mark.parametrize("change", [
    lambda pem: pem.replace(b"\n", b"\r\n"), lambda pem: pem.replace(b"\n", b"\r"),
    lambda pem: pem.replace(b"\n", b"\\n"), lambda pem: b"INFO - " + pem.replace(b"\n", b"\nINFO - "),
    lambda pem: pem.replace(b"PRIVATE", b"\x1b[31mPRI\x1b[0mVATE"), lambda pem: b"  " + pem.replace(b"\n", b"  \n  "),
    lambda pem: pem.decode().encode("utf-16"),
], ids=["CRLF", "CR", "escaped", "each line with a prefix", "coloured", "indented", "UTF-16"])
def test_key_in_another_dress_is_not_shown(change: t.Callable[[bytes], bytes]) -> None:
    pem = pki.key_bytes(keys.key("RSA-2048"))
    text = server_log.shown(BEFORE + change(pem) + b"\n" + AFTER)
    assert server_log.LEFT_OUT in text
    assert of_key(text.replace("\0", ""), pem) == []
    assert text.splitlines()[-1] == AFTER.decode().strip()


@pytest.mark.parametrize("name", ["RSA-2048", "P-256", "Ed25519"])
def test_key_in_der_is_not_shown(name: str) -> None:
    """But for bits of it that stand between two line feeds by chance and could be text."""
    der = pki.key_bytes(keys.key(name), encoding="DER")
    text = server_log.shown(BEFORE + der + b"\n" + AFTER)
    assert text.splitlines()[0] == BEFORE.decode().strip()
    assert text.splitlines()[-1] == AFTER.decode().strip()
    rest = "".join(text.splitlines()[1:-1]).replace(server_log.LEFT_OUT, "")
    assert len(rest) <= len(der) / 5


@pytest.mark.parametrize("text", [
    "starting", "OK", "one\ntwo\nthree", "größe", "a" * 39,
    "SHA-256: " + "0123456789abcdef" * 4, "/var/opt/sesam/var/ini/ssl/sesam.https.crt", "a\tb", "",
    "-----BEGIN CERTIFICATE REQUEST", "=" * 60,
])
def test_what_is_no_key_is_shown(text: str) -> None:
    assert server_log.shown(text.encode()) == text


def test_what_is_said_of_keys_is_shown() -> None:
    text = b"java.io.IOException: Missing -----BEGIN PRIVATE KEY----- in the file\n\tat Reader.java\n"
    assert server_log.shown(text) == f"java.io.IOException: Missing {server_log.LEFT_OUT}\n\tat Reader.java\n"


def test_log_in_another_encoding_is_shown() -> None:
    assert server_log.shown("Schlüssel für Server".encode("latin-1")) == "Schl\ufffdssel f\ufffdr Server"


@pytest.mark.parametrize("piece", [
    b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN PRIVATE KEY-----\n", b"-----END PRIVATE KEY-----",
    b"\n", b"A", b"A\n", b" ", b"\x1b[", b"\xff", b"\0\n", b"-----BEGIN " + b"A" * 40, b"-",
])
def test_no_log_takes_long(piece: bytes) -> None:
    content = (piece * server_log.PIECE_BYTES)[:server_log.PIECE_BYTES]
    begin = time.monotonic()
    server_log.shown(content)
    assert time.monotonic() - begin < 10
