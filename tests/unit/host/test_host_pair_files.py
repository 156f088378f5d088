# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pair in one folder: read, proved, staged, put in place."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import pair_files, pairs, placing, refusal
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from unit import pki

CRT, KEY = pair_files.CERTIFICATE, pair_files.PRIVATE_KEY
OWNER = (os.getuid(), os.getgid())


def put(folder: Path, certificate: bytes | None, key: bytes | None) -> None:
    for name, content in ((CRT, certificate), (KEY, key)):
        if content is not None:
            (folder / name).write_bytes(content)


def read(folder: Path) -> pairs.Pair:
    with pair_files.Folder(str(folder)) as opened:
        return opened.read()


def copies(pair: pki.Pair) -> dict[str, pair_files.Copy]:
    return {CRT: pair_files.Copy(pair.pem, 0o644, OWNER), KEY: pair_files.Copy(pair.key_pem, 0o600, OWNER)}


@pytest.mark.parametrize("key", [
    pki.ec_key(), ec.generate_private_key(ec.SECP384R1()), pki.rsa_key(), ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 1024),
])
def test_a_pair_that_works(tmp_path: Path, key: pki.Key) -> None:
    pair = pki.make(key=key, issuer=pki.make_ca())
    put(tmp_path, pair.pem, pair.key_pem)
    found = read(tmp_path)
    assert (found.works, found.reason) == (True, "")
    assert found.leaf == pair.der
    facts = found.facts()
    assert facts["certificate"]["chain"] == pair.base64_chain
    assert facts["private_key"]["form"] == "PKCS#8"


@pytest.mark.parametrize("change", [
    lambda pem: pem.replace(b"\n", b"\r\n"), lambda pem: b"subject=CN = x\n\n" + pem, lambda pem: b"\n" + pem + b"\n\n",
    lambda pem: pem.rstrip(b"\n"),
])
def test_text_around_a_certificate(tmp_path: Path, new: pki.Pair, change: t.Callable[[bytes], bytes]) -> None:
    put(tmp_path, change(new.pem), new.key_pem)
    assert read(tmp_path).works
    assert read(tmp_path).facts()["certificate"]["chain"] == new.base64_chain


def broken(**changes: t.Any) -> t.Callable[[pki.Pair], tuple[bytes | None, bytes | None]]:
    return lambda pair: (changes.get("certificate", pair.pem), changes.get("key", pair.key_pem))


GARBAGE = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
NO_DER = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(("files", "reason"), [
    (broken(certificate=None, key=None), f"{CRT} cannot be read: it does not exist"),
    (broken(certificate=None), f"{CRT} cannot be read: it does not exist"),
    (broken(key=None), f"{KEY} cannot be read: it does not exist"),
    (broken(certificate=b""), f"{CRT} holds no certificate in PEM"),
    (broken(certificate=b"garbage"), f"{CRT} holds no certificate in PEM"),
    (broken(certificate=pki.make().der), f"{CRT} holds no certificate in PEM"),
    (broken(certificate=GARBAGE), f"{CRT} holds no certificate in PEM"),
    (broken(certificate=NO_DER), "certificate and private key do not work together"),
    (broken(key=b"garbage"), f"{KEY} is no private key, and the server reads unencrypted PKCS#8"),
    (broken(key=pki.make().key_pem), "certificate and private key do not work together"),
    (broken(key=pki.key_bytes(pki.rsa_key())), "certificate and private key do not work together"),
    (broken(key=b"x" * (1 << 21)), f"{KEY} cannot be read: it has 2097152 bytes"),
    (broken(certificate=b"x" * (1 << 21)), f"{CRT} cannot be read: it has 2097152 bytes"),
])
def test_a_pair_that_cannot_work(tmp_path: Path, old: pki.Pair, files: t.Any, reason: str) -> None:
    put(tmp_path, *files(old))
    found = read(tmp_path)
    assert not found.works
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(("form", "passphrase", "called"), [
    ("TraditionalOpenSSL", None, "SEC1"), ("PKCS8", b"secret", "encrypted PKCS#8"),
    ("TraditionalOpenSSL", b"secret", "traditional encrypted"), ("PKCS8", b" ", "encrypted PKCS#8"),
    ("OpenSSH", None, "OpenSSH"),
])
def test_the_right_key_in_a_form_that_the_server_cannot_read(
    tmp_path: Path, old: pki.Pair, form: pki.Form, passphrase: bytes | None, called: str
) -> None:
    put(tmp_path, old.pem, pki.key_bytes(old.key, form, passphrase))
    assert read(tmp_path).reason.startswith(f"{KEY} is {called}, and the server reads unencrypted PKCS#8")


