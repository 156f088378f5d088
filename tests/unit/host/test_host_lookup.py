# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The look-up of the server: what each source names, what is there, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import layout, lookup, sm_main
from unit import pki

# pytest-xdist runs a thread of its own, and newer Pythons warn of a fork beside it.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

NAMES = [lookup.COMMAND_LINE, lookup.DEFAULT_LOCATION, lookup.SM_INI, lookup.ENVIRONMENT]
CRT, KEY = layout.CERTIFICATE_NAME, layout.PRIVATE_KEY_NAME
SSL_CERT, SSL_KEY = layout.PAIR_VARIABLES
AsNobody = t.Callable[[t.Callable[[], object]], str]


@pytest.fixture(autouse=True)
def set_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of C(/etc/environment): a file that is not there yet."""
    path = tmp_path / "environment of everybody"
    monkeypatch.setattr(sm_main, "GLOBAL_VARIABLES", str(path))
    sm_main.environment_of.cache_clear()
    return path


@pytest.fixture
def rmi() -> t.Iterator[t.Callable[..., int]]:
    """Starts a process with some arguments and variables, and nothing else; its PID."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments: str | bytes, **variables: str | bytes) -> int:
            process = stack.enter_context(subprocess.Popen(
                ["/bin/sh", "-c", "echo begun; read line", "rmi", *arguments], env=variables,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            # Until the new program runs, /proc shows no arguments.
            assert process.stdout
            process.stdout.readline()
            return process.pid

        yield begin


def put(folder: Path, pair: pki.Pair, key: bytes | None = None) -> tuple[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CRT).write_bytes(pair.pem)
    (folder / KEY).write_bytes(pair.key_pem if key is None else key)
    return str(folder / CRT), str(folder / KEY)


def configure(places: layout.Layout, *lines: str) -> layout.Layout:
    """The places after C(sm.ini) was written."""
    Path(places.sm_ini).write_text("\n".join(["[PATHES]", *lines, ""]))
    return layout.find({"sesam2000_ini": f"{Path(places.sesam_var).parent}/sesam2000.ini"})


def in_the_environment(places: layout.Layout, pid: int | None = None) -> lookup.Source:
    return lookup.walk(places, pid)[NAMES.index(lookup.ENVIRONMENT)]


def on_the_command_line(places: layout.Layout, pid: int | None) -> lookup.Source:
    return lookup.walk(places, pid)[0]


# The sources

def test_nothing_anywhere(places: layout.Layout, rmi: t.Callable[..., int]) -> None:
    found = lookup.walk(places, rmi())
    assert [source.name for source in found] == NAMES
    assert {(source.verdict, source.reason, source.named.unseen) for source in found} == {("absent", "", "")}
    assert [source.pair is None for source in found] == [True, False, True, True]


def test_each_source_is_found_by_itself(
    places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path, new: pki.Pair
) -> None:
    line, folder, variables = (put(tmp_path / name, new) for name in ("line", "folder", "variables"))
    put(Path(places.ssl_folder), new)
    places = configure(places, f"gv_ro_ssl={tmp_path}/folder/")
    pid = rmi("-z", line[0], "-k", line[1], **dict(zip(layout.PAIR_VARIABLES, variables, strict=True)))
    found = lookup.walk(places, pid)
    assert [source.verdict for source in found] == ["usable"] * 4
    named = [(source.named.certificate, source.named.private_key) for source in found]
    assert named == [line, (places.certificate, places.private_key), folder, variables]
    assert [source.named.set_in for source in found] == [
        f"the command line of process {pid}", "", f"gv_ro_ssl in {places.sm_ini}", f"the environment of process {pid}"]
    assert {source.pair.leaf for source in found if source.pair} == {new.der}


def test_no_key_leaves_the_host(
    places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path, new: pki.Pair, old: pki.Pair
) -> None:
    """Neither one that works, nor one that does not, nor one that lies in the file of the certificate."""
    put(Path(places.ssl_folder), new)
    encrypted = pki.key_bytes(old.key, passphrase=b"secret")
    line, variables = put(tmp_path / "a", new, old.key_pem), put(tmp_path / "b", old, encrypted)
    Path(line[0]).write_bytes(new.pem + new.key_pem)
    pid = rmi("-z", line[0], "-k", line[1], **dict(zip(layout.PAIR_VARIABLES, variables, strict=True)))
    told = json.dumps([source.facts() for source in lookup.walk(places, pid)])
    # The last of three lines is public: the certificate has it too.
    secret = [*new.key_lines()[:2], *old.key_lines()[:2], *encrypted.decode().splitlines()[1:-1]]
    assert not [line for line in secret if line in told]
    assert "PRIVATE KEY" not in told


# The command line

@pytest.mark.parametrize(("words", "certificate", "private_key"), [
    (["-z", "/c", "-k", "/k"], "/c", "/k"), (["-k", "/k", "-z", "/c"], "/c", "/k"),
    (["--sslCertificate", "/c", "--sslPrivateKey", "/k"], "/c", "/k"),
    (["--sslCertificate=/c", "--sslPrivateKey=/k"], "/c", "/k"), (["-z=/c", "-k", "/k"], "/c", "/k"),
    (["x", "--port", "1", "-z", "/c", "y", "-k", "/k", "z"], "/c", "/k"),
    (["-z", "/with blank=and equal", "-k", "/k"], "/with blank=and equal", "/k"),
    (["-z", "/c"], "/c", ""), (["-k", "/k"], "", "/k"), (["-z", "/c", "-k"], "/c", ""), (["-z", ""], "", ""),
    (["-zz", "/c", "-K", "/k", "--sslcertificate", "/c", "sslPrivateKey=/k"], "", ""),
])
def test_spellings_of_the_options(
    places: layout.Layout, rmi: t.Callable[..., int], words: list[str], certificate: str, private_key: str
) -> None:
    found = on_the_command_line(places, rmi(*words))
    assert (found.named.certificate, found.named.private_key) == (certificate, private_key)
    assert bool(found.named.set_in) == bool(certificate or private_key)
    expected = "half" if bool(certificate) != bool(private_key) else "broken" if certificate else "absent"
    assert found.verdict == expected


@pytest.mark.parametrize("pid", [None, 1 << 30])
def test_without_a_process_nobody_knows_its_command_line(places: layout.Layout, pid: int | None) -> None:
    found = on_the_command_line(places, pid)
    assert (found.verdict, found.reason) == ("unseen", "the command line of rmi cannot be seen")


# sm.ini

@pytest.mark.parametrize(("lines", "folder"), [
    (["gv_ro_ssl={}/"], True), (["gv_ro_ssl={}"], True), ([" gv_ro_ssl = '{}/' "], True), (['gv_ro_ssl="{}"'], True),
    (["gv_ro_ssl=/nowhere", "gv_ro_ssl={}"], True), (["[UI]", "[PATHES]", "gv_ro_ssl={}"], True),
    (["#gv_ro_ssl={}"], False), (["; gv_ro_ssl={}"], False), (["[UI]", "gv_ro_ssl={}"], False),
    (["[Pathes]", "gv_ro_ssl={}"], False), (["GV_RO_SSL={}"], False), (["gv_ro_ssl={}", "gv_ro_ssl="], False),
])
def test_gv_ro_ssl(places: layout.Layout, tmp_path: Path, new: pki.Pair, lines: list[str], folder: bool) -> None:
    put(tmp_path / "a folder", new)
    places = configure(places, *[line.format(tmp_path / "a folder") for line in lines])
    found = lookup.walk(places, None)[2]
    assert found.verdict == ("usable" if folder else "absent")
    assert found.named.certificate == (str(tmp_path / "a folder" / CRT) if folder else "")


@pytest.mark.parametrize(("make", "why"), [
    (os.mkdir, "it is a directory, not a regular file"), (os.mkfifo, "it is a FIFO, not a regular file"),
    (lambda path: os.symlink(path, path), "it is a symbolic link, not a regular file"),
    (lambda path: Path(path).write_bytes(b"\n" * ((1 << 20) + 1)), "it has 1048577 bytes"),
])
def test_an_sm_ini_that_cannot_be_read_is_unseen(
    places: layout.Layout, make: t.Callable[[str], object], why: str
) -> None:
    os.unlink(places.sm_ini)
    make(places.sm_ini)
    found = lookup.walk(layout.find({"sesam2000_ini": "/nowhere", "sesam_var": places.sesam_var}), None)[2]
    assert found.verdict == "unseen"
    assert found.reason.startswith(f"{places.sm_ini}: {why}")


def test_no_sm_ini_names_nothing(places: layout.Layout) -> None:
    os.unlink(places.sm_ini)
    found = lookup.walk(layout.find({"sesam2000_ini": "/nowhere", "sesam_var": places.sesam_var}), None)[2]
    assert (found.verdict, found.reason) == ("absent", "")


# The environment

def test_the_variables_of_the_process(places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path,
                                      new: pki.Pair, set_for_everybody: Path) -> None:
    certificate, private_key = put(tmp_path / "x", new)
    pid = rmi(**{SSL_CERT: certificate, SSL_KEY: private_key})
    assert in_the_environment(places, pid).verdict == "usable"
    # What is set for everybody does not reach a process that runs; somebody's next login does.
    set_for_everybody.write_text(f"{SSL_CERT}=/other.crt\n{SSL_KEY}={private_key}\n")
    found = in_the_environment(places, pid)
    assert (found.verdict, found.named.certificate) == ("usable", certificate)
    assert found.named.elsewhere == f"{set_for_everybody} has {SSL_CERT}=/other.crt"
    found = in_the_environment(places, rmi())
    assert (found.verdict, found.named.certificate, found.named.set_in) == ("absent", "", "")
    assert found.named.elsewhere == f"{set_for_everybody} has {SSL_CERT}=/other.crt and {SSL_KEY}={private_key}"


def test_the_variables_of_everybody_where_rmi_does_not_run(
    places: layout.Layout, tmp_path: Path, new: pki.Pair, set_for_everybody: Path
) -> None:
    certificate, private_key = put(tmp_path / "it's x", new)
    set_for_everybody.write_text(f'export {SSL_CERT}="{certificate}"\r\n# {SSL_KEY}=/no\n{SSL_KEY}="{private_key}"\n')
    found = in_the_environment(places)
    assert (found.verdict, found.named.set_in, found.named.elsewhere) == ("usable", str(set_for_everybody), "")
    assert (found.named.certificate, found.named.private_key) == (certificate, private_key)


@pytest.mark.parametrize("runs", [True, False])
def test_the_profile_has_the_last_word(
    places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path, new: pki.Pair, set_for_everybody: Path, runs: bool
) -> None:
    certificate, private_key = put(tmp_path / "x", new)
    Path(places.profile).write_text(f"{SSL_CERT}='{certificate}'; export {SSL_CERT}\n")
    set_for_everybody.write_text(f"{SSL_CERT}=/old.crt\n{SSL_KEY}='{private_key}'\n")
    pid = rmi(**{SSL_CERT: "/older.crt", SSL_KEY: private_key}) if runs else None
    found = in_the_environment(places, pid)
    assert (found.verdict, found.named.certificate, found.named.private_key) == ("usable", certificate, private_key)
    other = f"the environment of process {pid}" if runs else str(set_for_everybody)
    assert found.named.set_in == f"{places.profile} and {other}"
    # It is what a restart by this collection gives to the server.
    of_the_start = sm_main.environment(places.profile, lookup.processes.context(pid))
    assert [of_the_start[name] for name in layout.PAIR_VARIABLES] == [certificate, private_key]


def test_a_profile_that_says_nothing_of_a_pair_is_not_run(places: layout.Layout, tmp_path: Path) -> None:
    Path(places.profile).write_text(f"touch '{tmp_path}/run'\n")
    assert in_the_environment(places).verdict == "absent"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spoil", [
    lambda path: path.chmod(0o666), lambda path: path.write_text(f"export {SSL_CERT}=/c\nexit 3\n"),
    lambda path: (path.unlink(), os.mkfifo(path)), lambda path: (path.unlink(), path.mkdir()),
    lambda path: path.write_bytes(b"\n" * (1 << 20) + b"export " + SSL_CERT.encode() + b"=/c\n"),
])
def test_a_profile_that_cannot_be_used_is_unseen(places: layout.Layout, spoil: t.Callable[[Path], object]) -> None:
    """A restart refuses it by name; a look goes on without."""
    Path(places.profile).write_text(f"export {SSL_CERT}=/c\n")
    assert in_the_environment(places).verdict == "half"
    sm_main.environment_of.cache_clear()
    spoil(Path(places.profile))
    found = in_the_environment(places)
    assert found.verdict == "unseen"
    assert places.profile in found.reason


