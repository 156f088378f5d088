# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rule: text with BEGIN is content, strict base64 of one SEQUENCE is content, all else is a path."""

from __future__ import annotations

import base64
import contextlib
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _findings, _inputs
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st
from unit import pki

Refused = t.Callable[[t.Callable[[], object]], str]
EC = pki.ec_key()
DER = pki.key_bytes(EC, encoding="DER")
CERTIFICATE = pki.make(key=pki.rsa_key()).der


def no_file(path: str) -> bytes:
    raise FileNotFoundError("it is not there")


def read(value: str, content: bytes | None = None) -> _inputs.Input:
    return _inputs.read("private_key", value, no_file if content is None else lambda path: content)


@pytest.mark.parametrize("value", [
    pki.key_bytes(EC).decode(), "text before\n" + pki.key_bytes(EC).decode(), "-----BEGIN nothing",
])
def test_text_with_begin_is_content(value: str) -> None:
    assert read(value) == _inputs.Input(value.encode(), "private_key (given as content)")


@pytest.mark.parametrize("der", [DER, CERTIFICATE, b"\x30\x02\x05\x00", b"\x30\x81\x80" + b"\0" * 0x80])
@pytest.mark.parametrize("form", [
    base64.b64encode, base64.encodebytes, lambda der: b" " + base64.b64encode(der) + b"\n",
])
def test_base64_of_one_sequence_is_content(der: bytes, form: t.Callable[[bytes], bytes]) -> None:
    assert read(form(der).decode()).content == der


@pytest.mark.parametrize("value", [
    "files/a.key", "/etc/a.key", "/etc/" + "sub/" * 20 + "key",
    "~/a.key", "a b.key", "MIIC", "MAIF", "abcd", "a" * 200, "-----BEGI",
    base64.b64encode(b"\x31\x02\x05\x00").decode(),
    base64.b64encode(b"\x30\x02\x05\x00\x00").decode(),
    base64.b64encode(b"\x30\x80\x00\x00").decode(),
    "!" + base64.b64encode(b"\x30\x02\x05\x00").decode(),
])
def test_all_else_is_a_path(value: str) -> None:
    found = read(value, b"content of the file")
    assert found == _inputs.Input(b"content of the file", f"private_key ({value})")


def test_the_path_is_named_and_its_control_characters_are_not_obeyed(refused: Refused) -> None:
    text = refused(lambda: read("a\x1b[31m.key"))
    assert text.startswith("wanted error input-missing: private_key: a\\x1b[31m.key: ")
    assert text.isprintable()


@pytest.mark.parametrize("path", ["a\0b.key", "a\ud800.key"])
def test_a_path_that_no_system_has(refused: Refused, path: str) -> None:
    """Python answers it with a ValueError. DER as text is such a one, so it is not repeated."""
    text = refused(lambda: _inputs.read("private_key", path, lambda path: Path(path).read_bytes()))
    assert text.startswith("wanted error input-unrecognised: private_key is neither a path nor PEM nor base64 of DER.")


def test_a_long_path_is_not_told_in_full(refused: Refused) -> None:
    text = refused(lambda: _inputs.read("private_key", "sub.d/" * 600 + "key", lambda path: Path(path).read_bytes()))
    assert text.startswith("wanted error input-missing: private_key: sub.d/sub.d/")
    assert len(text) < 1000
    assert len(refused(lambda: read("\x1b" * 300))) < 1000


def test_bytes_that_are_no_text_are_not_repeated(refused: Refused) -> None:
    """A binary file that was read as text has them as halves of surrogate pairs."""
    text = refused(lambda: read(DER.replace(b"\0", b"").decode("utf-8", "surrogateescape")))
    assert text.startswith("wanted error input-unrecognised: private_key is neither a path nor PEM nor base64 of DER.")


@pytest.mark.parametrize("path", [
    "certificates/MyCompanyBackupServer2026.key", "certificates/5f4dcc3b5aa765d61d8327deb882cf99.key",
    "/etc/ssl/private/backup/example/Server1", "/srv/ABCDEFGHIJKLMNOPQRSTUVWXYZ/abcdefghijklmnopqrstuvwxyz",
])
def test_a_path_that_looks_a_bit_like_base64_is_told(refused: Refused, path: str) -> None:
    assert f"input-missing: private_key: {path}: " in refused(lambda: read(path))


@pytest.mark.parametrize("piece", [
    "wkAAgWOPQw3EBx28/wWK2zI2uwIgJwIBeS2G3T/DAn", "l8jKp2Xv0QmZ7tBd+Yw4Ra9C", "files/l8jKp2Xv0QmZ7tBd+Yw4Ra9Cs1.key",
])
def test_what_looks_like_base64_is_not_told(refused: Refused, piece: str) -> None:
    assert piece not in refused(lambda: read(piece))


@pytest.mark.parametrize("damage", ["{}", "!{}", "{}!", "files/{}.key"])
def test_a_piece_of_a_key_is_not_repeated(refused: Refused, damage: str) -> None:
    """An Ed25519 key in base64 has 64 characters; here one is missing, or there is one too many."""
    ed25519_key = base64.b64encode(pki.key_bytes(ed25519.Ed25519PrivateKey.generate(), encoding="DER")).decode()
    text = refused(lambda: read(damage.format(ed25519_key[:-4])))
    assert text.startswith("wanted error input-unrecognised: private_key is neither a path nor PEM nor base64 of DER.")
    assert ed25519_key[30:40] not in text


def test_half_of_a_surrogate_pair_beside_the_blocks() -> None:
    assert read("\ud800\n" + pki.key_bytes(EC).decode()).content == b"?\n" + pki.key_bytes(EC)


@pytest.mark.parametrize("content", [b"", b"  \r\n\t\n"])
def test_empty(refused: Refused, content: bytes) -> None:
    assert "input-empty: private_key (a.key) is empty" in refused(lambda: read("a.key", content))


def test_too_large(refused: Refused) -> None:
    assert read("a.key", b"x" * _inputs.SIZE_LIMIT).content
    assert "input-too-large" in refused(lambda: read("a.key", b"x" * (_inputs.SIZE_LIMIT + 1)))
    assert "input-too-large" in refused(lambda: read("-----BEGIN" + "x" * _inputs.SIZE_LIMIT))


@pytest.mark.parametrize("content", [DER, b"\x30\x04\x0d\x0a\x0d\x0a"])
def test_binary_content_is_kept_byte_by_byte(content: bytes) -> None:
    assert read("a.der", content).content == content
    assert read(base64.b64encode(content).decode()).content == content


SECRET = base64.b64encode(DER).decode()


@pytest.mark.parametrize("value", [
    "\n".join([SECRET[:64], SECRET[64:100]]),
    pki.key_bytes(EC).decode().replace("-----BEGIN", "----BEGIN"),
    SECRET * 40,
    pytest.param(SECRET[:-4], id="cut"),
    pytest.param(SECRET[4:], id="without its beginning"),
    pytest.param(base64.b64encode(CERTIFICATE + DER).decode(), id="two"),
])
def test_a_value_that_may_be_a_key_is_never_repeated(refused: Refused, value: str) -> None:
    text = refused(lambda: read(value))
    assert text.startswith("wanted error input-unrecognised")
    assert [piece for piece in (SECRET[20:40], SECRET[-40:-20], value[:30], value[-30:]) if piece in text] == []


@given(st.text(max_size=200))
def test_no_value_is_too_strange(value: str) -> None:
    """It is taken for content or for a path, or refused; nothing else."""
    with contextlib.suppress(_findings.Refused):
        assert read(value, b"content").name.startswith("private_key (")