def test_an_encrypted_key_under_a_wrong_label_waits_for_nobody(tmp_path: Path, old: pki.Pair) -> None:
    encrypted = pki.key_bytes(old.key, passphrase=b"secret").replace(b"ENCRYPTED ", b"")
    put(tmp_path, old.pem, encrypted + old.key_pem)
    assert not read(tmp_path).works


@pytest.mark.parametrize("name", [CRT, KEY])
@pytest.mark.parametrize(("make", "kind"), [
    (os.mkfifo, "a FIFO"), (os.mkdir, "a directory"), (lambda path: os.symlink("/dev/zero", path), "a symbolic link"),
])
def test_what_is_no_file_is_said(
    tmp_path: Path, old: pki.Pair, name: str, make: t.Callable[[Path], None], kind: str
) -> None:
    put(tmp_path, old.pem, old.key_pem)
    (tmp_path / name).unlink()
    make(tmp_path / name)
    found = read(tmp_path)
    assert not found.works
    assert kind in found.reason
    with pair_files.Folder(str(tmp_path)) as folder, pytest.raises(refusal.Refused) as refused:
        folder.copies()
    assert refused.value.id == "backup-impossible"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    found = read(tmp_path / "none")
    assert found.certificate.status == found.private_key.status == "absent"
    assert not found.works
    with pair_files.Folder(str(tmp_path / "none")) as folder:
        assert folder.copies() == {}
        folder.unstage()


def test_without_permission(
    tmp_path: Path, old: pki.Pair, as_nobody: t.Callable[[t.Callable[[], object]], str]
) -> None:
    folder = tmp_path / "ssl"
    folder.mkdir(mode=0o755)
    put(folder, old.pem, old.key_pem)
    (folder / KEY).chmod(0o600)
    assert as_nobody(lambda: read(folder).private_key.status) == "no_permission"
    assert as_nobody(lambda: read(folder).leaf == old.der) == "True"
    assert as_nobody(lambda: "no permission" in read(folder).reason) == "True"


def test_a_folder_without_permission(
    tmp_path: Path, old: pki.Pair, as_nobody: t.Callable[[t.Callable[[], object]], str]
) -> None:
    folder = tmp_path / "ssl"
    folder.mkdir()
    put(folder, old.pem, old.key_pem)
    folder.chmod(0o700)
    assert as_nobody(lambda: read(folder).private_key.status) == "no_permission"


def test_staging_and_placing(tmp_path: Path, old: pki.Pair, new: pki.Pair) -> None:
    put(tmp_path, old.pem, old.key_pem)
    before = os.umask(0)
    try:
        with pair_files.Folder(str(tmp_path)) as folder:
            folder.stage(copies(new), pair_files.NEW)
            staged = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
            assert staged.pop(CRT)
            assert staged.pop(KEY)
            assert sorted(staged.values()) == [0o600, 0o644]
            assert read(tmp_path).leaf == old.der
            assert folder.rehearse() == ""
            folder.place(copies(new), pair_files.NEW)
            assert folder.copies() == copies(new)
    finally:
        os.umask(before)
    assert sorted(os.listdir(tmp_path)) == [CRT, KEY]
    assert read(tmp_path).works


def test_a_key_that_is_in_place_is_left_alone(tmp_path: Path, old: pki.Pair) -> None:
    """It may be immutable: then the certificate that belongs to it comes back at least."""
    put(tmp_path, old.pem, old.key_pem)
    (tmp_path / KEY).chmod(0o600)
    before = (tmp_path / KEY).stat().st_ino
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.stage(copies(old), pair_files.OLD)
        folder.place(copies(old), pair_files.OLD)
    assert ((tmp_path / KEY).stat().st_ino, (tmp_path / CRT).read_bytes()) == (before, old.pem)


