# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody without rights owns the folders in which root works, and exchanges what is there at the worst moment."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import (
    conversion,
    core_dumps,
    files,
    gather,
    key_files,
    layout,
    locks,
    pair_files,
    placing,
    processes,
    refusal,
    state,
    transaction,
)
from integration import orders
from integration.accounts import NOBODY, start_as_nobody
from unit import pki
from unit.host import keys
from unit.host.conftest import MODULE_UTILS, RUN
from unit.host.test_host_transaction import tree

CRT, KEY = pair_files.CERTIFICATE, pair_files.PRIVATE_KEY
# POSIX ACLs as the kernel has them: version 2, then tag, rights, number; here one further user has all rights.
NO_ONE = 0xFFFFFFFF
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in (
    (1, 7, NO_ONE), (2, 7, NOBODY), (4, 5, NO_ONE), (16, 7, NO_ONE), (32, 5, NO_ONE)))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to somebody else")


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    return raised.value


def owned(path: Path, uid: int = NOBODY) -> Path:
    """A folder of somebody's, made where it is not there."""
    path.mkdir(exist_ok=True)
    os.chown(path, uid, uid)
    return path


def copies(pair: pki.Pair, owner: tuple[int, int] = (0, 0)) -> dict[str, pair_files.Copy]:
    return {CRT: pair_files.Copy(pair.pem, 0o644, owner), KEY: pair_files.Copy(pair.key_pem, 0o600, owner)}


# The state folder, whose owner is root, and which stands in a folder that is not

@pytest.fixture
def kept(tmp_path: Path) -> t.Iterator[state.State]:
    found = state.State(str(owned(tmp_path / "ini") / "state"))
    found.lock(RUN, 0, 0)
    found.write_journal({"run": RUN})
    yield found
    found.unlock()


def exchange(kept: state.State, prepared: Path) -> Path:
    """Put another folder in the place of the one that is held; the answer is where that one is now."""
    aside = Path(kept.path).with_name("aside")
    os.rename(kept.path, aside)
    os.rename(prepared, kept.path)
    return aside


def prepared(folder: Path) -> Path:
    """A state folder as somebody would like it to be."""
    evil = folder / "evil"
    for name in ("pending", "pending.done", "backups/20260101T000000Z-evil"):
        (evil / name).mkdir(parents=True)
    (evil / "journal").write_text(json.dumps({"run": {"id": "evil", "by": "evil"}}))
    (evil / "result").write_text(json.dumps({"id": RUN["id"], "result": {"changed": "evil"}}))
    (evil / "lock").write_text("a file that is not ours")
    (evil / "backups/20260101T000000Z-evil/facts").write_text(json.dumps({"files": {}}))
    return evil


def test_state_folder_that_is_exchanged_is_neither_believed_nor_touched(
    kept: state.State, tmp_path: Path, new: pki.Pair
) -> None:
    kept.make_pending()
    aside = exchange(kept, prepared(tmp_path))
    before = tree(Path(kept.path))
    assert kept.journal() == {"run": RUN}
    assert kept.result_of(RUN["id"]) is None
    kept.keep_result(RUN["id"], {"changed": True})
    backup = kept.backups.keep(copies(new), RUN, {})
    assert backup is not None
    assert backup.startswith(f"{kept.path}/backups/")
    assert kept.backups.pair_in(backup) == copies(new)
    assert [one["name"] for one in kept.backups.listed() or []] == [os.path.basename(backup)]
    kept.backups.prune(0, None)
    kept.clear_journal()
    kept.clear_pending()
    kept.make_pending()
    kept.note_program()
    assert tree(Path(kept.path)) == before
    assert sorted(os.listdir(aside)) == ["backups", "lock", "pending", "result"]
    assert os.listdir(aside / "backups") == []


