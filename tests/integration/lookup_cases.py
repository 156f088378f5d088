# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random configurations of the four sources: drawn from a seed, written to an installation, made simpler."""

from __future__ import annotations

import dataclasses
import functools
import os
import random
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import standin
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from .certificates import Authority, Pair

SOURCES = ("command_line", "default_location", "sm_ini", "environment")
NAMES = ("sesam.https.crt", "sesam.https.key")
VARIABLES = ("SESAM_SSL_CERT", "SESAM_SSL_KEY")
BROKEN, HALF = ("next", "generated", "refuse"), ("broken", "absent")

# What is in a file. "good" is what it shall be; the rest of each kind is what a server cannot use, or can.
GOOD_CERTIFICATES = ("good", "leaf alone", "CRLF", "with text", "no last line feed", "link", "link to a link", "BOM",
                     "one long line", "key behind it")
BAD_CERTIFICATES = ("of another key", "chain reversed", "garbage", "no base64", "no DER", "empty", "text", "DER",
                    "cut off", "second one cut off", "second one no base64", "trusted", "too large", "directory",
                    "FIFO", "dangling", "loop", "device", "in no folder")
GOOD_KEYS = ("good", "CRLF", "with text", "link", "EC parameters before it", "certificate before it", "BOM",
             "one long line", "open to all")
BAD_KEYS = ("of another certificate", "PKCS#1 or SEC1", "PKCS#1 or SEC1 as PKCS#8", "encrypted", "old encrypted", "DER",
            "OpenSSH", "garbage", "no base64", "empty", "text", "cut off", "too large", "directory", "FIFO", "dangling",
            "loop", "device", "in no folder", "public key")
KINDS = ("P-256", "P-384", "RSA 2048", "RSA 1024", "Ed25519")


@dataclasses.dataclass(frozen=True)
class Slot:
    """What a source names and what is there. C(named): both, C(certificate) or C(private_key) alone, C(none)."""

    named: str = "none"
    kind: str = "P-256"
    certificate: str = "good"
    private_key: str = "good"
    is_relative: bool = False


@dataclasses.dataclass(frozen=True)
class SmIni:
    """How sm.ini is spelt; C(kind): a file, nothing, or something that is no file."""

    kind: str = "file"
    line: str = "gv_ro_ssl={folder}{slash}"
    slash: str = "/"
    line_end: str = "\n"
    bom: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    folder: str = "pair"


@dataclasses.dataclass(frozen=True)
class Case:
    """One configuration, and what the server does with a pair that does not work."""

    command_line: Slot = Slot()
    default_location: Slot = Slot()
    ini: Slot = Slot()
    environment: Slot = Slot()
    option_form: str = "short"
    sm_ini: SmIni = SmIni()
    set_in: tuple[str, str] = ("process", "process")  # of the two variables
    stale: tuple[str, str] = ("", "")  # places that have another value, which does not count
    is_running: bool = True
    broken_pair: str = "next"
    half_pair: str = "broken"


# Drawing

def draw(chance: random.Random) -> Case:
    """A configuration; sources that are set are as likely as others, and whole pairs rarer than all else."""
    is_running = chance.random() < 0.85
    where = ("process", "profile") if is_running else ("everybody", "profile")
    case = Case(
        command_line=_slot(chance, 0.35, named_outright=True) if is_running else Slot(),
        default_location=_slot(chance, 0.5), ini=_slot(chance, 0.5),
        environment=_slot(chance, 0.5, named_outright=True), sm_ini=_sm_ini(chance),
        option_form=chance.choice(("short", "long")), is_running=is_running,
        broken_pair=chance.choice(BROKEN), half_pair=chance.choice(HALF))
    set_in = chance.choice(where), chance.choice(where)
    stale = tuple(where[0] if place == "profile" and chance.random() < 0.4 else "" for place in set_in)
    return dataclasses.replace(case, set_in=set_in, stale=stale)


