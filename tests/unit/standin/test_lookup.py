# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The look-up: which source is used, and which pairs are refused."""

from __future__ import annotations

import pathlib
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from standin import key_form, lookup, state

SOURCES = ["command_line", "default_location", "sm_ini", "environment"]


def look_up(instance, environ=None, command_line=("", "")) -> lookup.Outcome:
    return lookup.look_up(instance.home, state.peek(instance.folder), command_line, environ or {})


def name_in_sm_ini(instance, folder) -> None:
    path = pathlib.Path(instance.sm_ini)
    path.write_text(path.read_text().replace("[PATHES]\n", f"[PATHES]\ngv_ro_ssl={folder}/\n"))


@pytest.fixture
def everywhere(make, pair, tmp_path):
    """An instance with a pair in every source: (instance, environment, command line)."""
    instance = make()
    pair("two").put(instance.ssl_folder)
    pair("three").put(tmp_path / "three")
    name_in_sm_ini(instance, tmp_path / "three")
    environ = dict(zip(("SESAM_SSL_CERT", "SESAM_SSL_KEY"), pair("four").put(tmp_path / "four"), strict=True))
    return instance, environ, pair("one").put(tmp_path / "one")


def verdicts(outcome: lookup.Outcome) -> dict[str, str]:
    return {one.source: one.verdict for one in outcome.judged}


def test_the_four_sources_in_order_then_generated(everywhere) -> None:
    instance, environ, command_line = everywhere
    outcome = look_up(instance, environ, command_line)
    assert [one.source for one in outcome.judged] == SOURCES
    assert set(verdicts(outcome).values()) == {"works"}
    assert (outcome.used, outcome.certificate, outcome.private_key) == ("command_line", *command_line)
    outcome = look_up(instance, environ)
    assert (outcome.used, outcome.certificate) == ("default_location", instance.certificate)
    for path in (instance.certificate, instance.private_key):
        pathlib.Path(path).unlink()
    outcome = look_up(instance, environ)
    assert outcome.used == "sm_ini"
    assert outcome.certificate.endswith("/three/sesam.https.crt")
    pathlib.Path(instance.sm_ini).unlink()
    outcome = look_up(instance, environ)
    assert (outcome.used, outcome.private_key) == ("environment", environ["SESAM_SSL_KEY"])
    outcome = look_up(instance)
    assert (outcome.used, outcome.certificate) == ("generated", "")
    assert set(verdicts(outcome).values()) == {"absent"}


@pytest.mark.parametrize(("policy", "used"), [("next", "sm_ini"), ("generated", "generated"), ("refuse", "refused")])
def test_what_a_broken_pair_does(everywhere, policy: str, used: str) -> None:
    instance, environ, _command_line = everywhere
    pathlib.Path(instance.private_key).write_text("garbage")
    instance.set(broken_pair=policy)
    assert look_up(instance, environ).used == used


@pytest.mark.parametrize("policy", ["next", "generated", "refuse"])
def test_a_broken_pair_behind_a_good_one_does_nothing(everywhere, policy: str) -> None:
    instance, environ, _command_line = everywhere
    pathlib.Path(environ["SESAM_SSL_KEY"]).write_text("garbage")
    instance.set(broken_pair=policy)
    outcome = look_up(instance, environ)
    assert outcome.used == "default_location"
    assert verdicts(outcome)["environment"] == "broken"


@pytest.mark.parametrize(("half_pair", "used"), [("broken", "refused"), ("absent", "sm_ini")])
@pytest.mark.parametrize("gone", ["certificate", "private_key"])
def test_half_a_pair(everywhere, half_pair: str, used: str, gone: str) -> None:
    instance, environ, _command_line = everywhere
    pathlib.Path(getattr(instance, gone)).unlink()
    instance.set(half_pair=half_pair, broken_pair="refuse")
    outcome = look_up(instance, environ)
    assert verdicts(outcome)["default_location"] == "half"
    assert outcome.used == used


