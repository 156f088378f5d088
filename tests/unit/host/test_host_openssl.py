# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's openssl decrypts, makes and signs; nobody sees a key or a passphrase on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import key_form, openssl, pkcs8, processes, refusal
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from unit import pki
from unit.host import keys
from workbench import tree

Make = t.Callable[[str], bytes]


def refused(call: t.Callable[[], object]) -> refusal.Refused:
    with pytest.raises(refusal.Refused) as raised:
        call()
    assert raised.value.message
    assert raised.value.fix
    return raised.value


@pytest.mark.parametrize(("name", "form", "make"), keys.ALL_ENCRYPTED)
def test_every_encrypted_form(name: str, form: str, make: Make) -> None:
    content = make(name)
    key = pkcs8.to_pem(openssl.to_pkcs8(content, keys.PASSPHRASE))
    assert key_form.of(key) == key_form.PKCS8
    assert keys.spki_by_openssl(key) == pki.spki(keys.key(name))
    assert pkcs8.same_key(pkcs8.from_file(key), pki.key_bytes(keys.key(name), encoding="DER"))
    assert refused(lambda: openssl.to_pkcs8(content, keys.PASSPHRASE + "x")).id == "key-passphrase-wrong"
    assert refused(lambda: openssl.to_pkcs8(content, None)).id == "key-passphrase-missing"
    if "PKCS#12" not in form:
        assert openssl.public_key(content, keys.PASSPHRASE) == pki.spki(keys.key(name))
        assert refused(lambda: openssl.public_key(content, None)).id == "key-passphrase-missing"


@pytest.mark.parametrize(("name", "form", "make"), keys.ALL_PLAIN)
def test_every_plain_form(name: str, form: str, make: Make) -> None:
    content = make(name)
    assert openssl.public_key(content) == pki.spki(keys.key(name))
    assert pkcs8.same_key(openssl.to_pkcs8(content, None), pki.key_bytes(keys.key(name), encoding="DER"))


@pytest.mark.parametrize("passphrase", [None, ""])
def test_pkcs12_without_a_passphrase(passphrase: str | None) -> None:
    content = keys.p12_without_passphrase("P-256")
    assert pkcs8.same_key(openssl.to_pkcs8(content, passphrase), pki.key_bytes(keys.key("P-256"), encoding="DER"))


@pytest.mark.parametrize("passphrase", ["ä ö ü", " begins and ends with blanks ", "$(id) `id` \"'\\", "-x", "x" * 1000])
def test_any_passphrase(passphrase: str) -> None:
    content = pki.key_bytes(keys.key("P-256"), passphrase=passphrase.encode())
    assert openssl.to_pkcs8(content, passphrase)


@pytest.mark.parametrize("passphrase", ["two\nlines", "nul\0", "x" * 1024])
def test_a_passphrase_that_cannot_be_given(passphrase: str) -> None:
    """Openssl would take the first line for it: here that one is right, and is not what was given."""
    content = pki.key_bytes(keys.key("P-256"), passphrase=passphrase.split("\n")[0][:1000].encode())
    told = refused(lambda: openssl.to_pkcs8(content, passphrase))
    assert told.id == "key-passphrase-wrong"
    assert passphrase not in told.message
    assert "controller" in told.fix


def test_an_empty_passphrase_is_one_that_was_given() -> None:
    assert refused(lambda: openssl.to_pkcs8(keys.ENCRYPTED["PKCS#12"]("P-256"), "")).id == "key-passphrase-wrong"


def test_pkcs12_without_a_key_and_with_two() -> None:
    pair = pki.make()
    nothing = keys.openssl("pkcs12", "-export", "-nokeys", "-passout", "pass:x", stdin=pair.pem)
    assert refused(lambda: openssl.to_pkcs8(nothing, "x")).id == "key-count"
    assert "0 private keys" in refused(lambda: openssl.to_pkcs8(nothing, "x")).message


def test_what_is_pkcs12() -> None:
    assert openssl.is_pkcs12(keys.p12_without_passphrase("P-256"))
    for content in (b"", b"\x30\x00", b"\x30\x03\x02\x01\x03", pki.make().der,
                    pki.key_bytes(pki.ec_key(), encoding="DER"), pki.key_bytes(pki.rsa_key(), encoding="DER")):
        assert not openssl.is_pkcs12(content)