def test_unstage_takes_away_what_was_left(tmp_path: Path, old: pki.Pair, new: pki.Pair) -> None:
    put(tmp_path, old.pem, old.key_pem)
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.stage(copies(old), pair_files.NEW)
        folder.stage(copies(new), pair_files.NEW)
        assert folder.rehearse() == ""
        folder.unstage()
        folder.unstage()
    assert sorted(os.listdir(tmp_path)) == [CRT, KEY]


def test_rehearsal_finds_a_mismatch(tmp_path: Path, old: pki.Pair, new: pki.Pair) -> None:
    mixed = {CRT: copies(new)[CRT], KEY: copies(old)[KEY]}
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.stage(mixed, pair_files.NEW)
        assert "do not work together" in folder.rehearse()


def test_rehearsal_finds_another_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: pki.Pair, new: pki.Pair
) -> None:
    monkeypatch.setattr(pair_files, "_handshake_in_memory", lambda context: old.der)
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.stage(copies(new), pair_files.NEW)
        assert "another certificate" in folder.rehearse()


@pytest.mark.parametrize("before", ["pair", "half", "nothing"])
@pytest.mark.parametrize("after", ["pair", "half", "nothing"])
def test_at_no_moment_lie_two_files_that_do_not_belong_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: pki.Pair, new: pki.Pair, before: str, after: str
) -> None:
    """After each single call of the operating system: the old pair, the new pair, or no certificate."""
    if before != "nothing":
        put(tmp_path, old.pem, old.key_pem if before == "pair" else None)
    target = {"pair": copies(new), "half": {CRT: copies(new)[CRT]}, "nothing": {}}[after]
    states: list[tuple[bytes | None, bytes | None]] = []
    calls: list[str] = []

    def look() -> tuple[bytes | None, bytes | None]:
        content = [path.read_bytes() if path.exists() else None for path in (tmp_path / CRT, tmp_path / KEY)]
        return content[0], content[1]

    def watched(name: str) -> None:
        original = getattr(os, name)

        def call(*arguments: t.Any, **keywords: t.Any) -> t.Any:
            try:
                return original(*arguments, **keywords)
            finally:
                calls.append(name)
                states.append(look())

        monkeypatch.setattr(os, name, call)

    with pair_files.Folder(str(tmp_path)) as folder:
        folder.stage(target, pair_files.NEW)
        for name in ("rename", "replace", "unlink", "link", "fsync", "open", "remove"):
            watched(name)
        was = look()
        folder.place(target, pair_files.NEW)
    shall_be = tuple(target[name].content if name in target else None for name in (CRT, KEY))
    assert states[-1] == shall_be
    assert [state for state in states if state[0] is not None and state not in (was, shall_be)] == []
    # Each change of the folder is on the disk before the next one is made.
    changes = [index for index, name in enumerate(calls) if name in ("rename", "unlink")]
    assert changes
    assert all(calls[index + 1] == "fsync" for index in changes)


def test_the_system_calls_of_a_placement(tmp_path: Path, old: pki.Pair, new: pki.Pair, program: t.Any) -> None:
    """The same as the kernel sees it."""
    put(tmp_path, old.pem, old.key_pem)
    (tmp_path / "new.crt").write_bytes(new.pem)
    (tmp_path / "new.key").write_bytes(new.key_pem)
    code = """
import sys
from _host import pair_files
folder, (crt, key) = sys.argv[1], (open(sys.argv[1] + "/new." + end, "rb").read() for end in ("crt", "key"))
names = (pair_files.CERTIFICATE, pair_files.PRIVATE_KEY)
pair = {names[0]: pair_files.Copy(crt, 0o644, (0, 0)), names[1]: pair_files.Copy(key, 0o600, (0, 0))}
with pair_files.Folder(folder) as opened:
    opened.stage(pair, pair_files.NEW)
    opened.place(pair, pair_files.NEW)
"""
    trace = tmp_path / "trace"
    if shutil.which("strace") is None or os.geteuid() != 0:
        pytest.skip("strace was not found, or there are no rights to change owners")
    calls = "trace=rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync"
    done = subprocess.run(["strace", "-o", trace, "-e", calls, program.python, "-B", "-c", code, tmp_path],
                          cwd=Path(pair_files.__file__).resolve().parents[1], check=False)
    if done.returncode != 0:
        pytest.skip("strace cannot trace here")
    lines = [line for line in trace.read_text().splitlines() if line.endswith("= 0")]
    words = [(line.split("(")[0].rstrip("at2"), CRT in line, KEY in line) for line in lines]
    assert words == [
        ("fsync", False, False), ("fsync", False, False),
        ("unlink", True, False), ("fsync", False, False),
        ("rename", False, True), ("fsync", False, False),
        ("rename", True, False), ("fsync", False, False),
    ]