def test_replacement_looks_at_the_journal_that_is_held(
    kept: state.State, tmp_path: Path, places: layout.Layout
) -> None:
    exchange(kept, prepared(tmp_path))
    elsewhere = places._replace(sesam_var=str(tmp_path))
    assert gather.look(elsewhere, {"port": 1}, kept)["journal"] == {"run": RUN}


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_state_folder_is_held_before_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Exchanged just after it was found good: its lock would be written into any folder."""
    elsewhere = owned(tmp_path / "elsewhere")
    (elsewhere / "lock").write_text("of somebody else")
    kept = state.State(str(tmp_path / "state"))
    os.mkdir(kept.path, 0o700)
    hold = files.hold_private_folder

    def then_exchanged(path: str) -> int:
        held = hold(path)
        os.rename(path, path + ".aside")
        os.symlink(elsewhere, path) if kind == "link" else os.rename(elsewhere, path)
        return held

    monkeypatch.setattr(files, "hold_private_folder", then_exchanged)
    kept.lock(RUN, 0, 0)
    kept.unlock()
    assert (Path(kept.path) / "lock").read_text() == "of somebody else"


def test_key_of_a_backup_is_read_where_it_is_held(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """C(held) leads into the folder that is open, for its own paths alone."""
    kept = state.State(str(site.state))
    assert kept.held(kept.pending_key) == kept.pending_key
    kept.lock(RUN, 0, 0)
    inside = kept.held(f"{kept.path}/backups/x/{KEY}")
    assert os.path.realpath(os.path.dirname(inside)) == f"{kept.path}/backups/x"
    assert inside.startswith("/proc/self/fd/")
    assert kept.held(f"{kept.path}x/y") == f"{kept.path}x/y"
    kept.unlock()


def test_new_key_goes_into_the_folder_that_is_held(
    tmp_path: Path, places: layout.Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would get the owner of a file that somebody has put there, and he could read it."""
    evil = prepared(tmp_path)
    (evil / "pending" / KEY).write_bytes(pki.key_bytes(keys.key("P-256")))
    os.chown(evil / "pending" / KEY, NOBODY, NOBODY)
    make = state.State.make_pending
    aside: list[Path] = []

    def then_exchanged(self: state.State) -> None:
        make(self)
        aside.append(exchange(self, evil))

    monkeypatch.setattr(state.State, "make_pending", then_exchanged)
    answer = key_files.look_or_make(orders.key_files(
        sesam2000_ini=str(Path(places.sesam_var).parent / "sesam2000.ini"), pending=True,
        key={"generate": {"type": "EC", "curve": "secp256r1"}}))
    assert answer["changed"]
    assert (aside[0] / "pending" / KEY).stat().st_uid == 0
    assert (Path(places.state_folder) / "pending" / KEY).stat().st_uid == NOBODY


