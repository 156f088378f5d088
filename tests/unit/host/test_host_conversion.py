# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key on the host becomes PKCS#8 where it is: what is written, what is not, and what is refused."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import (
    conversion,
    key_form,
    obstacles,
    openssl,
    placing,
    processes,
    refusal,
    system_log,
)
from integration import orders
from unit import pki
from unit.host import keys
from unit.host.conftest import RUN
from unit.host.test_host_transaction import tree
from workbench import tree as checkout

Make = t.Callable[[str], bytes]


def ask(src: Path, dest: Path, **options: t.Any) -> dict[str, t.Any]:
    """The answer, which is plain data and holds no secret."""
    answer = conversion.convert(orders.conversion(src, dest, **{"run": RUN, **options}))
    text = json.dumps(answer)
    assert [secret for name in keys.TYPES for secret in keys.secrets(name) if secret in text] == []
    return answer


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    return raised.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "server.key"
    path.write_bytes(keys.PLAIN_TRADITIONAL["traditional"]("P-256"))
    path.chmod(0o640)
    return path


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "sesam.https.key"


@pytest.mark.parametrize(("name", "form", "make"), [
    *keys.ALL_PLAIN, *keys.cases((("RSA-2048", "P-384", "Ed25519"), keys.ENCRYPTED)),
    *keys.cases((("RSA-3072", "P-521"), keys.ENCRYPTED_TRADITIONAL))])
def test_every_form(name: str, form: str, make: Make, src: Path, dest: Path) -> None:
    content = make(name)
    src.write_bytes(content)
    answer = ask(src, dest, passphrase=keys.PASSPHRASE)
    assert (answer["changed"], answer["form"], answer["findings"], answer["backup"]) == (True, "PKCS#8", [], None)
    assert answer["form_before"] == ("PKCS#12" if "PKCS#12" in form else key_form.of(content))
    assert keys.spki_by_openssl(dest.read_bytes()) == pki.spki(keys.key(name))
    assert answer["spki_sha256"] == hashlib.sha256(pki.spki(keys.key(name))).hexdigest()
    assert mode(dest) == 0o600
    assert src.read_bytes() == content
    before = tree(dest.parent)
    again = ask(src, dest, passphrase=keys.PASSPHRASE)
    assert (again["changed"], again["before"]) == (False, again["after"])
    assert tree(dest.parent) == before


@pytest.mark.parametrize("form", ["traditional", "traditional in DER", "traditional with CRLF"])
@pytest.mark.parametrize("name", ["RSA-2048", "P-521"])
def test_where_it_is_and_without_openssl(name: str, form: str, src: Path, no_openssl: None) -> None:
    """The commonest fault: PKCS#1 in place."""
    src.write_bytes(keys.PLAIN_TRADITIONAL[form](name))
    answer = ask(src, src)
    assert answer["changed"]
    assert keys.spki_by_openssl(src.read_bytes()) == pki.spki(keys.key(name))
    assert answer["spki_sha256"] == hashlib.sha256(pki.spki(keys.key(name))).hexdigest()
    assert (answer["before"]["mode"], answer["after"]["mode"], mode(src)) == ("0640", "0600", 0o600)
    assert not ask(src, src)["changed"]


def test_without_openssl_some_things_are_not_known(src: Path, dest: Path, no_openssl: None) -> None:
    src.write_bytes(pki.key_bytes(keys.key("Ed25519"), encoding="DER"))
    assert ask(src, dest)["spki_sha256"] is None
    assert dest.read_bytes() == pki.key_bytes(keys.key("Ed25519"))
    for make in (keys.ENCRYPTED["PKCS#12"], keys.ENCRYPTED["PBES2 AES-256"]):
        src.write_bytes(make("P-256"))
        assert refused(lambda: ask(src, dest, passphrase="x")).id == "openssl-missing"


