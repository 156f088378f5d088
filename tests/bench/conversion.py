# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One key to PKCS#8 in the controller's process, against what the library takes to read it."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _inputs, _keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from . import contest
from .scene import Scene

_SECRET = b"passphrase"
# They take milliseconds: a round more costs nothing.
_ROUNDS_IN_ONE = 4
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_Reader = t.Callable[[bytes], object]
_READERS: dict[str, _Reader] = {
    "traditional": lambda content: serialization.load_pem_private_key(content, None),
    "encrypted PKCS#8": lambda content: serialization.load_pem_private_key(content, _SECRET),
    "PKCS#12": lambda content: pkcs12.load_pkcs12(content, _SECRET),
}


def measure(scene: Scene) -> t.Iterator[contest.Contest]:
    """Keys of each kind in the forms that admins have."""
    keys: dict[str, _Key] = {
        "RSA 2048": rsa.generate_private_key(65537, 2048),
        "RSA 4096": rsa.generate_private_key(65537, 4096),
        "P-256": ec.generate_private_key(ec.SECP256R1()),
    }
    for name, key in keys.items():
        for form, content in _in_each_form(key).items():
            yield contest.in_turn(f"One key to PKCS#8: {name}, {form}", _contenders(content, _READERS[form]),
                                  scene.rounds * _ROUNDS_IN_ONE)


def _in_each_form(key: _Key) -> dict[str, bytes]:
    pem, encrypted = serialization.Encoding.PEM, serialization.BestAvailableEncryption(_SECRET)
    return {
        "traditional": key.private_bytes(
            pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
        "encrypted PKCS#8": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encrypted),
        "PKCS#12": pkcs12.serialize_key_and_certificates(b"name", key, None, None, encrypted),
    }


def _contenders(content: bytes, read: _Reader) -> list[contest.Contender]:
    return [contest.Contender("the library reads it", contest.timed(lambda: read(content))),
            contest.Contender("read, to PKCS#8, proved the same", contest.timed(lambda: _converted(content)))]


def _converted(content: bytes) -> None:
    found = _contents.of(_inputs.Input(content, "key"), _SECRET.decode())
    _keys.to_pkcs8(_keys.one_of(found), _SECRET.decode())
