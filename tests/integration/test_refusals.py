# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot end well is refused before rmi is touched, in words that a person understands."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from integration.certificates import Authority, Files, Pair
from integration.controller import Controller, local
from integration.servers import Server

PASSPHRASE = "wrong-Passphrase"
# Name of the host -> what its message says, none of which names the content of a key.
REFUSED = {
    "wrong-key": ("pair-mismatch", "does not belong to the certificate", "CN=backup.example"),
    "expired": ("expired", "The certificate ended on"),
    "not-yet-valid": ("not-yet-valid", "The certificate begins on"),
    "garbage": ("private_key (", "garbage.key"),
    "no-such-file": ("input-missing", "/nowhere/at/all.key"),
    "empty": ("input-empty", "empty.key"),
    "a-folder": ("input-missing",),
    "certificate-as-key": ("private_key (",),
    "no-passphrase": ("key-passphrase-missing", "is encrypted", "Set the option passphrase (sesam_https_passphrase)"),
    "wrong-passphrase": ("key-passphrase-wrong", "Correct the option passphrase (sesam_https_passphrase)"),
    "two-keys": ("key-count", "holds 2 private keys", "the one key that belongs to the certificate"),
    "no-certificate": ("holds no certificate: it is PKCS#8", "Give the certificate that the CA has issued"),
    "certificate-of-another-host": (
        "name-not-covered", "is not for other.example", "backup.example", "correct the option names"
    ),
    "rsa-1024": ("key-rsa-too-small", "RSA 1024", "2048", "Make a new key"),
    "sha-1": ("signature-weak", "SHA-1", "issued anew with SHA-256"),
}


def test_bad_pairs_are_refused_in_clear_words(
    authority: Authority,
    server: Server,
    controller: Controller,
    old: Pair,
    wanted: Pair,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    """All against one server, which is as it was before."""
    before = _without_state(server, server.tree()), server.instance.pid()
    inputs = _inputs(authority, wanted, tmp_path)

    run = controller.run({name: {**local(), **server.variables(**values)} for name, values in inputs.items()})

    assert run.rc == 2
    assert (_without_state(server, server.tree()), server.instance.pid()) == before
    assert server.served() == old.fingerprint
    assert "Traceback" not in run.output
    assert PASSPHRASE not in run.output + run.dump
    for name, words in REFUSED.items():
        with subtests.test(name):
            # What cannot be read at all is told by the first look already.
            result = run.of("replace", name) or run.of("resolve", name)
            assert result
            assert (result.status, result.result["changed"]) == ("failed", False)
            assert result.message.startswith("Nothing was touched. ")
            assert [word for word in words if word not in result.message] == []
            assert len(result.message) < 600


def _without_state(server: Server, tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """The lock and the last result may be written; the folder above them changes with that."""
    ours = str(server.state_folder)
    above = str(server.state_folder.parent)
    return {path: facts for path, facts in tree.items() if not path.startswith(ours) and path != above}


def _inputs(authority: Authority, wanted: Pair, folder: Path) -> dict[str, dict[str, t.Any]]:
    certificate, private_key = map(str, wanted.write(folder / "wanted"))
    encrypted = str(wanted.write(folder / "encrypted", "TraditionalOpenSSL", "right").private_key)
    (folder / "garbage.key").write_text("-----BEGIN PRIVATE KEY-----\nbm8ga2V5\n-----END PRIVATE KEY-----\n")
    (folder / "empty.key").touch()
    bad_dates = {name: authority.issue(begins=begins, days=20) for name, begins in
                 (("expired", -30), ("not-yet-valid", 5))}  # fmt: skip
    pairs = {name: pair.write(folder / name) for name, pair in bad_dates.items()}
    pairs["rsa-1024"] = authority.issue(key=rsa.generate_private_key(65537, 1024)).write(folder / "rsa-1024")
    pairs["sha-1"] = _with_sha1(wanted, folder / "sha-1")
    (folder / "two.key").write_bytes(wanted.key_pem() + authority.issue().key_pem())
    return {
        **{n: {"certificate": str(p.certificate), "private_key": str(p.private_key)} for n, p in pairs.items()},
        "wrong-key": {
            "certificate": certificate, "private_key": str(authority.issue().write(folder / "other").private_key)
        },
        "garbage": {"certificate": certificate, "private_key": str(folder / "garbage.key")},
        "no-such-file": {"certificate": certificate, "private_key": "/nowhere/at/all.key"},
        "empty": {"certificate": certificate, "private_key": str(folder / "empty.key")},
        "a-folder": {"certificate": certificate, "private_key": str(folder)},
        "certificate-as-key": {"certificate": certificate, "private_key": certificate},
        "two-keys": {"certificate": certificate, "private_key": str(folder / "two.key")},
        "no-certificate": {"certificate": private_key, "private_key": private_key},
        "certificate-of-another-host": {
            "certificate": certificate, "private_key": private_key, "names": ["other.example"]
        },
        "no-passphrase": {"certificate": certificate, "private_key": encrypted},
        "wrong-passphrase": {"certificate": certificate, "private_key": encrypted, "passphrase": PASSPHRASE},
    }  # fmt: skip


def _with_sha1(pair: Pair, folder: Path) -> Files:
    """Self-signed with SHA-1, which the library does not sign with."""
    files = pair.write(folder)
    subprocess.run(
        ["openssl", "req", "-x509", "-sha1", "-key", files.private_key, "-subj", "/CN=backup.example", "-days", "20",
         "-addext", "subjectAltName=DNS:backup.example", "-out", files.certificate], check=True)  # fmt: skip
    return files


def test_missing_key_is_told(
    server: Server, controller: Controller, wanted: Pair, tmp_path: Path
) -> None:
    certificate = str(wanted.write(tmp_path / "files").certificate)
    run = controller.run({"one": {**local(), **server.variables(certificate=certificate)}})
    assert run.rc == 2
    message = run.replace().message
    assert message.startswith("Nothing was touched. input-unrecognised: certificate (")
    assert "holds no private key: it is a certificate. Set private_key (sesam_https_private_key)" in message
