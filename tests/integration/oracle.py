# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others say of a converted pair: openssl of each, Java of each that it supports. Never the code under test."""

from __future__ import annotations

import base64
import functools
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from . import forms

READ_KEYS = Path(__file__).with_name("ReadKeys.java")
# Java's names for the kinds of keys.
_ALGORITHMS = {"R": "RSA", "P": "EC", "E": "EdDSA"}


@functools.cache
def public_key(pem: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a private key in PEM as openssl sees it; asked once for each text."""
    return forms.openssl("pkey", "-pubout", "-outform", "DER", content=pem)


def public_key_of_plain_pkcs8(pem: bytes) -> bytes:
    """The same of an output, which has to be unencrypted PKCS#8: `openssl pkcs8` reads nothing else, `pkey` does.

    :raises forms.CannotMake: openssl does not take it for that.
    """
    return public_key(forms.openssl("pkcs8", "-nocrypt", content=pem))


@functools.cache
def has_signed(issuer: bytes, certificate: bytes) -> bool:
    """Whether one certificate in PEM has signed another; asked once for each two."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(issuer)
        try:
            said = forms.openssl("verify", "-partial_chain", "-trusted", file.name, content=certificate)
        except forms.CannotMake:
            return False
    return said == b"stdin: OK\n"


class Java:
    """One JVM that reads keys as long as it is asked."""

    def __init__(self) -> None:
        # A program in one file is compiled on its way: a runtime alone cannot.
        self._process = subprocess.Popen(
            ["java", "-XX:+UseSerialGC", READ_KEYS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def is_there() -> bool:
        """Whether there is a JDK."""
        return shutil.which("javac") is not None

    def reads(self, kind: str, spki: bytes, pkcs8: bytes) -> str:
        """What Java's KeyFactory makes of a key in DER: its algorithm if it is that of the public key, or why not."""
        words = [self.algorithm(kind), *(base64.b64encode(part).decode() for part in (spki, pkcs8))]
        stdin, stdout = t.cast("t.IO[str]", self._process.stdin), t.cast("t.IO[str]", self._process.stdout)
        stdin.write(" ".join(words) + "\n")
        stdin.flush()
        return stdout.readline().strip()

    @staticmethod
    def algorithm(kind: str) -> str:
        """Java's name for a kind of keys."""
        return _ALGORITHMS[kind[0]]

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=20)
