# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys as unencrypted PKCS#8, without any library: wrapped, compared, and what is public of them.

PKCS#8: RFC 5208, RFC 5958. PKCS#1: RFC 8017 A.1.2, RSA in PKCS#8 and X.509: RFC 3279 2.3.1. SEC1: RFC 5915,
elliptic curves in X.509: RFC 5480. A key is wrapped and never made anew: its own bytes stay as they are.
"""

import typing as t

from . import der, key_form, pem

RSA = bytes.fromhex("2a864886f70d010101")
EC = bytes.fromhex("2a8648ce3d0201")
SECP384R1 = bytes.fromhex("2b81040022")
SECP521R1 = bytes.fromhex("2b81040023")
_SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
_ECDSA_WITH = {"sha256": bytes.fromhex("2a8648ce3d040302"), "sha384": bytes.fromhex("2a8648ce3d040303"),
               "sha512": bytes.fromhex("2a8648ce3d040304")}
_CURVE_DIGESTS = {SECP384R1: "sha384", SECP521R1: "sha512"}
# publicKey [1] IMPLICIT BIT STRING of RFC 5958.
_PUBLIC_KEY = 0x81
_UNCOMPRESSED = 0x04


class _Key(t.NamedTuple):
    """The members of a PKCS#8 structure; C(parameters) is empty where there are none."""

    algorithm: bytes
    parameters: bytes
    inner: bytes
    public_key: t.Optional[bytes]


def from_file(content: bytes) -> bytes:
    """The first private key of a file, which is unencrypted PKCS#8, PKCS#1 or SEC1, PEM or DER, as PKCS#8 in DER.

    :raises der.Damaged: it is none of them, or damaged; the text says what is wrong.
    """
    found = key_form.blocks(content)
    if not found:
        return wrap(content)
    try:
        return wrap(found[0].der(), _curve_before_key(content))
    except ValueError as exc:
        raise der.Damaged(str(exc)) from exc


def wrap(key: bytes, curve: t.Optional[bytes] = None) -> bytes:
    """A private key in DER as PKCS#8 in DER.

    :param curve: the OBJECT IDENTIFIER of an EC PARAMETERS block, for a SEC1 key that names no curve itself.
    :raises der.Damaged: see C(from_file).
    """
    form = key_form.of_der(key)
    if form == key_form.PKCS8:
        _check(_read(key))
        return key
    if form == key_form.PKCS1:
        _rsa_numbers(key)
        algorithm = der.encode(der.SEQUENCE, der.encode(der.OID, RSA), der.encode(der.NULL))
    elif form == key_form.SEC1:
        named = _sec1(key).get(der.FIRST) or curve
        if not named:
            raise der.Damaged("it names no elliptic curve")
        algorithm = der.encode(der.SEQUENCE, der.encode(der.OID, EC), named)
    else:
        raise der.Damaged("it is %s" % form)
    wrapped = der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\0"), algorithm, der.encode(der.OCTETS, key))
    result = _read(wrapped)
    _check(result)
    if result.inner != key:
        raise der.Damaged("it is not the same when it is read again")
    return wrapped


def to_pem(key: bytes) -> bytes:
    """PKCS#8 in DER as the server reads it: PEM."""
    return pem.encode("PRIVATE KEY", key)


def same_key(one: bytes, other: bytes) -> bool:
    """Whether two PKCS#8 structures hold the same key, however it is written; false where one is damaged.

    For RSA its numbers count. For elliptic curves the curve and the secret number do: curve and public key may
    stand there once more or not. For all others, the inner bytes.
    """
    try:
        return _meaning(_read(one)) == _meaning(_read(other))
    except der.Damaged:
        return False