def test_key_of_a_backup_comes_from_the_folder_that_is_held(
    site: t.Any, old: pki.Pair, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a link in another folder could lead to any key of root's, whose certificate everybody knows."""
    site.put(old)
    Path(site.instance.sesam2000_profile).unlink()
    owned(site.state.parent)
    for top, pair in ((site.state, new), (site.state.parent / "evil", old)):
        backup = top / "backups" / "x"
        backup.mkdir(parents=True)
        for folder in (top, backup.parent):
            folder.chmod(0o700)
        (backup / KEY).write_bytes(pair.key_pem)
    lock = state.State.lock

    def then_exchanged(self: state.State, *arguments: t.Any, **keywords: t.Any) -> float:
        waited = lock(self, *arguments, **keywords)
        exchange(self, site.state.parent / "evil")
        return waited

    monkeypatch.setattr(state.State, "lock", then_exchanged)
    order = site.order(new, private_key=None, private_key_on_host=str(site.state / "backups" / "x" / KEY))
    answer = transaction.replace(order)
    assert (answer["refused"], answer["action"]) == (None, "placed")
    assert site.is_on_disk(new)


def test_open_folder_is_called_by_its_name(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_PATH)
    exc = FileNotFoundError(errno.ENOENT, "No such file or directory", files.through(descriptor, "journal"))
    assert refusal.in_words(exc) == f"No such file or directory: {tmp_path}/journal"
    os.close(descriptor)


# Folders

@pytest.mark.parametrize(("uid", "mode"), [(NOBODY, 0o755), (0, 0o777), (0, 0o1777)])
def test_link_of_somebody_else_in_the_place_of_a_folder(tmp_path: Path, new: pki.Pair, uid: int, mode: int) -> None:
    above, elsewhere = owned(tmp_path / "above", uid), owned(tmp_path / "elsewhere", 0)
    above.chmod(mode)
    (elsewhere / CRT).write_text("of somebody else")
    (above / "ssl").symlink_to(elsewhere)
    before = tree(elsewhere)
    with pair_files.Folder(str(above / "ssl")) as folder:
        assert folder.copies() == {}
        with pytest.raises(FileNotFoundError):
            folder.place(copies(new), pair_files.NEW)
        with pytest.raises(FileExistsError):
            folder.make()
    with pytest.raises(NotADirectoryError), placing.Places([str(above / "ssl" / KEY)]):
        pass
    assert tree(elsewhere) == before


def test_link_of_root_in_the_place_of_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    tmp_path.chmod(0o755)
    with placing.Places([str(tmp_path / "link" / KEY)]) as places:
        places.exchange([(str(tmp_path / "link" / KEY), pair_files.Copy(b"x", 0o600, (0, 0)))], False, RUN)
    assert (tmp_path / "folder" / KEY).read_bytes() == b"x"


def test_conversion_says_what_is_wrong_with_such_a_link(tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(pki.key_bytes(keys.key("P-256")))
    (owned(tmp_path / "above") / "link").symlink_to(tmp_path)
    told = refused(lambda: convert(tmp_path / "src", tmp_path / "above/link" / KEY))
    assert (told.id, told.fix) == ("destination-is-link", "Name the folder that it leads to.")
    assert f"{tmp_path}/above/link is a symbolic link" in told.message


def test_private_folder_in_the_place_of_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the folder above can give root's own folder another name, but not have it given away."""
    private = owned(tmp_path / "ini") / ".sep-sesam"
    private.mkdir(mode=0o700)
    (private / "backups").mkdir()
    make = os.mkdir

    def then_exchanged(path: str, mode: int) -> None:
        make(path, mode)
        os.rename(path, path + ".aside")
        os.rename(private, path)

    with pair_files.Folder(str(tmp_path / "ini/ssl")) as folder:
        monkeypatch.setattr(os, "mkdir", then_exchanged)
        with pytest.raises(FileExistsError):
            folder.make()
    status = (tmp_path / "ini/ssl").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o700)


# Files

@pytest.mark.parametrize("moment", ["before", "after it was opened", "back again"])
@pytest.mark.parametrize("name", [CRT, KEY])
def test_second_name_of_a_file_of_root(
    tmp_path: Path, old: pki.Pair, monkeypatch: pytest.MonkeyPatch, moment: str, name: str
) -> None:
    """A host may allow hard links to files of others (fs.protected_hardlinks = 0)."""
    folder, canary = owned(tmp_path / "ssl"), tmp_path / "canary"
    (folder / CRT).write_bytes(old.pem)
    (folder / KEY).write_bytes(old.key_pem)
    for path in (folder / CRT, folder / KEY):
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o640)
    canary.write_text("for root alone")
    canary.chmod(0o640)
    (folder / name).unlink()
    os.link(canary, folder / name)
    really = files.open_regular

    def then_exchanged(path: str, *rest: t.Any, **keywords: t.Any) -> int:
        descriptor = really(path, *rest, **keywords)
        if path == name and moment != "before":
            (folder / name).unlink()
        if path == name and moment == "back again":
            (folder / name).write_bytes(b"another")
        return descriptor

    monkeypatch.setattr(files, "open_regular", then_exchanged)
    with pair_files.Folder(str(folder)) as opened, pytest.raises((refusal.Refused, FileNotFoundError)) as raised:
        opened.set_permissions(lambda _owner: (NOBODY, NOBODY))
    if isinstance(raised.value, refusal.Refused):
        assert (raised.value.id, str(folder / name) in raised.value.message) == ("destination-is-link", True)
    assert (canary.stat().st_uid, stat.S_IMODE(canary.stat().st_mode)) == (0, 0o640)
    other = folder / ({CRT, KEY} - {name}).pop()
    assert stat.S_IMODE(other.stat().st_mode) == 0o640, "refused, and one of the two was changed all the same"


