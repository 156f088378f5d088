# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""DER and PEM are read in one pass, and nothing leads further than what it stands in."""

from __future__ import annotations

import time

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import der, key_form, pairs, pem
from hypothesis import given
from hypothesis import strategies as st
from unit import pki


@given(st.sampled_from([der.INTEGER, der.OCTETS, der.SEQUENCE]), st.binary(max_size=400))
def test_what_is_written_is_read(tag: int, content: bytes) -> None:
    whole = der.encode(tag, content)
    assert der.first(whole + b"more") == (tag, content, whole)


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65535, 65536])
def test_every_form_of_a_length(size: int) -> None:
    whole = der.encode(der.OCTETS, bytes(size))
    assert der.first(whole).content == bytes(size)
    # Minimal, as DER wants it: a reader of the standard takes no other.
    assert len(whole) - size == (2 if size < 128 else 3 if size < 256 else 4 if size < 65536 else 5)


def test_numbers() -> None:
    assert [der.first(bytes.fromhex(text)).number for text in ("020100", "02017f", "02020080", "020180")] == [
        0, 127, 128, -128]


@pytest.mark.parametrize(("data", "says"), [
    (b"", "cut off"), (b"\x30", "cut off"), (b"\x30\x80\0\0", "length"), (b"\x30\x85\1\1\1\1\1", "length"),
    (b"\x30\x84\xff\xff\xff\xff", "longer"), (b"\x04\x02a", "longer"), (b"\x04\x82\x01", "longer"),
])
def test_damaged(data: bytes, says: str) -> None:
    with pytest.raises(der.Damaged, match=says):
        der.first(data)


def test_a_member_does_not_lead_out_of_its_sequence() -> None:
    inner = b"\x04\x05ab"  # Five bytes are said, two are there, and more follow behind the SEQUENCE.
    with pytest.raises(der.Damaged, match="longer than what it stands in"):
        der.members(der.encode(der.SEQUENCE, inner) + b"cde", 9)


def test_exactly() -> None:
    number = der.encode(der.INTEGER, b"\1")
    whole = der.encode(der.SEQUENCE, number, number)
    assert len(der.exactly(whole, der.INTEGER)) == 2
    for wrong in (whole + b"\0", whole[:-1], number):
        with pytest.raises(der.Damaged):
            der.exactly(wrong, der.INTEGER)
    with pytest.raises(der.Damaged):
        der.exactly(whole, der.INTEGER, der.OCTETS)


def test_only_as_many_members_as_asked_for() -> None:
    many = der.encode(der.SEQUENCE, *[der.encode(der.INTEGER, b"\1")] * 3, b"damaged")
    assert len(der.members(many, 3)) == 3
    with pytest.raises(der.Damaged):
        der.members(many, 4)


@pytest.mark.parametrize("content", [
    b"-----BEGIN CERTIFICATE-----\n" * 37000,
    b"-----BEGIN PRIVATE KEY-----\n" * 37000,
    b"-----BEGIN " * 95000,
    b"-----BEGIN " + b"A" * (1 << 20),
    b"-----BEGIN A-----" + b" \t" * (1 << 19),
    b"\x30\x82\xff\xff" * (1 << 18),
    b"\x30\x84\x00\x0f\xff\xf0" + b"\x02\x01\x00" * 340000,
])
def test_hostile_content_takes_no_time(content: bytes) -> None:
    begin = time.process_time()
    key_form.of(content)
    assert pairs.chain_in(content) == []
    assert pairs.csr_in(content) is None
    assert time.process_time() - begin < 2


def test_blocks() -> None:
    text = (b"\xef\xbb\xbftext\r\n-----BEGIN A-----\r\nYWI=\r\n-----END A-----\r\n"
            b"-----BEGIN B C-----\n-----END B C-----\n-----BEGIN D-----\nYQ==\n")
    assert [(block.label, block.is_whole) for block in pem.blocks(text)] == [("A", True), ("B C", True), ("D", False)]
    first, second, third = pem.blocks(text)
    assert (first.der(), second.der()) == (b"ab", b"")
    with pytest.raises(ValueError, match="line is missing"):
        third.der()


@pytest.mark.parametrize("text", [
    b"-----BEGIN A-----\nYQ==\n-----END B-----\n", b"-----BEGIN A-----\nYQ==\n-----BEGIN A-----",
    b"-----BEGIN A-----YQ==-----END A-----", b"-----BEGIN A----- YQ==\n-----END A-----\n",
    b"-----BEGIN A-----\nYQ\n-----END A-----", b"-----BEGIN A-----\nYQ==!\n-----END A-----",
    b"-----BEGIN A-----\nY\xff\n-----END A-----",
])
def test_blocks_that_are_damaged(text: bytes) -> None:
    with pytest.raises(ValueError):
        next(iter(pem.blocks(text))).der()


def test_pem_as_openssl_writes_it() -> None:
    for key in (pki.rsa_key(), pki.ec_key()):
        assert pem.encode("PRIVATE KEY", pki.key_bytes(key, encoding="DER")) == pki.key_bytes(key)
    # A last line that is full: nothing follows it but its end.
    assert pem.encode("A", bytes(48)) == b"-----BEGIN A-----\n" + b"A" * 64 + b"\n-----END A-----\n"


def test_requests() -> None:
    text = b"-----BEGIN NEW CERTIFICATE REQUEST-----\nYQ==\n-----END NEW CERTIFICATE REQUEST-----\n"
    assert pairs.csr_in(b"text") is None
    assert pairs.csr_in(text) == b"a"
    assert pairs.csr_in(text.replace(b"NEW ", b"")) == b"a"
    assert pairs.csr_in(text.replace(b"YQ==", b"YQ")) is None