def _slot(chance: random.Random, is_set: float, named_outright: bool = False) -> Slot:
    if chance.random() >= is_set:
        return Slot(kind=chance.choice(KINDS))
    what = chance.choices(("usable", "half", "broken"), (4, 2, 4))[0]
    slot = Slot("both", chance.choice(KINDS), chance.choice(GOOD_CERTIFICATES), chance.choice(GOOD_KEYS))
    if what == "half":
        name = chance.choice(("certificate", "private_key"))
        if named_outright and chance.random() < 0.5:
            return dataclasses.replace(slot, named=name)
        return dataclasses.replace(slot, **{name: "absent"})
    if what == "broken" and named_outright and chance.random() < 0.3:
        files = {"certificate": "absent", "private_key": "absent"}
        return dataclasses.replace(slot, **chance.choice(({"is_relative": True}, files)))
    if what == "broken":
        spoilt = {"certificate": chance.choice(BAD_CERTIFICATES), "private_key": chance.choice(BAD_KEYS)}
        for name in chance.choice((["certificate"], ["private_key"], ["private_key"], [])):
            del spoilt[name]
        return dataclasses.replace(slot, **spoilt)
    return slot


# {f} is the folder with another pair, which shall not count.
_LINES = ("gv_ro_ssl={folder}{slash}", " gv_ro_ssl = {folder}{slash} ", 'gv_ro_ssl="{folder}{slash}"',
          "gv_ro_ssl='{folder}{slash}'", "\tgv_ro_ssl\t=\t'{folder}{slash}'", "gv_ro_ssl= \"{folder}{slash}\" ")
_HARMLESS_BEFORE = ("", "# gv_ro_ssl={f}", "; gv_ro_ssl={f}", "gv_ro_ssl={f}", "gv_ro_ssl=", "GV_RO_SSL={f}",
                    "gv_ro={f}", "no setting", "[UI]\ngv_ro_ssl={f}\n[PATHES]", "[UI]\n[ PATHES ]",
                    "[pathes]\n[PATHES]", "gv_ro_ssl ={f}", "=x", "my gv_ro_ssl={f}", "export gv_ro_ssl={f}", "[", "]")
_HARMLESS_AFTER = ("", "#gv_ro_ssl={f}", " ; gv_ro_ssl={f}", "gv_ro_ssl2={f}", "[UI]\ngv_ro_ssl={f}",
                   "[PATHS]\ngv_ro_ssl={f}", "[pathes]\ngv_ro_ssl={f}", "gv_ro_sslx", "my gv_ro_ssl={f}",
                   "gv.ro_ssl={f}")
_FOLDERS = ("pair", "a pair", "größe", "gr\udcf6\udcdfe", "a#b", "a;b", "a=b", "it's", '"x', "back\\new", "%(gv_ro)s",
            "$HOME", "[x]", "x" * 200)


def _sm_ini(chance: random.Random) -> SmIni:
    kind = chance.choices(("file", "absent", "directory", "dangling", "link"), (16, 1, 1, 1, 1))[0]
    return SmIni(
        kind, chance.choice(_LINES), chance.choice(("", "/", "//", "/./")), chance.choice(("\n", "\r\n")),
        chance.random() < 0.3, tuple(chance.sample(_HARMLESS_BEFORE, chance.randint(0, 3))),
        tuple(chance.sample(_HARMLESS_AFTER, chance.randint(0, 3))), chance.choice(_FOLDERS))


# Making it simpler

def simpler(case: Case) -> t.Iterator[Case]:
    """The same with one thing as plain as can be."""
    plain = Case()
    for field in dataclasses.fields(Case):
        old, new = getattr(case, field.name), getattr(plain, field.name)
        if old != new:
            yield dataclasses.replace(case, **{field.name: new})
        if dataclasses.is_dataclass(old) and not isinstance(old, type):
            for part in dataclasses.fields(old):
                value = getattr(new, part.name)
                if getattr(old, part.name) != value:
                    yield dataclasses.replace(case, **{field.name: dataclasses.replace(old, **{part.name: value})})


def simplest(case: Case, fails: t.Callable[[Case], bool]) -> Case:
    """The simplest that still fails, found step by step."""
    for other in simpler(case):
        if fails(other):
            return simplest(other, fails)
    return case


# Writing