def test_the_folder_is_held_by_descriptor(tmp_path: Path, old: pki.Pair, new: pki.Pair) -> None:
    """Who moves the folder away and puts a link in its place leads nobody elsewhere."""
    for name in ("ssl", "trap"):
        (tmp_path / name).mkdir()
    with pair_files.Folder(str(tmp_path / "ssl")) as folder:
        (tmp_path / "ssl").rename(tmp_path / "moved")
        (tmp_path / "ssl").symlink_to("trap")
        folder.stage(copies(new), pair_files.NEW)
        folder.place(copies(new), pair_files.NEW)
    assert os.listdir(tmp_path / "trap") == []
    assert read(tmp_path / "moved").works


def test_make(tmp_path: Path, new: pki.Pair) -> None:
    with pair_files.Folder(str(tmp_path / "ssl")) as folder:
        folder.make()
        folder.make()
        folder.stage(copies(new), pair_files.NEW)
        folder.place(copies(new), pair_files.NEW)
    assert stat.S_IMODE((tmp_path / "ssl").stat().st_mode) & 0o022 == 0
    assert read(tmp_path / "ssl").works


def test_permissions(tmp_path: Path, old: pki.Pair) -> None:
    put(tmp_path, old.pem, old.key_pem)
    (tmp_path / KEY).chmod(0o644)
    (tmp_path / CRT).chmod(0o600)
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.set_permissions(lambda _owner: OWNER)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (CRT, KEY)] == [0o644, 0o600]


def test_permissions_survive_a_power_cut(tmp_path: Path, old: pki.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, old.pem, old.key_pem)
    (tmp_path / KEY).chmod(0o644)
    (tmp_path / CRT).chmod(0o644)
    safe = {}
    monkeypatch.setattr(os, "fsync", lambda descriptor: safe.update(
        {os.readlink(f"/proc/self/fd/{descriptor}"): stat.S_IMODE(os.fstat(descriptor).st_mode)}))
    with pair_files.Folder(str(tmp_path)) as folder:
        folder.set_permissions(lambda _owner: OWNER)
    assert safe == {str(tmp_path / KEY): 0o600}


def test_what_cannot_be_taken_away_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(name: str, **_keywords: t.Any) -> t.NoReturn:
        raise OSError(1, "Operation not permitted", name)

    monkeypatch.setattr(os, "unlink", unlink)
    with pair_files.Folder(str(tmp_path)) as folder, pytest.raises(OSError) as raised:
        folder.unstage()
    assert raised.value.filename == f"{tmp_path}/{CRT}.sep-sesam-new"
    with placing.Places([str(tmp_path / KEY)]) as places, pytest.raises(OSError) as raised:
        places.lock(0)
    assert raised.value.filename == f"{tmp_path}/{KEY}.sep-sesam-put"


def test_copies_keep_bytes_modes_and_owners(tmp_path: Path) -> None:
    put(tmp_path, b"\0garbage\r\n", b"")
    (tmp_path / KEY).chmod(0o640)
    if os.geteuid() == 0:
        os.chown(tmp_path / KEY, 12, 34)
    with pair_files.Folder(str(tmp_path)) as folder:
        found = folder.copies()
        folder.stage(found, pair_files.NEW)
        folder.place(found, pair_files.NEW)
        assert folder.copies() == found
    assert found[CRT].content == b"\0garbage\r\n"
    assert found[KEY].mode == 0o640
    assert found[KEY].owner == ((12, 34) if os.geteuid() == 0 else OWNER)
