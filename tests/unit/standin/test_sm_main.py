# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""sm_main: the shapes of its output, its faults, and how it starts and stops rmi."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from standin import processes, state

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: "


def texts(output: str) -> list[str]:
    """The lines without their time stamps; every line must have one."""
    lines = output.splitlines()
    assert all(re.match(STAMP, line) for line in lines), output
    return [re.sub(f"^{STAMP}", "", line) for line in lines]


def seconds(function) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


def test_status_has_the_seen_shapes(make) -> None:
    instance = make()
    instance.start()
    pid = instance.pid()
    done = instance.run("status")
    assert done.returncode == 0
    lines = texts(done.stdout)
    assert re.fullmatch(r"\$Id: .* Python 3\.\d+\.\d+.* \$", lines[0])
    assert re.fullmatch(r"VERSION='server,5\..*'", lines[1])
    assert lines[2].startswith("SP=")
    assert re.fullmatch(r"sm_main\[\d+\]", lines[3])
    assert lines[4] == "Arguments: sm_main status"
    assert lines[5] == (
        "Daemons: ['qm', 'db', 'passd', 'sms', 'stpd', 'ctrl', 'sshd', 'sepuler', 'rmi', 'ui', 'sds-2']"
    )
    assert lines[6] == "qm         [  8185]: online"
    assert f"{'rmi':<10} [{pid:6}]: online" in lines
    assert lines[-2:] == ["ui                 : unused", "sds-2              : unused"]
    found = next(line for line in lines if line.startswith("Found job: "))
    assert re.fullmatch(rf"Found job: \d+    rmi                   0 {pid:9} {STAMP[:-2]}", found)


def test_status_of_one_daemon(make) -> None:
    lines = texts(make().run("status", "rmi").stdout)
    assert lines[-1] == "rmi                : offline"
    assert not any("qm " in line for line in lines)


def test_a_restart_changes_job_and_pid(make) -> None:
    instance = make()
    found = []
    for _turn in range(2):
        instance.start()
        found.append(re.search(r"Found job: (\d+) +rmi +0 +(\d+)", instance.run("status").stdout).groups())
        instance.stop()
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_start_stop_and_reload_with_and_without_a_name(make, client) -> None:
    instance = make()
    for words in ((), ("rmi",)):
        assert instance.run("start", *words).returncode == 0
        pid = instance.pid()
        assert client(instance).listens()
        assert instance.run("reload", *words).returncode == 0
        assert instance.pid() == pid
        assert instance.run("stop", *words).returncode == 0
        assert instance.pid() is None
        assert not client(instance).listens()
    assert instance.run("start", "qm").returncode == 0
    assert instance.pid() is None


def test_wrong_words(make) -> None:
    instance = make()
    for words in ((), ("restart", "rmi"), ("start", "rmi", "qm")):
        done = instance.run(*words)
        assert (done.returncode, done.stdout[:6]) == (2, "usage:")
    assert instance.run("start", "nobody").returncode == 1


def test_a_start_of_a_running_server_and_a_stop_of_a_stopped_one_use_up_no_order(make) -> None:
    instance = make(start_running_exit=3, stop_stopped_exit=4)
    assert instance.run("stop", "rmi").returncode == 4
    instance.start()
    pid = instance.pid()
    instance.set(start="fails@1", stop="fails@1")
    assert instance.run("start", "rmi").returncode == 3
    assert instance.pid() == pid
    assert instance.run("stop", "rmi").returncode == 1
    assert instance.run("stop", "rmi").returncode == 0
    assert instance.run("stop", "rmi").returncode == 4
    assert instance.run("start", "rmi").returncode == 1
    assert instance.run("start", "rmi").returncode == 0


def test_start_fails_or_lies(make) -> None:
    instance = make(start_fail_exit=7)
    instance.set(start="fails@1")
    assert instance.run("start", "rmi").returncode == 7
    assert instance.pid() is None
    instance.set(start="lies@1")
    assert instance.run("start", "rmi").returncode == 0
    assert instance.pid() is None
    assert instance.run("start", "rmi").returncode == 0
    assert instance.pid()


def test_stop_fails_or_is_ignored(make) -> None:
    instance = make(stop_fail_exit=7)
    instance.start()
    for order, code in (("fails@1", 7), ("ignored@1", 0)):
        instance.set(stop=order)
        assert instance.run("stop", "rmi").returncode == code
        assert instance.pid()
    instance.stop()


def test_exit_codes_of_success(make) -> None:
    instance = make(start_exit=11, stop_exit=12, status_exit=13, status_stopped_exit=14)
    assert [
        instance.run(*words.split()).returncode for words in ("status", "start rmi", "status", "stop rmi", "status rmi")
    ] == [14, 11, 13, 12, 14]


def test_status_fails(make) -> None:
    instance = make(status_fail_exit=9)
    instance.set(status="fails@1")
    done = instance.run("status")
    assert done.returncode == 9
    assert "rmi  " not in done.stdout
    assert instance.run("status").returncode == 0


@pytest.mark.parametrize(
    ("verb", "fault", "running"),
    [
        ("start", "hangs", False),
        ("start", "hangs_after", True),
        ("stop", "hangs", True),
        ("stop", "hangs_after", False),
        ("status", "hangs", True),
    ],
)
def test_hangs(make, verb: str, fault: str, running: bool) -> None:
    instance = make()
    if verb != "start":
        instance.start()
    instance.set(**{verb: f"{fault}@1"})
    with subprocess.Popen([instance.sm_main, verb, "rmi"], stdout=subprocess.DEVNULL) as call:
        assert processes.wait_until(lambda: not state.load(instance.folder)["orders"], 15)
        assert processes.wait_until(lambda: (instance.pid() is not None) == running, 15)
        with pytest.raises(subprocess.TimeoutExpired):
            call.wait(0.4)
        call.kill()
    assert (instance.pid() is not None) == running
    # The order is used up, although the call was killed.
    assert instance.run(verb, "rmi").returncode == 0


