# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Independent readers of what a host serves and holds: openssl and Java, never the code under test."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

JAVA_PROGRAM = Path(__file__).with_name("ReadPair.java")


def _openssl(*arguments: str | Path, input: bytes = b"") -> bytes | None:
    """What openssl prints, None when it fails."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    done = subprocess.run(
        ["openssl", *arguments], input=input, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False
    )
    return done.stdout if done.returncode == 0 else None


def served(address: str, port: int) -> str | None:
    """The SHA-256 fingerprint of the leaf that a port serves, None when it does not speak TLS."""
    talk = _openssl("s_client", "-connect", f"{address}:{port}", "-servername", "backup.example")
    return None if talk is None else _fingerprint(_openssl("x509", "-outform", "DER", input=talk))


def on_disk(certificate: str | Path) -> str | None:
    """The same of the first certificate in a file."""
    return _fingerprint(_openssl("x509", "-outform", "DER", "-in", certificate))


def _fingerprint(der: bytes | None) -> str | None:
    return hashlib.sha256(der).hexdigest() if der else None


def is_plain_pkcs8_of(private_key: str | Path, certificate: str | Path) -> bool:
    """Whether openssl takes a file for an unencrypted PKCS#8 key that belongs to a certificate."""
    if _openssl("pkcs8", "-nocrypt", "-in", private_key) is None:
        return False
    public = _openssl("pkey", "-pubout", "-in", private_key, "-passin", "pass:")
    return public is not None and public == _openssl("x509", "-pubkey", "-noout", "-in", certificate)


def java_reads(certificate: str | Path, private_key: str | Path) -> str:
    """What Java's KeyFactory makes of a pair: the kind of its key, or the exception in words."""
    if not shutil.which("javac"):  # A program in one file is compiled on its way: a runtime alone cannot.
        pytest.skip("no JDK is installed")
    done = subprocess.run(
        ["java", JAVA_PROGRAM, certificate, private_key], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr
