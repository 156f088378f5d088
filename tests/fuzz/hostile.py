# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs made to cost time or memory, each tried in a process of its own: python -m fuzz.hostile NAME."""

from __future__ import annotations

import base64
import datetime
import functools
import json
import sys
import tempfile
import time
import types
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form, pairs
from ansible_collections.sep.sesam.plugins.plugin_utils import _contents, _inputs, _keys, _preflight
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from integration import forms

from . import engine, mutations, targets
from .mutations import encoded
from .seeds import Seed

_MEGABYTE = 1 << 20
# What openssl is told to use, so that it is found in what it has made.
_MARK = 65537
SEED = Seed("hostile", b"", 1, forms.PASSPHRASE)


class Case(t.NamedTuple):
    """What is made, what is done with it, and the ids of which one has to come of it."""

    make: t.Callable[[], bytes]
    do: t.Callable[[bytes], object]
    expected: tuple[str, ...]


# What is done

def contents(content: bytes) -> object:
    """Read what an input holds."""
    return _contents.of(_inputs.Input(content, "pkcs12 (/a/file)"), forms.PASSPHRASE)


def key(content: bytes) -> object:
    """Convert a private key."""
    found = _contents.of(_inputs.Input(content, "private_key (/a/file)"), forms.PASSPHRASE)
    return _keys.to_pkcs8(_keys.one_of(found), forms.PASSPHRASE)


def certificate(content: bytes) -> object:
    """Read a chain and put it in order."""
    return _preflight.certificates_alone(_preflight.Sources(certificate=_inputs.Input(content, "wanted (/a/file)")))


def file(content: bytes) -> object:
    """Read a file of the controller as a task does: it has to be refused before its content is looked at."""
    def read(path: str) -> t.NoReturn:
        raise AssertionError("it was read")

    action()._loader._get_file_contents = read
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        for _turn in range(99):  # A hundred times what was made.
            stream.write(content)
        stream.flush()
        return option(stream.name)


def option(value: str) -> _inputs.Input:
    """The value of an option, read by the action plugin."""
    return action().read("private_key", {"private_key": value})


def value(content: bytes) -> object:
    """The same of text."""
    return option(content.decode("latin-1"))


@functools.cache
def action() -> t.Any:
    """The action plugin, with as much of a task as it needs to find files."""
    # Only here: to import them takes half a second.
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.task import Task
    from ansible_collections.sep.sesam.plugins.action import sesam_cert_replace

    task = Task.load({"name": "x", "action": "debug"})
    connection = types.SimpleNamespace(transport="imaginary", become=None)
    return sesam_cert_replace.ActionModule(
        task, connection, types.SimpleNamespace(diff=False), DataLoader(), None, None)


def host_key(content: bytes) -> object:
    """What the host makes of a key file."""
    return key_form.of(content)


def host_chain(content: bytes) -> object:
    """What the host makes of a certificate file."""
    return pairs.chain_in(content)


# What is made

@functools.cache
def _own_key() -> bytes:
    return forms.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def _passphrase() -> list[str]:
    return ["-passout", f"pass:{forms.PASSPHRASE}"]