def test_access_list_of_a_folder_opens_no_file(
    tmp_path: Path, as_nobody: t.Callable[[t.Callable[[], object]], str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        os.setxattr(folder, "system.posix_acl_default", ACL)
    except OSError:
        pytest.skip("the file system of the tests knows no access lists")
    (folder / "other").write_text("x")
    os.chmod(folder / "other", 0o640)
    assert as_nobody((folder / "other").read_text) == "x"
    for mode in (0o600, 0o640):
        files.write_new(str(folder / f"file {mode}"), b"secret", mode)
        assert "Permission" in as_nobody((folder / f"file {mode}").read_text)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o177, 0o777])
def test_umask_that_was_inherited(site: t.Any, old: pki.Pair, new: pki.Pair, umask: int) -> None:
    site.put(old)
    shutil.rmtree(site.state, ignore_errors=True)
    before = os.umask(umask)
    try:
        assert site.replace(new)["action"] == "placed"
    finally:
        os.umask(before)
    found = [Path(site.instance.private_key), site.state, *site.state.rglob("*")]
    assert [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (site.instance.private_key, site.instance.certificate)] == [
        0o600, 0o644]


# The log, which root reads and shows

def test_log_is_read_where_it_is_or_where_the_user_says(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    """The product's own user has made a link of it."""
    site.put(old)
    site.instance.start()
    log = Path(site.instance.log_file)
    elsewhere = log.with_name("elsewhere.log")
    os.rename(log, elsewhere)
    log.symlink_to(elsewhere)
    assert site.resolve()["log"]["file"] == str(log)
    os.lchown(log, NOBODY, NOBODY)
    assert site.resolve()["log"] is None
    named = site.program.ask("resolve", {**site.parameters, "log_file": str(log)})
    assert named["log"]["file"] == str(log)
    answer = site.replace(new, log_file=str(log))
    assert (answer["action"], answer["failure"]) == ("replaced", None)
    assert site.instance.certificate in answer["log_line"]


# Keys that would get another owner

def convert(src: Path, dest: Path, **options: t.Any) -> dict[str, t.Any]:
    return conversion.convert(orders.conversion(src, dest, **options))


def test_link_leads_to_no_key_of_another(tmp_path: Path, as_nobody: t.Callable[[t.Callable[[], object]], str]) -> None:
    """Whoever owns the folder of src and dest has put a link to root's key there, and a file of his own."""
    secret, folder = tmp_path / "secret.key", owned(tmp_path / "folder")
    secret.write_bytes(pki.key_bytes(keys.key("P-256")))
    secret.chmod(0o600)
    (folder / "src").symlink_to(secret)
    (folder / "dest").write_bytes(pki.key_bytes(keys.key("P-384")))
    os.chown(folder / "dest", NOBODY, NOBODY)
    before = tree(folder)
    told = refused(lambda: convert(folder / "src", folder / "dest"))
    assert (told.id, tree(folder)) == ("key-given-away", before)
    assert f"belongs to uid {NOBODY}" in told.message
    assert convert(folder / "src", folder / "dest", owner="root")["changed"]
    assert "Permission" in as_nobody((folder / "dest").read_text)
    (folder / "dest").unlink()
    assert convert(folder / "src", folder / "dest")["changed"]
    assert "Permission" in as_nobody((folder / "dest").read_text)


def test_key_stays_with_its_owner(tmp_path: Path) -> None:
    folder = owned(tmp_path / "folder")
    (folder / "key").write_bytes(keys.PLAIN_TRADITIONAL["traditional"]("P-256"))
    os.chown(folder / "key", NOBODY, NOBODY)
    assert convert(folder / "key", folder / "key")["changed"]
    assert (folder / "key").stat().st_uid == NOBODY


# Processes

def test_what_a_process_of_somebody_else_has_is_not_passed_on() -> None:
    """He could have root's sm_main load what he likes."""
    program = ["/bin/sh", "-c", "echo; exec sleep 60"]
    environment = {"LD_LIBRARY_PATH": "/evil", "SESAM_VAR": "/evil"}
    of_root = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE)
    other = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, user=NOBODY, group=NOBODY, umask=0,
                             extra_groups=[], cwd="/")
    try:
        for process in (of_root, other):
            assert process.stdout
            process.stdout.readline()
        trusted, seen = processes.context(of_root.pid), processes.context(other.pid)
    finally:
        for process in (of_root, other):
            process.kill()
            process.communicate()
    assert trusted
    assert {**trusted.environment, **environment} == trusted.environment
    assert seen
    assert (seen.uid, seen.umask, seen.limits, seen.environment) == (NOBODY, None, {}, {})
    assert seen.differences(seen) == []


