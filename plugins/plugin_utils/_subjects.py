# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subjects: in the slash form of the C(openssl) command, or as a dictionary. Private to this collection.

A wrong subject is refused: the command leaves out what it does not know, and nobody sees it.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable

try:
    from cryptography import x509
except ImportError:  # _base tells it, before anything here is called.
    pass

# What an option may hold; YAML gives other things than text where quotes are missing.
Value = str | t.Mapping[str, t.Any]


class _Kind(t.NamedTuple):
    """An attribute: its object identifier, its names, its upper bound (RFC 5280, appendix A; X.520) and characters."""

    oid: str
    short: str
    long: str
    bound: int = 0
    characters: str = r".*"


_ASCII = r"[ -~]*"
_PRINTABLE = r"[A-Za-z0-9 '()+,./:=?-]*"
_COUNTRY = r"[A-Za-z]{2}"
_OID = re.compile(r"[0-2](\.[0-9]+)+", re.ASCII)

# In the order in which a dictionary becomes a subject.
_KINDS = (
    _Kind("0.9.2342.19200300.100.1.25", "DC", "domainComponent", 0, _ASCII),
    _Kind("2.5.4.6", "C", "countryName", 2, _COUNTRY),
    _Kind("2.5.4.17", "postalCode", "postalCode", 40),
    _Kind("2.5.4.8", "ST", "stateOrProvinceName", 128),
    _Kind("2.5.4.7", "L", "localityName", 128),
    _Kind("2.5.4.9", "STREET", "streetAddress", 128),
    _Kind("2.5.4.10", "O", "organizationName", 64),
    _Kind("2.5.4.11", "OU", "organizationalUnitName", 64),
    _Kind("2.5.4.12", "title", "title", 64),
    _Kind("2.5.4.42", "GN", "givenName", 32768),
    _Kind("2.5.4.4", "SN", "surname", 32768),
    _Kind("2.5.4.5", "serialNumber", "serialNumber", 64, _PRINTABLE),
    _Kind("0.9.2342.19200300.100.1.1", "UID", "userId", 256),
    _Kind("2.5.4.46", "dnQualifier", "dnQualifier", 0, _PRINTABLE),
    _Kind("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC", "jurisdictionCountryName", 2, _COUNTRY),
    _Kind("2.5.4.3", "CN", "commonName", 64),
    _Kind("1.2.840.113549.1.9.1", "emailAddress", "emailAddress", 255, _ASCII),
)
_BY_NAME = {name.lower(): kind for kind in _KINDS for name in (kind.short, kind.long, kind.oid)}
# An object identifier that has no name here stands between the others and the CN.
_ORDER = {kind.oid: number for number, kind in enumerate(_KINDS)}
_UNNAMED = _ORDER["2.5.4.3"] - 0.5

_KNOWN = ", ".join(kind.short for kind in _KINDS)
_FORMS = ("Write it as /C=DE/O=Example/CN=backup.example.com, or as a dictionary with the same names; "
          f"they are {_KNOWN}, their long forms, and object identifiers such as 2.5.4.15.")
_SLASHES = re.compile(r"(?:/(?:[^/\\]|\\.)*)+", re.DOTALL)
_PART = re.compile(r"/((?:[^/\\]|\\.)*)", re.DOTALL)
_PLUS = re.compile(r"(?:[^\\]|\\.)*?\+\s*[A-Za-z0-9.]+\s*=", re.DOTALL)


def parse(value: Value) -> x509.Name:
    """The subject that an option asks for; attributes without a value are left out.

    The slash form keeps its order. A dictionary has none: its attributes are put in the order in which C(openssl)
    asks for them, the country first and the CN last but for an e-mail address.

    :raises Refused: C(subject-syntax), with the part that is wrong.
    """
    pairs = _from_slashes(value) if isinstance(value, str) else _from_dictionary(value)
    return x509.Name([_attribute(kind, text, where) for kind, text, where in pairs if text])


