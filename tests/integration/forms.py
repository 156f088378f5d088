# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pairs in every form and container in which people have them, and what happens to files on their way.

Keys are made and written by ``openssl``, certificates by ``cryptography``; nothing here is the code under test.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import fcntl
import functools
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# With a blank and a letter that is no ASCII, as people have them.
PASSPHRASE = "corréct horse"
NAME = "backup.example"

RSA = ("RSA 2048", "RSA 3072", "RSA 4096")
EC = ("P-256", "P-384", "P-521")
EDWARDS = ("Ed25519", "Ed448")
KINDS = (*RSA, *EC, *EDWARDS)

_BEGIN, _END = b"-----BEGIN ", b"-----END "


class CannotMake(Exception):
    """The openssl of this machine does not make that form."""


def openssl(*arguments: str | Path, content: bytes = b"") -> bytes:
    """What openssl prints.

    :raises CannotMake: it fails; with its last words.
    """
    return run("openssl", *arguments, content=content)


def run(program: str, *arguments: str | Path, content: bytes = b"") -> bytes:
    """The same of any program."""
    if not shutil.which(program):
        raise CannotMake(f"{program} is not installed")
    done = subprocess.run([program, *arguments], input=content, capture_output=True, timeout=60, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CannotMake(f"{program} {arguments[0]}: {words[-300:]}")
    return done.stdout


def _pass(option: str, passphrase: str | None) -> list[str]:
    return [option, f"pass:{passphrase or ''}"]


# Keys and certificates, one of each kind for all forms

class Stock:
    """Keys, each made once for all processes that share the folder: an RSA key of 4096 bits takes seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, bytes] = {}
        self._chains: dict[str, list[bytes]] = {}

    def key(self, kind: str) -> bytes:
        """The key of a kind as PKCS#8 in PEM."""
        return self._once(f"{kind}.key", functools.partial(_generate, kind))

    def chain(self, kind: str) -> list[bytes]:
        """The leaf of that key, the CA that signed it and that one's root, each in PEM."""
        if kind not in self._chains:
            text = self._once(f"{kind}.crt", functools.partial(self._issue, kind))
            self._chains[kind] = blocks(text)
        return self._chains[kind][:3]

    def namesake(self, kind: str) -> bytes:
        """A CA with the name of the one that signed, and another key."""
        self.chain(kind)
        return self._chains[kind][3]

    def _issue(self, kind: str) -> bytes:
        return b"".join(_issue(_loaded(self.key(kind)), _loaded(self._once("authority.key", _authority_key))))

    def _once(self, name: str, make: t.Callable[[], bytes]) -> bytes:
        if name not in self._read:
            with (self._folder / f"{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                path = self._folder / name
                if not path.exists():
                    path.touch(mode=0o600)
                    path.write_bytes(make())
            self._read[name] = path.read_bytes()
        return self._read[name]


def _authority_key() -> bytes:
    return _generate("P-256")


def _generate(kind: str) -> bytes:
    name, _blank, bits = kind.partition(" ")
    if name == "RSA":
        return openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
    if kind in EC:
        return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind}")
    return openssl("genpkey", "-algorithm", kind)


def _loaded(pem: bytes) -> t.Any:
    # Not to be proved: that takes a third of a second for RSA 4096.
    return serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)


def _issue(key: t.Any, authority: ec.EllipticCurvePrivateKey) -> list[bytes]:
    """Leaf, CA and root; and the CA before its key was renewed, which has signed nothing here and has its name."""
    value = authority.private_numbers().private_value
    root_key, old_key = (ec.derive_private_key(value - number, ec.SECP256R1()) for number in (1, 2))
    chain = [
        _certificate(NAME, key.public_key(), "Company CA", authority),
        _certificate("Company CA", authority.public_key(), "Company Root", root_key),
        _certificate("Company Root", root_key.public_key(), "Company Root", root_key),
        _certificate("Company CA", old_key.public_key(), "Company Root", root_key),
    ]
    return [c.public_bytes(serialization.Encoding.PEM) for c in chain]


def _certificate(name: str, key: t.Any, issuer: str, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=name != NAME, path_length=None), critical=True)
    )
    if name == NAME:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


# Forms of a key

@dataclasses.dataclass(frozen=True)
class Form:
    """A way to write what there is; C(make) gets a key in PEM, and for a container its chain."""

    name: str
    make: t.Callable[..., bytes]
    kinds: t.Sequence[str] = KINDS
    passphrase: str | None = None


def _plain(key: bytes) -> bytes:
    return key


def _traditional(key: bytes) -> bytes:
    """PKCS#1 of an RSA key, SEC1 of an EC key."""
    return openssl("pkey", "-traditional", content=key)


def _behind_parameters(key: bytes) -> bytes:
    """As `openssl ecparam -genkey` writes it."""
    parameters = openssl("ec", "-param_out", content=key)
    return _only(b"EC PARAMETERS", parameters) + _traditional(key)


def _only(label: bytes, text: bytes) -> bytes:
    return next(block for block in blocks(text) if block.startswith(_BEGIN + label))


def _encrypted(*options: str) -> t.Callable[[bytes], bytes]:
    return lambda key: openssl("pkcs8", "-topk8", *options, *_pass("-passout", PASSPHRASE), content=key)


def _traditional_encrypted(cipher: str) -> t.Callable[[bytes], bytes]:
    return lambda key: openssl(
        "pkey", "-traditional", f"-{cipher}", *_pass("-passout", PASSPHRASE), content=key)


def _in_der(make: t.Callable[[bytes], bytes]) -> t.Callable[[bytes], bytes]:
    return lambda key: der(make(key))


