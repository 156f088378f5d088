# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept on a host: lock, journal, result, backups."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import locks, pair_files, processes, refusal, state
from unit import pki
from unit.host.conftest import RUN

OTHER = {"id": "fedcba9876543210", "by": "somebody@elsewhere"}
HOLDS = """
import sys, time
from _host import state
state.State(sys.argv[1]).lock({"id": sys.argv[2], "by": "somebody@elsewhere"}, 5, 5)
print("locked", flush=True)
time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def kept(tmp_path: Path) -> state.State:
    return state.State(str(tmp_path / "state"))


@pytest.fixture
def hold(kept: state.State, program: t.Any) -> t.Iterator[t.Callable[..., subprocess.Popen[str]]]:
    """Lets another process take the lock for some seconds."""
    begun: list[subprocess.Popen[str]] = []

    def start(run: t.Mapping[str, str] | None = None, seconds: float = 60) -> subprocess.Popen[str]:
        process = program.spawn(HOLDS, kept.path, (run or OTHER)["id"], str(seconds))
        begun.append(process)
        assert process.stdout.readline() == "locked\n"
        return t.cast("subprocess.Popen[str]", process)

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    return raised.value


def copies(pair: pki.Pair) -> dict[str, pair_files.Copy]:
    return {pair_files.CERTIFICATE: pair_files.Copy(pair.pem, 0o644, (12, 34)),
            pair_files.PRIVATE_KEY: pair_files.Copy(pair.key_pem, 0o640, (56, 78))}


def test_one_run_at_a_time(kept: state.State, hold: t.Callable[..., subprocess.Popen[str]]) -> None:
    holder = hold()
    begin = time.monotonic()
    told = refused(lambda: kept.lock(RUN, 0.3, 60))
    assert 0.25 < time.monotonic() - begin < 5
    since = json.loads((Path(kept.path) / "lock").read_text())["since"]
    assert (told.id, told.message) == ("locked", (
        f"Another run works on this host (lock {kept.path}/lock): started by {OTHER['by']}, process {holder.pid} of "
        f"this host, since {since}. It was waited for 0 s."))
    assert f"ps -fp {holder.pid}" in told.fix
    assert "lock_timeout" in told.fix


def test_waiting_for_the_lock(kept: state.State, hold: t.Callable[..., subprocess.Popen[str]]) -> None:
    hold(seconds=0.5)
    assert 0.1 < kept.lock(RUN, 30, 0) < 20
    assert json.loads((Path(kept.path) / "lock").read_text())["by"] == RUN["by"]
    kept.unlock()


def test_a_run_waits_longer_for_itself(kept: state.State, hold: t.Callable[..., subprocess.Popen[str]]) -> None:
    hold(RUN, seconds=0.5)
    kept.lock(RUN, 0, 30)
    kept.unlock()


def test_a_dead_process_leaves_no_lock(kept: state.State, hold: t.Callable[..., subprocess.Popen[str]]) -> None:
    holder = hold()
    holder.kill()
    holder.wait()
    assert (Path(kept.path) / "lock").exists()
    begin = time.monotonic()
    kept.lock(RUN, 5, 5)
    kept.unlock()
    assert time.monotonic() - begin < 1


def test_unlocking_lets_the_next_one_in(tmp_path: Path, kept: state.State) -> None:
    other = state.State(kept.path)
    kept.lock(RUN, 0, 0)
    assert refused(lambda: other.lock(OTHER, 0, 0)).id == "locked"
    kept.unlock()
    kept.unlock()
    other.lock(OTHER, 0, 0)
    other.unlock()


def test_a_lock_is_not_handed_to_a_child(kept: state.State) -> None:
    kept.lock(RUN, 0, 0)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        kept.unlock()
        kept.lock(OTHER, 0, 0)
        kept.unlock()
        child.kill()


def test_everything_is_private(kept: state.State, new: pki.Pair) -> None:
    before = os.umask(0)
    try:
        kept.lock(RUN, 0, 0)
        kept.write_journal({"a": 1})
        kept.keep_result("x", {})
        kept.backups.keep(copies(new), RUN, {})
        kept.unlock()
    finally:
        os.umask(before)
    found = [Path(kept.path), *Path(kept.path).rglob("*")]
    assert {path.name for path in found} >= {"state", "lock", "journal", "result", "backups", "sesam.https.key"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600, 0o700}


@pytest.mark.parametrize("make", [
    lambda path: path.mkdir(mode=0o755), lambda path: path.symlink_to("/"), lambda path: path.touch(mode=0o600),
])
def test_an_unsafe_folder_is_refused(kept: state.State, make: t.Callable[[Path], None]) -> None:
    make(Path(kept.path))
    told = refused(lambda: kept.lock(RUN, 0, 0))
    assert told.id == "state-folder-unsafe"
    assert kept.path in told.message
    assert not (Path("/") / "lock").exists()


def test_a_folder_of_somebody_else_is_refused(kept: state.State) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    Path(kept.path).mkdir(mode=0o700)
    os.chown(kept.path, 65534, 65534)
    assert refused(lambda: kept.lock(RUN, 0, 0)).id == "state-folder-unsafe"


def test_a_link_for_the_lock_leads_nowhere(kept: state.State, tmp_path: Path) -> None:
    Path(kept.path).mkdir(mode=0o700)
    (Path(kept.path) / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        kept.lock(RUN, 0, 0)
    assert not (tmp_path / "elsewhere").exists()


def test_journal(kept: state.State) -> None:
    assert kept.journal() is None
    kept.lock(RUN, 0, 0)
    assert kept.journal() is None
    for entry in ({"run": RUN, "backup": None}, {"run": OTHER}):
        kept.write_journal(entry)
        assert kept.journal() == entry
    kept.clear_journal()
    kept.clear_journal()
    assert kept.journal() is None
    kept.unlock()


def test_a_journal_is_whole_or_not_there(kept: state.State, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.lock(RUN, 0, 0)
    kept.write_journal({"run": RUN})

    def no_space(*_arguments: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", no_space)
        with pytest.raises(OSError):
            kept.write_journal({"run": OTHER})
    assert kept.journal() == {"run": RUN}
    kept.write_journal({"run": OTHER})
    assert kept.journal() == {"run": OTHER}
    kept.unlock()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"7", b"null"])
def test_a_damaged_journal_is_refused(kept: state.State, content: bytes) -> None:
    Path(kept.path).mkdir(mode=0o700)
    (Path(kept.path) / "journal").write_bytes(content)
    told = refused(kept.journal)
    assert told.id == "journal-damaged"
    assert f"{kept.path}/journal" in told.message


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"7", b'{"runs": 7}', b'{"runs": [7, {"id": "x"}]}'])
def test_damaged_notes_do_no_harm(kept: state.State, content: bytes) -> None:
    Path(kept.path).mkdir(mode=0o700)
    for name in ("result", "lock"):
        (Path(kept.path) / name).write_bytes(content)
    assert kept.result_of("x") is None
    other = state.State(kept.path)
    other._lock = os.open(f"{kept.path}/lock", os.O_RDWR)
    assert locks.take(other._lock)
    # What the kernel knows, where nobody has written down who he is.
    assert (f": process {os.getpid()} of this host, since {locks.moment(processes.started(os.getpid()))}. "
            in refused(lambda: kept.lock(RUN, 0, 0)).message)
    other.unlock()


def test_result(kept: state.State) -> None:
    assert kept.result_of(RUN["id"]) is None
    kept.lock(RUN, 0, 0)
    kept.keep_result(RUN["id"], {"changed": True})
    assert kept.result_of(RUN["id"]) == {"changed": True}
    assert kept.result_of(OTHER["id"]) is None
    for number in range(3):
        kept.keep_result(f"other {number}", {"number": number})
    # A call that is sent again finds its answer, although others have worked meanwhile.
    assert kept.result_of(RUN["id"]) == {"changed": True}
    kept.keep_result("other 3", {"number": 3})
    assert kept.result_of(RUN["id"]) is None
    assert [kept.result_of(f"other {number}") for number in range(4)] == [{"number": number} for number in range(4)]
    kept.unlock()


def test_answers_that_are_too_large_push_older_ones_out(kept: state.State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one can be read in any case."""
    monkeypatch.setattr(state, "_SIZE_LIMIT", 1000)
    kept.lock(RUN, 0, 0)
    for number in range(3):
        kept.keep_result(f"run {number}", {"text": "x" * 400})
    assert [bool(kept.result_of(f"run {number}")) for number in range(3)] == [False, True, True]
    kept.unlock()


def test_backup_and_back(kept: state.State, new: pki.Pair) -> None:
    kept.lock(RUN, 0, 0)
    path = kept.backups.keep(copies(new), RUN, {"seen": "this"})
    assert path is not None
    assert path.endswith(RUN["id"][:8])
    assert kept.backups.pair_in(path) == copies(new)
    facts = json.loads((Path(path) / "facts").read_text())
    assert (facts["run"], facts["seen"]) == (RUN, "this")
    kept.unlock()


def test_backup_of_half_a_pair_and_of_nothing(kept: state.State, new: pki.Pair) -> None:
    kept.lock(RUN, 0, 0)
    half = {pair_files.PRIVATE_KEY: copies(new)[pair_files.PRIVATE_KEY]}
    assert kept.backups.pair_in(kept.backups.keep(half, RUN, {})) == half
    assert kept.backups.keep({}, RUN, {}) is None
    assert kept.backups.pair_in(None) == {}
    kept.unlock()


@pytest.mark.parametrize(("keep", "spared", "left"), [
    (0, None, ""), (1, None, "c"), (2, None, "bc"), (3, None, "abc"), (9, None, "abc"),
    # The clock was set back: the backup that was just made has the oldest time.
    (1, "a", "a"), (2, "a", "ac"), (3, "a", "abc"),
])
def test_prune_keeps_the_newest(kept: state.State, new: pki.Pair, monkeypatch: pytest.MonkeyPatch, keep: int,
                                spared: str | None, left: str) -> None:
    kept.backups.prune(keep, None)
    kept.lock(RUN, 0, 0)
    paths = []
    # The ids fall while the times rise, also over the end of a year.
    for year, second, letter in ((2026, 59, "z"), (2027, 1, "y"), (2027, 2, "x")):
        moment = time.struct_time((year, 1, 1, 0, 0, second, 0, 1, 0))
        monkeypatch.setattr(time, "gmtime", lambda moment=moment: moment)
        pair = {name: copy._replace(content=letter.encode()) for name, copy in copies(new).items()}
        paths.append(kept.backups.keep(pair, {"id": letter * 16}, {}))
    monkeypatch.undo()
    kept.backups.prune(keep, spared and paths["abc".index(spared)])
    assert [letter for letter, path in zip("abc", paths) if path and os.path.exists(path)] == list(left)
    kept.unlock()


