# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a pair comes from: a PFX file, a self-signed certificate, the answer of a CA to a request."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from integration import readers
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller, Outcome, Variables, local
from integration.servers import Server

REQUEST = "sep.sesam.request_csr"


def disk(server: Server) -> x509.Certificate:
    """The certificate in place, as the library reads it: the code under test has no part in it."""
    return x509.load_pem_x509_certificate(Path(server.instance.certificate).read_bytes())


def names(certificate: x509.Certificate) -> list[str]:
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in san]


def public_key(certificate: x509.Certificate) -> t.Any:
    return certificate.public_key()


# A PFX file


def test_pfx_of_the_security_team(server: Server, authority: Authority, controller: Controller, tmp_path: Path) -> None:
    """As Windows exports it: RC2 for the certificates, 3DES for the key."""
    pair = authority.issue(key=authority.rsa_key())
    files = pair.write(tmp_path / "made from")
    pfx = tmp_path / "from the security team.pfx"
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-legacy", "-in", files.certificate, "-inkey", files.private_key,
         "-name", "backup", "-passout", "pass:Zürich 7", "-out", pfx], check=True)  # fmt: skip
    host = {**local(), **server.variables(pkcs12=str(pfx), passphrase="Zürich 7", names=["backup.example"])}

    first, second = controller.run({"one": host}), controller.run({"one": host})

    assert first.rc == 0, first.output
    assert server.served() == pair.fingerprint
    assert readers.java_reads(server.instance.certificate, server.instance.private_key) == "RSA"
    assert "PKCS#12" in str([f for f in first.replace().result["findings"] if f["id"] == "key-converted"])
    assert (second.rc, second.recap()["changed"], second.of("replace")) == (0, 0, None)


# Self-signed


def run_selfsigned(controller: Controller, server: Server, *arguments: str, **others: t.Any) -> Outcome:
    values = {"source": "selfsigned", "key_type": "EC", "names": ["backup.example", "127.0.0.9"], **others}
    return controller.run({"one": {**local(), **server.variables(**values)}}, *arguments)


def test_selfsigned_is_made_once_and_again_only_for_a_reason(
    make_server: t.Callable[..., Server], controller: Controller
) -> None:
    server = make_server()  # It has generated its certificate.

    checked = run_selfsigned(controller, server, "--check", "--diff")
    assert (checked.rc, checked.recap()["changed"] > 0, server.state_folder.exists()) == (0, True, False)

    first = run_selfsigned(controller, server)
    assert first.rc == 0, first.output
    made = disk(server)
    assert names(made) == ["backup.example", "127.0.0.9"]
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    assert server.served() == readers.on_disk(server.instance.certificate)
    pid = server.instance.pid()

    # No reason: the same once more; other days, another order of the names, other letters.
    for others in ({}, {"days": 200, "names": ["127.0.0.9", "BACKUP.example"], "renew_before": "99%"}):
        again = run_selfsigned(controller, server, **others)
        assert (again.rc, again.recap()["changed"], server.instance.pid()) == (0, 0, pid), again.output
    checked = run_selfsigned(controller, server, "--check", names=["new.example"], curve="secp384r1")
    assert (checked.rc, checked.recap()["changed"] > 0) == (0, True), checked.output
    for reason in ("lacks names that were asked for: new.example", "has a key of EC secp256r1, and EC secp384r1"):
        assert reason in checked.output
    assert (disk(server), server.instance.pid()) == (made, pid)


def test_selfsigned_keeps_its_key_when_told(make_server: t.Callable[..., Server], controller: Controller) -> None:
    """And makes one where there is none to keep."""
    server = make_server()
    first = run_selfsigned(controller, server, keep_key=True)
    assert first.rc == 0, first.output
    old = disk(server)

    second = run_selfsigned(controller, server, keep_key=True, names=["other.example"])

    assert second.rc == 0, second.output
    assert names(disk(server)) == ["other.example"]
    assert public_key(disk(server)) == public_key(old)
    assert server.served() == readers.on_disk(server.instance.certificate) != old
    # As it comes with -e from a command line.
    third = run_selfsigned(controller, server, "-e", "sesam_https_keep_key=false", names=["third.example"])
    assert third.rc == 0, third.output
    assert public_key(disk(server)) != public_key(old)


def test_certificate_of_a_ca_stays_where_its_key_has_the_wrong_form(
    make_server: t.Callable[..., Server], controller: Controller
) -> None:
    """The commonest mistake is no reason for another certificate: the key is converted."""
    pair, server = Authority().issue("backup.example"), make_server()
    contents = {server.instance.certificate: pair.pem, server.instance.private_key: pair.key_pem("TraditionalOpenSSL")}
    for path, content in contents.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch(mode=0o600)
        Path(path).write_bytes(content)

    run = run_selfsigned(controller, server, names=["backup.example"])

    assert run.rc == 0, run.output
    assert server.served() == pair.fingerprint
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    again = run_selfsigned(controller, server, names=["backup.example"])
    assert (again.rc, again.recap()["changed"]) == (0, 0), again.output