def openssh(key: bytes, passphrase: str = "") -> bytes:
    """As ssh-keygen writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key")
        path.touch(mode=0o600)
        # It reads no PKCS#8 of an Ed25519 key.
        path.write_bytes(_loaded(key).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()))
        run("ssh-keygen", "-p", "-P", "", "-N", passphrase, "-f", path)
        return path.read_bytes()


_LEGACY = ("-provider", "legacy", "-provider", "default")
_PBES1 = ("PBE-SHA1-3DES", "PBE-MD5-DES", "PBE-SHA1-RC4-128", "PBE-SHA1-RC2-40")
# What openssl can write and no library reads that a controller has; the answer has to name the way out.
UNREADABLE_PBES1 = ("PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64", "PBE-SHA1-RC4-40", "PBE-SHA1-2DES",
                    "PBE-SHA1-RC2-128")
_PBES2 = tuple((cipher, prf) for cipher in ("aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3")
               for prf in ("hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA512"))

KEYS_IN_PEM = (
    Form("PKCS#8", _plain),
    Form("PKCS#1", _traditional, RSA),
    Form("SEC1", _traditional, EC),
    Form("SEC1 behind EC PARAMETERS", _behind_parameters, EC),
    *(Form(f"PBES1 {name}", _encrypted("-v1", name, *_LEGACY), KINDS, PASSPHRASE) for name in _PBES1),
    *(Form(f"PBES2 {cipher} {prf}", _encrypted("-v2", cipher, "-v2prf", prf), KINDS, PASSPHRASE)
      for cipher, prf in _PBES2),
    Form("scrypt", _encrypted("-scrypt"), KINDS, PASSPHRASE),
    *(Form(f"Proc-Type {cipher}", _traditional_encrypted(cipher), (*RSA, *EC), PASSPHRASE)
      for cipher in ("des3", "aes128", "aes192", "aes256")),
    Form("OpenSSH", openssh, (*RSA, *EC, "Ed25519")),
)  # fmt: skip
KEYS_IN_DER = tuple(
    dataclasses.replace(form, name=f"{form.name} in DER", make=_in_der(form.make)) for form in KEYS_IN_PEM
    if form.name in ("PKCS#8", "PKCS#1", "SEC1", "PBES1 PBE-SHA1-3DES", "PBES2 aes-256-cbc hmacWithSHA256", "scrypt")
)
KEYS_UNREADABLE = tuple(
    Form(f"PBES1 {name}", _encrypted("-v1", name, *_LEGACY), ("P-256",), PASSPHRASE) for name in UNREADABLE_PBES1
)


# Containers of a whole pair

def _pkcs12(*options: str, passphrase: str = PASSPHRASE) -> t.Callable[[bytes, t.Sequence[bytes]], bytes]:
    def make(key: bytes, chain: t.Sequence[bytes]) -> bytes:
        # It takes the leaf for that of the key from among all certificates; the others follow in their order.
        return openssl("pkcs12", "-export", *options, *_pass("-passout", passphrase), content=key + b"".join(chain))
    return make


# The library proves the primes of an RSA key in a PKCS#12, which takes 0.4 s for 4096 bits: not in each form.
_NO_LARGE_RSA = ("RSA 2048", *EC, *EDWARDS)
_FRIENDLY = ("-name", "Sicherung, geprüft", "-caname", "first", "-caname", "second")

CONTAINERS = (
    Form("PKCS#12 of today", _pkcs12(), KINDS, PASSPHRASE),
    Form("PKCS#12 AES-128", _pkcs12("-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"), _NO_LARGE_RSA, PASSPHRASE),
    Form("PKCS#12 as Windows exports it", _pkcs12("-legacy"), KINDS, PASSPHRASE),
    Form("PKCS#12 3DES", _pkcs12("-legacy", "-descert"), _NO_LARGE_RSA, PASSPHRASE),
    Form("PKCS#12 with friendly names", _pkcs12(*_FRIENDLY), _NO_LARGE_RSA, PASSPHRASE),
    Form("PKCS#12 with friendly names as Windows exports it", _pkcs12(*_FRIENDLY, "-legacy"), KINDS, PASSPHRASE),
    Form("PKCS#12 with SHA-512", _pkcs12("-macalg", "sha512"), _NO_LARGE_RSA, PASSPHRASE),
    Form("PKCS#12 with an empty passphrase", _pkcs12(passphrase=""), _NO_LARGE_RSA),
    Form("PKCS#12 with an empty passphrase as Windows exports it", _pkcs12("-legacy", passphrase="")),
    Form("PKCS#12 without encryption", _pkcs12("-keypbe", "NONE", "-certpbe", "NONE"), KINDS, PASSPHRASE),
    Form("PKCS#12 without encryption and MAC", _pkcs12("-keypbe", "NONE", "-certpbe", "NONE", "-nomac"),
         _NO_LARGE_RSA),
)


def pkcs7(chain: t.Sequence[bytes], form: t.Literal["PEM", "DER"] = "PEM") -> bytes:
    """The certificates as openssl packs them."""
    # It reads no certificates from standard input.
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"".join(chain))
        return openssl("crl2pkcs7", "-nocrl", "-certfile", file.name, "-outform", form)


# PEM

def blocks(text: bytes) -> list[bytes]:
    """The blocks of clean PEM, each with a line end."""
    return [_BEGIN + part.partition(b"-----\n")[0] + b"-----\n" + part.partition(b"-----\n")[2].partition(_END)[0]
            + _END + part.partition(_END)[2].partition(b"-----")[0] + b"-----\n"
            for part in text.split(_BEGIN)[1:]]


def der(pem: bytes) -> bytes:
    """The content of the only block in clean PEM."""
    return base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))


def pem(label: bytes, content: bytes) -> bytes:
    """DER as clean PEM."""
    text = base64.b64encode(content)
    lines = [text[begin : begin + 64] for begin in range(0, len(text), 64)]
    return b"\n".join([_BEGIN + label + b"-----", *lines, _END + label + b"-----", b""])


# Disturbances

def _has_headers(text: bytes) -> bool:
    return b"Proc-Type:" in text


def _lines(change: t.Callable[[bytes], bytes]) -> t.Callable[[bytes], bytes]:
    return lambda text: b"".join(change(line) for line in text.splitlines(keepends=True))


def _blank_lines(text: bytes) -> bytes:
    return b"\n\n" + text.replace(b"\n", b"\n\n") + b"\n"


def _bag_attributes(text: bytes) -> bytes:
    """As `openssl pkcs12` writes it."""
    return b"".join(
        b"Bag Attributes\n    friendlyName: \xc3\xbcbung\n    localKeyID: 01 02 \n"
        b"subject=CN = backup.example\n\nissuer=CN = Company CA\n\nKey Attributes: <No Attributes>\n" + block
        for block in blocks(text))


def _text_dump(text: bytes) -> bytes:
    """As `openssl x509 -text` and `openssl pkey -text` write it, before and behind."""
    dump = b"Certificate:\n    Data:\n        Version: 3 (0x2)\nPrivate-Key: (2048 bit)\nmodulus:\n    00:af:\n"
    return b"".join(dump + block + dump for block in blocks(text))


def _one_line(text: bytes) -> bytes:
    """Each block's base64 without line ends, as JSON and web forms make it."""
    return b"".join(_BEGIN + label + b"-----\n" + b"".join(body.split()) + b"\n" + _END + label + b"-----\n"
                    for label, body in map(_parted, blocks(text)))


