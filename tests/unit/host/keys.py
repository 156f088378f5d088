# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys of each type in each form that people have, made by openssl or cryptography, and openssl as oracle."""

from __future__ import annotations

import base64
import functools
import subprocess
import typing as t

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from unit import pki

PASSPHRASE = "gehe1m & lang"


@functools.cache
def key(name: str) -> t.Any:
    """One key of each type."""
    return {
        "RSA-2048": pki.rsa_key,
        "RSA-3072": lambda: rsa.generate_private_key(65537, 3072),
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
        "Ed448": ed448.Ed448PrivateKey.generate,
    }[name]()


TRADITIONAL = ("RSA-2048", "RSA-3072", "P-256", "P-384", "P-521")
TYPES = (*TRADITIONAL, "Ed25519", "Ed448")


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    """What the openssl of this machine makes of it."""
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def spki_by_openssl(private_key: bytes) -> bytes:
    """The public key of an unencrypted PKCS#8 key in PEM, as openssl has it; it takes no other form here."""
    openssl("pkcs8", "-nocrypt", stdin=private_key)
    return openssl("pkey", "-pubout", "-outform", "DER", stdin=private_key)


def _p12(name: str, *options: str, passphrase: str = PASSPHRASE) -> bytes:
    pair = pki.make(key=key(name)) if "Ed" not in name else None
    text = pki.key_bytes(key(name)) + (pair.pem if pair else b"")
    nocerts = [] if pair else ["-nocerts"]
    return openssl("pkcs12", "-export", *nocerts, *options, "-name", "sesam", "-passout", f"pass:{passphrase}",
                   stdin=text)


def _encrypted(name: str, *options: str) -> bytes:
    return openssl("pkcs8", "-topk8", *options, "-passout", f"pass:{PASSPHRASE}", stdin=pki.key_bytes(key(name)))


def _traditional(name: str, *options: str) -> bytes:
    return openssl("pkey", "-traditional", *options, "-passout", f"pass:{PASSPHRASE}", stdin=pki.key_bytes(key(name)))


_LEGACY = ("-provider", "legacy", "-provider", "default")

# Without a passphrase.
PLAIN: dict[str, t.Callable[[str], bytes]] = {
    "PKCS#8": lambda name: pki.key_bytes(key(name)),
    "PKCS#8 in DER": lambda name: pki.key_bytes(key(name), encoding="DER"),
    "PKCS#8 with CRLF and BOM": lambda name: b"\xef\xbb\xbf" + pki.key_bytes(key(name)).replace(b"\n", b"\r\n"),
    "PKCS#8 after text": lambda name: b"Bag Attributes\n    friendlyName: x\n\n" + pki.key_bytes(key(name)),
}
# The same, for the types that have a form from before PKCS#8.
PLAIN_TRADITIONAL: dict[str, t.Callable[[str], bytes]] = {
    "traditional": lambda name: pki.key_bytes(key(name), "TraditionalOpenSSL"),
    "traditional in DER": lambda name: pki.key_bytes(key(name), "TraditionalOpenSSL", encoding="DER"),
    "traditional with CRLF": lambda name: pki.key_bytes(key(name), "TraditionalOpenSSL").replace(b"\n", b"\r\n"),
    "traditional by openssl": _traditional,
}
# With PASSPHRASE.
ENCRYPTED: dict[str, t.Callable[[str], bytes]] = {
    "PBES2 AES-256": lambda name: _encrypted(name, "-v2", "aes-256-cbc"),
    "PBES2 3DES": lambda name: _encrypted(name, "-v2", "des3"),
    "PBES2 in DER": lambda name: _encrypted(name, "-v2", "aes-256-cbc", "-outform", "DER"),
    "PBES2 with CRLF": lambda name: _encrypted(name, "-v2", "aes-256-cbc").replace(b"\n", b"\r\n"),
    "PBES1 3DES": lambda name: _encrypted(name, "-v1", "PBE-SHA1-3DES"),
    "PBES1 RC2-40": lambda name: _encrypted(name, "-v1", "PBE-SHA1-RC2-40", *_LEGACY),
    "PBES1 DES": lambda name: _encrypted(name, "-v1", "PBE-MD5-DES", *_LEGACY),
    "PKCS#12": _p12,
    "PKCS#12 legacy": lambda name: _p12(name, "-legacy"),
}
ENCRYPTED_TRADITIONAL: dict[str, t.Callable[[str], bytes]] = {
    "traditional AES-256": lambda name: _traditional(name, "-aes-256-cbc"),
    "traditional 3DES": lambda name: _traditional(name, "-des3"),
    "traditional AES-128 with CRLF": lambda name: _traditional(name, "-aes-128-cbc").replace(b"\n", b"\r\n"),
}


def p12_without_passphrase(name: str) -> bytes:
    """PKCS#12 that is encrypted with an empty one."""
    return _p12(name, passphrase="")


def lines(content: bytes) -> list[str]:
    """The lines of a PEM key, which nobody else may ever see."""
    return [line for line in content.decode().splitlines() if line and not line.startswith("-----")]


def secret_lines(private_key: bytes) -> list[str]:
    """The lines of a PKCS#8 key but those of its public key, which stands in it too."""
    public = spki_by_openssl(private_key)
    found = [line for line in lines(private_key) if base64.b64decode(line) not in public]
    assert found
    return found


def secrets(name: str) -> list[str]:
    """What of a key may stand nowhere: its lines in PKCS#8 and in the form before it."""
    found = lines(pki.key_bytes(key(name)))
    if name in TRADITIONAL:
        found += lines(pki.key_bytes(key(name), "TraditionalOpenSSL"))
    return [*found, PASSPHRASE]


def cases(*tables: tuple[t.Sequence[str], dict[str, t.Callable[[str], bytes]]]) -> list[t.Any]:
    """Each type in each form, as parameters of a test."""
    return [pytest.param(name, form, make, id=f"{name}-{form}")
            for types, table in tables for name in types for form, make in table.items()]


ALL_PLAIN = cases((TYPES, PLAIN), (TRADITIONAL, PLAIN_TRADITIONAL))
SCRYPT: dict[str, t.Callable[[str], bytes]] = {"PBES2 scrypt": lambda name: _encrypted(name, "-scrypt")}
ALL_ENCRYPTED = cases((("P-256",), SCRYPT), (TYPES, ENCRYPTED), (TRADITIONAL, ENCRYPTED_TRADITIONAL))
