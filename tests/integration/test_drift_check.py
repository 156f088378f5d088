# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook drift_check: what it reports, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _verdict
from integration import addresses
from integration.certificates import Authority, Files, Pair
from integration.controller import HOST_PYTHON, Controller, Outcome, Variables, local
from integration.servers import Server
from integration.sshd import Sshd
from workbench import matrix, venvs

DRIFT_CHECK = "sep.sesam.drift_check"
RESOLVE = "sep.sesam.sesam_cert_resolve"
MakeServer = t.Callable[..., Server]


def check(controller: Controller, hosts: dict[str, Variables], *arguments: str, **keywords: t.Any) -> Outcome:
    return controller.run(hosts, *arguments, playbook=DRIFT_CHECK, **keywords)


def report(run: Outcome) -> list[str]:
    """The lines of the report; there is one."""
    (found,) = [result for result in run.results if result.task == "Report"]
    return t.cast("list[str]", found.result["msg"])


def states(run: Outcome) -> dict[str, str]:
    """The states in the report by their hosts, in its order."""
    pieces = [line.split() for line in report(run)[1:] if not line.startswith(" ")]
    return {words[0].rstrip(":"): words[1].rstrip(";") for words in pieces}


def failed(run: Outcome) -> set[str]:
    """The hosts that the recap calls failed; none may be called unreachable."""
    recaps = [result for result in run.results if result.status == "recap"]
    assert not any(recap.result["unreachable"] for recap in recaps)
    return {recap.host for recap in recaps if recap.result["failures"]}


def unreachable() -> Variables:
    """A host where no sshd listens."""
    return {"ansible_connection": "ssh", "ansible_host": addresses.address(7), "ansible_port": addresses.free_port(),
            "ansible_ssh_common_args": "-F /dev/null", "ansible_ssh_retries": 0,
            "ansible_python_interpreter": str(HOST_PYTHON)}


def hosted(server: Server, files: Files | None = None, python: str = "", **others: t.Any) -> Variables:
    return {**local(python), **server.variables(files, **others)}


def test_host_whose_variables_cannot_be_templated_hides_no_other_one(
    make_server: MakeServer, controller: Controller, wanted: Pair
) -> None:
    """It is the first one, which would print the report."""
    run = check(controller, {"a broken one": {**local(), "ansible_host": "{{ vault_nope }}"},
                             "good": hosted(make_server(wanted))})  # fmt: skip

    assert run.rc == 2
    assert report(run)[0] == "Drift on 1 of 2 hosts: 1 failed."
    assert "vault_nope" in run.output


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_strategy_that_is_configured_does_no_harm(
    make_server: MakeServer, controller: Controller, wanted: Pair, strategy: str
) -> None:
    server = make_server(wanted)
    run = check(controller, {"one": hosted(server), "two": hosted(server)}, env={"ANSIBLE_STRATEGY": strategy})
    assert (run.rc, report(run)[0]) == (0, "No drift on 2 hosts.")


def test_in_sync_with_and_without_a_certificate_on_the_controller(
    make_server: MakeServer, controller: Controller, wanted: Pair, files: Files
) -> None:
    server = make_server(wanted)
    before = (server.tree(), server.instance.pid())
    hosts = {"compared": hosted(server, files), "looked_at": hosted(server)}

    run = check(controller, hosts)

    assert run.rc == 0, run.output
    assert report(run)[0] == "No drift on 2 hosts."
    assert states(run) == {"compared": "in_sync", "looked_at": "in_sync"}
    assert failed(run) == set()
    assert (server.tree(), server.instance.pid()) == before
    assert "No drift on 2 hosts." in run.output
    assert " backup.example; " in run.output
    assert " days left; default_location; none" in run.output
    assert "fatal" not in run.output
    # What Ansible would print as a warning of each host, the report has.
    assert any(line.startswith("    warning ") for line in report(run))
    assert "WARNING" not in run.output


