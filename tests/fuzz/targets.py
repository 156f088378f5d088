# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is given the inputs, and what it has to do with each: a right answer, or one clear refusal."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
import resource
import time
import typing as t
import warnings
from pathlib import Path

from ansible_collections.sep.sesam.plugins.module_utils._host import key_form, pairs
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _contents, _inputs, _keys, _preflight
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from .seeds import Seed

LONGEST_MESSAGE = 2000
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
# So many characters of a key's text are too many in a message. Where they may be the name of a file that is not there,
# only their disorder tells them from one, which a short piece may lack by chance.
_SECRET, _SECRET_AS_PATH = 24, 32
_HEADER = 48
_BASE64 = re.compile(r"[A-Za-z0-9+/]+")
_LINE = re.compile(rb"[A-Za-z0-9+/=]{40,}")


# Of processor time, for one input read once: what else the machine does is no matter.
MOST_SECONDS = 2.0


class Broken(Exception):
    """An answer that is neither right nor clear."""


@dataclasses.dataclass
class Longest:
    """The most that one call took, in processor time and on the clock."""

    processor: float = 0.0
    wall: float = 0.0
    kind: str = ""


LONGEST = Longest()


def processor_time() -> float:
    """Of this process and the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def run(seed: Seed, content: bytes, everything: bool = True) -> str:
    """Give one input to all that reads inputs; the answer names what came of it.

    :raises Broken: where it was neither a right answer nor a clear refusal; other exceptions go through.
    """
    judged(seed, lambda: _host(content))
    outcome = judged(seed, lambda: _each(source(content), seed))
    if everything:
        judged(seed, lambda: _option(content), _SECRET_AS_PATH)
        judged(seed, lambda: _pair(seed, content))
    return outcome


def judged(seed: Seed, function: t.Callable[[], object], most: int = _SECRET) -> str:
    """Call it; the answer is C(answer) or the id of the refusal. So many characters of a key at most may be shown."""
    begin, clock, outcome = processor_time(), time.monotonic(), "answer"
    try:
        function()
    except Refused as exc:
        _is_clear(exc, seed, most)
        outcome = exc.findings[0].id
    spent = processor_time() - begin
    if spent > LONGEST.processor:
        LONGEST.processor, LONGEST.wall = spent, time.monotonic() - clock
        LONGEST.kind = f"{seed.kind} ({outcome})"
    if spent > MOST_SECONDS:
        raise Broken(f"it took {spent:.2f} s of processor time")
    return outcome


def _is_clear(exc: Refused, seed: Seed, most: int) -> None:
    if len(exc.findings) != 1:
        raise Broken(f"{len(exc.findings)} findings")
    (finding,) = exc.findings
    text = str(finding)
    if not (_ID.fullmatch(finding.id) and finding.message and finding.fix and finding.level == "error"):
        raise Broken(f"it lacks something: {finding!r}")
    if not (finding.message.isprintable() and finding.fix.isprintable()) or len(text) > LONGEST_MESSAGE:
        raise Broken(f"{len(text)} characters that cannot be printed: {text[:300]!r}")
    if seed.passphrase and seed.passphrase in text:
        raise Broken("it holds the passphrase")
    pieces = (word[begin : begin + most] for word in _BASE64.findall(text)
              for begin in range(len(word) - most + 1))
    if any(piece.encode() in _texts(seed) for piece in pieces):
        raise Broken(f"it holds a piece of a key: {text[:300]!r}")


@functools.cache
def _texts(seed: Seed) -> bytes:
    """The base64 of a seed's keys without how it begins, which is the same in all of them."""
    keys = (seed.private_key, seed.content if b"CERTIFICATE" not in seed.content and "PKCS#7" not in seed.kind else b"")
    texts = [b"".join(_LINE.findall(key)) for key in keys]
    return b"|".join(text.replace(text[:_HEADER], b"|") for text in texts if text)


# The targets

def source(content: bytes) -> _inputs.Input:
    """An input as if it had been read from a file."""
    return _inputs.Input(content, "private_key (/a/file)")


def _host(content: bytes) -> None:
    form = key_form.of(content)
    if not isinstance(form, str) or not form.isprintable() or len(form) > 100:
        raise Broken(f"key_form.of: {form!r}")
    if not all(isinstance(der, bytes) for der in pairs.chain_in(content)):
        raise Broken("pairs.chain_in")


def _each(given: _inputs.Input, seed: Seed) -> None:
    """All that is found: the certificates one by one, and the key."""
    found = _contents.of(given, seed.passphrase)
    for certificate in found.certificates:
        _plain(_certificates.facts(certificate))
        _certificates.spki(certificate)
    if found.certificates:
        chain, strangers = _certificates.in_order(found.certificates)
        if set(chain + strangers) != set(found.certificates):
            raise Broken("a certificate was lost")
        _certificates.to_pem(chain)
    key = _keys.to_pkcs8(_keys.one_of(found), seed.passphrase)
    if key.pem.encode() != seed.private_key:  # Else it is right.
        _is_right(key.pem, key.spki)


def _plain(facts: dict[str, t.Any]) -> None:
    for value in (*facts.values(), *facts["names"]):
        if isinstance(value, str) and not value.isprintable():
            raise Broken(f"it cannot be printed: {value!r}")


def _is_right(pem: str, spki: bytes) -> None:
    """Whether it is a whole key and that of the SubjectPublicKeyInfo: it signs, and the other one verifies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That some kinds are deprecated.
        key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
        public = serialization.load_der_public_key(spki)
    message = b"the same key"
    if isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
        if key.key_size >= 1024:  # Below, the signature has no room.
            signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
            public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(key.sign(message, ec.ECDSA(hashes.SHA256())), message, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        t.cast("ed25519.Ed25519PublicKey | ed448.Ed448PublicKey", public).verify(key.sign(message), message)


def _option(content: bytes) -> None:
    """The same bytes as the value of an option: text of YAML or JSON, with whatever it can hold."""
    errors = ("surrogateescape", "replace")[len(content) % 2]
    _inputs.read("private_key", content.decode("utf-8", errors), _read_file)


def _read_file(path: str) -> bytes:
    """A file of a folder that has none."""
    return (Path("/nonexistent") / path.lstrip("/")).read_bytes()


def _pair(seed: Seed, content: bytes) -> None:
    """In the place of either half of a pair, or as all of it."""
    given = source(content)
    certificate = _inputs.Input(seed.certificate, "certificate (/another/file)")
    private_key = _inputs.Input(seed.private_key, "private_key (/another/file)")
    ways = (
        _preflight.Sources(certificate=certificate, private_key=given, passphrase=seed.passphrase),
        _preflight.Sources(certificate=given, private_key=private_key, passphrase=seed.passphrase),
        _preflight.Sources(certificate=certificate, private_key=private_key, chain=given, passphrase=seed.passphrase),
        _preflight.Sources(pkcs12=given, passphrase=seed.passphrase),
    )
    pair = _preflight.pair(ways[len(content) % len(ways)])
    if pair.private_key.pem.encode() != seed.private_key:
        _is_right(pair.private_key.pem, pair.private_key.spki)
    if _certificates.spki(pair.leaf) != pair.private_key.spki:
        raise Broken("the leaf is not that of the key")
    now = datetime.datetime.now(datetime.timezone.utc)
    checked = _preflight.Policy(names=("a.example",), trusted=pair.chain[-1:]).findings(pair.chain, "wanted", now)
    if any(not str(finding).isprintable() or len(str(finding)) > LONGEST_MESSAGE
           for finding in (*pair.findings, *checked)):
        raise Broken("a finding cannot be printed")
