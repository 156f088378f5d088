# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The short form of the faults: a sample of every kind, and proof that the shim and the model tell the truth."""

from __future__ import annotations

import collections
import json
import os
import random
import re
import shutil
import subprocess
import threading
import types
import typing as t
from pathlib import Path

import pytest
from faults import crashes, disk, documented, elsewhere, flows, matrix, table
from faults.__main__ import PARTS
from faults.site import Site, Stopped
from faults.table import Row
from integration import host_program, processes, syslog_socket
from integration.certificates import Authority
from integration.controller import Controller
from integration.secret_text import Secrets
from integration.watch import Watch

_CALL = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*?)\) += (?P<result>-?\d+)")
_NAMED = {
    "rename": "rename", "renameat": "rename", "renameat2": "rename", "unlink": "unlink", "mkdir": "mkdir",
    "mkdirat": "mkdir", "rmdir": "rmdir", "chmod": "chmod", "fchmod": "chmod", "fchmodat": "chmod", "chown": "chown",
    "fchown": "chown", "lchown": "chown", "fchownat": "chown", "ftruncate": "truncate", "truncate": "truncate",
    "fsync": "fsync", "fdatasync": "fsync", "link": "link", "linkat": "link", "symlink": "symlink",
    "symlinkat": "symlink", "write": "write", "pwrite64": "write", "writev": "write", "pwritev": "write",
    "kill": "kill", "tgkill": "kill", "mknod": "mknod", "mknodat": "mknod", "utimensat": "utime",
    "fallocate": "fallocate", "copy_file_range": "copy_file_range", "sendfile": "sendfile", "setxattr": "setxattr",
}  # fmt: skip
_TRACED = [*_NAMED, "open", "openat", "creat", "unlinkat", "fork", "vfork", "clone", "clone3"]


@pytest.fixture(scope="module")
def only_site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """One for all tests here: to make it takes longer than most faults."""
    made = Site(tmp_path_factory.mktemp("site"), 0, Authority())
    yield made
    made.close()


@pytest.fixture
def site(only_site: Site) -> Site:
    """A host at rest."""
    only_site.rest()
    return only_site


def _assert_green(rows: t.Sequence[Row]) -> None:
    assert rows
    assert not [row for row in rows if row.broken], table.text([row for row in rows if row.broken])
    if untried := [f"{row.where}: {row.saw}" for row in rows if not row.is_tried]:
        pytest.skip("; ".join(untried))


@pytest.mark.parametrize("kind", flows.ALL, ids=lambda kind: kind.__name__)
def test_dies_anywhere(kind: type[flows.Flow], site: Site) -> None:
    """Every state that a power cut leaves as it is; one of them, and one kill, with the run that comes next.

    The long form tries all of them; here each flow dies at another place.
    """
    flow = kind()
    run = crashes.whole(flow, site)
    points, cuts = crashes.points(site, run.calls), crashes.power_cuts(flow, site, run)
    assert len(cuts.different) > 5
    killed = crashes.kill(flow, site, _one_of(points, kind))
    cut = crashes.cut_power(flow, site, _one_of(cuts.different, kind), boots=True)
    _assert_green([run.row, *cuts.broken, killed, cut])


_Any = t.TypeVar("_Any")


