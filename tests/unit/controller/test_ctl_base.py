# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugins share: options, secrets, files, pipelining, the answer of the host."""

from __future__ import annotations

import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultEditor, VaultLib, VaultSecret
from ansible_collections.sep.sesam.plugins.action import sesam_cert_replace, sesam_cert_resolve
from ansible_collections.sep.sesam.plugins.plugin_utils import _base, _certificates
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding
from unit import answers, pki
from unit.actions import asked

OLD, NEW = pki.make("old.example"), pki.make("new.example", issuer=pki.make_ca())
SECRET = "hunter2 is a secret"


REPLACE = {"certificate": NEW.pem.decode(), "private_key": NEW.key_pem.decode()}


def replaced(**changes: t.Any) -> dict[str, t.Any]:
    return {"changed": True, "action": "replaced", "recovered": None, "steps": [], "downtime": 1.0, "backup": None,
            "log_line": "x", "findings": [], "refused": None, "failure": None,
            "before": answers.in_sync(OLD), "after": answers.in_sync(NEW), **changes}


def test_resolve(act: t.Any) -> None:
    action = act(sesam_cert_resolve, wanted=NEW.pem.decode(), port=11402)
    calls = asked(action, answers.in_sync(NEW))
    result = action.run()
    assert (result["changed"], result["state"]) == (False, "in_sync")
    assert calls[0]["module_name"] == "sep.sesam.sesam_cert_resolve"
    # What is wanted is judged here: the host gets what says where to look, and nothing more.
    assert calls[0]["module_args"] == {"port": 11402}


@pytest.mark.parametrize("form", ["{}", "SHA256:{}", "SHA256={}", "sha256 Fingerprint={}", "{}\n"])
@pytest.mark.parametrize("colons", [False, True])
def test_a_fingerprint_is_wanted(act: t.Any, form: str, colons: bool) -> None:
    """Also as `openssl x509 -noout -fingerprint -sha256` prints it."""
    digits = _certificates.fingerprint(NEW.certificate).upper()
    if colons:
        digits = ":".join(digits[i:i + 2] for i in range(0, 64, 2))
    for pair, state in ((NEW, "in_sync"), (OLD, "file_drift")):
        action = act(sesam_cert_resolve, wanted=form.format(digits))
        asked(action, answers.in_sync(pair))
        assert action.run()["state"] == state


def test_replace_sends_the_pair_and_what_the_host_cannot_read(act: t.Any) -> None:
    sec1 = pki.key_bytes(NEW.key, "TraditionalOpenSSL").decode()
    action = act(sesam_cert_replace, **{**REPLACE, "private_key": sec1}, passphrase=SECRET, port=11402)
    calls = asked(action, replaced())
    result = action.run()
    assert (result["changed"], result["state"], result["repair"]) == (True, "in_sync", "none")
    sent = calls[0]["module_args"]
    assert (sent["certificate"], sent["private_key"]) == (NEW.pem.decode(), NEW.key_pem.decode())
    assert (sent["port"], sent["log_check"]) == (11402, "required")
    order = next(value for name, value in sent.items() if name.strip("_") == "order")
    assert order["not_after"] == NEW.certificate.not_valid_after_utc.timestamp()
    assert SECRET not in str(calls)
    assert calls[0]["pipelining"] is True
    assert action._connection.options["pipelining"] is False
    assert [line for line in NEW.key_lines() if line in str(result)] == []


@pytest.mark.parametrize("nameless", [KeyError, OSError])
def test_who_has_a_number_and_no_name_may_run_it(
    act: t.Any, monkeypatch: pytest.MonkeyPatch, nameless: type[Exception]
) -> None:
    """As in the container of a pipeline."""
    def getuser() -> str:
        raise nameless("uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", getuser)
    action = act(sesam_cert_replace, **REPLACE)
    calls = asked(action, replaced())
    assert "failed" not in action.run()
    assert calls[0]["module_args"]["order"]["run"]["by"].startswith("uid ")


def test_what_the_host_refuses_is_among_the_findings(act: t.Any) -> None:
    """Also when it had looked, and has told what it saw."""
    action = act(sesam_cert_replace, **REPLACE)
    told = {"id": "disk-space", "subject": "place", "level": "error", "message": "full.", "fix": "Free some."}
    asked(action, {**replaced(), "action": "none", "refused": told})
    result = action.run()
    assert (result["failed"], result["findings"][0]) == (True, told)
    assert result["msg"] == "Nothing was touched. disk-space: full. Free some."


def test_each_task_has_an_id_of_its_own(act: t.Any) -> None:
    ids = set()
    for _turn in range(3):
        action = act(sesam_cert_replace, **REPLACE)
        calls = asked(action, replaced())
        action.run()
        order = next(value for name, value in calls[0]["module_args"].items() if name.strip("_") == "order")
        ids.add(order["run"]["id"])
    assert len(ids) == 3


def test_nothing_is_sent_when_the_pair_is_wrong(act: t.Any) -> None:
    action = act(sesam_cert_replace, certificate=NEW.pem.decode(), private_key=OLD.key_pem.decode())
    calls = asked(action, replaced())
    result = action.run()
    assert (result["failed"], result["changed"], calls) == (True, False, [])
    assert result["msg"].startswith("Nothing was touched. pair-mismatch: ")
    assert [finding["id"] for finding in result["findings"]] == ["pair-mismatch"]


