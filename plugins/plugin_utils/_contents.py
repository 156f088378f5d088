# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an input holds: certificates and private keys, in whatever container. Private to this collection.

Told from the content and never from a file ending: PEM (RFC 7468) with anything around it, DER, PKCS#7 (RFC 2315),
PKCS#12 (RFC 7292). Every PEM block is decoded here, once, so that a label, a blank or a line end that some writer
got wrong does not matter; what a block is, its DER structure says.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import der, key_form
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _limits
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable, refused
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
except ImportError:  # _base tells it, before anything here is called.
    pass

PKCS12 = "PKCS#12"
# In a chain, and in a bundle of roots.
MOST_CERTIFICATES, MOST_ROOTS = 30, 1000
# A PKCS#8 of the largest RSA key that OpenSSL uses (16384 bits) has less.
_MOST_KEY_BYTES = 16 << 10
# That a message names.
_MOST_KINDS = 3

SET_PASSPHRASE = "Set the option passphrase (sesam_https_passphrase), best from a vault-encrypted variable."
CORRECT_PASSPHRASE = "Correct the option passphrase (sesam_https_passphrase)."

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_LABEL = re.compile(rb"[A-Z0-9#/ ]{1,40}")
_UTF8_BOM, _UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_KEYSTORES = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
_PARAMETERS = ("EC PARAMETERS", "DH PARAMETERS", "DSA PARAMETERS")
_PKCS12_BEGINS = b"\x02\x01\x03\x30"
_SIGNED_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"


class EncodedKey(t.NamedTuple):
    """A private key as it stands in an input: DER, or the whole PEM block of the forms that are more than DER."""

    content: bytes
    form: str
    name: str


@dataclasses.dataclass
class Contents:
    """What was found in one input, in its order; C(others) names what is neither certificate nor key."""

    name: str
    most: int = MOST_CERTIFICATES
    certificates: list[x509.Certificate] = dataclasses.field(default_factory=list)
    keys: list[EncodedKey] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    has_pkcs12: bool = False

    def in_words(self) -> str:
        """What the input is, for the message that it is not what was wanted."""
        words = [*(key.form for key in self.keys[:1]), *(["a certificate"] if self.certificates else []), *self.others]
        kinds = list(dict.fromkeys(words))
        more = [f"{len(kinds) - _MOST_KINDS} more"] if len(kinds) > _MOST_KINDS else []
        return printable(" and ".join(kinds[:_MOST_KINDS] + more)) or "nothing that is known"


def of(source: Input, passphrase: str | None = None, most: int = MOST_CERTIFICATES) -> Contents:
    """Find what an input holds. The passphrase opens a PKCS#12; other keys stay encrypted here.

    :param most: so many certificates at most, since each is tried as the issuer of each.

    :raises Refused: C(input-unrecognised), C(input-too-large), C(chain-too-long), C(key-passphrase-missing),
        C(key-passphrase-wrong); with the library's own words.
    """
    found = Contents(source.name, most)
    content = _as_utf8(source)
    if _BEGIN in content:
        _read_pem(content, source, found, passphrase)
    else:
        _read_binary(source.content, found, passphrase)
    return found


def certificates_of(source: Input, passphrase: str | None = None, most: int = MOST_CERTIFICATES) -> Contents:
    """The same for an input that has to hold a certificate."""
    found = of(source, passphrase, most)
    if not found.certificates:
        raise refused(
            "input-unrecognised", f"{source.name} holds no certificate: it is {found.in_words()}.",
            "Give the certificate that the CA has issued; as text, it has the line BEGIN CERTIFICATE.")
    return found


# PEM

def _as_utf8(source: Input) -> bytes:
    """Windows tools write text as UTF-16."""
    if not source.content.startswith(_UTF16_BOMS):
        return source.content
    try:
        return _UTF8_BOM + source.content.decode("utf-16").encode("utf-8")
    except UnicodeDecodeError:
        return source.content


def _read_pem(content: bytes, source: Input, found: Contents, passphrase: str | None) -> None:
    outside, position = [], 0
    while (begin := content.find(_BEGIN, position)) >= 0:
        outside.append(content[position:begin])
        label, body, position = _block(content, begin, source.name)
        _read_block(label, body, found, passphrase)
    outside.append(content[position:])
    _note_normalised(source, content, b"".join(outside), found)


def _block(content: bytes, begin: int, name: str) -> tuple[str, bytes, int]:
    """Label, body and end of the block that begins at a position. Linear, whatever the content is."""
    start = begin + len(_BEGIN)
    label = content[start : max(content.find(_DASHES, start, start + 60), start)]
    if not _LABEL.fullmatch(label):
        raise refused("input-unrecognised", f"{name} has a BEGIN line that is damaged.", "Get the file once more.")
    words = label.decode("ascii")
    body = start + len(label) + len(_DASHES)
    end = content.find(_END + label + _DASHES, body)
    if end < 0:
        raise refused("input-unrecognised", f"{name} is cut off: BEGIN {words} has no END {words}.",
                      "Get the file once more, with all of its lines.")
    return words, content[body:end], end + len(_END + label + _DASHES)