def test_a_backup_is_kept_before_it_is_believed(
    kept: state.State, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and every folder of it is fsynced, and then only it gets its name."""
    kept.lock(RUN, 0, 0)
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))[1])
    path = kept.backups.keep(copies(new), RUN, {})
    assert path is not None
    assert synced[-1] == f"{kept.path}/backups"
    files = [f"{path}.new/{name}" for name in os.listdir(path)]
    assert set(synced[:-1]) >= {f"{path}.new", *files}
    assert os.listdir(f"{kept.path}/backups") == [os.path.basename(path)]
    assert len(os.listdir(path)) == 3
    kept.unlock()


def test_who_takes_the_lock_takes_away_what_dead_runs_left(tmp_path: Path) -> None:
    """What is not whole and what is not needed; nothing else."""
    kept = state.State(str(tmp_path / "state"))
    kept.lock({"id": "one", "by": "tester"}, 0, 0)
    kept.unlock()
    left = ["journal.new", "result.new", "pending.done/sesam.https.key", "backups/20260101T000000Z-1234.new/facts"]
    others = ["journal", "pending/sesam.https.key", "backups/20260101T000000Z-1234/facts", "backups/mine.new/facts"]
    for name in left + others:
        path = tmp_path / "state" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    kept.lock({"id": "two", "by": "tester"}, 0, 0)
    kept.unlock()
    assert [name for name in left + others if (tmp_path / "state" / name).exists()] == others
    assert not (tmp_path / "state/backups/20260101T000000Z-1234.new").exists()


def test_request_is_forgotten_as_one(tmp_path: Path) -> None:
    kept = state.State(str(tmp_path))
    kept.make_pending()
    (tmp_path / "pending" / "sesam.https.key").write_text("x")
    kept.clear_pending()
    assert os.listdir(tmp_path) == []


def test_program_of_a_dead_run_is_told_from_a_later_process(tmp_path: Path) -> None:
    own = {"pid": os.getpid(), "birth": processes.birth(os.getpid())}
    for noted, expected in ((own, own), ({**own, "birth": "other 1"}, None), ({"pid": 1}, None), ("x", None)):
        (tmp_path / "lock").write_text(json.dumps({"id": "dead", "program": noted}))
        tmp_path.chmod(0o700)
        kept = state.State(str(tmp_path))
        kept.lock({"id": "next", "by": "tester"}, 0, 0)
        kept.unlock()
        assert kept.left_alone == expected
