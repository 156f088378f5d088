# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugins: what they ask of the host, and what they make of its answer; files, levels, folders."""

from __future__ import annotations

import base64
import getpass
import os
import socket
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.sep.sesam.plugins.action import (
    sesam_cert_replace,
    sesam_cert_resolve,
    sesam_pkcs8_convert,
    sesam_selfsigned,
)
from ansible_collections.sep.sesam.plugins.plugin_utils import _requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from unit import answers, pki
from unit.actions import asked

CA = pki.make_strict_ca()
OLD, NEW = pki.make("old.example"), pki.make("new.example", issuer=CA, ends=90)
PAIR = {"certificate": NEW.pem.decode(), "private_key": NEW.key_pem.decode()}
VARIABLES = {"inventory_hostname": "new.example"}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def ids(result: dict[str, t.Any], level: str = "") -> list[str]:
    return [finding["id"] for finding in result["findings"] if level in ("", finding["level"])]


def request_for(pair: pki.Pair, name: str) -> bytes:
    key: t.Any = pair.key
    return _requests.csr(_requests.identity([name]), key.public_key()).signed_by(key)


# sesam_pkcs8_convert


def test_convert_here(act: t.Any) -> None:
    sec1 = pki.key_bytes(NEW.key, "TraditionalOpenSSL").decode()
    action = act(sesam_pkcs8_convert, private_key=sec1, certificate=NEW.pem.decode())
    calls = asked(action, {})
    result = action.run(task_vars=VARIABLES)
    assert (result["private_key"], result["form_before"], result["changed"]) == (NEW.key_pem.decode(), "SEC1", False)
    assert (result["certificate"] + result["chain"]).encode() == NEW.pem
    assert [facts["subject"] for facts in result["certificates"]] == ["CN=new.example", "CN=Strict CA"]
    assert (result["_ansible_no_log"], ids(result), calls) == (True, ["key-converted"], [])


def test_convert_a_key_alone(act: t.Any) -> None:
    result = act(sesam_pkcs8_convert, private_key=NEW.key_pem.decode()).run(task_vars=VARIABLES)
    assert (result["certificate"], result["chain"], result["certificates"]) == ("", "", [])


def test_convert_refuses_what_does_not_belong_and_shows_that(act: t.Any) -> None:
    result = act(sesam_pkcs8_convert, private_key=OLD.key_pem.decode(), certificate=NEW.pem.decode()).run()
    assert (result["failed"], result.get("_ansible_no_log", False)) == (True, False)
    assert result["msg"].startswith("Nothing was touched. pair-mismatch: ")


ON_HOST = {"src": "/a", "dest": "/b"}


@pytest.mark.parametrize(("mode", "number"), [(None, 0o600), ("0640", 0o640), ("640", 0o640), (0o600, 0o600)])
def test_convert_on_the_host(act: t.Any, mode: t.Any, number: int) -> None:
    action = act(sesam_pkcs8_convert, **ON_HOST, **({} if mode is None else {"mode": mode}))
    facts = [{"form": form, "mode": "0600", "uid": 0, "gid": 0} for form in ("PKCS#1", "PKCS#8")]
    calls = asked(action, {"changed": True, "form_before": "PKCS#1", "findings": [], "refused": None,
                           "before": facts[0], "after": facts[1]})
    action._task.diff = True
    result = action.run(task_vars=VARIABLES)
    assert (result["changed"], result["form_before"]) == (True, "PKCS#1")
    assert result["diff"] == {"before_header": "/b", "after_header": "/b",
                              "before": "form: PKCS#1\nmode: 0600\nuid: 0\ngid: 0\n",
                              "after": "form: PKCS#8\nmode: 0600\nuid: 0\ngid: 0\n"}
    sent = calls[0]["module_args"]
    assert (sent["src"], sent["dest"], sent["mode"], sent["passphrase"]) == ("/a", "/b", number, None)


@pytest.mark.parametrize("mode", ["u=rw", "9", "01777", -1, 0o10000, True, None, ["0600"]])
def test_convert_with_a_mode_that_is_none(act: t.Any, mode: t.Any) -> None:
    with pytest.raises(AnsibleActionFail, match="mode is"):
        act(sesam_pkcs8_convert, **ON_HOST, mode=mode).run(task_vars=VARIABLES)