FINDING = {"id": "locked", "subject": "place", "level": "error", "message": "Another run.", "fix": "Wait."}


@pytest.mark.parametrize(("module", "arguments"), [(sesam_cert_resolve, {}), (sesam_cert_replace, REPLACE)])
def test_a_refusal_of_the_host(act: t.Any, module: types.ModuleType, arguments: dict[str, str]) -> None:
    action = act(module, **arguments)
    asked(action, {"changed": False, "refused": FINDING})
    result = action.run()
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"] == "Nothing was touched. locked: Another run. Wait."
    assert result["findings"] == [FINDING]


def test_a_refusal_after_a_recovery_tells_the_truth_about_changes(act: t.Any) -> None:
    action = act(sesam_cert_replace, **REPLACE)
    asked(action, replaced(refused=FINDING, recovered="undone", action="none"))
    result = action.run()
    assert (result["failed"], result["changed"], result["recovered"]) == (True, True, "undone")


def test_a_failure(act: t.Any) -> None:
    action = act(sesam_cert_replace, **REPLACE)
    failure = {"step": "served", "reason": "it did not", "log_since": "", "way_back": ""}
    asked(action, replaced(failure=failure, after=answers.in_sync(OLD)))
    result = action.run()
    assert (result["failed"], result["failed_step"], result["changed"]) == (True, "served", True)
    assert "Step served failed: it did not." in result["msg"]


@pytest.mark.parametrize("answer", [
    {"unreachable": True, "msg": "no route to host"}, {"failed": True, "msg": "No such module.", "rc": 1},
])
def test_a_host_that_does_not_answer(act: t.Any, answer: dict[str, t.Any]) -> None:
    action = act(sesam_cert_resolve)
    asked(action, answer)
    assert action.run() == answer


@pytest.mark.parametrize(("module", "arguments"), [
    (sesam_cert_replace, {**REPLACE, "port": SECRET, "passphrase": SECRET}),
    (sesam_cert_replace, {**REPLACE, "log_check": SECRET, "passphrase": SECRET}),
    (sesam_cert_replace, {"private_key": SECRET, "certificat": SECRET}),
    (sesam_cert_replace, {**REPLACE, "passphrase": [SECRET], "port": "x"}),
    (sesam_cert_resolve, {"port": SECRET, "wanted": SECRET}),
])
def test_no_message_about_options_repeats_a_secret(
    act: t.Any, module: types.ModuleType, arguments: dict[str, t.Any]
) -> None:
    with pytest.raises(AnsibleActionFail) as raised:
        act(module, **arguments).run()
    assert SECRET not in str(raised.value)
    cause = raised.value.__cause__ or (None if raised.value.__suppress_context__ else raised.value.__context__)
    assert SECRET not in str(cause)


def test_no_line_of_a_key_is_repeated(act: t.Any) -> None:
    """A message shows the line breaks of a value in another way than the value has them."""
    key = NEW.key_pem.decode()
    with pytest.raises(AnsibleActionFail) as raised:
        act(sesam_cert_replace, certificate="x", private_key=key, port=key).run()
    assert "port" in str(raised.value)
    assert [line for line in NEW.key_lines() if line in str(raised.value)] == []


@pytest.mark.parametrize("found", [None, "44.9.9", "3.4.8"])
def test_cryptography_is_missing_or_too_old(act: t.Any, monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    monkeypatch.setattr(_base, "_FOUND", found or "none")
    with pytest.raises(AnsibleActionFail) as raised:
        act(sesam_cert_resolve).run()
    assert f"cryptography {_base.CRYPTOGRAPHY} or later is needed" in str(raised.value)
    assert (found or "none") in str(raised.value)


def test_files_are_found_and_decrypted(act: t.Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder C(files) beside the playbook, or where the command is run; a vault-encrypted file in memory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "plain.key").write_bytes(b"plain")
    vault = VaultLib([("default", VaultSecret(b"password"))])
    vault_secret = VaultSecret(b"password")
    vault_secret.load()
    (tmp_path / "files" / "secret.key").write_bytes(b"secret")
    VaultEditor(vault).encrypt_file(str(tmp_path / "files" / "secret.key"), vault_secret)
    encrypted = (tmp_path / "files" / "secret.key").read_bytes()
    assert encrypted.startswith(b"$ANSIBLE_VAULT")
    action = act(sesam_cert_replace)
    action._loader.set_basedir(str(tmp_path))
    action._loader.set_vault_secrets([("default", VaultSecret(b"password"))])
    assert action._read_file("plain.key") == b"plain"
    assert action._read_file("secret.key") == b"secret"
    assert action._read_file(str(tmp_path / "files" / "plain.key")) == b"plain"
    assert (tmp_path / "files" / "secret.key").read_bytes() == encrypted
    for name in ("none.key", "files"):
        with pytest.raises(OSError):
            action._read_file(name)


def test_a_finding_in_words() -> None:
    assert str(Finding("id", "place", "error", "Why.", "What.")) == "id: Why. What."
    assert str(Finding("id", "place", "error", "Why.")) == "id: Why."