def test_named_files_must_be_there_and_absolute(make, pair, tmp_path, monkeypatch) -> None:
    instance = make()
    certificate, key = pair().put(tmp_path / "x")
    missing = {"SESAM_SSL_CERT": "/not/there.crt", "SESAM_SSL_KEY": "/not/there.key"}
    assert verdicts(look_up(instance, missing))["environment"] == "broken"
    assert verdicts(look_up(instance, {"SESAM_SSL_CERT": certificate}))["environment"] == "half"
    monkeypatch.chdir(tmp_path)
    relative = {"SESAM_SSL_CERT": "x/sesam.https.crt", "SESAM_SSL_KEY": key}
    outcome = look_up(instance, relative)
    assert "not an absolute name" in outcome.judged[3].reason
    name_in_sm_ini(instance, tmp_path / "nothing here")
    assert verdicts(look_up(instance))["sm_ini"] == "absent"


def judged(instance, pair_, key_pem: bytes | None = None) -> lookup.Judged:
    pair_.put(instance.ssl_folder, key_pem)
    return look_up(instance).judged[1]


def test_every_kind_of_pkcs8_key_is_taken(make, pair, rsa_key) -> None:
    instance = make()
    for key in (None, rsa_key, ed25519.Ed25519PrivateKey.generate()):
        assert judged(instance, pair(key=key)).verdict == "works"


@pytest.mark.parametrize(
    ("form", "passphrase", "reason"),
    [
        ("TraditionalOpenSSL", None, "PKCS#1"),
        ("TraditionalOpenSSL", b"secret", "PKCS#1"),
        ("PKCS8", b"secret", "encrypted"),
        ("OpenSSH", None, "OpenSSH"),
    ],
)
def test_an_rsa_key_in_another_form_is_refused(make, pair, rsa_key, form, passphrase, reason) -> None:
    one = pair(key=rsa_key)
    found = judged(make(), one, one.key_pem(form, passphrase))
    assert found.verdict == "broken"
    assert reason in found.reason


def test_sec1_garbage_and_mismatch_are_refused(make, pair, rsa_key) -> None:
    instance, one = make(), pair()
    assert "SEC1" in judged(instance, one, one.key_pem("TraditionalOpenSSL")).reason
    assert "no private key" in judged(instance, one, b"garbage").reason
    assert "no private key" in judged(instance, one, b"").reason
    assert "does not belong" in judged(instance, one, pair().key_pem()).reason
    assert "does not belong" in judged(instance, one, pair(key=rsa_key).key_pem()).reason
    half = one.key_pem()[:-60] + b"\n-----END PRIVATE KEY-----\n"
    assert judged(instance, one, half).verdict == "broken"


def test_a_wrong_label_is_seen_through(make, pair, rsa_key) -> None:
    instance, one = make(), pair(key=rsa_key)
    disguised = one.key_pem("TraditionalOpenSSL").replace(b"RSA PRIVATE", b"PRIVATE")
    assert "its content is not" in judged(instance, one, disguised).reason
    disguised = one.key_pem().replace(b"PRIVATE", b"RSA PRIVATE")
    assert "PKCS#1" in judged(instance, one, disguised).reason


def test_lenient_takes_any_form_that_belongs(make, pair, rsa_key) -> None:
    instance, one = make(key_check="lenient"), pair(key=rsa_key)
    assert judged(instance, one, one.key_pem("TraditionalOpenSSL")).verdict == "works"
    assert judged(instance, one, one.key_pem("PKCS8", b"secret")).verdict == "broken"
    assert judged(instance, one, pair().key_pem()).verdict == "broken"


def test_form_alone_takes_a_mismatch_but_not_another_form(make, pair) -> None:
    instance, one = make(key_check="form"), pair()
    assert judged(instance, one, pair().key_pem()).verdict == "works"
    assert judged(instance, one, one.key_pem("TraditionalOpenSSL")).verdict == "broken"