class Pairs:
    """The pairs that the sources are given: each source has its own certificate for each kind of key."""

    def __init__(self) -> None:
        keys: dict[str, t.Any] = {
            "P-256": ec.generate_private_key(ec.SECP256R1()), "P-384": ec.generate_private_key(ec.SECP384R1()),
            "RSA 2048": rsa.generate_private_key(65537, 2048), "RSA 1024": rsa.generate_private_key(65537, 1024),
            "Ed25519": ed25519.Ed25519PrivateKey.generate()}
        authority = Authority()
        self._pairs = {(source, kind): authority.issue(f"{source}.example", key)
                       for source in SOURCES for kind, key in keys.items()}
        self.other = authority.issue("other.example")

    def of(self, source: str, kind: str) -> Pair:
        """The pair of a source."""
        return self._pairs[source, kind]

    def source_of(self, fingerprint: str) -> str:
        """Whose certificate that is; empty for one that is nobody's."""
        return next((source for (source, _kind), pair in self._pairs.items() if pair.fingerprint == fingerprint), "")

    @functools.lru_cache(maxsize=4096)  # noqa: B019 (one object a session)
    def certificate(self, source: str, kind: str, what: str) -> bytes:
        """The content of the certificate's file."""
        pair = self.of(source, kind)
        leaf = pair.certificate.public_bytes(serialization.Encoding.PEM)
        begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
        return {
            "leaf alone": leaf, "with text": b"subject=CN = x\n\n" + pair.pem + b"\nend\n",
            "key behind it": leaf + pair.key_pem(), "of another key": self.other.pem,
            "chain reversed": b"".join(reversed([c.public_bytes(serialization.Encoding.PEM) for c in
                                                 (pair.certificate, *pair.above)])),
            "no base64": begin + b"!\n" + end, "no DER": begin + b"AAAA\n" + end, "DER": pair.chain[0],
            "second one cut off": leaf + pair.pem[:len(leaf) + 200], "cut off": leaf[:200],
            "second one no base64": leaf + begin + b"!\n" + end, "trusted": leaf.replace(b" CERT", b" TRUSTED CERT"),
        }.get(what) or _spelt(pair.pem, what)

    @functools.lru_cache(maxsize=4096)  # noqa: B019
    def key(self, source: str, kind: str, what: str) -> bytes:
        """The content of the key's file."""
        pair = self.of(source, kind)
        has_old_form = kind != "Ed25519"
        form: t.Any = "TraditionalOpenSSL" if has_old_form else "PKCS8"
        pem = pair.key_pem()
        if what == "PKCS#1 or SEC1":
            return pair.key_pem(form) if has_old_form else b""
        if what == "PKCS#1 or SEC1 as PKCS#8":
            return pair.key_pem(form).replace(b"RSA ", b"").replace(b"EC ", b"") if has_old_form else b""
        if what == "DER":
            return pair.key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption())
        if what == "OpenSSH":
            return pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
                                          serialization.NoEncryption())
        if what in ("encrypted", "old encrypted"):
            return pair.key_pem(form if what.startswith("old") else "PKCS8", "secret")
        if what == "public key":
            return pair.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {
            "with text": b"Bag Attributes\n    friendlyName: x\n" + pem + b"\nend\n",
            "EC parameters before it": b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
                                       + pem,
            "certificate before it": pair.pem + pem, "of another certificate": self.other.key_pem(),
            "no base64": b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "cut off": pem[:100],
        }.get(what) or _spelt(pem, what)