@pytest.mark.parametrize("check_mode", [[], ["--check"]], ids=["real", "check"])
def test_everything_that_can_be_wrong_at_once(
    check_mode: list[str], make_server: MakeServer, controller: Controller, old: Pair, wanted: Pair, files: Files,
    tmp_path: Path,
) -> None:
    """The first host cannot be reached, and others are in sync, drift, and have no Python."""
    good, drifted = make_server(wanted), make_server(old)
    # It takes all that is sent before it fails: else ansible-core may tell of the broken pipe instead of the reason.
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\n[ -t 0 ] || cat > /dev/null\nexec ssh "$@"\n')
    ssh.chmod(0o755)
    hosts = {"a": {**unreachable(), "ansible_ssh_executable": str(ssh)},
             "b": hosted(good, files), "c": hosted(drifted, files),
             "d": hosted(good, files, python="/no/such/python"), "e": hosted(good, files, certificate="no/such/file")}

    run = check(controller, hosts, *check_mode)

    assert run.rc == 2, run.output
    lines = report(run)
    assert lines[0] == "Drift on 4 of 5 hosts: 1 unreachable, 2 failed, 1 file_drift."
    assert states(run) == {"a": "unreachable", "c": "file_drift", "d": "failed", "e": "failed", "b": "in_sync"}
    assert failed(run) == {"a", "c", "d", "e"}
    text = "\n".join(lines)
    # The words are those of the ssh connection of ansible-core for what was to be sent to standard input, or was not.
    assert re.search(r"\na: unreachable\n    (Failed to connect to .* via|Data could not be sent .* over) ssh: ", text)
    resolved = run.of("resolve", "c")
    assert resolved
    assert f"    {resolved.result['reason']}\n" in text
    assert "/no/such/python" in text
    assert "no/such/file" in text
    assert "PRIVATE KEY" not in run.output + run.dump
    assert not drifted.state_folder.exists()


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("env", [
    {}, {"ANSIBLE_STDOUT_CALLBACK": "minimal"}, {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
], ids=["default", "minimal", "yaml"])
def test_all_unreachable(number: int, env: dict[str, str], controller: Controller) -> None:
    hosts = {f"host{n}": unreachable() for n in range(number)}
    run = check(controller, hosts, env=env)
    assert run.rc == 2, run.output
    assert states(run) == dict.fromkeys(hosts, "unreachable")
    assert failed(run) == set(hosts)
    shown = [line.strip(" -\"',") for line in run.output.splitlines()]
    assert [line for line in shown if line.endswith(": unreachable")] == [f"{host}: unreachable" for host in hosts]


def test_over_ssh(make_server: MakeServer, controller: Controller, own_sshd: Sshd, wanted: Pair, files: Files) -> None:
    """One that can be reached beside one that cannot, and one where the login is refused."""
    place = {"ansible_python_interpreter": str(HOST_PYTHON), **make_server(wanted).variables(files)}
    login = own_sshd.variables(addresses.address(0), "root")
    hosts = {"gone": {**login, **place, "ansible_port": addresses.free_port()},
             "here": {**login, **place}, "locked": {**login, **place, "ansible_user": "nobody-of-that-name"}}
    run = check(controller, hosts)
    assert run.rc == 2, run.output
    assert states(run) == {"gone": "unreachable", "locked": "unreachable", "here": "in_sync"}
    assert any("Permission denied" in line for line in report(run))


def test_limit(make_server: MakeServer, controller: Controller, old: Pair, wanted: Pair, files: Files) -> None:
    hosts = {"a": unreachable(), "b": hosted(make_server(wanted), files), "c": hosted(make_server(old), files)}
    for limit, rc in (("b", 0), ("c", 2), ("a", 2)):
        run = check(controller, hosts, "--limit", limit)
        assert (run.rc, list(states(run)), failed(run)) == (rc, [limit], {limit} if rc else set()), run.output


def test_chosen_states(make_server: MakeServer, controller: Controller, old: Pair, files: Files) -> None:
    """One that was not chosen is reported, with its reason where a finding wants time, and does not fail."""
    hosts = {"drifted": hosted(make_server(old), files), "stopped": hosted(make_server(old, start=False), files)}
    for chosen, drifting in (("file_drift", {"drifted"}), ("stopped, file_drift", {"drifted", "stopped"}),
                             ("expired", set()), (["stopped"], {"stopped"})):
        run = check(controller, hosts, "-e", json.dumps({"sesam_drift_states": chosen}))
        assert (run.rc, failed(run)) == (2 if drifting else 0, drifting), run.output
        assert states(run) == {"drifted": "file_drift", "stopped": "stopped"}
    run = check(controller, {**hosts, "gone": unreachable()}, "-e", "sesam_drift_states=expired")
    assert (run.rc, failed(run)) == (2, {"gone"}), run.output


@pytest.mark.parametrize("chosen", ["file_drift,expird", ""])
def test_a_wrong_choice_is_refused_before_any_host_is_asked(chosen: str, controller: Controller) -> None:
    run = check(controller, {"a": unreachable(), "b": unreachable()}, "-e", f"sesam_drift_states={chosen}")
    assert run.rc == 2, run.output
    (refusal,) = [result for result in run.results if result.status == "failed"]
    assert refusal.message.startswith("sesam_drift_states names ")
    assert ("expird" in refusal.message) == ("expird" in chosen)
    assert all(state in refusal.message for state in t.get_args(_verdict.State))
    assert "\n" not in refusal.message
    assert not any(result.action == RESOLVE for result in run.results)


def test_all_others_are_asked_where_one_error_would_end_the_play(
    make_server: MakeServer, controller: Controller, wanted: Pair, files: Files
) -> None:
    """A configuration of Ansible that many have."""
    good = make_server(wanted)
    hosts = {"bad": hosted(good, files, python="/no/such/python"), "good": hosted(good, files)}
    run = check(controller, hosts, env={"ANSIBLE_ANY_ERRORS_FATAL": "true"})
    assert (run.rc, states(run)) == (2, {"bad": "failed", "good": "in_sync"}), run.output


HOSTILE = "x\nNo drift\x1b[2J{{ lookup('pipe', 'touch templated') }}"


def cores() -> list[t.Any]:
    return [pytest.param(end, id=end.name) for end in (matrix.OLDEST, matrix.NEWEST)]


def place_of(end: matrix.End) -> matrix.Place:
    place = matrix.read(end)
    if place.missing:
        pytest.skip(place.missing)
    return place


@pytest.mark.parametrize("end", cores())
def test_hostile_text_is_shown_and_not_obeyed(
    end: matrix.End, make_server: MakeServer, tmp_path: Path, authority: Authority, files: Files
) -> None:
    """In the subject of a certificate, and in what a host says when it fails; nothing of it is a template."""
    place = place_of(end)
    controller = Controller(tmp_path / end.name, Path(place.controller).parent)
    server = make_server(authority.issue(HOSTILE))
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\ncat <<'EOF' >&2\n{HOSTILE}\nEOF\nexit 1\n")
    liar.chmod(0o755)
    hosts = {"named": hosted(server, python=place.host), "liar": hosted(server, python=str(liar))}

    run = check(controller, hosts)

    assert run.rc == 2, run.output
    assert states(run)["liar"] == "failed"
    lines = report(run)
    assert all(line.isprintable() for line in lines)
    assert "touch templated" in "\n".join(lines)
    assert not list(tmp_path.rglob("templated"))
    assert "\x1b[2J" not in "\n".join(line for line in run.output.splitlines() if "fatal" in line or line[:4] == "    ")


@pytest.mark.parametrize("end", cores())
@pytest.mark.parametrize("name", ["drift", "drift_report", "drift_states_error"])
def test_the_filters_are_documented(end: matrix.End, name: str) -> None:
    program = Path(place_of(end).controller).with_name("ansible-doc")
    text = subprocess.run([program, "-t", "filter", "--json", f"sep.sesam.{name}"], env=venvs.Venv().environment(),
                          capture_output=True, text=True, check=True).stdout
    found = json.loads(text)[f"sep.sesam.{name}"]
    assert found["doc"]["options"]["_input"]["required"]
    assert f"sep.sesam.{name}" in found["examples"]
    assert found["return"]["_value"]["type"]


@pytest.mark.parametrize("end", cores())
def test_a_fact_cache_has_the_states_and_groups_are_made_of_it(
    end: matrix.End, make_server: MakeServer, tmp_path: Path, old: Pair, wanted: Pair, files: Files
) -> None:
    """A check fills it; the inventory plugin constructed and group_by use it; a replacement refreshes it."""
    place = place_of(end)
    controller = Controller(tmp_path / end.name, Path(place.controller).parent)
    cache = {"ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
             "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache")}
    hosts = {name: hosted(make_server(pair), files, python=place.host) for name, pair in (("a", old), ("b", wanted))}
    plugin = tmp_path / "states.yml"
    plugin.write_text(json.dumps({"plugin": "ansible.builtin.constructed", "strict": False, "keyed_groups": [
        {"key": "sesam_https.state", "prefix": "sesam_state"}]}))
    play = tmp_path / "groups.json"
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [
        {"name": "By state", "ansible.builtin.group_by": {"key": "now_{{ ansible_facts.sesam_https.state }}"}},
        {"name": "Facts", "ansible.builtin.debug": {"msg": "{{ ansible_facts.sesam_https }}"}},
        {"name": "Groups", "ansible.builtin.debug": {"msg": "{{ group_names }}"}}]}]))

    def told(task: str) -> dict[str, t.Any]:
        run = controller.run(hosts, "-i", plugin, playbook=play, env=cache)
        assert run.rc == 0, run.output
        return {result.host: result.result["msg"] for result in run.results if result.task == task}

    run = check(controller, hosts, env=cache)

    assert run.rc == 2, run.output
    fact = told("Facts")["b"]
    assert (fact["state"], fact["repair"], fact["names"]) == ("in_sync", "none", ["backup.example"])
    assert fact["fingerprint_sha256"] == wanted.fingerprint
    assert told("Groups") == {
        "a": ["now_file_drift", "sesam_state_file_drift"], "b": ["now_in_sync", "sesam_state_in_sync"]}

    run = controller.run(hosts, "-i", plugin, "-e", "sesam_hosts=sesam_state_file_drift", env=cache)

    assert run.rc == 0, run.output
    assert [result.host for result in run.results if result.status == "recap"] == ["a"]
    assert told("Groups")["a"] == ["now_in_sync", "sesam_state_in_sync"]
