# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subjects in slash form and as a dictionary; OpenSSL's own command says what the slash form means."""

from __future__ import annotations

import random
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _subjects
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused as Refusal
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from unit import openssl, pki

Refused = t.Callable[[t.Callable[[], object]], str]

LONG = {
    "C": "countryName", "ST": "stateOrProvinceName", "L": "localityName", "O": "organizationName",
    "OU": "organizationalUnitName", "CN": "commonName", "DC": "domainComponent", "SN": "surname", "GN": "givenName",
    "STREET": "streetAddress", "UID": "userId", "emailAddress": "emailAddress", "serialNumber": "serialNumber",
    "title": "title", "postalCode": "postalCode",
}
OIDS = {
    "C": "2.5.4.6", "ST": "2.5.4.8", "L": "2.5.4.7", "O": "2.5.4.10", "OU": "2.5.4.11", "CN": "2.5.4.3",
    "DC": "0.9.2342.19200300.100.1.25", "SN": "2.5.4.4", "GN": "2.5.4.42", "STREET": "2.5.4.9",
    "UID": "0.9.2342.19200300.100.1.1", "emailAddress": "1.2.840.113549.1.9.1", "serialNumber": "2.5.4.5",
    "title": "2.5.4.12", "postalCode": "2.5.4.17",
}


def parts(value: _subjects.Value) -> list[tuple[str, str]]:
    """Object identifier and text of each attribute, in order."""
    return [(attribute.oid.dotted_string, str(attribute.value)) for attribute in _subjects.parse(value)]


def named(value: _subjects.Value) -> list[tuple[str, str]]:
    back = {oid: name for name, oid in OIDS.items()}
    return [(back.get(oid, oid), text) for oid, text in parts(value)]


@pytest.mark.parametrize(("value", "wanted"), [
    (r"/C=DE/ST=BW/O=Example \/ Sons/OU=a/OU=b/CN=backup.example.com",
     [("C", "DE"), ("ST", "BW"), ("O", "Example / Sons"), ("OU", "a"), ("OU", "b"), ("CN", "backup.example.com")]),
    ("/CN=a/C=DE", [("CN", "a"), ("C", "DE")]),
    ("/C=/ST=/O=Example/CN=a/", [("O", "Example"), ("CN", "a")]),
    (r"/O=a\\b\/c\=d\+e=f/CN=x", [("O", r"a\b/c=d+e=f"), ("CN", "x")]),
    (r"/O=a\/", [("O", "a/")]),
    (r"/O=a\\/CN=x", [("O", "a\\"), ("CN", "x")]),
    ("/O=Müller + Söhne/L=Köln/CN=x", [("O", "Müller + Söhne"), ("L", "Köln"), ("CN", "x")]),
    ("/cn=x/Emailaddress=a@example.com", [("CN", "x"), ("emailAddress", "a@example.com")]),
    (" /CN=x"[1:], [("CN", "x")]),
    ("/ CN =x", [("CN", "x")]),
    ("/2.5.4.3=x/1.3.6.1.4.1.55555.1=ü", [("CN", "x"), ("1.3.6.1.4.1.55555.1", "ü")]),
    ("", []), ("/", []), ("/CN=", []),
    ("/serialNumber=HRB 12-3/postalCode=01067", [("serialNumber", "HRB 12-3"), ("postalCode", "01067")]),
])
def test_slash_form(value: str, wanted: list[tuple[str, str]]) -> None:
    assert named(value) == wanted


@pytest.mark.parametrize("name", LONG)
def test_every_name_in_every_spelling(name: str) -> None:
    text = "DE" if name == "C" else "text"
    for spelling in (name, name.lower(), name.upper(), LONG[name], LONG[name].upper(), OIDS[name]):
        assert parts(f"/{spelling}={text}") == [(OIDS[name], text)]
        assert parts({spelling: text}) == [(OIDS[name], text)]
        assert parts({spelling: [text, text]}) == [(OIDS[name], text)] * 2