def integer(number: int) -> bytes:
    """An INTEGER."""
    return encoded(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def with_rounds(der: bytes, rounds: int, which: slice = slice(None)) -> bytes:
    """The same, with another number in the place of those that openssl was told."""
    marked = integer(_MARK)
    numbers = [n for n, e in enumerate(mutations.elements(der)) if der[e.begin : e.end] == marked]
    for number in sorted(numbers[which], reverse=True):
        der = mutations.replaced(der, number, integer(rounds))
    assert numbers[which]
    return der


def pkcs12(rounds: int, which: slice = slice(None), *options: str) -> bytes:
    """A keystore whose maker wished so many rounds."""
    made = forms.openssl("pkcs12", "-export", "-nocerts", "-iter", str(_MARK), *options, *_passphrase(),
                         content=_own_key())
    return with_rounds(made, rounds, which)


def encrypted_key(rounds: int, *options: str) -> bytes:
    """The same of PKCS#8."""
    made = forms.openssl("pkcs8", "-topk8", "-iter", str(_MARK), "-outform", "DER", *options, *_passphrase(),
                         content=_own_key())
    return with_rounds(made, rounds)


def scrypt(n: int, r: int, p: int) -> bytes:
    """The same of scrypt (RFC 7914): 128 * n * r bytes are needed."""
    aes = encoded(0x30, bytes.fromhex("060960864801650304012a") + encoded(4, bytes(16)))
    costs = encoded(0x30, encoded(4, bytes(8)) + integer(n) + integer(r) + integer(p))
    pbes2 = encoded(0x30, encoded(0x30, bytes.fromhex("06092b06010401da47040b") + costs) + aes)
    algorithm = encoded(0x30, bytes.fromhex("06092a864886f70d01050d") + pbes2)
    return encoded(0x30, algorithm + encoded(4, bytes(160)))


def openssh(rounds: int) -> bytes:
    """The same of bcrypt, which stands behind a salt of 16 bytes."""
    body = forms.der(forms.openssh(_own_key(), forms.PASSPHRASE))
    place = body.index(b"bcrypt") + 6 + 4 + 4 + 16
    return forms.pem(b"OPENSSH PRIVATE KEY", body[:place] + rounds.to_bytes(4, "big") + body[place + 4:])


def nested(depth: int) -> bytes:
    """So many SEQUENCEs in one another."""
    lengths, length = [], 0
    for _level in range(depth):
        head = encoded(0x30, b"")[:1] + (bytes([length]) if length < 128 else _long(length))
        lengths.append(head)
        length += len(head)
    return b"".join(reversed(lengths))


def _long(length: int) -> bytes:
    words = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(words)]) + words


def rsa(bits: int) -> bytes:
    """An RSA key of so many bits, whose other numbers are small."""
    return encoded(0x30, b"".join(integer(n) for n in (0, (1 << bits) - 1, 65537, 3, 5, 7, 3, 3, 3)))


def _certificate(public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey) -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public)
        .serial_number(x509.random_serial_number()).not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1)).sign(signer, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM)


@functools.cache
def own_certificate() -> bytes:
    """One."""
    own = ec.generate_private_key(ec.SECP256R1())
    return _certificate(own.public_key(), own)


