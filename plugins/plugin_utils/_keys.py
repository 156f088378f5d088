# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys: read in any form, written as unencrypted PKCS#8, and proved unchanged. Private to this collection."""

from __future__ import annotations

import base64
import hashlib
import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form, pem
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _contents, _limits
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused, printable, refused

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:  # _base tells it, before anything here is called.
    pass

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

# Where the passphrase is stretched, and so costs as much work as its maker wished.
_STRETCHED = (key_form.PKCS8_ENCRYPTED, key_form.OPENSSH)
_ENCRYPTED = (key_form.PKCS8_ENCRYPTED, key_form.TRADITIONAL_ENCRYPTED)
_COMMANDS = {
    key_form.OPENSSH: "ssh-keygen -p -m PKCS8 -f KEY (on a copy of it)",
    _contents.PKCS12: "openssl pkcs12 -in FILE -nodes -out PAIR.pem",
}
# Words of the library for what it does not know, which are no matter of the passphrase; and how its words begin for
# what is no key at all, which names what is not supported among much else: a wrong passphrase has made it of one.
_UNKNOWN = ("nknown", "not supported", "nsupported", "Need bcrypt")
_NO_KEY = "Could not deserialize key data"
_DEK_INFO = re.compile(rb"^DEK-Info:[ \t]*(?P<cipher>[A-Za-z0-9-]+),(?P<iv>[0-9A-Fa-f]*)$", re.MULTILINE)
_COMMAND = "openssl pkcs8 -topk8 -in KEY -out NEW"


class Pkcs8(t.NamedTuple):
    """A private key as unencrypted PKCS#8 in PEM, the form it had, and its SubjectPublicKeyInfo in DER."""

    pem: str
    form: str
    spki: bytes


def to_pkcs8(encoded: _contents.EncodedKey, passphrase: str | None) -> Pkcs8:
    """Convert a private key to unencrypted PKCS#8 (RFC 5208, RFC 5958) and prove that it is still the same.

    :raises Refused: C(key-passphrase-missing), C(key-passphrase-wrong), C(key-broken), C(input-unrecognised),
        C(input-too-large).
    """
    key = _load(encoded, passphrase)
    if isinstance(key, rsa.RSAPrivateKey):
        _prove_rsa(key, encoded.name)
    try:
        der = _as_der(key)
        spki = _spki(key)
        is_same = _spki(_load_der(der, None)) == spki
    except _certificates.UNREADABLE as exc:
        raise _unreadable(encoded, exc) from exc
    if not is_same:
        raise refused("key-broken", f"{encoded.name} is {encoded.form} and another key as PKCS#8: its public half "
                      "does not belong to its private one.",
                      "The file is damaged: get the key once more.")
    return Pkcs8(as_pem("PRIVATE KEY", der), encoded.form, spki)


def one_of(contents: _contents.Contents) -> _contents.EncodedKey:
    """The one private key in an input.

    :raises Refused: C(input-unrecognised) where there is none, C(key-count) where there are several.
    """
    if len(contents.keys) == 1:
        return contents.keys[0]
    if contents.keys:
        raise refused("key-count", f"{contents.name} holds {len(contents.keys)} private keys.",
                      "Give a file with the one key that belongs to the certificate.")
    raise refused("input-unrecognised", f"{contents.name} holds no private key: it is {contents.in_words()}.",
                  "Set private_key (sesam_https_private_key) to the key from which the certificate was requested.")


def pem_of(key: PrivateKeyTypes) -> str:
    """A private key as unencrypted PKCS#8 in PEM."""
    return as_pem("PRIVATE KEY", _as_der(key))


def as_pem(label: str, der: bytes) -> str:
    """DER as PEM (RFC 7468), as the host writes it too."""
    return pem.encode(label, der).decode("ascii")


def fingerprint(spki: bytes) -> str:
    """The SHA-256 hash of a SubjectPublicKeyInfo in lower case hexadecimal: the name of a key pair."""
    return hashlib.sha256(spki).hexdigest()


def _load(encoded: _contents.EncodedKey, passphrase: str | None) -> PrivateKeyTypes:
    secret = _contents.secret_of(passphrase)
    if encoded.form in _ENCRYPTED and secret is None:
        raise _missing(encoded)
    try:
        if encoded.form in _STRETCHED:
            (der,) = _limits.bounded(lambda: [_as_der(_load_stretched(encoded, secret))])
            return _load_der(der, None)
        if encoded.form == key_form.TRADITIONAL_ENCRYPTED:
            return _load_traditional(encoded, t.cast(bytes, secret))
        return _load_der(encoded.content, None)
    except _limits.TooMuch:
        raise _contents.too_much(encoded.name, encoded.form, _command(encoded)) from None
    except _certificates.UNREADABLE as exc:
        raise _unopened(encoded, secret, exc) from exc