def test_a_variable_that_the_profile_empties(
    places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path, new: pki.Pair
) -> None:
    """As at a restart by this collection, which gives the server the empty one."""
    certificate, private_key = put(tmp_path / "x", new)
    Path(places.profile).write_text(f"export {SSL_CERT}= {SSL_KEY}=\n")
    pid = rmi(**{SSL_CERT: certificate, SSL_KEY: private_key})
    assert in_the_environment(places, pid).verdict == "absent"
    of_the_start = sm_main.environment(places.profile, lookup.processes.context(pid))
    assert [of_the_start[name] for name in layout.PAIR_VARIABLES] == ["", ""]


# What is there

def half(files: tuple[str, str], missing: int) -> str:
    os.unlink(files[missing])
    return f"{files[missing]} does not exist"


def spoilt(files: tuple[str, str], number: int, make: t.Callable[[str], object], reason: str) -> str:
    os.unlink(files[number])
    make(files[number])
    return reason.format(files[number])


SPOILT: dict[str, tuple[str, t.Callable[[tuple[str, str]], str]]] = {
    "no certificate": ("half", lambda files: half(files, 0)),
    "no key": ("half", lambda files: half(files, 1)),
    "empty": ("broken", lambda files: spoilt(files, 0, lambda path: Path(path).touch(), "{} holds no certificate")),
    "directory": ("broken", lambda files: spoilt(files, 1, os.mkdir, "{} cannot be read: it is a directory")),
    "FIFO": ("broken", lambda files: spoilt(files, 0, os.mkfifo, "{} cannot be read: it is a FIFO")),
    "device": ("broken", lambda files: spoilt(files, 0, lambda path: os.symlink("/dev/zero", path),
                                              "{} cannot be read: it is a character device")),
    "dangling link": ("broken", lambda files: spoilt(files, 1, lambda path: os.symlink("/nowhere", path),
                                                     "{} cannot be read: it is a symbolic link that leads nowhere")),
    "loop": ("broken", lambda files: spoilt(files, 0, lambda path: os.symlink(path, path),
                                            "{} cannot be read: it is a symbolic link")),
}


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("what", SPOILT)
def test_what_is_no_pair_that_works(
    places: layout.Layout, tmp_path: Path, new: pki.Pair, set_for_everybody: Path, name: str, what: str
) -> None:
    verdict, spoil = SPOILT[what]
    folder = Path(places.ssl_folder) if name == lookup.DEFAULT_LOCATION else tmp_path / "x"
    files = put(folder, new)
    if name == lookup.SM_INI:
        places = configure(places, f"gv_ro_ssl={folder}")
    if name == lookup.ENVIRONMENT:
        set_for_everybody.write_text(f"{SSL_CERT}='{files[0]}'\n{SSL_KEY}='{files[1]}'\n")
    reason = spoil(files)
    found = lookup.walk(places, None)[NAMES.index(name)]
    assert found.verdict == verdict
    assert found.reason.startswith(reason)