def test_convert_guards_a_passphrase_as_a_key(act: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.constants.DEFAULT_KEEP_REMOTE_FILES", True)
    action = act(sesam_pkcs8_convert, **ON_HOST, passphrase="secret")
    calls = asked(action, {"refused": None})
    assert ("key-exposure" in action.run(task_vars=VARIABLES)["msg"], calls) == (True, [])


# sesam_cert_replace


def replaced(**changes: t.Any) -> dict[str, t.Any]:
    return {"changed": True, "action": "replaced", "recovered": None, "steps": [], "downtime": 1.0, "backup": None,
            "log_line": "x", "findings": [], "refused": None, "failure": None,
            "before": answers.in_sync(OLD), "after": answers.in_sync(NEW), **changes}


def test_replace_tells_what_the_checks_found(act: t.Any) -> None:
    action = act(sesam_cert_replace, **PAIR, ca_bundle=CA.pem.decode(), names=["new.example"])
    asked(action, replaced())
    result = action.run(task_vars=VARIABLES)
    assert "root-included" in ids(result, "warning")
    assert ids(result, "error") == []


@pytest.mark.parametrize(("options", "id"), [
    ({"names": ["other.example"]}, "name-not-covered"), ({"ca_bundle": OLD.pem.decode()}, "chain-incomplete"),
    ({"levels": {"root-included": "error"}}, "root-included"),
])
def test_replace_refuses_before_the_host_is_asked(act: t.Any, options: dict[str, t.Any], id: str) -> None:
    action = act(sesam_cert_replace, **PAIR, **options)
    calls = asked(action, replaced())
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], calls) == (True, [])
    assert f"{id}: " in result["msg"]


def test_a_guessed_name_is_a_warning_and_a_lowered_error_too(act: t.Any) -> None:
    for options, host in (({}, "guess.example"), (
            {"names": ["other.example"], "levels": {"name-not-covered": "warning"}}, "x")):
        action = act(sesam_cert_replace, **PAIR, **options)
        asked(action, replaced())
        result = action.run(task_vars={"inventory_hostname": host})
        assert "name-not-covered" in ids(result, "warning")
        assert "failed" not in result


@pytest.mark.parametrize("host", ["backup1", "10.0.0.1", "the old one", "a_b.example", ""])
def test_what_does_not_look_like_a_dns_name_is_no_guess(act: t.Any, host: str) -> None:
    action = act(sesam_cert_replace, **PAIR)
    asked(action, replaced())
    assert "name-not-covered" not in ids(action.run(task_vars={"inventory_hostname": host}))


@pytest.mark.parametrize("levels", [{"no-such-id": "error"}, {"is-ca": "fatal"}, {"pair-mismatch": "info"}])
def test_levels_that_are_none(act: t.Any, levels: dict[str, str]) -> None:
    action = act(sesam_cert_replace, **PAIR, levels=levels)
    calls = asked(action, replaced())
    assert ("level-unknown" in action.run(task_vars=VARIABLES)["msg"], calls) == (True, [])


def test_a_raised_comparison_is_made_first(act: t.Any) -> None:
    """At the price of one more call, and only when it was raised."""
    again = pki.make("new.example", key=OLD.key, issuer=CA)
    options = {"certificate": again.pem.decode(), "private_key": again.key_pem.decode()}
    action = act(sesam_cert_replace, **options, levels={"key-reused": "error"})
    calls = asked(action, answers.in_sync(OLD))
    result = action.run(task_vars=VARIABLES)
    assert [call["module_name"] for call in calls] == ["sep.sesam.sesam_cert_resolve"]
    assert (result["failed"], "key-reused: " in result["msg"]) == (True, True)
    action = act(sesam_cert_replace, **options)
    calls = asked(action, replaced())
    assert "key-reused" in ids(action.run(task_vars=VARIABLES), "info")
    assert [call["module_name"] for call in calls] == ["sep.sesam.sesam_cert_replace"]


def test_a_pending_key_is_not_sent(act: t.Any) -> None:
    action = act(sesam_cert_replace, certificate=NEW.pem.decode(), pending=True)
    calls = asked(action, replaced())
    assert "failed" not in action.run(task_vars=VARIABLES)
    sent = calls[0]["module_args"]
    assert (sent["private_key"], sent["order"]["private_key_on_host"]) == (None, "pending")