def test_the_same_key_written_otherwise_is_no_change(src: Path, dest: Path) -> None:
    """By openssl, with the curve once more in the key: other bytes, and the same key."""
    dest.write_bytes(keys.openssl("pkcs8", "-topk8", "-nocrypt", stdin=src.read_bytes()))
    dest.chmod(0o600)
    assert not ask(src, dest)["changed"]
    text = dest.read_bytes()
    dest.chmod(0o644)
    answer = ask(src, dest, backup=True)
    assert (answer["changed"], answer["backup"], answer["before"]["mode"]) == (True, None, "0644")
    assert (mode(dest), dest.read_bytes()) == (0o600, text)


@pytest.mark.parametrize("content", [
    b"", b"text", pki.key_bytes(pki.ec_key()), pki.key_bytes(keys.key("P-256"), "TraditionalOpenSSL"),
    pki.key_bytes(keys.key("P-256"), encoding="DER"), pki.key_bytes(keys.key("P-256"), passphrase=b"x"),
    pki.key_bytes(keys.key("P-256")) * 2, pki.key_bytes(keys.key("P-256")).replace(b" PRIVATE", b" EC PRIVATE"),
])
def test_anything_else_in_dest_is_replaced(src: Path, dest: Path, content: bytes) -> None:
    dest.write_bytes(content)
    answer = ask(src, dest, backup=True)
    assert answer["changed"]
    assert keys.spki_by_openssl(dest.read_bytes()) == pki.spki(keys.key("P-256"))
    backup = Path(answer["backup"])
    assert (backup.read_bytes(), mode(backup), backup.parent) == (content, 0o600, dest.parent)
    assert re.fullmatch(r"sesam\.https\.key\.\d{8}T\d{6}Z~", backup.name)
    assert sorted(os.listdir(dest.parent)) == sorted([dest.name, backup.name])


def test_two_backups_in_a_second(src: Path, dest: Path) -> None:
    backups = set()
    for number in range(3):
        dest.write_text(str(number))
        backups.add(ask(src, dest, backup=True)["backup"])
    assert len(backups) == 3
    assert sorted(Path(backup).read_text() for backup in backups) == ["0", "1", "2"]


def test_check_mode_leaves_no_trace(src: Path, dest: Path) -> None:
    for _turn in range(2):
        before = tree(src.parent)
        answer = ask(src, dest, check_mode=True, backup=True)
        assert (answer["changed"], answer["backup"]) == (True, None)
        assert tree(src.parent) == before
        real = ask(src, dest, backup=True)
        assert real["changed"] == answer["changed"]
        assert not ask(src, dest, check_mode=True)["changed"]
        dest.write_text("something else")