@pytest.mark.parametrize(("key_file_text", "verdict"), [("accepted", "works"), ("refused", "broken")])
def test_text_around_the_key(make, pair, key_file_text: str, verdict: str) -> None:
    instance, one = make(key_file_text=key_file_text), pair()
    assert judged(instance, one).verdict == "works"
    assert judged(instance, one, b"Bag Attributes\n" + one.key_pem()).verdict == verdict


def test_line_ends_and_line_lengths_do_not_matter(make, pair) -> None:
    instance, one = make(), pair()
    assert judged(instance, one, one.key_pem().replace(b"\n", b"\r\n")).verdict == "works"
    lines = one.key_pem().decode().splitlines()
    assert judged(instance, one, "\n".join([lines[0], "".join(lines[1:-1]), lines[-1]]).encode()).verdict == "works"


def test_the_first_certificate_is_the_leaf(make, pair) -> None:
    instance, leaf, other = make(), pair("leaf"), pair("other")
    leaf.put(instance.ssl_folder)
    path = pathlib.Path(instance.certificate)
    path.write_bytes(leaf.pem + other.pem)
    assert look_up(instance).used == "default_location"
    path.write_bytes(other.pem + leaf.pem)
    assert "does not belong" in look_up(instance).judged[1].reason


def test_a_certificate_that_is_none(make, pair) -> None:
    instance, one = make(), pair()
    one.put(instance.ssl_folder)
    path = pathlib.Path(instance.certificate)
    for content in (
        b"",
        one.der,
        one.key_pem(),
        one.pem.replace(b"CERTIFICATE", b"PKCS7"),
        one.pem[:80] + one.pem[90:],
        one.pem + one.pem[:200],
    ):
        path.write_bytes(content)
        assert look_up(instance).judged[1].verdict == "broken", content


def test_only_readable_regular_files(make, pair) -> None:
    instance = make()
    pair().put(instance.ssl_folder)
    key = pathlib.Path(instance.private_key)
    key.unlink()
    key.mkdir()
    assert "not a regular file" in look_up(instance).judged[1].reason
    key.rmdir()
    key.symlink_to("/not/there")
    assert "can't be read" in look_up(instance).judged[1].reason
    key.unlink()
    key.write_bytes(b" " * (lookup.LARGEST_FILE + 1))
    assert "too large" in look_up(instance).judged[1].reason


@pytest.mark.parametrize("algorithm", ["RSA", "EC", "ED25519"])
def test_openssl_agrees_about_the_form(tmp_path, algorithm: str) -> None:
    """Keys that another program made: what it calls PKCS#8 is PKCS#8 here, what it calls traditional is not."""
    more = {"RSA": ["-pkeyopt", "rsa_keygen_bits:1024"], "EC": ["-pkeyopt", "ec_paramgen_curve:P-256"]}
    path = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", algorithm, *more.get(algorithm, []), "-out", path],
        check=True,
        capture_output=True,
    )
    (block,) = key_form.blocks(path.read_bytes())
    assert key_form.is_pkcs8(block.der())
    assert not key_form.is_pkcs8(block.der() + b"\0")
    assert not key_form.is_pkcs8(block.der()[:-1])
    if algorithm != "ED25519":
        old = subprocess.run(
            ["openssl", "pkey", "-traditional", "-in", path, "-outform", "DER"], check=True, capture_output=True
        ).stdout
        assert not key_form.is_pkcs8(old)


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x80", b"\x30\x82\x01", b"\x30\x00", b"\x04\x00", b"\x30\xff"])
def test_broken_der_is_no_key(content: bytes) -> None:
    assert not key_form.is_pkcs8(content)


def test_the_context_serves_short_keys_too(make, pair, tmp_path) -> None:
    paths = pair(key=rsa.generate_private_key(65537, 1024)).put(tmp_path / "short")
    assert isinstance(lookup.context(*paths, state.peek(make().folder)), ssl.SSLContext)