def _from_slashes(value: str) -> list[tuple[_Kind, str, str]]:
    if value and not value.startswith("/"):
        raise _wrong(f"the subject {_shown(value)} does not begin with a slash.", _FORMS)
    if value and not _SLASHES.fullmatch(value):
        raise _wrong(f"the subject {_shown(value)} ends within an escape.", "Write \\\\ for a backslash.")
    pairs = []
    parts = _PART.findall(value)
    if parts and not parts[-1]:
        parts.pop()  # A slash at the end does no harm.
    for number, part in enumerate(parts, 1):
        where = f"part {number} of the subject, {_shown(part)},"
        name, equals, text = part.partition("=")
        if not equals:
            raise _wrong(f"{where} has no equals sign.",
                         "Write NAME=value between two slashes, and \\/ for a slash within a value.")
        if _PLUS.match(text):
            raise _wrong(f"{where} joins two attributes with a plus sign.",
                         "Write a slash between them, or \\+ for a plus sign within a value.")
        pairs.append((_kind(name, where), re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL), where))
    return pairs


def _from_dictionary(value: t.Mapping[str, t.Any]) -> list[tuple[_Kind, str, str]]:
    if not isinstance(value, t.Mapping):
        raise _wrong(f"the subject is of type {type(value).__name__}.", _FORMS)
    pairs: list[tuple[_Kind, str, str]] = []
    kinds = set()
    for name, held in value.items():
        where = f"{_shown(str(name))} of the subject"
        kind = _kind(str(name), where)
        if kind in kinds:
            raise _wrong(f"{where} is there under another name too.", "Write one list of its values.")
        kinds.add(kind)
        for text in held if isinstance(held, (list, tuple)) else [held]:
            if text is not None and not isinstance(text, str):
                raise _wrong(f"{where} is {_shown(str(text))} of type {type(text).__name__}, not text.",
                             "Write it in quotes: YAML reads NO as false and 01067 as a number of base eight.")
            pairs.append((kind, text or "", where))
    return sorted(pairs, key=lambda pair: (_ORDER.get(pair[0].oid, _UNNAMED), pair[0].oid))


def _kind(name: str, where: str) -> _Kind:
    name = name.strip()
    if kind := _BY_NAME.get(name.lower()):
        return kind
    try:
        if _OID.fullmatch(name):
            oid = x509.ObjectIdentifier(name).dotted_string
            return _BY_NAME.get(oid, _Kind(oid, oid, oid))
    except ValueError:
        pass
    raise _wrong(f"{where} has the name {_shown(name)}, which is not known.", _FORMS)


def _attribute(kind: _Kind, text: str, where: str) -> x509.NameAttribute[str]:
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise _wrong(f"{where} has a line break or another control character.", "Write it in one line.")
    if not re.fullmatch(kind.characters, text):
        if kind.characters == _COUNTRY:
            raise _wrong(f"{where} is no country of two letters.", "Write the code of ISO 3166, such as DE.")
        raise _wrong(f"{where} has a character that {kind.short} cannot hold.", "Write it in plain ASCII letters.")
    # cryptography counts the octets of a CN where the standard counts characters.
    size = len(text.encode("utf-8") if kind.short == "CN" else text)
    if kind.bound and size > kind.bound:
        raise _wrong(f"{where} is {size} {'octets' if kind.short == 'CN' else 'characters'} long; {kind.short} holds "
                     f"at most {kind.bound} (RFC 5280, appendix A).",
                     "Shorten it; a long host name belongs into the option names (sesam_https_names) alone."
                     if kind.short == "CN" else "Shorten it.")
    return x509.NameAttribute(x509.ObjectIdentifier(kind.oid), text)


def _shown(text: str) -> str:
    """Text within a message, in one line and of bounded length."""
    return f'"{printable(text if len(text) <= 80 else text[:77] + "...")}"'


def _wrong(message: str, fix: str) -> Refused:
    return Refused(Finding("subject-syntax", "wanted", "error", message[0].upper() + message[1:], fix))