def test_mode_and_owner(src: Path, dest: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(src, 1234, 2345)
    answer = ask(src, dest, mode=0o640)
    assert (dest.stat().st_uid, dest.stat().st_gid, mode(dest)) == (1234, 2345, 0o640)
    assert answer["after"] == {"form": "PKCS#8", "mode": "0640", "uid": 1234, "gid": 2345}
    os.chown(dest, 3456, 4567)
    assert not ask(src, dest, mode=0o640)["changed"]
    assert ask(src, dest, owner="root", group="0")["changed"]
    assert (dest.stat().st_uid, dest.stat().st_gid, mode(dest)) == (0, 0, 0o600)
    for name in ("nobody at all", "\0", "\udcff", "²", str(2**32 - 1)):
        assert refused(lambda name=name: ask(src, dest, owner=name)).id == "owner-unknown"  # type: ignore[misc]


def test_certificates_beside_the_key(src: Path, dest: Path) -> None:
    key, certificate = src.read_bytes(), pki.make(key=keys.key("P-256")).pem
    for content in (key + certificate, certificate + key):
        src.write_bytes(content)
        assert ask(src, dest)["findings"] == []
        assert b"CERTIFICATE" not in dest.read_bytes()
        dest.unlink()
    # Where they would be lost, they are in a backup.
    answer = ask(src, src, backup=False)
    assert [finding["id"] for finding in answer["findings"]] == ["key-file-held-more"]
    assert Path(answer["backup"]).read_bytes() == certificate + key
    assert not ask(src, src)["changed"]
    # What is right already is left alone, with what stands beside it.
    src.write_bytes(pki.key_bytes(keys.key("P-256")) + certificate)
    assert not ask(src, src)["changed"]


@pytest.mark.parametrize(("content", "id", "says"), [
    (b"", "input-empty", "is empty"),
    (b" \n\n", "input-empty", "is empty"),
    (b"text", "input-unrecognised", "nothing that is known"),
    (pki.make().pem, "input-unrecognised", "it holds CERTIFICATE"),
    (b"\xfe\xed\xfe\xed\0\0\0\2", "conversion-impossible", "keytool -importkeystore"),
    (b"\xce\xce\xce\xce\0\0\0\2", "conversion-impossible", "PKCS12"),
    (pki.key_bytes(pki.ec_key(), "OpenSSH"), "conversion-impossible", "ssh-keygen -p -m PKCS8"),
    (pki.key_bytes(pki.ec_key()) * 2, "key-count", "2 private keys"),
    (pki.key_bytes(pki.ec_key(), passphrase=b"x"), "key-passphrase-missing", "passphrase"),
    (b"\0" * ((1 << 20) + 1), "input-too-large", "1048577 bytes"),
    (keys.openssl("ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout"),
     "conversion-impossible", "-param_enc named_curve"),
    (b"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n", "input-unrecognised", "PRIVATE KEY"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_refused(src: Path, dest: Path, content: bytes, id: str, says: str) -> None:
    src.write_bytes(content)
    told = refused(lambda: ask(src, dest))
    assert (told.id, told.subject) == (id, "wanted")
    assert says in told.message + told.fix
    assert os.listdir(dest.parent) == []


def test_the_fix_for_a_curve_helps(src: Path, dest: Path) -> None:
    src.write_bytes(keys.openssl("ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout"))
    src.write_bytes(keys.openssl("ec", "-in", str(src), "-param_enc", "named_curve"))
    assert ask(src, dest)["changed"]


def test_a_public_key_that_is_not_the_same(src: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should openssl, or this code, ever make another key of it, nothing is written."""
    monkeypatch.setattr(openssl, "public_key", lambda *_arguments: pki.spki(pki.ec_key()))
    assert refused(lambda: ask(src, dest)).id == "key-not-proved"
    assert os.listdir(dest.parent) == []


@pytest.mark.parametrize(("make", "says"), [
    (lambda path: None, "does not exist"),
    (lambda path: path.symlink_to(path.name), "a symbolic link"),
    (os.mkfifo, "a FIFO"), (os.mkdir, "a directory"),
])
def test_a_source_that_is_no_file(tmp_path: Path, dest: Path, make: t.Callable[[Path], object], says: str) -> None:
    make(tmp_path / "other")
    told = refused(lambda: ask(tmp_path / "other", dest))
    assert told.id == "input-missing"
    assert says in told.message


@pytest.mark.parametrize("make", [
    lambda path: path.symlink_to("/etc/hostname"), lambda path: path.symlink_to("nowhere"), os.mkfifo, os.mkdir,
    lambda path: (path.touch(), os.link(path, f"{path}.other")),
])
def test_a_destination_that_is_no_file_of_its_own(src: Path, dest: Path, make: t.Callable[[Path], object]) -> None:
    make(dest)
    before = tree(src.parent)
    assert refused(lambda: ask(src, dest)).id == "destination-is-link"
    assert tree(src.parent) == before


def test_other_places(src: Path, dest: Path) -> None:
    assert refused(lambda: ask(src, dest.parent / "none" / "x")).id == "directory-missing"
    assert refused(lambda: ask(src, Path("x"))).id == "path-not-absolute"
    assert refused(lambda: ask(Path("x"), dest)).id == "path-not-absolute"


def test_a_file_that_is_mounted(src: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "mount_points", lambda: {str(dest.resolve())})
    assert refused(lambda: ask(src, dest)).id == "different-filesystem"
    monkeypatch.setattr(processes, "mount_points", lambda: {str(dest.parent.resolve())})
    assert ask(src, dest)["changed"]


def test_rights_are_missing(src: Path, dest: Path, as_nobody: t.Callable[[t.Callable[[], object]], str]) -> None:
    assert as_nobody(lambda: refused(lambda: ask(src, dest)).id) == "not-root"
    src.chmod(0o644)
    assert as_nobody(lambda: refused(lambda: ask(src, dest)).message).startswith("User 65534 may not write")


def test_no_moment_shows_a_wider_mode(src: Path, dest: Path, program: t.Any, tmp_path: Path) -> None:
    """Every file that is created, as the kernel was asked for it; with the umask that hides nothing."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    dest.write_text("something")
    parameters = orders.conversion(src, dest, backup=True)
    log = tmp_path / "strace"
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=openat,chmod,fchmod,rename,renameat,renameat2", "-o", log,
         program.python, "-B", "-m", "_host", "convert"], cwd=checkout.ROOT / "plugins/module_utils",
        input=json.dumps(parameters), capture_output=True, text=True, check=False, umask=0)
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace may not be used")
    assert json.loads(done.stdout)["changed"]
    lines = log.read_text().splitlines()
    created = [line for line in lines if "O_CREAT" in line and "/dev/" not in line]
    assert len(created) >= 3  # The new one, the old one, the backup.
    assert all(", 0600)" in line and "O_EXCL" in line for line in created)
    modes = {match.group(1) for line in lines if (match := re.search(r"chmod\(.*, (0\d+)\)", line))}
    assert modes == {"0600", "0644"}  # The latter is that of what was there, for the way back.
    assert sum("rename" in line for line in lines) == 1


@pytest.mark.parametrize("fails", [1, 2])
def test_a_rename_that_fails(src: Path, dest: Path, fails: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dest.write_text("what was there")
    dest.chmod(0o644)
    calls = []
    lines: list[str] = []
    real = os.rename
    monkeypatch.setattr(system_log, "tell", lines.append)

    def rename(*arguments: t.Any, **keywords: t.Any) -> None:
        calls.append(arguments)
        if len(calls) <= fails:
            raise OSError(5, "Input/output error")
        real(*arguments, **keywords)

    monkeypatch.setattr(os, "rename", rename)
    told = refused(lambda: ask(src, dest, backup=True))
    assert told.id == "placing-failed"
    assert (dest.read_text(), mode(dest)) == ("what was there", 0o644)
    if fails == 1:
        assert os.listdir(dest.parent) == [dest.name]
        assert "is back" in told.message
        assert lines == []
    else:
        assert ".sep-sesam-back" in told.fix
        assert lines == [f"Key files: neither the new nor the old in place {dest}; run={RUN['id']} by={RUN['by']}"]
        assert f"{dest.name}.sep-sesam-back" in os.listdir(dest.parent)
    # The next run does it, and leaves nothing lying about.
    assert ask(src, dest)["changed"]
    assert [name for name in os.listdir(dest.parent) if "sep-sesam" in name] == []


def test_what_a_dead_run_left_is_taken_away(src: Path, dest: Path) -> None:
    for ending in (".sep-sesam-put", ".sep-sesam-back"):
        Path(f"{dest}{ending}").write_text("left")
    assert ask(src, dest, check_mode=True)["changed"]
    assert len(os.listdir(dest.parent)) == 2
    assert ask(src, dest)["changed"]
    assert os.listdir(dest.parent) == [dest.name]


def test_a_full_disk(src: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dest.write_text("what was there")

    def write(*_arguments: t.Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        ask(src, dest, backup=True)
    monkeypatch.undo()
    assert (os.listdir(dest.parent), dest.read_text()) == ([dest.name], "what was there")


def test_syslog_gets_one_line_for_a_change(src: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(system_log, "tell", told.append)
    by = f"; run={RUN['id']} by={RUN['by']}"
    assert ask(src, dest, check_mode=True)["changed"]
    assert ask(src, dest)["changed"]
    assert not ask(src, dest)["changed"]
    assert ask(src, dest, mode=0o640)["changed"]
    assert refused(lambda: ask(src.parent / "nowhere", dest)).id == "input-missing"
    assert told == [f"Key files: put in place {dest}{by}", f"Key files: owner and mode set {dest}{by}"]


@pytest.mark.parametrize("name", ["-in", "--", "$(kill $$).key", "`kill $$`", "a; kill $$ & 'b' \"", "\x1b[2J\n-k"])
def test_a_path_is_a_path_whatever_it_holds(name: str, tmp_path: Path, openssl_recorded: t.Any) -> None:
    src, dest = tmp_path / name, tmp_path / f"{name}.dest"
    src.write_bytes(keys.ENCRYPTED["PBES2 AES-256"]("P-256"))
    assert ask(src, dest, passphrase=keys.PASSPHRASE)["changed"]
    assert keys.spki_by_openssl(dest.read_bytes()) == pki.spki(keys.key("P-256"))
    assert openssl_recorded.calls
    assert str(tmp_path) not in openssl_recorded.text
    # What a message has for a shell holds it as one word.
    src.write_bytes(b"\xfe\xed\xfe\xed\0\0\0\2")
    command = refused(lambda: ask(src, dest)).fix.partition(": ")[2].rstrip(".")
    assert shlex.split(command)[:6] == ["keytool", "-importkeystore", "-srckeystore", str(src), "-destkeystore",
                                        f"{src}.p12"]


def test_two_at_once(src: Path, dest: Path, program: t.Any) -> None:
    others = []
    parameters = orders.conversion(src, dest, backup=True)
    for _number in range(4):
        others.append(program.begin("convert", parameters))
    answers = [json.loads(process.communicate()[0]) for process in others]
    assert [answer["refused"] for answer in answers] == [None] * 4
    assert sum(answer["changed"] for answer in answers) == 1
    assert os.listdir(dest.parent) == [dest.name]


def test_who_works_there_is_waited_for(src: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "LOCK_SECONDS", 0.2)
    descriptor = os.open(dest.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert refused(lambda: ask(src, dest)).id == "locked"
    assert ask(src, dest, check_mode=True)["changed"]
    os.close(descriptor)
    assert ask(src, dest)["changed"]


def test_key_that_was_replaced_meanwhile_is_the_one_that_counts(dest: Path, program: t.Any) -> None:
    """By a replacement of the pair, which has the lock: the former key put over the new one would break the pair."""
    dest.write_bytes(keys.PLAIN_TRADITIONAL["traditional"]("P-256"))
    descriptor = os.open(dest.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    waits = program.begin("convert", orders.conversion(dest, dest, backup=False))
    time.sleep(1.5)
    assert waits.poll() is None
    new = pki.key_bytes(keys.key("P-384"))
    dest.write_bytes(new)
    dest.chmod(0o600)
    os.close(descriptor)
    answer = json.loads(waits.communicate(timeout=30)[0])
    assert (answer["refused"], answer["changed"], answer["form_before"]) == (None, False, "PKCS#8")
    assert dest.read_bytes() == new


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_file_that_cannot_be_replaced_is_refused_only_where_it_would_be(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check_mode: bool
) -> None:
    """A finished key may be immutable for good."""
    dest = tmp_path / "dest.key"
    assert ask(src, dest)["changed"]
    monkeypatch.setattr(obstacles, "_flags", lambda path: 0x10 if path == str(dest) else 0)
    assert not ask(src, dest, check_mode=check_mode)["changed"]
    before = dest.stat()
    told = refused(lambda: ask(src, dest, mode=0o640, check_mode=check_mode))
    assert told.id == "file-immutable"
    assert dest.stat() == before