def test_a_dictionary_has_one_order_whatever_it_is_written_in() -> None:
    given = {"CN": "x", "emailAddress": "a@b", "1.2.3": "q", "OU": ["b", "a"], "o": "O", "L": "L", "ST": "S", "C": "DE",
             "DC": ["example", "com"], "title": None, "UID": "", "SN": [], "GN": [None, "", "G"]}
    wanted = [("DC", "example"), ("DC", "com"), ("C", "DE"), ("ST", "S"), ("L", "L"), ("O", "O"), ("OU", "b"),
              ("OU", "a"), ("GN", "G"), ("1.2.3", "q"), ("CN", "x"), ("emailAddress", "a@b")]
    assert named(given) == wanted
    items = list(given.items())
    for seed in range(20):
        random.Random(seed).shuffle(items)
        assert named(dict(items)) == wanted


def test_both_forms_of_the_vendors_recipe_are_one_subject() -> None:
    slashes = _subjects.parse("/C=DE/ST=BW/L=Weil/O=Example/OU=IT/CN=a.example")
    dictionary = _subjects.parse({"CN": "a.example", "OU": "IT", "O": "Example", "L": "Weil", "ST": "BW", "C": "DE"})
    assert slashes == dictionary
    assert slashes.public_bytes() == dictionary.public_bytes()


def test_text_of_a_subclass_as_ansible_marks_it() -> None:
    class Marked(str):
        pass

    assert parts({Marked("CN"): [Marked("x")]}) == parts(Marked("/CN=x")) == [(OIDS["CN"], "x")]


@pytest.mark.parametrize(("value", "words"), [
    ("CN=x", ['The subject "CN=x" does not begin with a slash', "/C=DE/O=Example/CN="]),
    ("C = DE, CN = x", ["does not begin with a slash"]),
    ("/CN=x\\", ["ends within an escape", "Write \\\\ for a backslash"]),
    ("/O=A/B Company/CN=x", ['Part 2 of the subject, "B Company", has no equals sign', "\\/ for a slash"]),
    ("/CN=x//C=DE", ['Part 2 of the subject, "", has no equals sign']),
    ("//", ['Part 1 of the subject, "",']),
    ("/=x", ['has the name "", which is not known']),
    ("/CN=x/S=BW", ['Part 2 of the subject, "S=BW", has the name "S", which is not known', "postalCode, ST, L"]),
    ("/UID=1+CN=x", ["joins two attributes with a plus sign", "\\+"]),
    (r"/O=a\+b+c + CN =x", ["joins two attributes with a plus sign"]),
    ("/C=DEU/CN=x", ['Part 1 of the subject, "C=DEU", is no country of two letters', "ISO 3166"]),
    ("/C=D1", ["no country of two letters"]), ("/C=D", ["no country of two letters"]),
    ("/C=ÄÖ", ["no country of two letters"]), ("/2.5.4.6=DEU", ["no country of two letters"]),
    ("/2.5.04.006=DEU", ["no country of two letters"]),
    ("/1.3.6.1.4.1.311.60.2.1.3=Germany", ["no country of two letters"]),
    ("/2.5.4.46=a@b", ["a character that dnQualifier cannot hold"]),
    ("/C=DE\n", ["control character"]),
    ("/CN=x\n", ["line break", '"CN=x\\n"', "in one line"]), ("/O=a\0b", ["control character"]),
    ("/O=a\x85b", ["control character"]), ("/O=\ud800", ["control character"]),
    ("/CN=" + "x" * 65, ["is 65 octets long; CN holds at most 64", "option names"]),
    ("/CN=" + "ü" * 33, ["is 66 octets long"]),
    ("/O=" + "ü" * 65, ["is 65 characters long; O holds at most 64"]),
    ("/L=" + "x" * 129, ["L holds at most 128"]), ("/emailAddress=" + "x" * 256, ["at most 255"]),
    ("/emailAddress=mü@example.com", ["a character that emailAddress cannot hold", "ASCII"]),
    ("/DC=müller", ["a character that DC cannot hold"]), ("/serialNumber=a_b", ["serialNumber cannot hold"]),
    ("/1=x", ["which is not known"]), ("/3.1.1=x", ["which is not known"]), ("/2.5..3=x", ["which is not known"]),
    ("/1.2." + "9" * 60 + "=x", ["which is not known"]),
    ({"CN": "x", "C": False}, ['"C" of the subject is "False" of type bool, not text', "quotes", "YAML"]),
    ({"postalCode": 567}, ['"567" of type int', "quotes"]), ({"OU": ["a", 1]}, ['"OU" of the subject is "1"']),
    ({"OU": {"a": "b"}}, ["of type dict"]), ({"OU": [["a"]]}, ["of type list"]),
    ({"CN": "x", "commonName": "y"}, ['"commonName" of the subject is there under another name too', "one list"]),
    ({"XY": "x"}, ['has the name "XY", which is not known']), ({1: "x"}, ['the name "1"']),
    ({"C": "DEU"}, ['"C" of the subject is no country']),
    (["CN", "x"], ["of type list"]), (7, ["of type int"]), (None, ["of type NoneType"]),
])
def test_what_is_wrong_is_named_with_its_place(refused: Refused, value: t.Any, words: list[str]) -> None:
    text = refused(lambda: _subjects.parse(value))
    assert text.startswith("wanted error subject-syntax: ")
    assert [word for word in words if word not in text] == []
    assert text.isprintable()
    assert len(text) < 600