def _load_der(content: bytes, secret: bytes | None) -> PrivateKeyTypes:
    # Without the library's own check of RSA: it proves primes, which takes 0.3 s for 4096 bits and 4 s for 8192.
    return serialization.load_der_private_key(content, secret, unsafe_skip_rsa_key_validation=True)


def _load_stretched(encoded: _contents.EncodedKey, secret: bytes | None) -> PrivateKeyTypes:
    if encoded.form == key_form.OPENSSH:
        return t.cast("PrivateKeyTypes", serialization.load_ssh_private_key(
            encoded.content, secret, unsafe_skip_rsa_key_validation=True))
    return _load_der(encoded.content, secret)


def _as_der(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _load_traditional(encoded: _contents.EncodedKey, secret: bytes) -> PrivateKeyTypes:
    """A key with the headers Proc-Type and DEK-Info (RFC 1421, 4.6.1)."""
    info = _DEK_INFO.search(encoded.content)
    # The library ends in a panic if the IV is too short.
    if not info or len(info["iv"]) != 2 * (8 if info["cipher"].startswith(b"DES-") else 16):
        raise ValueError("its header DEK-Info is damaged")
    if info["cipher"] == b"AES-192-CBC":  # The one of OpenSSL's AES ciphers that the library does not know.
        return _load_der(_decrypt_aes_192(encoded.content, bytes.fromhex(info["iv"].decode("ascii")), secret), None)
    return serialization.load_pem_private_key(encoded.content, secret, unsafe_skip_rsa_key_validation=True)


def _decrypt_aes_192(pem: bytes, iv: bytes, secret: bytes) -> bytes:
    """The DER in a traditional block: its key is MD5 of passphrase and salt, the salt half of the IV."""
    stretched = first = hashlib.md5(secret + iv[:8], usedforsecurity=False).digest()
    stretched += hashlib.md5(first + secret + iv[:8], usedforsecurity=False).digest()
    decryptor = Cipher(algorithms.AES(stretched[:24]), modes.CBC(iv)).decryptor()
    body = pem.partition(b"\n\n")[2].partition(b"-----END")[0]
    padded = decryptor.update(base64.b64decode(body)) + decryptor.finalize()
    if not padded or not 1 <= padded[-1] <= 16:
        raise ValueError("Incorrect password, could not decrypt key")
    return padded[: -padded[-1]]


def _prove_rsa(key: rsa.RSAPrivateKey, name: str) -> None:
    """Refuse an RSA key whose numbers do not belong together (RFC 8017, 3.2): a server would start with it and fail."""
    if key.key_size > 16384:
        raise refused("input-too-large", f"{name} is an RSA key of {key.key_size} bits, which no TLS library uses.",
                      "Give a key of 2048 to 8192 bits.")
    numbers = key.private_numbers()
    p, q, d, e = numbers.p, numbers.q, numbers.d, numbers.public_numbers.e
    is_whole = min(p, q) > 1 and all((
        p * q == numbers.public_numbers.n, d * e % (p - 1) == 1, d * e % (q - 1) == 1,
        numbers.dmp1 == d % (p - 1), numbers.dmq1 == d % (q - 1), numbers.iqmp * q % p == 1,
    ))
    if not is_whole:
        raise refused("key-broken", f"{name} is an RSA key whose numbers do not belong together.",
                      "The file is damaged: get the key once more.")


def _unopened(encoded: _contents.EncodedKey, secret: bytes | None, exc: Exception) -> Refused:
    """Why a key was not opened; whether a passphrase is needed, the OpenSSH form alone tells by this way."""
    words = str(exc)
    if encoded.form == key_form.OPENSSH and secret is None and "password" in words.lower():
        return _missing(encoded)
    is_unknown = isinstance(exc, UnsupportedAlgorithm) or (
        not words.startswith(_NO_KEY) and any(word in words for word in _UNKNOWN))
    if encoded.form not in (*_ENCRYPTED, key_form.OPENSSH) or secret is None or is_unknown:
        return _unreadable(encoded, exc)
    return refused("key-passphrase-wrong", f"{encoded.name} ({encoded.form}) does not open with the passphrase given: "
                   f"{_sentence(exc)}", _contents.CORRECT_PASSPHRASE)


def _missing(encoded: _contents.EncodedKey) -> Refused:
    return refused("key-passphrase-missing", f"{encoded.name} is encrypted ({encoded.form}), and no passphrase was "
                   "given.", _contents.SET_PASSPHRASE)


def _unreadable(encoded: _contents.EncodedKey, exc: Exception) -> Refused:
    return refused("input-unrecognised", f"{encoded.name} is {encoded.form} and cannot be read: {_sentence(exc)}",
                   f"Get the key once more, or convert it by hand: {_command(encoded)}")


def _command(encoded: _contents.EncodedKey) -> str:
    return _COMMANDS.get(encoded.form, _COMMAND)


def _sentence(exc: Exception) -> str:
    return printable(" ".join(str(exc).split()))[:300].rstrip(".") + "."


def _spki(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