def test_links_are_followed(places: layout.Layout, tmp_path: Path, new: pki.Pair) -> None:
    certificate, private_key = put(tmp_path / "elsewhere", new)
    os.symlink(certificate, places.certificate)
    os.symlink(private_key, tmp_path / "link to a link")
    os.symlink(tmp_path / "link to a link", places.private_key)
    os.symlink(tmp_path / "elsewhere", tmp_path / "a folder")
    found = lookup.walk(configure(places, f"gv_ro_ssl={tmp_path}/a folder"), None)
    assert [source.verdict for source in found] == ["unseen", "usable", "usable", "absent"]


@pytest.mark.parametrize("folder", ["nowhere", "a file", "to nowhere", "loop", "x" * 5000, "nu\0l"])
def test_a_folder_that_cannot_hold_anything_is_absent(places: layout.Layout, tmp_path: Path, folder: str) -> None:
    """As it is for a server that asks whether the two files are there."""
    (tmp_path / "a file").touch()
    (tmp_path / "to nowhere").symlink_to("/nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = lookup.walk(configure(places, f"gv_ro_ssl={tmp_path}/{folder}"), None)[2]
    assert (found.verdict, found.reason) == ("absent", "")


def test_where_both_files_are_named_one_has_to_be_there(places: layout.Layout, rmi: t.Callable[..., int]) -> None:
    found = on_the_command_line(places, rmi("-z", "/nowhere/c", "-k", "/nowhere/k"))
    assert (found.verdict, found.reason) == ("broken", "/nowhere/c and /nowhere/k do not exist")


@pytest.mark.parametrize(("certificate", "private_key", "told"), [
    ("c", "/k", "c is no absolute path"), ("/c", "./k", "./k is no absolute path"), ("c", "k", "c is no absolute path"),
])
def test_relative_paths_cannot_work(places: layout.Layout, rmi: t.Callable[..., int], certificate: str,
                                    private_key: str, told: str) -> None:
    pid = rmi("-z", certificate, "-k", private_key, **{SSL_CERT: certificate, SSL_KEY: private_key})
    found = lookup.walk(places, pid)
    assert [(source.verdict, source.reason) for source in (found[0], found[3])] == [("broken", told)] * 2
    assert found[0].pair is None
    assert lookup.walk(configure(places, "gv_ro_ssl=ssl/"), None)[2].reason == f"ssl/{CRT} is no absolute path"


def test_only_one_is_named(places: layout.Layout, set_for_everybody: Path) -> None:
    for variable, missing in ((SSL_CERT, "private key"), (SSL_KEY, "certificate")):
        set_for_everybody.write_text(f"{variable}=/x\n")
        found = in_the_environment(places)
        assert (found.verdict, found.reason) == ("half", f"no {missing} is named")


def test_names_that_are_no_utf_8(
    places: layout.Layout, rmi: t.Callable[..., int], tmp_path: Path, new: pki.Pair
) -> None:
    folder = os.fsencode(tmp_path) + b"/gr\xf6\xdfe"
    os.mkdir(folder)
    names = [folder + b"/" + name.encode() for name in (CRT, KEY)]
    for name, content in zip(names, (new.pem, new.key_pem), strict=True):
        with open(name, "wb") as file:
            file.write(content)
    Path(places.sm_ini).write_bytes(b"[PATHES]\ngv_ro_ssl=" + folder + b"\n")
    places = layout.find({"sesam2000_ini": "/nowhere", "sesam_var": places.sesam_var})
    pid = rmi("-z", names[0], "-k", names[1], **{SSL_CERT: names[0], SSL_KEY: names[1]})
    assert [source.verdict for source in lookup.walk(places, pid)] == ["usable", "absent", "usable", "usable"]


# Without rights

def test_what_somebody_without_rights_sees(
    places: layout.Layout, rmi: t.Callable[..., int], as_nobody: AsNobody, new: pki.Pair
) -> None:
    put(Path(places.ssl_folder), new)
    os.chmod(places.private_key, 0o600)
    os.chmod(places.sm_ini, 0o600)
    pid = rmi("-z", "/c", "-k", "/k", **{SSL_CERT: "/c", SSL_KEY: "/k"})

    def look() -> str:
        seen = layout.find({"sesam2000_ini": "/nowhere", "sesam_var": places.sesam_var})
        return json.dumps([(s.verdict, s.reason) for s in lookup.walk(seen, pid)])

    found = json.loads(as_nobody(look))
    assert found == [
        ["broken", "/c and /k do not exist"],  # a command line can be seen by everybody
        ["unseen", f"there is no permission to read {places.private_key}"],
        ["unseen", f"{places.sm_ini}: there is no permission to read it"],
        ["unseen", f"the environment of process {pid} cannot be seen"],
    ]


def test_a_profile_tells_what_a_hidden_environment_does_not(
    places: layout.Layout, rmi: t.Callable[..., int], as_nobody: AsNobody, tmp_path: Path
) -> None:
    """And that it may not be all is told too."""
    Path(places.profile).write_text(f"export {SSL_CERT}=/c {SSL_KEY}=/k\n")
    Path(places.profile).chmod(0o644)
    pid = rmi()
    found = json.loads(as_nobody(lambda: json.dumps(in_the_environment(places, pid).facts())))
    assert (found["verdict"], found["set_in"]) == ("broken", places.profile)
    assert found["unseen"] == f"the environment of process {pid} cannot be seen"


# What comes of it

@pytest.mark.parametrize(("verdicts", "leads", "hides"), [
    (["absent", "absent", "absent", "absent"], None, None),
    (["unseen", "unseen", "absent", "unseen"], None, None),
    (["absent", "usable", "usable", "usable"], 1, None),
    (["unseen", "absent", "half", "usable"], 2, None),
    (["half", "usable", "absent", "absent"], 0, 0),
    (["broken", "absent", "absent", "absent"], 0, 0),
    (["usable", "usable", "absent", "absent"], 0, 0),
])
def test_what_decides_and_what_hides(verdicts: list[str], leads: int | None, hides: int | None) -> None:
    sources = [{"name": name, "verdict": verdict, "certificate": f"/{name}/crt", "private_key": f"/{name}/key"}
               for name, verdict in zip(NAMES, verdicts, strict=True)]
    assert lookup.leading(sources) == (None if leads is None else sources[leads])
    assert lookup.before_default_location(sources) == (None if hides is None else sources[hides])
    sources[0].update(certificate="/default_location//crt", private_key="/default_location/key")
    assert lookup.before_default_location(sources) is None