def test_a_hang_ends_by_itself(make) -> None:
    instance = make(hang_seconds="0.3", start="hangs")
    began = time.monotonic()
    assert instance.run("start", "rmi").returncode == 1
    assert 0.25 < time.monotonic() - began < 60


def test_remove_ends_a_hanging_call_and_the_server(make) -> None:
    instance = make(start="hangs_after")
    with subprocess.Popen([instance.sm_main, "start", "rmi"], stdout=subprocess.DEVNULL) as call:
        assert processes.wait_until(lambda: len(processes.all_of(instance.home)) == 2, 15)
        instance.remove()
        assert call.wait(15) != 0
    assert processes.all_of(instance.home) == []
    assert not os.path.exists(instance.folder)
    instance.remove()


def test_offline_lines(make) -> None:
    instance = make(offline_words="stopped by user")
    assert texts(instance.run("status", "rmi").stdout)[-1] == "rmi                : stopped by user"
    instance.start()
    pid = instance.pid()
    instance.stop()
    instance.set(offline_line="pid")
    assert texts(instance.run("status", "rmi").stdout)[-1] == f"{'rmi':<10} [{pid:6}]: stopped by user"
    instance.set(offline_line="absent")
    assert texts(instance.run("status", "rmi").stdout)[-1].startswith("Daemons")


def test_report_shapes(make) -> None:
    instance = make(report="4")
    four = instance.run("status").stdout
    assert "VERSION='server,4." in four
    assert "SP=" not in four
    assert "Python" not in four
    instance.set(report="none")
    assert texts(instance.run("status", "rmi").stdout) == ["rmi                : offline"]


def test_quiet_start_and_stop(make) -> None:
    instance = make(start_stop_output="quiet")
    assert instance.run("start", "rmi").stdout == ""
    assert instance.run("status", "rmi").stdout != ""
    assert instance.run("stop", "rmi").stdout == ""
    instance.set(start_stop_output="report")
    assert "Starting rmi" in instance.run("start", "rmi").stdout


def test_a_start_is_quick(make, client, yardstick) -> None:
    """Under 0.7 s with the generated pair, or as much longer as a busy machine takes for everything."""
    instance = make()

    def start() -> None:
        instance.start()
        client(instance).der()

    for _turn in range(4):
        if seconds(start) < max(0.7, 5 * yardstick()):
            return
        instance.stop()
    pytest.fail("four starts were too slow")


def test_start_delay_is_kept_and_waited_for(make, client) -> None:
    instance = make(start_delay="0.8")
    assert seconds(instance.start) > 0.7
    assert client(instance).listens()


def test_start_need_not_wait(make, client) -> None:
    instance = make(start_delay="2.5", start_waits="no")
    instance.start()
    assert not client(instance).listens()
    assert processes.wait_until(client(instance).listens, 15)


def test_start_gives_up_when_the_server_dies_or_dawdles(make) -> None:
    instance = make(start_limit="0.2", dies_after="0.1", start_delay="0.4")
    assert instance.run("start", "rmi").returncode == 1
    assert instance.pid() is None
    instance.set(dies_after="never", start_delay="0", start_limit="5", listener="closed")
    assert instance.run("start", "rmi").returncode == 0  # up, and deaf
    instance.stop()
    instance.set(start_limit="0")
    assert instance.run("start", "rmi").returncode == 1
    assert instance.pid()


def test_stop_delay(make) -> None:
    instance = make(stop_delay="0.6")
    instance.start()
    assert seconds(instance.stop) > 0.55


def test_stop_delay_holds_the_process_not_the_port(make, client) -> None:
    instance = make(stop_delay="30")
    instance.start()
    pid = instance.pid()
    os.kill(pid, signal.SIGTERM)
    assert processes.wait_until(lambda: not client(instance).listens(), 15)
    assert instance.pid() == pid


def test_stop_limit(make) -> None:
    instance = make(stop_limit="0.3")
    script = "trap '' TERM; exec \"$0\" start rmi"
    subprocess.run(["/bin/sh", "-c", script, instance.sm_main], check=True, stdout=subprocess.DEVNULL)
    assert 0.3 < seconds(lambda: instance.run("stop", "rmi")) < 15
    assert instance.pid()


def test_nothing_of_the_callers_python_matters(make, tmp_path) -> None:
    instance = make()
    (tmp_path / "json.py").write_text("raise SystemExit('poisoned')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONSAFEPATH": ""}
    assert instance.run("start", "rmi", env=env).returncode == 0
    assert instance.pid()
    assert sys.executable in processes.arguments(instance.pid())


def test_a_stranger_with_the_same_pid_is_never_taken_for_rmi(make) -> None:
    instance = make()
    with subprocess.Popen(["sleep", "30"]) as stranger:
        try:
            with open(instance.home.pid_file, "w", encoding="utf-8") as stream:
                stream.write(f"{stranger.pid}\n")
            assert instance.pid() is None
            assert instance.run("stop", "rmi").returncode == 0
            instance.remove()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_the_server_of_another_instance_is_left_alone(make) -> None:
    one, two = make(), make()
    one.start()
    two.start()
    with open(one.home.pid_file, "w", encoding="utf-8") as stream:
        stream.write(f"{two.pid()}\n")
    assert one.pid() is None
    one.remove()
    assert two.pid()
