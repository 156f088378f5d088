# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""The server's look-up: four sources in order, then a generated pair.

The first source that works is used. What a broken pair does is unknown, so it is a switch (``broken_pair``).
"""

from __future__ import annotations

import os
import ssl
import stat
import typing as t

from . import key_form, sm_ini
from .home import CERTIFICATE_NAME, KEY_NAME, Home
from .key_form import BrokenPair
from .switches import Settings

LARGEST_FILE = 1 << 20

Verdict = t.Literal["works", "broken", "half", "absent"]


class Judged(t.NamedTuple):
    """One source and what the server thinks of it."""

    source: str
    certificate: str
    private_key: str
    verdict: Verdict
    reason: str = ""


class Outcome(t.NamedTuple):
    """What the look-up comes to: ``used`` is a source, ``generated`` or ``refused``."""

    used: str
    certificate: str
    private_key: str
    judged: tuple[Judged, ...]


def look_up(home: Home, settings: Settings, command_line: tuple[str, str], environ: t.Mapping[str, str]) -> Outcome:
    """Judge every source, then choose as the server does."""
    judged = tuple(_judge(*source, settings) for source in _sources(home, command_line, environ))
    for one in judged:
        if one.verdict == "works":
            return Outcome(one.source, one.certificate, one.private_key, judged)
        broken = one.verdict == "broken" or (one.verdict == "half" and settings["half_pair"] == "broken")
        if broken and settings["broken_pair"] == "refuse":
            return Outcome("refused", one.certificate, one.private_key, judged)
        if broken and settings["broken_pair"] == "generated":
            break
    return Outcome("generated", "", "", judged)


def _sources(
    home: Home, command_line: tuple[str, str], environ: t.Mapping[str, str]
) -> t.Iterator[tuple[str, str, str, bool]]:
    """Name, certificate, key, and whether the two files were named outright."""
    yield "command_line", *command_line, True
    yield "default_location", home.certificate, home.private_key, False
    folder = _gv_ro_ssl(home)
    yield (
        "sm_ini",
        *((os.path.join(folder, name) for name in (CERTIFICATE_NAME, KEY_NAME)) if folder else ("", "")),
        False,
    )
    yield "environment", environ.get("SESAM_SSL_CERT", ""), environ.get("SESAM_SSL_KEY", ""), True


def _gv_ro_ssl(home: Home) -> str | None:
    try:
        with open(home.sm_ini, "rb") as stream:
            return sm_ini.value_of(stream.read(), "PATHES", "gv_ro_ssl")
    except OSError:
        return None


def _judge(source: str, certificate: str, private_key: str, named: bool, settings: Settings) -> Judged:
    def verdict(word: Verdict, reason: str = "") -> Judged:
        return Judged(source, certificate, private_key, word, reason)

    if not certificate and not private_key:
        return verdict("absent", "not set")
    if not certificate or not private_key:
        return verdict("half", f"no {'certificate' if private_key else 'private key'} is named")
    for path in (certificate, private_key):
        if not os.path.isabs(path):
            return verdict("broken", f"{path} is not an absolute name")
    missing = [path for path in (certificate, private_key) if not os.path.lexists(path)]
    if len(missing) == 2 and not named:
        return verdict("absent", "neither file is there")
    if missing:
        return verdict("broken" if len(missing) == 2 else "half", f"{missing[0]} is not there")
    try:
        context(certificate, private_key, settings)
    except BrokenPair as error:
        return verdict("broken", str(error))
    return verdict("works")


def context(certificate: str, private_key: str, settings: Settings) -> ssl.SSLContext:
    """A TLS context that serves the pair; BrokenPair if the server can't use it.

    With ``key_check=form`` a pair that does not belong together passes, and the context then has no certificate,
    so that every handshake fails: a server that checks the form alone comes up like that.
    """
    chain = "".join(block.pem() for block in key_form.certificates(_content(certificate)))
    key = _content(private_key)
    if settings["key_check"] != "lenient":
        key = key_form.pkcs8_key(key, text_around=settings["key_file_text"] == "accepted").pem().encode()
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.set_ciphers("DEFAULT:@SECLEVEL=0")  # a short key is old, not broken
    try:
        result.load_verify_locations(cadata=chain)  # only to see whether these are certificates
    except ssl.SSLError as error:
        raise BrokenPair(f"the certificate can't be read ({error.reason})") from error
    with _in_memory(chain.encode()) as chain_path, _in_memory(key) as key_path:
        try:
            result.load_cert_chain(chain_path, key_path, password=lambda: b"")  # never ask the terminal
        except (ssl.SSLError, ValueError) as error:
            if settings["key_check"] != "form":
                reason = getattr(error, "reason", error)
                raise BrokenPair(f"the private key does not belong to the certificate ({reason})") from error
    return result


def _content(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BrokenPair(f"{path} is not a regular file")
        with open(path, "rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BrokenPair(f"{path} can't be read ({error.strerror})") from error
    if len(content) > LARGEST_FILE:
        raise BrokenPair(f"{path} is too large")
    return content


class _in_memory:
    """A name under which ``ssl``, which reads only files, finds ``content``; nothing touches the disk."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> str:
        self._descriptor = os.memfd_create("pem")
        os.write(self._descriptor, self._content)
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_exc: object) -> None:
        os.close(self._descriptor)
