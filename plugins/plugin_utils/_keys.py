# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys: read in any PEM form, written as unencrypted PKCS#8. Private to this collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused
from ansible_collections.sep.sesam.plugins.plugin_utils._inputs import Input

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
except ImportError:  # _base tells it, before anything here is called.
    pass

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_BLOCK = re.compile(br"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_ENCRYPTED = (key_form.PKCS8_ENCRYPTED, key_form.TRADITIONAL_ENCRYPTED)


class Pkcs8(t.NamedTuple):
    """A private key as unencrypted PKCS#8 in PEM, the form it had, and its SubjectPublicKeyInfo in DER."""

    pem: str
    form: str
    spki: bytes


def to_pkcs8(source: Input, passphrase: str | None) -> Pkcs8:
    """Convert a private key to unencrypted PKCS#8 (RFC 5208, RFC 5958) and prove that it is still the same.

    :raises Refused: C(key-count), C(key-passphrase-missing), C(key-passphrase-wrong), C(input-unrecognised).
    """
    blocks = [match.group(0) for match in _BLOCK.finditer(source.content)]
    if len(blocks) > 1:
        raise _refused("key-count", f"{source.name} holds {len(blocks)} private keys.",
                       "Give a file with the one key that belongs to the certificate.")
    form = key_form.of(source.content)
    key = _load(blocks[0] if blocks else source.content, form, passphrase, source.name)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    spki = _spki(key)
    if _spki(serialization.load_pem_private_key(pem, None)) != spki:
        raise _refused("input-unrecognised", f"{source.name} is not the same key after its conversion to PKCS#8.",
                       "This must not happen: nothing was touched; report it.")
    return Pkcs8(pem.decode("ascii"), form, spki)


def _load(content: bytes, form: str, passphrase: str | None, name: str) -> PrivateKeyTypes:
    is_encrypted = form in _ENCRYPTED
    if is_encrypted and passphrase is None:
        raise _refused("key-passphrase-missing", f"{name} is encrypted ({form}), and no passphrase was given.",
                       "Set the option passphrase (sesam_https_passphrase), best from a vault-encrypted variable.")
    try:
        return serialization.load_pem_private_key(
            content, passphrase.encode("utf-8") if is_encrypted and passphrase is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        if is_encrypted:
            raise _refused("key-passphrase-wrong", f"{name} ({form}) does not open with the passphrase given: {exc}",
                           "Correct the option passphrase (sesam_https_passphrase).") from exc
        raise _refused("input-unrecognised", f"{name} is {form} and cannot be read: {exc}",
                       "Give a private key in PEM: PKCS#8, PKCS#1 or SEC1.") from exc


def _spki(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _refused(id: str, message: str, fix: str) -> Refused:
    return Refused(Finding(id, "wanted", "error", message, fix))