def test_the_longest_that_fit() -> None:
    assert parts("/CN=" + "x" * 64 + "/O=" + "ü" * 64 + "/ST=" + "x" * 128)


def test_kinds_of_strings_by_openssl(tmp_path: Path) -> None:
    """C and serialNumber have to be PrintableString, DC and emailAddress IA5String, all else is UTF8String."""
    subject = _subjects.parse("/DC=example/C=DE/O=Zoë/serialNumber=7/CN=x/emailAddress=a@b"
                              "/dnQualifier=1/jurisdictionC=DE")
    lines = openssl.run("asn1parse", "-inform", "DER", content=subject.public_bytes()).decode().splitlines()
    kinds = [line.split("prim:")[1].split()[0] for line in lines if "STRING" in line]
    assert kinds == ["IA5STRING", "PRINTABLESTRING", "UTF8STRING", "PRINTABLESTRING", "UTF8STRING", "IA5STRING",
                     "PRINTABLESTRING", "PRINTABLESTRING"]


NAMES = ["ST", "L", "O", "OU", "CN", "title", "GN", "SN", "STREET", "postalCode", "UID"]
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=16)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


@given(st.lists(st.tuples(st.sampled_from(NAMES), TEXTS), max_size=6))
def test_what_is_written_in_slash_form_is_read_back(pairs: list[tuple[str, str]]) -> None:
    assert named("".join(f"/{name}={escaped(text)}" for name, text in pairs)) == pairs


@given(st.one_of(st.text(), st.text(alphabet="/\\=+CNOU a1.ü\n"), st.dictionaries(st.text(max_size=5), st.text())))
def test_anything_is_a_subject_or_refused(value: _subjects.Value) -> None:
    try:
        subject = _subjects.parse(value)
    except Refusal as exc:
        assert [finding.id for finding in exc.findings] == ["subject-syntax"]  # noqa: PT017
    else:
        assert isinstance(subject.public_bytes(), bytes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES[:8]), TEXTS), min_size=1, max_size=4))
def test_openssl_reads_the_slash_form_in_the_same_way(
    key_file: Path, pairs: list[tuple[str, str]]
) -> None:
    value = "".join(f"/{name}={escaped(text)}" for name, text in pairs)
    pem = openssl.run("req", "-new", "-utf8", "-key", key_file, "-subj", value)
    theirs = [(a.oid.dotted_string, str(a.value)) for a in x509.load_pem_x509_csr(pem).subject]
    assert parts(value) == theirs


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "a.key"
    path.write_bytes(pki.key_bytes(pki.ec_key()))
    return path