def _spelt(pem: bytes, what: str) -> bytes:
    if what == "one long line":
        first, *middle, last = pem.decode().split("-----END")[0].splitlines() + ["-----END" + pem.decode().split(
            "-----END", 1)[1]]
        return f"{first}\n{''.join(middle)}\n{last}".encode()
    return {"CRLF": pem.replace(b"\n", b"\r\n"), "no last line feed": pem.rstrip(b"\n"), "garbage": os.urandom(99),
            "BOM": b"\xef\xbb\xbf" + pem, "empty": b"", "text": b"This is no key\nand no certificate\n",
            "too large": b"#" * (1 << 20) + pem}.get(what, pem)


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written of a case: the command line of the start, the variables of process and of everybody.

    C(certificates): where the certificate of each source is.
    """

    command_line: tuple[str, str]
    process: dict[str, str]
    everybody: dict[str, str]
    has_profile: bool
    certificates: dict[str, str]


class Installation:
    """An installation to which one case after the other is written."""

    def __init__(self, home: standin.Instance, scratch: Path, pairs: Pairs) -> None:
        self._home, self._scratch, self._pairs = home, scratch, pairs
        self._sm_ini = Path(home.sm_ini).read_text()
        self._profile = Path(home.sesam2000_profile).read_text()
        self.everybody = str(scratch / "environment")

    def write(self, case: Case) -> Written:
        """Write it; what an earlier one left is gone."""
        for folder in (self._scratch, Path(self._home.ssl_folder)):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        elsewhere = self._put(Slot("both"), "command_line", self._scratch / "elsewhere")
        self._put(case.default_location, "default_location", Path(self._home.ssl_folder))
        self._write_sm_ini(case, os.path.dirname(elsewhere[0]))
        places: dict[str, dict[str, str]] = {"process": {}, "profile": {}, "everybody": {}}
        values = self._put(case.environment, "environment", self._scratch / "variables")
        for variable, value, set_in, stale, other in zip(
                VARIABLES, values, case.set_in, case.stale, elsewhere, strict=True):
            if value:
                places[set_in][variable] = value
                if stale:
                    places[stale][variable] = other
        self._write_profile(places["profile"])
        Path(self.everybody).write_text("".join(f"{n}={shlex.quote(v)}\n" for n, v in places["everybody"].items()))
        line = self._put(case.command_line, "command_line", self._scratch / "line")
        folder = self._scratch / case.sm_ini.folder
        certificates = (line[0], self._home.certificate, str(folder / NAMES[0]), values[0])
        return Written(line, places["process"], places["everybody"], bool(places["profile"]),
                       dict(zip(SOURCES, certificates, strict=True)))

    def _write_profile(self, values: dict[str, str]) -> None:
        lines = [f"{name}={shlex.quote(value)}; export {name}\n" for name, value in values.items()]
        Path(self._home.sesam2000_profile).write_text(self._profile + "".join(lines))

    def _write_sm_ini(self, case: Case, elsewhere: str) -> None:
        spelt, path = case.sm_ini, Path(self._home.sm_ini)
        folder = self._scratch / spelt.folder
        self._put(case.ini, "sm_ini", folder)
        for old in (path, path.with_name("real.ini")):
            _remove(old)
        if spelt.kind == "directory":
            path.mkdir()
        if spelt.kind == "dangling":
            path.symlink_to("/nowhere")
        if spelt.kind == "link":
            path.symlink_to("real.ini")
        if spelt.kind not in ("file", "link"):
            return
        of_case = [spelt.line.format(folder=folder, slash=spelt.slash)] if case.ini.named != "none" else []
        before = [line for line in spelt.before if of_case or not line.startswith("gv_ro_ssl")]
        lines = [line.replace("{f}", elsewhere) for line in (*before, *of_case, *spelt.after)]
        text = self._sm_ini.replace("[UI]", "\n".join([*lines, "[UI]"])).replace("\n", spelt.line_end)
        path.write_bytes(b"\xef\xbb\xbf" * spelt.bom + text.encode("utf-8", "surrogateescape"))

    def _put(self, slot: Slot, source: str, folder: Path) -> tuple[str, str]:
        """Put both files into a folder; what the source names, empty where it names nothing."""
        if slot.named == "none":
            return "", ""
        folder.mkdir(exist_ok=True)
        contents = (self._pairs.certificate(source, slot.kind, slot.certificate),
                    self._pairs.key(source, slot.kind, slot.private_key))
        paths = []
        for name, what, content in zip(NAMES, (slot.certificate, slot.private_key), contents, strict=True):
            _write(folder / name, what, content)
            paths.append(str(folder / name))
            if what == "in no folder" and source in ("command_line", "environment"):
                paths[-1] = str(folder / name / "x")
        named = [path if slot.named in ("both", what) else ""
                 for path, what in zip(paths, ("certificate", "private_key"), strict=True)]
        if slot.is_relative:
            named = [path.lstrip("/") for path in named]
        return named[0], named[1]


def _write(path: Path, what: str, content: bytes) -> None:
    real = path.with_name(f"real {path.name}")
    if what == "directory":
        path.mkdir()
    elif what == "FIFO":
        os.mkfifo(path)
    elif what in ("dangling", "loop", "device"):
        path.symlink_to({"dangling": "/nowhere", "loop": str(path), "device": "/dev/zero"}[what])
    elif what.startswith("link"):
        real.write_bytes(content)
        if what == "link to a link":
            path.with_name(f"link {path.name}").symlink_to(real.name)
        path.symlink_to(f"link {path.name}" if what == "link to a link" else real.name)
    elif what != "absent":
        path.write_bytes(content)
        path.chmod(0o644 if what == "open to all" else 0o600)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def process(arguments: t.Sequence[str], variables: t.Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process with these arguments and variables, and nothing else, that waits for its end."""
    begun = subprocess.Popen(["/bin/sh", "-c", "echo; read line", "rmi", *arguments], env=variables,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert begun.stdout
    begun.stdout.readline()  # Until the new program runs, /proc shows no arguments.
    return begun