def test_a_pair_on_the_host_is_looked_at_first(act: t.Any) -> None:
    """The host reads no certificate, so the controller checks what the host has sent."""
    action = act(sesam_cert_replace, certificate="/c", private_key="/k", remote_src=True, names=["other.example"])
    calls = asked(action, {"refused": None, "certificate": {"chain": NEW.base64_chain, "reason": "", "status": "file"}})
    assert "name-not-covered" in action.run(task_vars=VARIABLES)["msg"]
    assert [call["module_name"] for call in calls] == ["sep.sesam.sesam_selfsigned"]
    assert calls[0]["module_args"]["certificate_path"] == "/c"


@pytest.mark.parametrize("chain", [[], ["AAAA"]])
def test_a_file_on_the_host_without_a_certificate(act: t.Any, chain: list[str]) -> None:
    action = act(sesam_cert_replace, certificate="/c", private_key="/k", remote_src=True)
    asked(action, {"refused": None, "certificate": {"chain": chain, "reason": "it does not exist", "status": "absent"}})
    assert "/c on the host holds no certificate" in action.run(task_vars=VARIABLES)["msg"]


@pytest.mark.parametrize("options", [
    {"pending": True, "private_key": "x", "certificate": "y"}, {"pending": True, "pkcs12": "x"},
    {"pending": True, "remote_src": True, "certificate": "y", "private_key": "x"}, {"remote_src": True, "pkcs12": "x"},
    {"remote_src": True, "certificate": "x"}, {}, {"certificate": "x", "pkcs12": "y"},
])
def test_options_that_make_no_sense_together(act: t.Any, options: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail):
        act(sesam_cert_replace, **options).run(task_vars=VARIABLES)


def test_a_foreign_answer_is_told_with_both_names(act: t.Any) -> None:
    request = request_for(pki.make(), "asked.example")
    before = {**answers.in_sync(OLD), "pending": {"csr": b64(request), "has_key": True, "made": 1.0}}
    refused = {"id": "pair-mismatch", "subject": "wanted", "level": "error", "message": "no.", "fix": "Mend."}
    action = act(sesam_cert_replace, certificate=NEW.pem.decode(), pending=True)
    asked(action, replaced(changed=False, action="none", before=before, after=before, refused=refused))
    message = action.run(task_vars=VARIABLES)["msg"]
    assert "answer-foreign: " in message
    assert "new.example" in message
    assert "asked.example" in message


# sesam_cert_resolve and a folder of answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "z.cer").write_bytes(NEW.der)
    (tmp_path / "ca").write_bytes(CA.pem)
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7 dear customer")
    (tmp_path / "other.crt").write_bytes(pki.make("other.example", issuer=CA).pem)
    (tmp_path / "a folder").mkdir()
    return tmp_path


def test_the_answer_for_the_pending_key_is_wanted(act: t.Any, folder: Path) -> None:
    request = request_for(NEW, "new.example")
    answer = {**answers.in_sync(OLD), "pending": {"csr": b64(request), "has_key": True, "made": 1.0}}
    action = act(sesam_cert_resolve, wanted=str(folder))
    asked(action, answer)
    result = action.run(task_vars=VARIABLES)
    assert (result["state"], result["wanted"]["key"]) == ("file_drift", "pending")
    assert result["wanted"]["source"] == str(folder / "z.cer")
    assert x509.load_pem_x509_certificates(result["wanted"]["pem"].encode()) == [NEW.certificate]
    assert result["pending"]["names"] == ["new.example"]
    assert "request-pending" in ids(result, "info")


def test_the_certificate_for_the_key_in_place_is_wanted(act: t.Any, folder: Path) -> None:
    action = act(sesam_cert_resolve, wanted=str(folder))
    asked(action, answers.in_sync(pki.Pair(NEW.certificate, NEW.key)))
    result = action.run(task_vars=VARIABLES)
    assert (result["state"], result["wanted"]["key"]) == ("in_sync", "in_place")


def test_there_is_no_answer_yet(act: t.Any, folder: Path) -> None:
    """Nobody is to take that for done."""
    action = act(sesam_cert_resolve, wanted=str(folder))
    asked(action, answers.in_sync(OLD))
    result = action.run(task_vars=VARIABLES)
    assert (result["state"], result["wanted"]) == ("in_sync", None)
    assert "answer-missing" in ids(result, "warning")
    (shown,) = [line for line in result["warnings"] if "answer-missing" in line]
    assert shown.startswith(f"new.example: answer-missing: No certificate in {folder} is for the key in place")