def _read_block(label: str, body: bytes, found: Contents, passphrase: str | None) -> None:
    if label in _PARAMETERS:
        return  # What a key says itself.
    headers, text = _headers_and_text(body) if b"Proc-Type:" in body else ([], body.split())
    try:
        # Also where it is not used: the library's words about a block that is none would repeat it.
        content = base64.b64decode(b"".join(text), validate=True)
    except binascii.Error as exc:
        raise refused("input-unrecognised", f"{found.name} is damaged: what stands in BEGIN {label} is no base64 "
                      f"({exc}).", "Get the file once more; it may have been changed by an editor or a mail.") from exc
    if headers:
        found.keys.append(_key(_as_pem(label, headers, text), key_form.TRADITIONAL_ENCRYPTED, found.name))
    elif label == "OPENSSH PRIVATE KEY":
        found.keys.append(_key(_as_pem(label, [], text), key_form.OPENSSH, found.name))
    elif label == "TRUSTED CERTIFICATE":
        _read_trusted_certificate(content, found)
    else:
        _read_der(content, found, passphrase, f"a block BEGIN {label}")


def _headers_and_text(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """The lines above and below the blank one (RFC 1421, 4.4)."""
    lines = [line.strip() for line in body.replace(b"\r", b"\n").split(b"\n")]
    headers = [line for line in lines if b":" in line and _DASHES not in line]
    return headers, [b"".join(line.split()) for line in lines if line and line not in headers]


def _as_pem(label: str, headers: list[bytes], text: list[bytes]) -> bytes:
    """A clean block."""
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    return b"\n".join([begin, *headers, *([b""] if headers else []), *text, end, b""])


def _read_trusted_certificate(content: bytes, found: Contents) -> None:
    """A certificate of OpenSSL's own kind, with what it shall be trusted for behind it."""
    _read_der(_outer(content), found, None, "a block BEGIN TRUSTED CERTIFICATE")
    finding = Finding(
        "trusted-certificate-block", "wanted", "warning",
        f"{found.name} has a block BEGIN TRUSTED CERTIFICATE, which servers do not read; it is written as "
        "BEGIN CERTIFICATE.", "Ask for plain PEM; openssl x509 -in FILE makes it.")
    if finding not in found.findings:
        found.findings.append(finding)


def _note_normalised(source: Input, content: bytes, outside: bytes, found: Contents) -> None:
    """Say what was stripped: nothing of it is written."""
    what = {
        "UTF-16": content is not source.content,
        "a byte order mark": source.content.startswith(_UTF8_BOM),
        "CR LF line ends": b"\r" in content,
        "text around the blocks": bool(outside.removeprefix(_UTF8_BOM).strip()),
    }
    stripped = [words for words, is_there in what.items() if is_there]
    if stripped:
        found.findings.append(Finding("input-normalised", "wanted", "info",
                                      f"{found.name}: stripped were {', '.join(stripped)}; clean PEM is written."))


# Binary

def _read_binary(content: bytes, found: Contents, passphrase: str | None) -> None:
    for magic, kind in _KEYSTORES.items():
        if content.startswith(magic):
            raise refused(
                "input-unrecognised", f"{found.name} is a Java keystore ({kind}), which is not read here.",
                "Make a PKCS#12 of it: keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 "
                "-deststoretype PKCS12; then give that with its passphrase.")
    if content[:1] != b"\x30":
        content = _without_armour(content)
    outer = _outer(content)
    is_followed_by_line_end = not content[len(outer):].strip(b"\r\n")
    _read_der(outer if is_followed_by_line_end else content, found, passphrase, "a file")


def _without_armour(content: bytes) -> bytes:
    """DER in base64 without BEGIN and END."""
    try:
        return base64.b64decode(b"".join(content.removeprefix(_UTF8_BOM).split()), validate=True)
    except binascii.Error:
        return content


def _outer(content: bytes) -> bytes:
    """The SEQUENCE with which some data begins; all of the data where there is none of a definite length."""
    try:
        return der.first(content).whole
    except der.Damaged:
        return content


def _read_der(content: bytes, found: Contents, passphrase: str | None, where: str) -> None:
    """Find out what some DER is, and keep it."""
    inner = _inside(content)
    if inner.startswith(_PKCS12_BEGINS):
        _read_pkcs12(content, found, passphrase)
        return
    if inner.startswith(_SIGNED_DATA):
        _add_certificates(found, _load_pkcs7(content, found.name))
        return
    form = key_form.of_der(content)
    if form != key_form.NONE:
        found.keys.append(_key(content, form, found.name))
        return
    try:
        _add_certificates(found, [x509.load_der_x509_certificate(content)])
    except _certificates.UNREADABLE as exc:
        found.others.append(_other_kind(content) or f"{where} that cannot be read ({printable(str(exc))[:200]})")


def _inside(content: bytes) -> bytes:
    """What stands in the outer SEQUENCE; its length may be indefinite too (X.690, 8.1.3.6)."""
    if content[:1] != b"\x30" or len(content) < 2:
        return b""
    return content[2 + (content[1] & 0x7F if content[1] & 0x80 else 0):]


def _other_kind(content: bytes) -> str:
    kinds: dict[str, t.Callable[[bytes], object]] = {
        "a certificate request (CSR)": x509.load_der_x509_csr,
        "a revocation list (CRL)": x509.load_der_x509_crl,
        "a public key": serialization.load_der_public_key,
    }
    for kind, load in kinds.items():
        try:
            load(content)
        except _certificates.UNREADABLE:
            continue
        return kind
    return ""


def _key(content: bytes, form: str, name: str) -> EncodedKey:
    if len(content) > _MOST_KEY_BYTES:
        raise refused("input-too-large", f"{name} holds a private key ({form}) of {len(content)} bytes; at most "
                      f"{_MOST_KEY_BYTES} are read.", "Give a key of at most 16384 bits.")
    return EncodedKey(content, form, name)


def _load_pkcs7(content: bytes, name: str) -> list[x509.Certificate]:
    try:
        return pkcs7.load_der_pkcs7_certificates(content)
    except _certificates.UNREADABLE as exc:
        raise refused("input-unrecognised", f"{name} is PKCS#7 and cannot be read: {printable(str(exc))}.",
                      "Get the file once more, or ask for PEM.") from exc


def _add_certificates(found: Contents, certificates: list[x509.Certificate]) -> None:
    found.certificates += certificates
    if len(found.certificates) > found.most:
        raise refused("chain-too-long", f"{found.name} holds more than {found.most} certificates.",
                      "Give the certificate of the server and those between it and its root, no store of roots.")


# PKCS#12

def _read_pkcs12(content: bytes, found: Contents, passphrase: str | None) -> None:
    """Open it in a child: its passphrase may cost any amount of work, as often as there are such containers."""
    if found.has_pkcs12:
        raise refused("input-unrecognised", f"{found.name} holds more than one {PKCS12}.",
                      "Give the one with the certificate of the server.")
    found.has_pkcs12 = True
    secret = secret_of(passphrase)
    try:
        key, *certificates = _limits.bounded(functools.partial(_open_pkcs12, content, secret))
    except _limits.TooMuch:
        raise too_much(found.name, PKCS12, "openssl pkcs12 -in FILE -nodes -out PAIR.pem") from None
    except ValueError as exc:
        raise _unopened_pkcs12(found.name, secret, printable(str(exc)).rstrip(".")) from None
    if key:
        found.keys.append(_key(key, PKCS12, found.name))
    _add_certificates(found, [x509.load_der_x509_certificate(certificate) for certificate in certificates])


def _unopened_pkcs12(name: str, secret: bytes | None, problem: str) -> Refused:
    if secret:
        return refused("key-passphrase-wrong", f"{name} is {PKCS12} and does not open with the passphrase given: "
                       f"{problem}.", CORRECT_PASSPHRASE)
    return refused("key-passphrase-missing", f"{name} is {PKCS12} and does not open without a passphrase: {problem}.",
                   SET_PASSPHRASE)


def _open_pkcs12(content: bytes, secret: bytes | None) -> list[bytes]:
    """The key as PKCS#8 in DER, empty if there is none, and the certificates in DER."""
    problems = []
    # Windows and old tools differ in whether no passphrase is an empty one.
    for candidate in [*([secret] if secret else []), b"", None]:
        try:
            opened = pkcs12.load_pkcs12(content, candidate)
        except ValueError as exc:
            problems.append(exc)
            continue
        key = b"" if opened.key is None else opened.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        own = [opened.cert] if opened.cert else []
        certificates = [bag.certificate for bag in (*own, *opened.additional_certs)][: MOST_CERTIFICATES + 1]
        return [key, *(c.public_bytes(serialization.Encoding.DER) for c in certificates)]
    raise problems[0]


def secret_of(passphrase: str | None) -> bytes | None:
    """The passphrase in bytes, None for an empty one.

    :raises Refused: C(key-passphrase-wrong) for one that nobody can have.
    """
    if not passphrase:
        return None
    try:
        secret = passphrase.encode("utf-8")
    except UnicodeEncodeError:  # YAML and JSON can hold half of a surrogate pair.
        secret = b"\0"
    if b"\0" in secret:  # The library ends in a panic that prints it.
        raise refused("key-passphrase-wrong", "The passphrase given holds a NUL or half of a character.",
                      CORRECT_PASSPHRASE)
    return secret


def too_much(name: str, kind: str, command: str) -> Refused:
    """The refusal of what would take too long to open."""
    limits = f"{_limits.SECONDS} s of processor time or {_limits.MEMORY >> 20} MiB"
    return refused("input-too-large", f"{name} is {kind}, and to open it takes more than {limits}.",
                   f"Look who made it. To open it by hand: {command}")