def test_selfsigned_that_is_right_on_disk_is_only_restarted(
    make_server: t.Callable[..., Server], controller: Controller
) -> None:
    """The key is not at hand then; it stays where it is."""
    server = make_server()
    assert run_selfsigned(controller, server).rc == 0
    pair = [Path(path).read_bytes() for path in (server.instance.certificate, server.instance.private_key)]
    other = make_server()
    for path, content in zip((other.instance.certificate, other.instance.private_key), pair):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch(mode=0o600)
        Path(path).write_bytes(content)

    run = run_selfsigned(controller, other)

    assert run.rc == 0, run.output
    assert run.replace().result["action"] == "restarted"
    assert other.served() == server.served()


# The CSR round trip


@pytest.fixture
def two(make_server: t.Callable[..., Server], old: Pair) -> dict[str, Server]:
    return {"alpha.example": make_server(old), "bravo.example": make_server(old)}


def hosts(servers: dict[str, Server], **others: t.Any) -> dict[str, Variables]:
    return {n: {**local(), **s.variables(source="csr", key_size=2048, **others)} for n, s in servers.items()}


def in_service(server: Server) -> list[object]:
    paths = (server.instance.certificate, server.instance.private_key)
    return [server.instance.pid(), *(Path(path).read_bytes() for path in paths), *(os.stat(p).st_mtime for p in paths)]


@pytest.mark.parametrize("key_from", ["host", "controller"])
def test_csr_round_trip(
    key_from: str, two: dict[str, Server], authority: Authority, controller: Controller, tmp_path: Path
) -> None:
    """Requested, asked again, answered in a folder with any names, put in place, and then left alone."""
    if key_from == "host" and not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    before = {name: in_service(server) for name, server in two.items()}
    folder = tmp_path / "requests"
    asked = hosts(two, key_from=key_from, csr_folder=str(folder))

    if key_from == "host":
        checked = controller.run(asked, "--check", playbook=REQUEST)
        assert checked.rc == 0, checked.output
        assert not folder.exists()
        assert not any(server.state_folder.exists() for server in two.values())

    first = controller.run(asked, playbook=REQUEST)
    assert first.rc == 0, first.output
    requests = {name: (folder / f"{name}.csr").read_bytes() for name in two}
    pending = {name: server.state_folder / "pending" for name, server in two.items()}
    keys = {name: (path / "sesam.https.key").read_bytes() for name, path in pending.items()}
    for name, path in pending.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((path / "sesam.https.key").stat().st_mode) == 0o600
        assert in_service(two[name]) == before[name]
        assert f"{name}.csr" in first.output

    again = controller.run(asked, playbook=REQUEST)
    assert again.rc == 0, again.output
    assert [again.recap(name)["changed"] for name in two] == [0, 0]
    assert {name: (folder / f"{name}.csr").read_bytes() for name in two} == requests

    if key_from == "host":
        unanswered = controller.run(hosts(two, certificate=str(folder)))
        assert [unanswered.recap(name)["changed"] for name in two] == [0, 0], unanswered.output
        assert unanswered.rc == 0, unanswered.output

    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "0001.cer").write_bytes(authority.answer(requests["bravo.example"]))
    (answers / "whatever the CA likes.txt").write_bytes(b"for you:\r\n" + authority.answer(requests["alpha.example"]))
    (answers / "letter.html").write_text("<html>Dear customer</html>")
    (answers / "ca.crt").write_bytes(authority.issue().pem)
    root = tmp_path / "root.pem"
    root.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    with_answers = hosts(two, certificate=str(answers), chain=str(root))
    placed = controller.run(with_answers)

    assert placed.rc == 0, placed.output
    for name, server in two.items():
        assert names(disk(server)) == [name]
        assert server.served() == readers.on_disk(server.instance.certificate)
        assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
        assert Path(server.instance.private_key).read_bytes() == keys[name]
        assert not pending[name].exists()
    if key_from == "host":
        silent = controller.run(with_answers)
        assert (silent.rc, [silent.recap(name)["changed"] for name in two]) == (0, [0, 0]), silent.output