def test_answer_that_is_damaged_is_named(act: t.Any, folder: Path) -> None:
    """Whoever has put it there would look for it in vain."""
    (folder / "z.cer").write_bytes(NEW.pem.replace(b"\nM", b"\n!", 1))
    action = act(sesam_cert_resolve, wanted=str(folder))
    asked(action, answers.in_sync(OLD))
    result = action.run(task_vars=VARIABLES)
    (shown,) = [line for line in result["warnings"] if "answer-missing" in line]
    assert f" What was passed over: wanted ({folder}/z.cer) is damaged: " in shown
    assert "letter.pdf" not in shown


def test_folder_of_answers_that_cannot_be_read(act: t.Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> t.NoReturn:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", fail)
    action = act(sesam_cert_resolve, wanted=str(folder))
    calls = asked(action, answers.in_sync(OLD))
    message = action.run(task_vars=VARIABLES)["msg"]
    assert f"input-missing: wanted: the folder {folder} cannot be read: Permission denied. " in message
    assert calls == []


def test_errors_and_infos_are_no_warnings(act: t.Any) -> None:
    """The first are the message of a failure, or the state; the second nobody waits for."""
    action = act(sesam_cert_replace, **PAIR, names=["other.example"])
    asked(action, replaced())
    assert "warnings" not in action.run(task_vars=VARIABLES)
    action = act(sesam_pkcs8_convert, private_key=pki.key_bytes(NEW.key, "TraditionalOpenSSL").decode())
    assert "warnings" not in action.run(task_vars=VARIABLES)


def test_nothing_is_wanted_by_mistake(act: t.Any) -> None:
    action = act(sesam_cert_resolve, wanted="")
    calls = asked(action, answers.in_sync(OLD))
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], calls) == (True, [])
    assert "Set sesam_https_certificate (with the source csr " in result["msg"]


# sesam_selfsigned


def test_selfsigned_in_memory(act: t.Any) -> None:
    action = act(sesam_selfsigned, current="", names=["a.example"], key_type="EC")
    calls = asked(action, {})
    made = action.run(task_vars=VARIABLES)
    assert (made["changed"], made["_ansible_no_log"], calls) == (True, True, [])
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    key = serialization.load_pem_private_key(made["private_key"].encode(), None)
    assert certificate.public_key() == key.public_key()
    action = act(sesam_selfsigned, current=made["certificate"], names=["a.example"], key_type="EC")
    again = action.run(task_vars=VARIABLES)
    assert (again["changed"], again["reasons"], "private_key" in again, again.get("_ansible_no_log")) == (
        False, [], False, None)


def test_selfsigned_without_names_takes_that_of_the_inventory(act: t.Any) -> None:
    made = act(sesam_selfsigned, current="", key_type="EC").run(task_vars=VARIABLES)
    assert made["certificate_facts"]["names"] == ["new.example"]


NOTHING = {"status": "absent", "reason": "", "mode": None}
PATHS = {"certificate_path": "/c", "private_key_path": "/k"}


def there(pair: pki.Pair | None = None, csr: bytes | None = None, spki: bytes | None = None) -> dict[str, t.Any]:
    """What the host says of its files."""
    spki = spki or (pki.spki(pair.key) if pair else None)
    return {"refused": None, "paths": {"certificate": "/c", "private_key": "/k", "csr": None}, "clock": 0.0,
            "certificate": {**NOTHING, "chain": pair.base64_chain[:1] if pair else []},
            "private_key": {**NOTHING, "form": "", "spki": b64(spki) if spki else None},
            "csr": {**NOTHING, "der": b64(csr) if csr else None}}


