# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running sm_main: what it starts can outlive us, and gets nothing of ours."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import layout, processes, refusal, sm_main

# pytest-xdist runs a thread of its own, and newer Pythons warn of a fork beside it.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

NO_PROFILE = "/nowhere/profile"
Script = t.Callable[..., Path]


def run(path: Path, timeout: float = 10, profile: Path | str = NO_PROFILE, context: processes.Context | None = None,
        spare: t.Callable[[], t.Iterable[int]] = lambda: ()) -> sm_main.Outcome:
    return sm_main.SmMain(str(path), str(profile), context).run(["start", "rmi"], timeout, spare)


def context(**values: t.Any) -> processes.Context:
    return processes.Context(os.getuid(), os.getgid(), 0o022, 0, {}, {})._replace(**values)


def test_arguments_exit_code_and_output(tmp_path: Path, script: Script) -> None:
    outcome = run(script(tmp_path / "it's a program", 'echo "<$*>"; echo "last words" >&2; exit 3'))
    assert outcome.code == 3
    assert outcome.output == b"<start rmi>\nlast words\n"
    assert outcome.words() == "it ended with exit code 3; it said: last words"


@pytest.mark.parametrize("kind", ["missing", "not executable", "no program"])
def test_what_cannot_be_run_is_an_outcome(tmp_path: Path, script: Script, kind: str) -> None:
    path = tmp_path / "sm_main"
    if kind == "not executable":
        script(path, "true", 0o644)
    elif kind == "no program":
        path.write_bytes(b"\0\1\2\3")
        path.chmod(0o755)
    outcome = run(path)
    assert outcome.code == 127
    assert str(path) in outcome.words()


def test_a_daemon_that_keeps_the_output_does_not_hold_us(tmp_path: Path, script: Script) -> None:
    program = script(tmp_path / "sm_main", f"sleep 30 &\necho $! > '{tmp_path}/pid'\necho started")
    outcome = run(program)
    daemon = int((tmp_path / "pid").read_text())
    try:
        assert outcome.seconds < 5
        assert (outcome.code, outcome.output) == (0, b"started\n")
        assert processes.is_alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_the_time_limit_ends_the_group_and_spares_rmi(tmp_path: Path, script: Script) -> None:
    program = script(
        tmp_path / "sm_main",
        f"sleep 31 & echo $! > '{tmp_path}/rmi'\nsleep 32 & echo $! > '{tmp_path}/other'\n"
        f"echo $$ > '{tmp_path}/self'\ntrap '' TERM\necho hanging\nwhile :; do sleep 1; done")
    pids: dict[str, int] = {}

    def spare() -> list[int]:
        pids.update({name: int((tmp_path / name).read_text()) for name in ("rmi", "other", "self")})
        return [pids["rmi"]]

    outcome = run(program, 0.5, spare=spare)
    try:
        assert outcome.code is None
        assert " and was ended; it said: " in outcome.words()
        assert outcome.output.startswith(b"hanging\n")
        assert outcome.seconds < 10
        deadline = time.monotonic() + 2
        while processes.is_alive(pids["other"]) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert {name: processes.is_alive(pid) for name, pid in pids.items()} == {
            "rmi": True, "other": False, "self": False}
        assert processes.group_members(pids["self"]) == [pids["rmi"]]
    finally:
        os.kill(pids["rmi"], signal.SIGKILL)


def environment(outcome: sm_main.Outcome) -> dict[str, str]:
    return dict(line.split("=", 1) for line in outcome.output.decode().splitlines() if "=" in line)