def namesakes() -> bytes:
    """As many as are read of one name, each signed by another one that stands far away from it."""
    keys = [ec.generate_private_key(ec.BrainpoolP512R1()) for _number in range(_contents.MOST_CERTIFICATES // 2)]
    stranger = ec.generate_private_key(ec.BrainpoolP512R1())
    issuers = [_certificate(key.public_key(), stranger) for key in keys]
    return b"".join(issuers + [_certificate(keys[0].public_key(), key) for key in keys])


def blocks_of_all_labels(number: int) -> bytes:
    """So many blocks that hold nothing, each of a kind of its own."""
    return b"".join(b"-----BEGIN L%d-----\nAAAA\n-----END L%d-----\n" % (n, n) for n in range(number))


TOO_MUCH = ("input-too-large",)
UNKNOWN = ("input-unrecognised",)
ROUNDS = (1 << 31) - 1

CASES = {
    "PKCS#12 with 2^31 rounds for everything": Case(lambda: pkcs12(ROUNDS), contents, TOO_MUCH),
    "PKCS#12 with 2^31 rounds for its MAC": Case(lambda: pkcs12(ROUNDS, slice(-1, None)), contents, TOO_MUCH),
    "PKCS#12 with 2^31 rounds for its key": Case(lambda: pkcs12(ROUNDS, slice(None), "-nomac"), contents, TOO_MUCH),
    "PKCS#12 of Windows with 2^31 rounds": Case(lambda: pkcs12(ROUNDS, slice(None), "-legacy"), contents, TOO_MUCH),
    "PKCS#12 with 8 million rounds, three times": Case(
        lambda: pkcs12(1 << 23, slice(-1, None)), contents, (*TOO_MUCH, "key-passphrase-wrong")),
    "PKCS#12, fifty in a file": Case(
        lambda: forms.pem(b"PKCS12", pkcs12(_MARK)) * 50, contents, UNKNOWN),
    "PBES2 with 2^31 rounds": Case(lambda: encrypted_key(ROUNDS, "-v2", "aes-256-cbc"), key, TOO_MUCH),
    "PBES1 with 2^31 rounds": Case(lambda: encrypted_key(ROUNDS, "-v1", "PBE-SHA1-3DES"), key, TOO_MUCH),
    "scrypt that needs 1 GiB": Case(lambda: scrypt(1 << 20, 8, 1), key, TOO_MUCH),
    "scrypt that needs all memory there is": Case(lambda: scrypt(1 << 62, 8, 1), key, TOO_MUCH),
    "scrypt that takes for ever": Case(lambda: scrypt(1 << 14, 8, 1 << 14), key, TOO_MUCH),
    "OpenSSH with 2^31 rounds": Case(lambda: openssh(ROUNDS), key, (*TOO_MUCH, *UNKNOWN)),
    "100 MB of garbage": Case(lambda: bytes(range(256)) * (_MEGABYTE // 256), file, TOO_MUCH),
    "a file that never ends": Case(lambda: b"/dev/zero", value, ("input-missing",)),
    "a megabyte of base64 as a value": Case(lambda: b"A" * _MEGABYTE, value, UNKNOWN),
    "megabytes of base64 of a SEQUENCE as a value": Case(
        lambda: base64.b64encode(encoded(0x30, bytes(3 * _MEGABYTE))), value, TOO_MUCH),
    "a megabyte of NULs as a value": Case(lambda: bytes(_MEGABYTE), value, UNKNOWN),
    "a megabyte of NULs": Case(lambda: bytes(_MEGABYTE), key, UNKNOWN),
    "a megabyte of base64": Case(lambda: base64.encodebytes(bytes(_MEGABYTE * 3 // 4)), key, UNKNOWN),
    "a megabyte of blanks and a SEQUENCE": Case(lambda: b" " * _MEGABYTE + b"MAA=", key, UNKNOWN),
    "10,000 certificates": Case(lambda: own_certificate() * 10_000, certificate, ("chain-too-long",)),
    "10,000 certificates in PKCS#7": Case(
        lambda: forms.pkcs7([own_certificate()] * 10_000, "DER"), certificate, ("chain-too-long",)),
    "100,000 SEQUENCEs in one another": Case(lambda: nested(100_000), key, UNKNOWN),
    "100,000 SEQUENCEs of indefinite length": Case(lambda: b"\x30\x80" * 100_000, key, UNKNOWN),
    "100,000 SEQUENCEs in PKCS#7": Case(
        lambda: encoded(0x30, bytes.fromhex("06092a864886f70d010702") + nested(100_000)), certificate, UNKNOWN),
    "RSA of 100,000 bits": Case(lambda: rsa(100_000), key, TOO_MUCH),
    "RSA of a million bits": Case(lambda: rsa(1_000_000), key, TOO_MUCH),
    "50,000 BEGIN without END": Case(lambda: b"-----BEGIN PRIVATE KEY-----\n" * 50_000, key, UNKNOWN),
    "50,000 BEGIN of certificates without END": Case(
        lambda: b"-----BEGIN CERTIFICATE-----\n" * 50_000, certificate, UNKNOWN),
    "20,000 kinds of blocks": Case(lambda: blocks_of_all_labels(20_000), key, UNKNOWN),
    "20,000 keys": Case(lambda: forms.pem(b"PRIVATE KEY", rsa(16)) * 8_000, key, ("key-count",)),
    "certificates of one name": Case(namesakes, certificate, ("answer",)),
    "BEGIN without END, on the host": Case(lambda: b"-----BEGIN PRIVATE KEY-----\n" * 37_000, host_key, ("answer",)),
    "BEGIN of certificates without END, on the host": Case(
        lambda: b"-----BEGIN CERTIFICATE-----\n" * 37_000, host_chain, ("answer",)),
    "BEGIN that never comes to its end, on the host": Case(
        lambda: b"-----BEGIN " + b"A " * (_MEGABYTE // 2), host_key, ("answer",)),
    "100,000 SEQUENCEs in one another, on the host": Case(lambda: nested(100_000), host_key, ("answer",)),
}  # fmt: skip


def main(name: str) -> None:
    """Try one and print what came of it; a problem goes through."""
    case = CASES[name]
    content = case.make()
    begin, clock = targets.processor_time(), time.monotonic()
    outcome = targets.judged(SEED, lambda: case.do(content))
    print(json.dumps({"outcome": outcome, "processor": targets.processor_time() - begin,
                      "wall": time.monotonic() - clock, "memory": engine.memory()}))


if __name__ == "__main__":
    main(sys.argv[1])