@pytest.mark.parametrize("content", [
    b"", b"text", b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", pki.make().pem,
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n-----END RSA PRIVATE KEY-----\n",
])
def test_what_openssl_does_not_read(content: bytes) -> None:
    for call in (lambda: openssl.to_pkcs8(content, "x"), lambda: openssl.public_key(content, "x")):
        assert refused(call).id in ("openssl-failed", "key-passphrase-wrong")


@pytest.mark.parametrize("size", [2048, 3072])
def test_rsa_is_made(size: int) -> None:
    made = openssl.generate("RSA", size)
    loaded = serialization.load_pem_private_key(made, None)
    assert getattr(loaded, "key_size", None) == size
    assert key_form.of(made) == key_form.PKCS8


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "secp521r1"])
def test_ec_is_made(curve: str) -> None:
    made = openssl.generate("EC", curve=curve)
    loaded = serialization.load_pem_private_key(made, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.curve.name == curve
    assert pkcs8.spki(pkcs8.from_file(made)) == pki.spki(loaded)
    assert openssl.generate("EC", curve=curve) != made


@pytest.mark.parametrize(("type", "size", "curve"), [
    ("RSA", 2047, None), ("RSA", 8193, None), ("RSA", None, None), ("EC", None, "secp256k1"), ("EC", None, None),
    ("EC", 256, None), ("DSA", 2048, None), ("Ed25519", None, None), ("RSA", "2048", None), ("EC", None, "-x"),
])
def test_what_is_not_made(openssl_recorded: t.Any, type: str, size: t.Any, curve: str | None) -> None:
    assert refused(lambda: openssl.generate(type, size, curve)).id == "key-type-unknown"
    assert openssl_recorded.calls == []


@pytest.mark.parametrize("name", keys.TRADITIONAL)
def test_a_signature(name: str) -> None:
    key, data = keys.key(name), os.urandom(100_000)
    signature = openssl.sign(pki.key_bytes(key), data)
    digest = {"P-384": hashes.SHA384(), "P-521": hashes.SHA512()}.get(name, hashes.SHA256())
    if name.startswith("RSA"):
        key.public_key().verify(signature, data, padding.PKCS1v15(), digest)
    else:
        key.public_key().verify(signature, data, ec.ECDSA(digest))


def test_nobody_sees_a_secret(openssl_recorded: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process list and the environment show, of every call there is."""
    monkeypatch.setenv("OPENSSL_CONF", "/nowhere")
    monkeypatch.setenv("SECRET", "of the caller")
    for name in ("RSA-2048", "P-256"):
        key = pki.key_bytes(keys.key(name))
        for table in (keys.ENCRYPTED, keys.ENCRYPTED_TRADITIONAL):
            for make in table.values():
                openssl.to_pkcs8(make(name), keys.PASSPHRASE)
        openssl.public_key(key)
        openssl.sign(key, b"data")
    openssl.generate("EC", curve="secp256r1")
    calls = openssl_recorded.calls
    assert {call.split()[0] for call in calls} == {"pkey", "pkcs12", "dgst", "genpkey"}
    assert all("fd:" in call for call in calls if call.startswith("pkcs12"))
    seen = openssl_recorded.text
    assert [secret for name in ("RSA-2048", "P-256") for secret in keys.secrets(name) if secret in seen] == []
    for other in ("OPENSSL_CONF", "SECRET", "pass:"):
        assert other not in seen
    assert "HOME=/\n" in seen


def test_an_error_does_not_say_the_secret() -> None:
    content = keys.ENCRYPTED["PBES2 AES-256"]("P-256")
    told = refused(lambda: openssl.to_pkcs8(content, keys.PASSPHRASE + "x"))
    assert keys.PASSPHRASE not in told.message + told.fix
    assert [line for line in keys.lines(content) if line in told.message] == []


def test_a_key_is_in_no_file(tmp_path: Path) -> None:
    """Every file that is opened to be written while a key is decrypted, made and signed with."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    encrypted = tmp_path / "key"
    encrypted.write_bytes(keys.ENCRYPTED["PBES2 AES-256"]("P-256"))
    code = ("import sys; from _host import openssl, pkcs8\n"
            f"key = pkcs8.to_pem(openssl.to_pkcs8(open({str(encrypted)!r}, 'rb').read(), {keys.PASSPHRASE!r}))\n"
            "openssl.public_key(key); openssl.sign(key, b'the data'); openssl.generate('EC', curve='secp256r1')")
    log = tmp_path / "strace"
    done = subprocess.run(
        ["strace", "-f", "-s", "100000", "-e", "trace=openat,open,creat,write,pwrite64", "-o", log,
         sys.executable, "-B", "-c", code], cwd=tree.ROOT / "plugins/module_utils",
        capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace may not be used")
    assert (done.returncode, done.stderr) == (0, "")
    lines = log.read_text().splitlines()
    written = [line for line in lines if ("O_WRONLY" in line or "O_RDWR" in line) and "/dev/" not in line]
    # Python alone opens any: a trial whether it may write there, and the data to be signed.
    assert len(written) <= 2
    assert {line.split()[0] for line in written} == {lines[0].split()[0]}
    assert all("O_EXCL" in line and "0600" in line for line in written)
    assert any("the data" in line for line in lines)
    assert len({line.split()[0] for line in lines}) == 5  # Four calls of openssl were seen.


def test_no_openssl(no_openssl: None) -> None:
    assert not openssl.is_there()
    for call in (lambda: openssl.public_key(pki.key_bytes(pki.ec_key())), lambda: openssl.generate("RSA", 2048),
                 lambda: openssl.to_pkcs8(b"", None)):
        told = refused(call)
        assert told.id == "openssl-missing"
        assert "controller" in told.fix


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: t.Callable[..., Path]) -> t.Callable[[str], None]:
    """Puts a program in the place of openssl."""
    monkeypatch.setattr(processes, "USUAL_PATH", f"{tmp_path}:{processes.USUAL_PATH}")
    return lambda text: t.cast(None, script(tmp_path / "openssl", text))


def test_one_that_does_not_end(replaced: t.Callable[[str], None], monkeypatch: pytest.MonkeyPatch,
                               tmp_path: Path) -> None:
    replaced(f"echo $$ > '{tmp_path}/pid'; exec sleep 100")
    monkeypatch.setattr(openssl, "_TIMEOUT", 0.3)
    begin = time.monotonic()
    # More than a pipe holds, and nobody reads it.
    told = refused(lambda: openssl._decrypt(["pkcs12"], b"x" * 300_000, "x"))
    assert time.monotonic() - begin < 5
    assert told.id == "openssl-slow"
    pid = int((tmp_path / "pid").read_text())
    assert not processes.is_alive(pid)


def test_one_that_says_odd_things(replaced: t.Callable[[str], None]) -> None:
    replaced("printf 'first\\n\\033[31mred\\007 last\\n' >&2; exit 1")
    told = refused(lambda: openssl.public_key(pki.key_bytes(pki.ec_key())))
    assert told.id == "openssl-failed"
    assert told.message == "openssl pkey failed on this host: openssl: red last."


@pytest.mark.parametrize("output", ["", "text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_one_that_writes_no_key(replaced: t.Callable[[str], None], output: str) -> None:
    replaced(f"cat >/dev/null; printf -- '{output}'")
    told = refused(lambda: openssl.to_pkcs8(pki.key_bytes(pki.ec_key()), None))
    assert told.id == ("key-count" if "BEGIN" not in output else "conversion-impossible")


def test_an_old_one(replaced: t.Callable[[str], None]) -> None:
    """Without providers, as before OpenSSL 3: what it fails at is the passphrase, and not the option."""
    replaced("case \"$*\" in *provider*) echo 'unknown option -provider' >&2; exit 1;; esac\n"
             "cat >/dev/null; echo 'bad decrypt' >&2; exit 1")
    told = refused(lambda: openssl.to_pkcs8(keys.ENCRYPTED["PBES2 AES-256"]("P-256"), "x"))
    assert told.id == "key-passphrase-wrong"
    assert "bad decrypt" in told.message
