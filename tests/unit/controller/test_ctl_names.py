# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names against a SAN, with OpenSSL's own program as the second opinion; and their syntax."""

from __future__ import annotations

import ipaddress
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _names
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import pki

# The wanted name, the names of the SAN, and whether the certificate is for it.
NAMES: list[tuple[str, list[str], bool]] = [
    ("sesam.example", ["sesam.example"], True),
    ("sesam.example", ["other.example", "sesam.example"], True),
    ("sesam.example", ["other.example"], False),
    ("sesam.example", [], False),
    ("SESAM.Example", ["sesam.example"], True),
    ("sesam.example", ["SESAM.EXAMPLE"], True),
    ("sesam.example", ["sesam.example.org"], False),
    ("sesam.example", ["xsesam.example"], False),
    ("sesam", ["sesam"], True),
    ("sesam", ["sesam.example"], False),
    ("a.sesam.example", ["sesam.example"], False),
    ("a.b.example", ["*.B.EXAMPLE"], True),
    ("a.b.example", ["*.b.example"], True),
    ("a.b.example", ["*.example"], False),
    ("example", ["*.example"], False),
    ("b.example", ["*.b.example"], False),
    ("a.b.example", ["a.*.example"], False),
    ("sesam.example", ["*.*"], False),
    ("sesam.example", ["*"], False),
    ("sesam", ["*"], False),
    ("192.0.2.7", ["192.0.2.7"], True),
    ("192.0.2.7", ["192.0.2.8"], False),
    ("192.0.2.7", ["*.0.2.7"], False),
    ("2001:db8::7", ["2001:db8::7"], True),
    ("2001:0DB8:0:0:0:0:0:7", ["2001:db8::7"], True),
    ("2001:db8::7", ["2001:db8::8"], False),
    ("192.0.2.7", ["sesam.example"], False),
    ("sesam.example", ["192.0.2.7"], False),
]


def is_covered(wanted: str, names: t.Iterable[str]) -> bool:
    """With a SAN in which an address stands as an address."""
    addresses = [a for a in map(_names.as_address, names) if a]
    return _names.is_covered(wanted, [name for name in names if not _names.as_address(name)], addresses)


@pytest.mark.parametrize(("wanted", "names", "covered"), NAMES)
def test_covered(wanted: str, names: list[str], covered: bool) -> None:
    assert is_covered(wanted, names) is covered


@pytest.mark.parametrize(("wanted", "names", "covered"), [case for case in NAMES if case[1]])
def test_openssl_says_the_same(tmp_path: Path, wanted: str, names: list[str], covered: bool) -> None:
    """The CN is another name: OpenSSL reads it where the SAN has no DNS name."""
    file = tmp_path / "a.crt"
    file.write_bytes(pki.make("the CN", names=names).pem)
    check = "-checkip" if _names.as_address(wanted) else "-checkhost"
    done = subprocess.run(["openssl", "x509", "-noout", "-in", file, check, wanted], capture_output=True, text=True,
                          check=True)
    assert ("does match" in done.stdout) is covered
    assert ("does NOT match" in done.stdout) is not covered


@pytest.mark.parametrize(("wanted", "dns_names", "covered"), [
    ("sesam.example", ["*.example"], True),
    # A trailing dot is how a user writes an absolute name, and not how a certificate does.
    ("sesam.example.", ["sesam.example"], True),
    ("sesam.example.", ["*.example"], True),
    ("sesam.example", ["sesam.example."], False),
    ("sesam.example..", ["sesam.example"], False),
    # Text of an address is no address.
    ("192.0.2.7", ["192.0.2.7"], False),
    ("2001:db8::7", ["2001:db8::7"], False),
    ("192.0.2.007", ["192.0.2.007"], False),
    ("1.2.3", ["1.2.3"], False),
    ("1.2.3a", ["1.2.3a"], True),
    # Part of a label is no wildcard.
    ("web1.example", ["web*.example"], False),
    ("a.*", ["*.*"], False),
    ("web1.example", ["*1.example"], False),
    ("xn--bro-hoa.example", ["xn--*.example"], False),
    (".example", ["*.example"], False),
    ("", [""], False),
    ("", ["*"], False),
    ("a.", ["*."], False),
    ("*.example", ["*.example"], True),
    ("*.example", ["a.example"], False),
    # U-labels of a user, A-labels of a certificate.
    ("büro.example", ["xn--bro-hoa.example"], True),
    ("BÜRO.example", ["xn--bro-hoa.example"], True),
    ("büro.example", ["buro.example"], False),
    ("büro.example", ["*.example"], True),
    ("straße.example", ["xn--strae-oqa.example"], True),
    ("straße.example", ["strasse.example"], False),
    ("例え.example", ["xn--r8jz45g.example"], True),
])
def test_covered_where_opinions_differ(wanted: str, dns_names: list[str], covered: bool) -> None:
    assert _names.is_covered(wanted, dns_names, []) is covered


def test_an_address_may_be_written_as_in_a_url() -> None:
    assert _names.is_covered("[2001:db8::7]", [], [ipaddress.ip_address("2001:db8::7")])
    assert _names.as_address("[2001:db8::7") is None


LONG = "a" * 63
TOTAL = f"{LONG}.{LONG}.{LONG}.{'a' * 61}"


@pytest.mark.parametrize(("name", "words"), [
    ("sesam.example", ""), ("sesam", ""), ("*.example", ""), ("xn--bro-hoa.example", ""), ("a-1.example", ""),
    (f"{LONG}.example", ""), (f"{LONG}a.example", "a label of 64 characters (at most 63)"),
    (TOTAL, ""), (f"{TOTAL}a", "254 characters (at most 253)"),
    ("a..example", "an empty label"), ("a.example.", "an empty label"), ("", "an empty label"),
    (".example", "a leading dot"), ("..example", "a leading dot, an empty label"),
    (".", "a leading dot, an empty label"),
    ("a_b.example", "an underscore"), ("_a._b.example", "an underscore"), ("a\0b", "a NUL"), ("a b", "a blank"),
    ("a\tb ", "a blank"), ("a\nb", "a line break"), ("https://a", "the character ':', the character '/'"),
    ("ä", "the character 'ä'"), ("a.*.example", "a wildcard that is not the whole left label"),
    ("w*.example", "a wildcard that is not the whole left label"), ("*", ""),
    ("*.*.example", "a wildcard that is not the whole left label"),
])
def test_faults(name: str, words: str) -> None:
    assert ", ".join(_names.faults(name)) == words


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_gets_an_answer(wanted: str, names: list[str]) -> None:
    assert isinstance(_names.is_covered(wanted, names, []), bool)
    assert all(fault.isprintable() for fault in _names.faults(wanted))
    assert _names.is_covered(wanted, [], []) is False