def test_answer_for_another_host_is_refused_with_both_names(
    two: dict[str, Server], authority: Authority, controller: Controller, tmp_path: Path
) -> None:
    assert controller.run(hosts(two, csr_folder=str(tmp_path)), playbook=REQUEST).rc == 0
    answer = tmp_path / "answer.crt"
    answer.write_bytes(authority.answer((tmp_path / "bravo.example.csr").read_bytes()))
    before = {name: in_service(server) for name, server in two.items()}

    for arguments in ([], ["--check"]):
        run = controller.run({"alpha.example": hosts(two, certificate=str(answer))["alpha.example"]}, *arguments)

        assert run.rc == 2
        message = run.replace("alpha.example").message
        assert message.startswith("Nothing was touched. answer-foreign: ")
        assert "is for bravo.example" in message
        assert "the pending request is for alpha.example" in message
        assert {name: in_service(server) for name, server in two.items()} == before
    # The key is still pending for the right answer.
    answer.write_bytes(authority.answer((tmp_path / "alpha.example.csr").read_bytes()))
    run = controller.run({"alpha.example": hosts(two, certificate=str(answer))["alpha.example"]})
    assert run.rc == 0, run.output
    assert names(disk(two["alpha.example"])) == ["alpha.example"]


def test_request_follows_what_is_asked_for(two: dict[str, Server], controller: Controller, tmp_path: Path) -> None:
    """Other names are a new request for the same key; another key is made only when told."""
    server = two["alpha.example"]

    def ask(**others: t.Any) -> tuple[Outcome, x509.CertificateSigningRequest]:
        values = {"names": ["alpha.example"], **others}
        variables = hosts({"alpha.example": server}, csr_folder=str(tmp_path))["alpha.example"]
        variables.update({f"sesam_https_{name}": value for name, value in values.items()})
        run = controller.run({"alpha.example": variables}, playbook=REQUEST)
        return run, x509.load_pem_x509_csr((tmp_path / "alpha.example.csr").read_bytes())

    _run, first = ask()
    _run, renamed = ask(names=["alpha.example", "alias.example"])
    assert renamed.public_key() == first.public_key()
    san = renamed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in san] == ["alpha.example", "alias.example"]

    refused, same = ask(key_type="EC")
    assert refused.rc == 2
    assert "pending-differs: " in refused.output
    assert "renew_key" in refused.output
    assert same.public_key() == first.public_key()

    told, other = ask(key_type="EC", renew_key=True)
    assert told.rc == 0, told.output
    assert other.public_key() != first.public_key()


def test_request_that_was_answered_and_not_forgotten(
    two: dict[str, Server], authority: Authority, controller: Controller, tmp_path: Path
) -> None:
    """The run that placed the answer died before it could: the next request gets a key of its own."""
    name, server = "alpha.example", two["alpha.example"]
    asked = {name: hosts(two, csr_folder=str(tmp_path))[name]}
    assert controller.run(asked, playbook=REQUEST).rc == 0
    pending = server.state_folder / "pending"
    shutil.copytree(pending, tmp_path / "kept")
    request = tmp_path / f"{name}.csr"
    (tmp_path / "answer.crt").write_bytes(authority.answer(request.read_bytes()))
    answered = {name: hosts(two, certificate=str(tmp_path / "answer.crt"))[name]}
    assert controller.run(answered).rc == 0
    shutil.copytree(tmp_path / "kept", pending)

    looked = controller.run(answered)
    assert (looked.rc, looked.recap(name)["changed"]) == (0, 0), looked.output
    old = x509.load_pem_x509_csr(request.read_bytes()).public_key()
    again = controller.run(asked, playbook=REQUEST)
    assert (again.rc, again.recap(name)["changed"]) == (0, 1), again.output
    assert x509.load_pem_x509_csr(request.read_bytes()).public_key() != old
    assert public_key(disk(server)) == old


def test_no_request_is_pending(server: Server, wanted: Pair, files: Files, controller: Controller) -> None:
    host = {**local(), **server.variables(certificate=str(files.certificate), source="csr")}
    run = controller.run({"one": host})
    assert run.rc == 2
    assert run.replace().message.startswith("Nothing was touched. pending-missing: ")
    assert "request_csr" in run.replace().message


# On the host


def test_pair_that_another_program_has_put_on_the_host(
    server: Server, authority: Authority, controller: Controller, tmp_path: Path
) -> None:
    """As an ACME client does: the module takes paths of the host, and the key does not leave it."""
    pair = authority.issue(key=authority.rsa_key())
    made = pair.write(tmp_path / "archive", "TraditionalOpenSSL")
    files = Files(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    for link, file in zip(files, made):
        link.symlink_to(file)
    places = {"sesam2000_ini": server.instance.sesam2000_ini, "port": server.instance.port}
    task = {"sep.sesam.sesam_cert_replace": {
        **places, "certificate": str(files.certificate), "private_key": str(files.private_key), "remote_src": True}}
    play = controller.folder / "play.json"
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))

    runs = [controller.run({"one": local()}, playbook=play) for _turn in range(2)]

    assert runs[0].rc == 0, runs[0].output
    assert server.served() == pair.fingerprint
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    assert runs[1].recap()["changed"] == 0