def answering(action: t.Any, seen: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The host answers a look with this, and does what it is told to make."""
    calls: list[dict[str, t.Any]] = []

    def execute(**call: t.Any) -> dict[str, t.Any]:
        order = call["module_args"]["order"]
        calls.append(order)
        made = {"refused": None, "changed": True, "certificate": None, "csr": None, "backups": {}, "findings": [],
                "paths": seen["paths"], "spki": b64(pki.spki(OLD.key))}
        return seen if order["verb"] == "look" else made

    action._execute_module = execute
    action._connection.options["pipelining"] = True
    return calls


def test_whatever_changes_a_host_is_a_run_with_a_name(act: t.Any) -> None:
    """For the syslog of the host, and for whoever waits for it; a look is none."""
    made, converted = act(sesam_selfsigned, **PATHS, key_type="EC"), act(sesam_pkcs8_convert, src="/k", dest="/k")
    told = {"id": "x", "subject": "place", "level": "error", "message": "No.", "fix": "Mend."}
    look, make = answering(made, there()), asked(converted, {"refused": told})
    made.run(task_vars=VARIABLES)
    assert converted.run(task_vars=VARIABLES)["failed"]
    runs = [look[1]["run"], make[0]["module_args"]["order"]["run"]]
    assert "run" not in look[0]
    assert len({run["id"] for run in runs}) == 2
    assert [run["by"] for run in runs] == [f"{getpass.getuser()}@{socket.gethostname()}"] * 2


def test_selfsigned_files_are_made_together(act: t.Any) -> None:
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC", csr_path="/r")
    look, make = answering(action, there()), None
    result = action.run(task_vars=VARIABLES)
    _look, make = look
    assert result["reasons"] == ["There is no certificate that can be read."]
    certificate = x509.load_pem_x509_certificate(make["certificate"]["content"].encode())
    key = serialization.load_pem_private_key(make["key"]["content"].encode(), None)
    request = x509.load_pem_x509_csr(make["csr"]["content"].encode())
    assert certificate.public_key() == key.public_key() == request.public_key()
    assert "PRIVATE" not in str(result)


def test_selfsigned_files_that_are_right_are_left_alone(act: t.Any) -> None:
    pair = pki.make("a.example", ends=90)
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC")
    calls = answering(action, there(pair))
    result = action.run(task_vars=VARIABLES)
    assert (result["changed"], [call["verb"] for call in calls]) == (False, ["look"])
    assert result["certificate"] == pair.pem.decode()


def test_selfsigned_with_a_key_that_does_not_belong(act: t.Any) -> None:
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC")
    calls = answering(action, there(pki.make("a.example", ends=90), spki=pki.spki(OLD.key)))
    result = action.run(task_vars=VARIABLES)
    assert result["reasons"] == ["The private key in place does not belong to the certificate."]
    assert len(calls) == 2


def test_selfsigned_keeps_the_key_and_lets_the_host_sign(act: t.Any) -> None:
    pair = pki.make("a.example", ends=5)
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC", keep_key=True)
    calls = answering(action, there(pair))
    action.run(task_vars=VARIABLES)
    assert calls[1]["key"] is None
    assert set(calls[1]["certificate"]) == {"tbs", "algorithm"}
    assert pki.spki(pair.key) in base64.b64decode(calls[1]["certificate"]["tbs"])


def test_request_of_a_key_that_the_host_makes(act: t.Any) -> None:
    """Two calls: what the key shall sign has its public half in it."""
    action = act(sesam_selfsigned, pending=True, names=["a.example"], key_type="EC")
    calls = answering(action, there())
    action.run(task_vars=VARIABLES)
    assert [call["verb"] for call in calls] == ["look", "make", "make"]
    assert calls[1]["key"] == {"generate": {"type": "EC", "size": None, "curve": "secp256r1"}}
    assert (calls[2]["key"], set(calls[2]["csr"])) == (None, {"tbs", "algorithm"})


def test_request_goes_into_a_folder_here(act: t.Any, tmp_path: Path) -> None:
    key = pki.ec_key()
    request = _requests.csr(_requests.identity(["a.example"]), key.public_key()).signed_by(key)
    arguments = {"pending": True, "names": ["a.example"], "key_type": "EC", "csr_folder": str(tmp_path / "new" / "csr")}
    changed = []
    for _turn in range(2):
        action = act(sesam_selfsigned, **arguments)
        answering(action, there(csr=request, spki=pki.spki(key)))
        result = action.run(task_vars={"inventory_hostname": "../a host"})
        changed.append(result["changed"])
    assert changed == [True, False]
    assert Path(result["csr_file"]).parent == tmp_path / "new" / "csr"
    assert x509.load_pem_x509_csr(Path(result["csr_file"]).read_bytes()).is_signature_valid


def test_request_folder_that_cannot_be_written(act: t.Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    key = pki.ec_key()
    request = _requests.csr(_requests.identity(["a.example"]), key.public_key()).signed_by(key)
    action = act(sesam_selfsigned, pending=True, names=["a.example"], key_type="EC", csr_folder=str(tmp_path / "file"))
    answering(action, there(csr=request, spki=pki.spki(key)))
    with pytest.raises(AnsibleActionFail, match="Set csr_folder"):
        action.run(task_vars=VARIABLES)


@pytest.mark.parametrize("options", [
    {}, {"pending": True, "private_key_path": "/k"}, {"certificate_path": "/c"}, {"csr_path": "/r"},
    {"current": "", "certificate_path": "/c", "private_key_path": "/k"}, {**PATHS, "csr_from_certificate": True},
    {"current": "", "days": 0}, {"current": "", "key_type": "DSA"},
])
def test_selfsigned_options_that_make_no_sense(act: t.Any, options: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail):
        act(sesam_selfsigned, **options).run(task_vars=VARIABLES)


@pytest.mark.parametrize(("options", "id"), [
    ({"key_size": 1024}, "key-rsa-too-small"), ({"renew_before": "soon"}, "option-value"),
    ({"days": 20}, "option-value"), ({"subject": "CN=x"}, "subject-syntax"), ({"names": ["a b"]}, "name-syntax"),
])
def test_selfsigned_values_that_make_no_sense(act: t.Any, options: dict[str, t.Any], id: str) -> None:
    result = act(sesam_selfsigned, current="", **options).run(task_vars=VARIABLES)
    assert (result["failed"], f"{id}: " in result["msg"]) == (True, True)


# What a review has found


KEY_TEXT = NEW.key_pem.decode()


@pytest.mark.parametrize(("module", "arguments"), [
    (sesam_cert_replace, {"certificate": NEW.pem.decode(), "private_key": KEY_TEXT, "remote_src": True}),
    (sesam_cert_replace, {"certificate": NEW.pem.decode(), "private_key": KEY_TEXT[30:], "remote_src": True}),
    (sesam_cert_replace, {"certificate": "relative", "private_key": "/k", "remote_src": True}),
    (sesam_pkcs8_convert, {"src": KEY_TEXT, "dest": "/b"}), (sesam_pkcs8_convert, {"src": "/a", "dest": KEY_TEXT[30:]}),
    (sesam_selfsigned, {"private_key_path": KEY_TEXT, "csr_path": "/c"}),
])
def test_what_is_no_path_on_the_host_is_not_repeated(act: t.Any, module: t.Any, arguments: dict[str, t.Any]) -> None:
    action = act(module, **arguments)
    calls = asked(action, {"refused": None})
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], calls) == (True, [])
    assert "path-not-absolute: " in result["msg"]
    assert [line for line in NEW.key_lines() if line[:20] in str(result)] == []


UNUSABLE = {**NOTHING, "status": "file", "mode": "0600", "form": "traditional encrypted", "spki": None}


@pytest.mark.parametrize("options", [
    PATHS, {**PATHS, "csr_path": "/r"}, {"private_key_path": "/k", "csr_path": "/r"}, {"pending": True},
])
def test_a_key_that_cannot_be_used_is_not_replaced(act: t.Any, options: dict[str, t.Any]) -> None:
    """It may be all that there is of it."""
    seen = {**there(pki.make("a.example", ends=90)), "private_key": UNUSABLE}
    action = act(sesam_selfsigned, names=["a.example"], key_type="EC", **options)
    calls = answering(action, seen)
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], [call["verb"] for call in calls]) == (True, ["look"])
    assert "key-not-usable: The private key that is there cannot be used as it is: traditional encr" in result["msg"]
    action = act(sesam_selfsigned, names=["a.example"], key_type="EC", renew_key=True, **options)
    answering(action, seen)
    assert action.run(task_vars=VARIABLES)["changed"] is True


@pytest.mark.parametrize("spki", [None, pki.spki(pki.rsa_key())], ids=["none", "RSA"])
def test_a_key_that_cannot_be_kept_is_made_here(act: t.Any, spki: bytes | None) -> None:
    """None is in place, or one of another kind: the pair is the result then."""
    action = act(sesam_selfsigned, current="", private_key_path="/k", keep_key=True, names=["a.example"], key_type="EC")
    calls = answering(action, there(spki=spki))
    result = action.run(task_vars=VARIABLES)
    assert ([call["verb"] for call in calls], "private_key" in result) == (["look"], True)


def test_a_loose_mode_is_mended(act: t.Any) -> None:
    pair = pki.make("a.example", ends=90)
    seen = there(pair)
    seen["private_key"]["mode"] = "0644"
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC")
    calls = answering(action, seen)
    result = action.run(task_vars=VARIABLES)
    assert ([call["verb"] for call in calls], result["changed"], result["reasons"]) == (["look", "make"], True, [])
    assert (calls[1]["key"], calls[1]["certificate"], calls[1]["csr"]) == (None, None, None)


def test_options_that_are_not_used_do_no_harm(act: t.Any) -> None:
    """A request knows no days, and one from a certificate no names."""
    key = pki.ec_key()
    request = _requests.csr(_requests.identity(["a.example"]), key.public_key()).signed_by(key)
    action = act(sesam_selfsigned, pending=True, names=["a.example"], key_type="EC", days=20)
    answering(action, there(csr=request, spki=pki.spki(key)))
    assert "failed" not in action.run(task_vars=VARIABLES)
    pair = pki.make("a.example", ends=90)
    action = act(sesam_selfsigned, **PATHS, csr_path="/r", csr_from_certificate=True)
    answering(action, there(pair))
    assert "failed" not in action.run(task_vars={"inventory_hostname": "backup server (old)"})


def test_a_hidden_result_is_hidden_by_the_task_too(act: t.Any) -> None:
    """ansible-core 2.16 shows the results of a loop to callbacks otherwise."""
    action = act(sesam_pkcs8_convert, private_key=KEY_TEXT)
    action.run(task_vars=VARIABLES)
    assert action._task.no_log is True
    action = act(sesam_cert_resolve)
    asked(action, answers.in_sync(OLD))
    action.run(task_vars=VARIABLES)
    assert action._task.no_log is False


def test_levels_hold_for_what_the_host_has_found(act: t.Any) -> None:
    found = {"id": "log-line-missing", "subject": "current", "level": "warning", "message": "None.", "fix": "Look."}
    action = act(sesam_cert_replace, **PAIR, levels={"log-line-missing": "info"})
    asked(action, replaced(findings=[found]))
    assert "log-line-missing" in ids(action.run(task_vars=VARIABLES), "info")


def test_an_answer_that_is_in_place_is_not_pending(act: t.Any) -> None:
    """The run that placed it had no time to forget the request."""
    pending = {"csr": b64(request_for(NEW, "x.example")), "has_key": True, "made": 1.0}
    answer = {**answers.in_sync(NEW), "pending": pending}
    action = act(sesam_cert_resolve)
    asked(action, answer)
    result = action.run(task_vars=VARIABLES)
    assert (result["pending"], "request-pending" in ids(result)) == (None, False)


def test_an_expired_certificate_that_is_told_to_be_no_error(act: t.Any) -> None:
    old = pki.make("old.example", begins=-9, ends=-1)
    for levels, state in (({}, "expired"), ({"expired": "warning"}, "in_sync")):
        action = act(sesam_cert_resolve, levels=levels)
        asked(action, answers.in_sync(old))
        result = action.run(task_vars=VARIABLES)
        assert result["state"] == state
        assert "expired" in ids(result, levels.get("expired", "error"))


def test_a_key_without_a_certificate_is_used(act: t.Any) -> None:
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC")
    calls = answering(action, there(spki=pki.spki(pki.ec_key())))
    action.run(task_vars=VARIABLES)
    assert (calls[1]["key"], set(calls[1]["certificate"])) == (None, {"tbs", "algorithm"})


@pytest.mark.parametrize(("pair", "spki", "kept"), [
    (pki.make("a.example", ends=90), pki.spki(pki.ec_key()), True), (pki.make("a.example", ends=5), None, False),
    (None, pki.spki(pki.rsa_key()), True),
], ids=["another's", "renewed", "alone"])
def test_a_key_that_belongs_to_no_certificate_is_kept(
    act: t.Any, pair: pki.Pair | None, spki: bytes | None, kept: bool
) -> None:
    """It may be all that there is of it; the one of a pair that is renewed is kept when that is asked for."""
    action = act(sesam_selfsigned, **PATHS, names=["a.example"], key_type="EC")
    answering(action, there(pair, spki=spki))
    sent: list[dict[str, t.Any]] = []
    execute = action._execute_module
    action._execute_module = lambda **call: sent.append(call["module_args"]) or execute(**call)
    action.run(task_vars=VARIABLES)
    assert sent[1]["order"]["key"]
    assert bool(sent[1].get("backup")) == kept
