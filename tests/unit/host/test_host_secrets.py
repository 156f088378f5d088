# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No text of a private key leaves the host, nor is it left lying about there."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from unit import pki

KEYS = ("sesam.https.key",)


def secrets(*pairs: pki.Pair) -> list[str]:
    """Each line of the keys' texts, and the same lines as they stand in JSON."""
    return [line for pair in pairs for line in pair.key_lines()]


def search(text: str, lines: list[str]) -> list[str]:
    return [line for line in lines if line in text]


def files_beside_keys(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text(errors="replace")
            for path in folder.rglob("*") if path.is_file() and path.name not in KEYS}


@pytest.fixture
def rsa_pairs() -> tuple[pki.Pair, pki.Pair]:
    return pki.make("old.example", key=pki.rsa_key(0)), pki.make("new.example", key=pki.rsa_key(1))


def test_the_search_finds(rsa_pairs: tuple[pki.Pair, pki.Pair]) -> None:
    lines = secrets(*rsa_pairs)
    assert len(lines) > 40
    assert search(json.dumps({"x": rsa_pairs[0].key_pem.decode()}), lines) == rsa_pairs[0].key_lines()


@pytest.mark.parametrize("fault", ["", "serves=other@1", "start=fails@1"])
def test_nothing_says_the_key(site: t.Any, rsa_pairs: tuple[pki.Pair, pki.Pair], fault: str) -> None:
    """Neither answers nor lock, result, journal, facts of a backup, log: in success and in failure."""
    old, new = rsa_pairs
    site.put(old)
    site.instance.start()
    if fault:
        name, _equals, value = fault.partition("=")
        site.instance.set(**{name: value})
    answers = [site.resolve(), site.replace(new), site.replace(new), site.replace(old, check_mode=True)]
    assert bool(answers[1]["failure"]) == bool(fault)
    lines = secrets(old, new)
    assert search(json.dumps(answers), lines) == []
    files = files_beside_keys(Path(site.instance.sesam_var))
    assert {os.path.basename(path) for path in files} >= {"lock", "result", "facts"}
    assert {path: found for path, text in files.items() if (found := search(text, lines))} == {}


def test_an_open_journal_does_not_say_the_key(site: t.Any, rsa_pairs: tuple[pki.Pair, pki.Pair]) -> None:
    from unit.host.test_host_transaction import killed

    old, new = rsa_pairs
    site.put(old)
    site.instance.start()
    site.instance.set(stop="hangs@1")
    killed(site, site.order(new), (site.state / "journal").exists)
    files = files_beside_keys(site.state)
    assert {os.path.basename(path) for path in files} >= {"lock", "journal", "facts"}
    assert search("".join(files.values()) + json.dumps(site.resolve()), secrets(old, new)) == []


@pytest.mark.parametrize("form", ["TraditionalOpenSSL", "OpenSSH"])
def test_a_key_in_the_wrong_place_is_not_said_either(site: t.Any, old: pki.Pair, form: pki.Form) -> None:
    """A key in the certificate's file, a certificate in the key's file."""
    key = pki.key_bytes(old.key, form)
    Path(site.instance.certificate).write_bytes(key)
    Path(site.instance.private_key).write_bytes(old.pem)
    lines = [line for line in key.decode().splitlines() if not line.startswith("-----")]
    assert search(json.dumps([site.resolve(), site.replace(old, check_mode=True)]), lines) == []