@pytest.fixture
def shows_environment(tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that prints its environment, called from one that is full of things."""
    for name in ("ANSIBLE_X", "SESAM_SSL_KEY", "LD_PRELOAD", "LC_ALL", "SSH_AUTH_SOCK", "PYTHONPATH"):
        monkeypatch.setenv(name, "/of/the/caller" if name != "LD_PRELOAD" else "")
    return script(tmp_path / "sm_main", "exec env")


def test_nothing_of_our_environment_is_passed_on(shows_environment: Path) -> None:
    found = environment(run(shows_environment))
    assert set(found) - {"_", "SHLVL", "PWD"} == {"HOME", "PATH"}
    assert "/of/the/caller" not in found.values()


def test_environment_of_the_profile_and_of_the_old_rmi(shows_environment: Path, tmp_path: Path) -> None:
    profile = tmp_path / "it's a profile"
    profile.write_text("echo noise\nexport SM_BIN=/opt/x SESAM_A=profile PATH=/opt/x:$PATH\nLOCAL=1\n")
    found = environment(run(shows_environment, profile=profile))
    assert (found["SM_BIN"], found["SESAM_A"]) == ("/opt/x", "profile")
    assert found["PATH"].startswith("/opt/x:/usr/")
    assert "LOCAL" not in found
    # What matters is as rmi has it: what it has not, the new one has not either.
    found = environment(run(shows_environment, profile=profile, context=context(environment={"TZ": "UTC"})))
    assert (found["SM_BIN"], found["TZ"]) == ("/opt/x", "UTC")
    assert "SESAM_A" not in found


@pytest.mark.parametrize(("mode", "group"), [(0o666, 0), (0o664, 12), (0o602, 0)])
def test_a_profile_that_others_may_write_is_not_run(
    shows_environment: Path, tmp_path: Path, mode: int, group: int
) -> None:
    profile = tmp_path / "profile"
    profile.write_text(f"touch '{tmp_path}/harm'\nexport SM_BIN=/opt/x\n")
    if os.geteuid() == 0:
        os.chown(profile, 0, group)
    profile.chmod(mode)
    with pytest.raises(refusal.Refused) as refused:
        run(shows_environment, profile=profile)
    assert refused.value.id == "profile-unusable"
    assert str(profile) in refused.value.message
    assert not (tmp_path / "harm").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize(("owner", "mode"), [(12, 0o700), (0, 0o777)])
def test_profile_that_others_may_have_put_there(
    shows_environment: Path, tmp_path: Path, owner: int, mode: int
) -> None:
    """It is root's, as a log may be in which stands what others have written; they may give it this name."""
    profile = tmp_path / "ini" / "profile"
    profile.parent.mkdir()
    profile.write_text(f"touch '{tmp_path}/harm'\n")
    os.chown(profile.parent, owner, 0)
    profile.parent.chmod(mode)
    link = tmp_path / "profile"
    link.symlink_to(profile)
    for path in (profile, link):
        with pytest.raises(refusal.Refused, match="Others than root") as refused:
            run(shows_environment, profile=path)
        assert refused.value.id == "profile-unusable"
    assert not (tmp_path / "harm").exists()


def test_program_is_started_where_it_cannot_say_anything(
    shows_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder for temporary files may be gone when rmi is down."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    outcome = run(shows_environment)
    assert (outcome.code, outcome.output) == (0, b"")


def test_program_is_started_where_there_is_no_room_for_what_it_says(
    shows_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can fill the folder for temporary files."""

    def fail(*_arguments: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    assert run(shows_environment).output.endswith(b"\n")
    monkeypatch.setattr(os, "posix_fallocate", fail)
    outcome = run(shows_environment)
    assert (outcome.code, outcome.output) == (0, b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_profile_that_leads_to_a_file_of_root_is_not_run(shows_environment: Path, tmp_path: Path) -> None:
    """By a link of somebody else: in a log of root stands what a client has written."""
    log, profile = tmp_path / "log", tmp_path / "profile"
    log.write_text(f"touch '{tmp_path}/harm'\n")
    profile.symlink_to(log)
    os.chown(profile, 12, 12, follow_symlinks=False)
    with pytest.raises(refusal.Refused, match="Others than root"):
        run(shows_environment, profile=profile)
    assert not (tmp_path / "harm").exists()
    os.chown(profile, 0, 0, follow_symlinks=False)
    sm_main.environment_of.cache_clear()
    run(shows_environment, profile=profile)
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("text", ["exit 3", "exit 0", "sleep 30", "set -e; false"])
def test_a_profile_that_cannot_be_used_is_refused(
    shows_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(sm_main, "_PROFILE_SECONDS", 0.3)
    (tmp_path / "profile").write_text(text + "\n")
    with pytest.raises(refusal.Refused) as refused:
        run(shows_environment, profile=tmp_path / "profile")
    assert refused.value.id == "profile-unusable"


@pytest.mark.parametrize("text", ["false", "if", "exec 1>&-; exec 2>&-", "cd /nowhere", "unset PATH HOME"])
def test_a_profile_with_a_mistake_does_no_harm(shows_environment: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "profile").write_text(text + "\nexport SM_BIN=/opt/x\n")
    found = environment(run(shows_environment, profile=tmp_path / "profile"))
    assert text == "if" or found["SM_BIN"] == "/opt/x"
    assert found["HOME"]


def status(outcome: sm_main.Outcome) -> dict[str, str]:
    return {name: value.strip() for name, _colon, value in
            (line.partition(":") for line in outcome.output.decode().splitlines())}


@pytest.fixture
def shows_status(tmp_path: Path, script: Script) -> Path:
    return script(tmp_path / "sm_main", "exec cat /proc/self/status /proc/self/limits")


def test_signals_are_default_even_where_we_ignore_them(shows_status: Path) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGUSR2)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        found = status(run(shows_status))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        for number, handler in before.items():
            signal.signal(number, handler)
    # Signals 32 and 33 are glibc's own: make starts its children so that they ignore one, and nobody can change it.
    assert int(found["SigIgn"], 16) & ~0x180000000 == 0
    assert int(found["SigBlk"], 16) == 0


@pytest.mark.parametrize(("of_rmi", "expected"), [
    (None, "0022"), (context(umask=0o077), "0077"), (context(umask=None), "0022"),
])
def test_umask(shows_status: Path, of_rmi: processes.Context | None, expected: str) -> None:
    before = os.umask(0o007)
    try:
        assert status(run(shows_status, context=of_rmi))["Umask"] == expected
    finally:
        os.umask(before)


def test_limits_are_those_of_rmi(shows_status: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    outcome = run(shows_status, context=context(limits={"RLIMIT_NOFILE": (123, most)}))
    line = next(line for line in outcome.output.decode().splitlines() if line.startswith("Max open files"))
    assert line.split()[3] == "123"


def test_session_folder_and_descriptors(tmp_path: Path, script: Script) -> None:
    program = script(tmp_path / "sm_main", "pwd; ls /proc/self/fd | tr '\\n' ' '; echo; readlink /proc/self/fd/0;"
                                           "echo $$; cut -d' ' -f5,6 /proc/$$/stat; stat -Lc %a /proc/self/fd/1")
    with open(tmp_path / "kept", "w") as kept:
        os.set_inheritable(kept.fileno(), True)
        folder, descriptors, stdin, pid, group, mode = run(program).output.decode().splitlines()
    assert folder == "/"
    # The fourth one is that of ls itself.
    assert descriptors.split() == ["0", "1", "2", "3"]
    assert stdin == "/dev/null"
    assert group.split() == [pid, pid]
    assert mode == "600"


def test_the_output_is_bounded(tmp_path: Path, script: Script) -> None:
    outcome = run(script(tmp_path / "sm_main", "head -c 6000000 /dev/zero | tr '\\0' x; echo; echo last words"))
    assert len(outcome.output) <= 4 << 20
    assert outcome.words() == "it ended with exit code 0; it said: last words"


def test_words_show_no_control_characters() -> None:
    words = sm_main.Outcome(0, b"\x1b[31mred\x07\n\n", 1.0).words()
    assert words == "it ended with exit code 0; it said: red"
    assert sm_main.Outcome(0, b" \n", 1.0).words() == "it ended with exit code 0; it said nothing"


@pytest.mark.parametrize(("line", "pid"), [
    ("rmi        [ 10959]: online", 10959), ("rmi        [1234567]: online  ", 1234567),
    ("\x1b[32mrmi        [ 10959]: online\x1b[0m", 10959), ("rmi                : offline", None),
    ("rmi        [ 10959]: offline", None), ("rmi                : unused", None), ("", None),
    ("xrmi       [ 10959]: online", None), ("rmi        [ 10959]: online soon", None),
])
def test_which_process_is_rmi(tmp_path: Path, script: Script, line: str, pid: int | None) -> None:
    stamp = "2026-11-23 18:00:00: "
    (tmp_path / "report").write_text(
        f"{stamp}$Id: x $\n{stamp}qm         [  8185]: online\n{stamp}{line}\n{stamp}ui                 : unused\n")
    program = script(tmp_path / "sm_main", f"test $1 = status && cat '{tmp_path}/report'")
    assert sm_main.SmMain(str(program), NO_PROFILE, None).rmi_pid() == pid


def test_signals_pass_by_and_are_not_inherited(shows_status: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with sm_main.signals_handled():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        found = subprocess.run([shows_status], capture_output=True, text=True, check=True).stdout
        ignored = int(next(line for line in found.splitlines() if line.startswith("SigIgn")).split()[1], 16)
        assert not ignored >> signal.SIGTERM - 1 & 1
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize(("lines", "told"), [
    (["qm         [  8185]: online", "rmi        [ 10959]: online"], (True, 10959)),
    (["qm         [  8185]: online", "rmi                : offline"], (False, None)),
    (["rmi        [ 10959]: stopped"], (False, None)), (["qm         [  8185]: online"], (False, None)),
    (["sm_main[25613]", "Arguments: sm_main status", "Status failed"], (None, None)), ([], (None, None)),
])
def test_the_report(places: layout.Layout, script: Script, lines: list[str],
                    told: tuple[bool | None, int | None]) -> None:
    """Where no daemon at all is reported, nobody knows whether rmi runs."""
    text = "".join(f"2026-11-23 18:00:00: {line}\n" for line in lines)
    script(Path(places.sm_main), f"printf '%s' '{text}'")
    assert sm_main.report(places) == told


def test_status_that_hangs_is_waited_for_once(
    places: layout.Layout, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it has told what was asked."""
    monkeypatch.setattr(sm_main, "_STATUS_SECONDS", 0.5)
    asked = Path(places.sm_main).with_name("asked")
    hangs = f"echo asked >> '{asked}'\n%s\nexec sleep 60"
    script(Path(places.sm_main), hangs % "echo '2026-01-01 00:00:00: rmi        [    7]: online'")
    assert [sm_main.report(places).pid for _turn in range(2)] == [7, 7]
    script(Path(places.sm_main), hangs % "")
    assert [sm_main.report(places) for _turn in range(3)] == [(None, None)] * 3
    assert asked.read_text().count("asked") == 3


@pytest.mark.parametrize("spoil", [
    lambda places: os.unlink(places.sm_main), lambda places: os.chmod(places.sm_main, 0o644),
    lambda places: Path(places.profile).write_text("exit 3\n"), lambda places: os.chmod(places.sm_main, 0o757),
])
def test_a_report_that_cannot_be_had(places: layout.Layout, script: Script,
                                     spoil: t.Callable[[layout.Layout], object]) -> None:
    script(Path(places.sm_main), "echo '2026-01-01 00:00:00: rmi        [    7]: online'")
    assert sm_main.report(places).pid == 7
    sm_main.environment_of.cache_clear()
    spoil(places)
    assert sm_main.report(places) == (None, None)


def test_the_variables_of_everybody_count_where_rmi_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sm_main, "GLOBAL_VARIABLES", str(tmp_path / "environment"))
    assert sm_main.global_variables() == {}
    (tmp_path / "environment").write_text('PATH=/x\nexport SESAM_SSL_CERT="/a b"\n#SESAM_SSL_KEY=/no\n')
    assert sm_main.global_variables() == {"SESAM_SSL_CERT": "/a b"}
    profile = tmp_path / "profile"
    assert sm_main.environment(str(profile), None)["SESAM_SSL_CERT"] == "/a b"
    assert sm_main.environment(str(profile), None)["PATH"] == processes.USUAL_PATH
    assert "SESAM_SSL_CERT" not in sm_main.environment(str(profile), context())
    profile.write_text("export SESAM_SSL_CERT=/c SESAM_A=b\n")
    sm_main.environment_of.cache_clear()
    assert sm_main.environment(str(profile), None)["SESAM_SSL_CERT"] == "/c"
    of_rmi = context(environment={"SESAM_SSL_CERT": "/old", "SESAM_SSL_KEY": "/k"})
    found = sm_main.environment(str(profile), of_rmi)
    assert {name: found.get(name) for name in ("SESAM_SSL_CERT", "SESAM_SSL_KEY", "SESAM_A")} == {
        "SESAM_SSL_CERT": "/c", "SESAM_SSL_KEY": "/k", "SESAM_A": None}


def test_profile_is_sourced_as_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns its folder may exchange it in between."""
    profile = tmp_path / "profile"
    profile.write_text("SESAM_X=good; export SESAM_X\n")
    popen = subprocess.Popen

    def exchanged(*arguments: t.Any, **keywords: t.Any) -> t.Any:
        (tmp_path / "evil").write_text("SESAM_X=evil; export SESAM_X\n")
        (tmp_path / "evil").rename(profile)
        return popen(*arguments, **keywords)

    monkeypatch.setattr(subprocess, "Popen", exchanged)
    assert sm_main.environment_of(str(profile))["SESAM_X"] == "good"


def test_program_that_was_left_alone_is_waited_for_and_then_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        noted = {"pid": process.pid, "birth": processes.birth(process.pid)}
        begin = time.monotonic()
        sm_main.end_in_time({**noted, "birth": "of another"}, 5, tuple)
        assert time.monotonic() - begin < 1
        assert process.poll() is None
        sm_main.end_in_time(noted, 0.3, tuple)
        assert process.wait(5) == -signal.SIGTERM