def _other_width(text: bytes) -> bytes:
    return b"".join(_BEGIN + label + b"-----\n" + base64.encodebytes(base64.b64decode(body)) + _END + label + b"-----\n"
                    for label, body in map(_parted, blocks(text)))


def _parted(block: bytes) -> tuple[bytes, bytes]:
    label = block.partition(b"-----\n")[0].removeprefix(_BEGIN)
    return label, block.partition(b"-----\n")[2].partition(_END)[0]


def _base64_alone(text: bytes) -> bytes:
    (block,) = blocks(text)
    return _parted(block)[1]


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """What happens to a text on its way; C(fits) tells whether it can happen to this one."""

    name: str
    make: t.Callable[[bytes], bytes]
    fits: t.Callable[[bytes], bool] = lambda text: True


def _without_headers(text: bytes) -> bool:
    return not _has_headers(text)


def _is_der_in_base64(text: bytes) -> bool:
    return len(blocks(text)) == 1 and not _has_headers(text) and b"OPENSSH" not in text


DISTURBANCES = (
    Disturbance("CR LF", lambda text: text.replace(b"\n", b"\r\n")),
    Disturbance("CR", lambda text: text.replace(b"\n", b"\r")),
    Disturbance("CR CR LF", lambda text: text.replace(b"\n", b"\r\r\n")),
    Disturbance("BOM", lambda text: b"\xef\xbb\xbf" + text),
    Disturbance("BOM and CR LF", lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")),
    Disturbance("UTF-16 LE", lambda text: b"\xff\xfe" + text.decode().encode("utf-16-le")),
    Disturbance("UTF-16 BE", lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be")),
    Disturbance("UTF-16 and CR LF", lambda text: text.decode().replace("\n", "\r\n").encode("utf-16")),
    Disturbance("Bag Attributes", _bag_attributes),
    Disturbance("text dumps", _text_dump),
    Disturbance("indented", _lines(lambda line: b"    " + line)),
    Disturbance("indented by tabs", _lines(lambda line: b"\t" + line)),
    Disturbance("blanks at the ends of lines", lambda text: text.replace(b"\n", b" \t\n")),
    Disturbance("blank lines", _blank_lines),
    Disturbance("no newline at the end", lambda text: text.rstrip(b"\n")),
    Disturbance("one line a block", _one_line, _without_headers),
    Disturbance("lines of 76", _other_width, lambda text: _without_headers(text) and b"OPENSSH" not in text),
    Disturbance("END and BEGIN on one line", lambda text: text.replace(b"-----\n-----", b"----------"),
                lambda text: b"-----\n-----" in text),
    Disturbance("base64 alone", _base64_alone, _is_der_in_base64),
    Disturbance("base64 alone, CR LF", lambda text: _base64_alone(text).replace(b"\n", b"\r\n"), _is_der_in_base64),
)  # fmt: skip