def _one_of(items: list[_Any], kind: type[flows.Flow]) -> _Any:
    """Of the later two thirds: most of what comes first only gets ready."""
    later = items[len(items) // 3 :]
    return later[flows.ALL.index(kind) * len(later) // len(flows.ALL)]


class _Idle(flows.Flow):
    """Nothing is to be done; what every run notes of itself is not counted."""

    name = "idle"

    def asked(self, site: Site) -> flows.Asked:
        return "replace", site.parameters(site.current)


def test_flow_that_changes_nothing_is_no_flow(site: Site) -> None:
    with pytest.raises(RuntimeError, match="idle changes nothing"):
        crashes.whole(_Idle(), site)


def test_program_left_alone_is_waited_for(site: Site) -> None:
    _assert_green(matrix.left_alone(site))


def test_faults_of_the_host(site: Site) -> None:
    """Some of every kind; those that take long stand in the long form alone."""
    names = ("key is a link to itself", "executable", "swaps", "PID", "goes back", "no ssl", "has the lock",
             "converted", "key is immutable", "no rights")  # fmt: skip
    every = [*matrix.FAULTS, *matrix.AS_ROOT]
    _assert_green(matrix.rows([fault for fault in every if any(name in fault.name for name in names)], site))


def test_every_fault_is_documented() -> None:
    faults = [*matrix.FAULTS, *matrix.AS_ROOT, *matrix.SLOW]
    parts = [*PARTS, "left_alone", "twice"]
    parts.remove("matrix")
    assert documented.wrong((fault.name, fault.outcome) for fault in faults) == []
    assert {part: len(documented.rows_of(part)) for part in parts} == dict.fromkeys(parts, 1)
    assert documented.ROWS.keys() == documented.table().keys()
    assert documented.stale([*(fault.name for fault in faults), *parts]) == []


@pytest.mark.parametrize(("name", "outcome", "says"), [
    ("sm_main sings", "replaced", "has 0 rows for it"),
    ("rmi was stopped before", "replaced", "replaced is not what"),
    ("rmi was stopped before", "failed: placed", "failed: placed is not what"),
    ("the run has no rights", "refused: locked", "refused: locked is not what"),
    ("rmi does not answer after the start", "failed: served, NO WAY BACK", "NO WAY BACK is not what"),
])  # fmt: skip
def test_fault_that_is_documented_otherwise_is_told(name: str, outcome: str, says: str) -> None:
    assert [says in words for words in documented.wrong([(name, outcome)])] == [True]


@pytest.mark.parametrize(("user", "why"), [(0, "chattr is not installed"), (1, "only root can make it")])
def test_fault_that_cannot_be_made_is_not_tried(
    site: Site, monkeypatch: pytest.MonkeyPatch, user: int, why: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setenv("PATH", "")
    rows = matrix.rows([fault for fault in matrix.AS_ROOT if fault.name == "the key is immutable"], site)
    assert [(row.saw, row.is_tried, row.broken) for row in rows] == [(f"not tried: {why}", False, [])]
    assert table.summary(rows).endswith("1 faults: 0 survived as promised, 0 not, 1 not tried")


def test_full_disk(site: Site) -> None:
    _assert_green(matrix.full_disks(site, every=30))


@pytest.mark.parametrize("code", matrix.CODES)
def test_call_that_fails(code: int, site: Site) -> None:
    _assert_green(matrix.failing(site, code, every=45))


def test_what_dies_elsewhere(tmp_path: Path) -> None:
    """The controller and the connection, each at an instant of its own in every run of this test."""
    with syslog_socket.listening() as syslog, elsewhere.fleet(tmp_path, range(1, 3), syslog) as fleet:
        rows = fleet.rows(elsewhere.plans(2, random.randrange(1000)), elsewhere.Times(begins=2, is_over=9, ends=11))
    assert len(rows) == 5
    _assert_green(rows)


def test_early_end_leaves_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not begun does not begin; who is at a fault comes to where he brings the host to rest."""
    stopping = threading.Event()
    monkeypatch.setattr("faults.site.stopping", stopping)
    site.rest()
    stopping.set()
    with pytest.raises(Stopped):
        site.rest()
    with pytest.raises(Stopped):
        Site(tmp_path / "other", 3, Authority())
    assert not (tmp_path / "other").exists()


def test_kills_elsewhere_are_dealt_out_evenly() -> None:
    """Every victim by every way; of each, one in four where the new pair does not start."""
    plans = elsewhere.plans(64, seed=0)
    assert set(collections.Counter((plan.victim, plan.way) for plan in plans).values()) == {8}
    assert set(collections.Counter((plan.victim, plan.way) for plan in plans if plan.fails).values()) == {2}
    assert all(len({plan.way for plan in plans[n:n + 4]}) == 4 for n in range(0, 64, 4))


def test_instants_are_most_often_inside_the_transaction() -> None:
    times = elsewhere.Times(begins=10, is_over=12, ends=20)
    instants = [times.at(number / 1000) for number in range(1000)]
    assert instants == sorted(instants)
    assert (instants[0], round(instants[-1])) == (0, 20)
    assert sum(10 <= instant < 12 for instant in instants) == pytest.approx(750, abs=2)
    assert times.shorter(10) == (5, 6, 10)


@pytest.mark.parametrize("mark", [{"SSH_CONNECTION": "127.0.0.1 4711 127.0.9.9 222"}, {"SUDO_USER": "sesam-of-a-test"}])
def test_shell_that_is_left_over_is_found(mark: dict[str, str]) -> None:
    with subprocess.Popen(["/bin/sh", "-c", "echo here; sleep 30; true"], stdout=subprocess.PIPE,
                          env={"PATH": os.environ["PATH"], **mark}) as shell:  # fmt: skip
        try:
            # Not before it speaks: at first a new program has no environment that others can see.
            assert t.cast(t.IO[bytes], shell.stdout).readline() == b"here\n"
            left = elsewhere.started_over_ssh("127.0.9.9", 222, "sesam-of-a-test")
            assert shell.pid in left
            assert f"{shell.pid} /bin/sh -c echo" in processes.words(shell.pid)
        finally:
            processes.kill_tree(shell.pid)


class _FindsNothing(elsewhere.Fleet):
    """Whatever is to be killed has ended before."""

    def _wave(self, chosen: t.Sequence[elsewhere.Plan]) -> list[elsewhere.Shot]:
        host = t.cast(elsewhere.Host, None)
        return [elsewhere.Shot(plan, host, Row(str(plan), ""), was_missed=True) for plan in chosen]


def test_plan_that_never_finds_anything_to_kill_is_not_tried(tmp_path: Path) -> None:
    host = types.SimpleNamespace(site=types.SimpleNamespace(instance=types.SimpleNamespace(address="127.0.9.9")))
    secrets = Secrets(Authority().issue())
    fleet = _FindsNothing([t.cast(elsewhere.Host, host)], t.cast(Controller, None), secrets,
                          Watch(secrets, [tmp_path], pause=60), syslog_socket.Syslog(missing="not here"))  # fmt: skip
    rows = [row for row in fleet.rows(elsewhere.plans(2, seed=0), elsewhere.Times(1, 2, 3)) if "dies" in row.fault]
    assert [(row.saw, row.is_tried) for row in rows] == [("not tried: 10 times there was nothing to kill", False)] * 2


def test_syslog_is_searched_for_what_is_secret() -> None:
    syslog, authority = syslog_socket.Syslog(), Authority()
    fleet = elsewhere.Fleet([], None, Secrets(authority.issue(), "a word"), None, syslog)  # type: ignore[arg-type]
    assert fleet.logged().broken == ["not even a replacement was heard of"]
    syslog.lines += [b"<13>sep.sesam[7]: HTTPS certificate of rmi: replaced", b"<13>sudo: COMMAND=/bin/sh -c a word"]
    assert [what.partition(" in ")[0] for what in fleet.logged().broken] == ["a passphrase or password"]


def test_syslog_that_is_somebody_elses_is_not_counted_as_green() -> None:
    syslog = syslog_socket.Syslog(missing="somebody else has it")
    fleet = elsewhere.Fleet([], None, Secrets(Authority().issue()), None, syslog)  # type: ignore[arg-type]
    said = table.summary([fleet.logged()])
    assert "not tried: somebody else has it" in said
    assert said.endswith("1 faults: 0 survived as promised, 0 not, 1 not tried")


def test_model_that_is_not_true_is_seen(tmp_path: Path) -> None:
    """What it has in the end is what the disk has, names, contents and modes."""
    (tmp_path / "x").write_text("ab")
    (tmp_path / "x").chmod(0o600)
    before = disk.read(tmp_path)
    calls = [{"call": "chmod", "path": str(tmp_path / "x"), "mode": 0o644}]
    assert not [*disk.differs(tmp_path, before, [], before)]
    assert len([*disk.differs(tmp_path, before, calls, before)]) == 1
    (tmp_path / "x").chmod(0o644)
    assert not [*disk.differs(tmp_path, before, calls, disk.read(tmp_path))]
    (tmp_path / "y").touch()
    (tmp_path / "x").write_text("cd")
    assert len([*disk.differs(tmp_path, before, calls, disk.read(tmp_path))]) == 2


def test_model_loses_what_was_not_synced(tmp_path: Path) -> None:
    """A name that was not synced may be there or not, a content that was not synced is lost, what was synced stays."""
    before = disk.read(tmp_path)
    model = disk.Disk(tmp_path, before)
    name = str(tmp_path / "x")

    def happen(call: str, **facts: t.Any) -> set[bytes | None]:
        model.happen({"call": call, "path": name, "half": False, **facts})
        return {tree["x"].content if "x" in tree else None for _words, tree in model.after_power_cut()}

    assert happen("create", mode=0o600) == {None, b""}
    assert happen("write", content="YWJjZA==", offset=0) == {None, b"", b"ab"}
    assert happen("fsync") == {None, b"abcd"}
    assert happen("fsync", path=str(tmp_path)) == {b"abcd"}
    assert happen("unlink") == {b"abcd", None}


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("kind", [flows.FailedStart, flows.Answered, flows.Conversion])
def test_strace_sees_nothing_that_the_shim_does_not_count(kind: type[flows.Flow], site: Site, tmp_path: Path) -> None:
    flow = kind()
    flow.begin(site)
    question, parameters = flow.asked(site)
    counted = collections.Counter(call["call"] for call in site.run(question, parameters).calls)
    flow.begin(site)
    question, parameters = flow.asked(site)
    output = tmp_path / "strace"
    # The host program alone: what it starts is another program's affair, and rmi goes on.
    wrapper = ["strace", "-y", "-s", "0", "-o", output, "-e", "trace=" + ",".join(_TRACED)]
    subprocess.run(
        [*wrapper, *_program(), question], cwd=host_program.FOLDER, input=json.dumps(parameters).encode(),
        stdout=subprocess.DEVNULL, check=True, timeout=120,
        env={"TMPDIR": str(site.temporary), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    seen = collections.Counter(map(_seen, output.read_text(errors="replace").splitlines()))
    assert seen.pop("", None)
    assert seen == counted


def _program() -> list[str]:
    """The real program, but for its exit code, without a cache of byte code, which Python itself writes."""
    from workbench import pythons

    code = "import sys; sys.argv[0] = '_host'; from _host.__main__ import main; main()"
    return [str(pythons.this().path), "-B", "-c", code]


def _seen(line: str) -> str:
    """What a line of strace is for the shim, empty where it changes nothing that has a name."""
    match = _CALL.match(line)
    if not match or match["result"].startswith("-"):
        return ""
    name, arguments = match["name"], match["arguments"]
    if name in ("fork", "vfork", "clone", "clone3"):
        return "start"
    if name in ("open", "openat", "creat"):
        return "create" if "O_CREAT" in arguments or "O_TRUNC" in arguments else ""
    if name == "unlinkat":
        return "rmdir" if "AT_REMOVEDIR" in arguments else "unlink"
    if _NAMED[name] in ("write", "fallocate"):
        # Pipes, sockets, terminals, and files without a name.
        is_file = re.match(r"\d+</(?!dev/)", arguments) and "(deleted)" not in arguments
        return "write" if is_file else ""
    return _NAMED[name]