def spki(key: bytes) -> t.Optional[bytes]:
    """The SubjectPublicKeyInfo of a key in PKCS#8, in DER; C(None) where it does not stand there to be read.

    :raises der.Damaged: the key is.
    """
    read = _read(key)
    if read.algorithm == RSA:
        numbers = der.exactly(read.inner, *[der.INTEGER] * 9)
        public = der.encode(der.SEQUENCE, numbers[1].whole, numbers[2].whole)
        return _spki(RSA, der.encode(der.NULL), public)
    if read.algorithm == EC:
        point = _point(read.inner)
        return _spki(EC, read.parameters, point) if point else None
    return _spki(read.algorithm, read.parameters, read.public_key[1:]) if read.public_key else None


def signature_algorithm(key: bytes) -> t.Tuple[bytes, str]:
    """How certificates are signed with a key: the AlgorithmIdentifier in DER, and the name of the digest.

    :raises der.Damaged: nothing is signed with a key of this kind.
    """
    read = _read(key)
    if read.algorithm == RSA:
        parts, digest = [der.encode(der.OID, _SHA256_WITH_RSA), der.encode(der.NULL)], "sha256"
    elif read.algorithm == EC:
        digest = _CURVE_DIGESTS.get(der.first(read.parameters).content, "sha256")
        parts = [der.encode(der.OID, _ECDSA_WITH[digest])]
    else:
        raise der.Damaged("it is neither RSA nor of an elliptic curve with a name")
    return der.encode(der.SEQUENCE, *parts), digest


def _read(key: bytes) -> _Key:
    members = der.exactly(key, der.INTEGER, der.SEQUENCE, der.OCTETS)
    if members[0].number not in (0, 1):
        raise der.Damaged("its version is %d" % members[0].number)
    algorithm = list(der.elements(members[1].content))
    if not 1 <= len(algorithm) <= 2 or algorithm[0].tag != der.OID:
        raise der.Damaged("it does not say of which kind it is")
    public_keys = [member.content for member in members[3:] if member.tag == _PUBLIC_KEY]
    return _Key(algorithm[0].content, algorithm[1].whole if len(algorithm) == 2 else b"", members[2].content,
                public_keys[0] if public_keys else None)


def _check(key: _Key) -> None:
    """What is wrapped has to be what its algorithm says, and of a kind that Java can read."""
    if key.algorithm == RSA:
        _rsa_numbers(key.inner)
    elif key.algorithm == EC:
        _point(key.inner)
        if key.parameters[:1] != bytes([der.OID]):
            raise der.Damaged("its elliptic curve has no name, and is written out in full")


def _rsa_numbers(key: bytes) -> t.List[int]:
    members = der.exactly(key, *[der.INTEGER] * 9)
    if len(members) > 9 or members[0].number != 0:
        raise der.Damaged("it is RSA with more than two primes")
    return [member.number for member in members]


def _sec1(key: bytes) -> t.Dict[int, bytes]:
    """The members of a SEC1 structure by their tags; of the optional ones, what they hold."""
    members = der.exactly(key, der.INTEGER, der.OCTETS)
    if members[0].number != 1:
        raise der.Damaged("its version is %d" % members[0].number)
    return {member.tag: member.content for member in members[1:]}


def _point(key: bytes) -> t.Optional[bytes]:
    """The public key in a SEC1 structure, where it stands there as X.509 has it: uncompressed."""
    public = _sec1(key).get(der.SECOND)
    content = der.first(public).content if public else b""
    return content[1:] if content[:2] == bytes([0, _UNCOMPRESSED]) else None


def _meaning(key: _Key) -> t.Tuple[object, ...]:
    if key.algorithm == RSA:
        return tuple(_rsa_numbers(key.inner))
    if key.algorithm == EC:
        return key.parameters, int.from_bytes(_sec1(key.inner)[der.OCTETS], "big")
    return key.algorithm, key.parameters, key.inner


def _spki(algorithm: bytes, parameters: bytes, public: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.OID, algorithm), parameters),
                      der.bit_string(public))


def _curve_before_key(content: bytes) -> t.Optional[bytes]:
    """The curve that C(openssl ecparam -genkey) writes into a block of its own."""
    for block in pem.blocks(content):
        if block.label == "EC PARAMETERS":
            return block.der()
    return None