def test_who_locks_a_folder_is_named(tmp_path: Path) -> None:
    """Everybody can who may read it; it does not hang for ever."""
    owned(tmp_path / "ssl")
    descriptor = os.open(tmp_path / "ssl", os.O_RDONLY)

    def hold(_writing: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        time.sleep(60)

    pid, reading = start_as_nobody(hold)
    os.close(reading)
    try:
        while not processes.lock_holders(descriptor):
            time.sleep(0.01)
        began = processes.started(pid)
        with placing.Places([str(tmp_path / "ssl" / KEY)]) as places:
            told = refused(lambda: places.lock(0.2))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)
    assert (told.id, told.message) == (
        "locked", f"Another run works in {tmp_path}/ssl: process {pid} of this host, since "
        f"{locks.moment(began)}. It was waited for 0 s.")
    assert began
    assert f"ps -fp {pid}" in told.fix


# Core dumps

CRASHES = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
from _host import answer, core_dumps, openssl, processes, sm_main
os.chdir(sys.argv[1])

def crash(parameters):
    print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
    print(sm_main._run(["/bin/sh", "-c", "ulimit -Sc"], 5, {}, None).output.decode().strip(), flush=True)
    openssl.generate("EC", curve="secp256r1")
    os.kill(os.getpid(), signal.SIGABRT)

answer._ask = lambda question, parameters: crash(parameters)
if sys.argv[2] == "forbidden":
    answer.answer("resolve", {})
crash({})
"""


@pytest.mark.parametrize("how", ["forbidden", "allowed"])
def test_no_core_dump_while_a_key_may_be_held(tmp_path: Path, openssl_recorded: t.Any, how: str) -> None:
    """Neither of ourselves nor of openssl; what sm_main starts has the limit of before."""
    folder = tmp_path / "cores"
    folder.mkdir()
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("core dumps are limited here")
    path = openssl_recorded.log.parent
    code = f"from _host import processes; processes.USUAL_PATH = {str(path)!r} + ':' + processes.USUAL_PATH\n" + CRASHES
    done = subprocess.run([sys.executable, "-B", "-c", code, folder, how], cwd=MODULE_UTILS, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGABRT, done.stderr
    is_allowed = how == "allowed"
    assert done.stdout.split() == ["-1" if is_allowed else "0", "unlimited"]
    assert set(openssl_recorded.core_limits) == {"unlimited" if is_allowed else "0"}
    if Path("/proc/sys/kernel/core_pattern").read_text().strip() == "core":
        assert bool(os.listdir(folder)) == is_allowed


def test_limit_is_as_before_afterwards() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    with core_dumps.none():
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
    assert resource.getrlimit(resource.RLIMIT_CORE) == before == core_dumps.LIMIT_BEFORE["RLIMIT_CORE"]


def test_daemon_inherits_no_descriptor_and_no_limit(site: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site.put(old)
    site.instance.start()
    limits = [resource.prlimit(pid(site), resource.RLIMIT_CORE)]
    assert site.replace(new)["action"] == "replaced"
    limits.append(resource.prlimit(pid(site), resource.RLIMIT_CORE))
    held = [os.path.realpath(path) for path in Path(f"/proc/{pid(site)}/fd").iterdir()]
    assert [path for path in held if path.startswith(site.instance.sesam_var) and "/ini" in path] == []
    assert limits[0] == limits[1]


def pid(site: t.Any) -> int:
    found = processes.owner(processes.listeners(site.instance.port)[0])
    assert found is not None
    return found
