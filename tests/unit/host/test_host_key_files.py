# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key, certificate and request in files: looked at, signed where the key is, and exchanged as one."""

from __future__ import annotations

import base64
import datetime
import json
import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import (
    answer,
    der,
    gather,
    obstacles,
    openssl,
    placing,
    refusal,
    state,
    system_log,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from integration import orders
from integration.accounts import NOBODY
from unit import pki
from unit.host import keys
from unit.host.conftest import RUN
from unit.host.test_host_transaction import tree

NAMES = ("private_key", "certificate", "csr")


def in_places(paths: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the question says of where its files are."""
    return {f"{name}_path": path for name, path in paths.items()}


class Place:
    """Three files in two folders."""

    def __init__(self, folder: Path) -> None:
        (folder / "private").mkdir()
        (folder / "public").mkdir()
        self.folder = folder
        self.private_key = folder / "private" / "x.key"
        self.certificate = folder / "public" / "x.crt"
        self.csr = folder / "public" / "x.csr"

    @property
    def where(self) -> dict[str, t.Any]:
        return in_places({name: str(getattr(self, name)) for name in NAMES})

    def put(self, pair: pki.Pair) -> None:
        """A pair and its request, as somebody made them."""
        self.private_key.write_bytes(pair.key_pem)
        self.private_key.chmod(0o600)
        self.certificate.write_bytes(pair.pem)
        self.csr.write_bytes(request(pair.key))

    def contents(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.folder)): path.read_bytes()
                for path in sorted(self.folder.rglob("*")) if path.is_file()}

    def look(self) -> dict[str, t.Any]:
        return look(self.where)

    def make(self, **options: t.Any) -> dict[str, t.Any]:
        return make(self.where, **options)


def look(where: dict[str, t.Any]) -> dict[str, t.Any]:
    seen = answer.answer("key_files", {**where, "verb": "look"})
    json.dumps(seen)
    assert seen["refused"] is None
    return seen


def make(where: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """The answer, which is plain data; a refusal is shown by its finding alone."""
    done = answer.answer("key_files", orders.key_files(**{**where, "run": RUN, **options}))
    json.dumps(done)
    assert (done["refused"] or {}).get("id") != "host-bug", done["refused"]
    return done


def content(text: bytes) -> dict[str, str]:
    return {"content": text.decode()}


def request(key: t.Any, name: str = "sesam.example") -> bytes:
    """A request, made by somebody else."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (x509.CertificateSigningRequestBuilder().subject_name(subject)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def to_sign(whole_der: bytes) -> dict[str, str]:
    """What of a certificate or of a request is signed, and how, of one that another key of its kind signed."""
    tbs, algorithm, _signature = der.members(whole_der, 3)
    return {"tbs": base64.b64encode(tbs.whole).decode(), "algorithm": base64.b64encode(algorithm.whole).decode()}


def unsigned_certificate(spki: bytes, curve: ec.EllipticCurve | None, digest: hashes.HashAlgorithm) -> dict[str, str]:
    """As the controller makes it: with the public key of the host, signed by a key that is thrown away."""
    stranger = ec.generate_private_key(curve) if curve else pki.rsa_key(3)
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sesam.example")])
    public: t.Any = serialization.load_der_public_key(spki)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=30)).sign(stranger, digest))
    return to_sign(made.public_bytes(serialization.Encoding.DER))


def unsigned_request(spki: bytes) -> dict[str, str]:
    """The same for a request, with a key on P-256."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    foreign = x509.load_pem_x509_csr(request(stranger)).public_bytes(serialization.Encoding.DER)
    return to_sign(foreign.replace(pki.spki(stranger), spki))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def pending(installation: Path) -> dict[str, t.Any]:
    return {"pending": True, "sesam2000_ini": str(installation / "sesam2000.ini")}


# Looking

def test_nothing_is_there(place: Place) -> None:
    seen = place.look()
    assert in_places(seen["paths"]) == place.where
    assert [seen[name]["status"] for name in NAMES] == ["absent"] * 3
    assert (seen["private_key"]["spki"], seen["certificate"]["chain"], seen["csr"]["der"]) == (None, [], None)
    assert seen["has_openssl"] is True
    assert abs(seen["clock"] - datetime.datetime.now().timestamp()) < 60


def test_what_is_there(place: Place, new: pki.Pair) -> None:
    place.put(new)
    seen = place.look()
    assert [seen[name]["status"] for name in NAMES] == ["file"] * 3
    assert base64.b64decode(seen["private_key"]["spki"]) == pki.spki(new.key)
    assert seen["private_key"]["form"] == "PKCS#8"
    assert seen["certificate"]["chain"] == new.base64_chain
    assert base64.b64decode(seen["csr"]["der"]) == keys.openssl("req", "-outform", "DER", "-in", str(place.csr))
    assert (seen["private_key"]["mode"], seen["private_key"]["uid"]) == ("0600", os.geteuid())
    assert [line for line in keys.secret_lines(new.key_pem) if line in json.dumps(seen)] == []


@pytest.mark.parametrize(("name", "form", "make_key"), keys.ALL_PLAIN)
def test_the_public_key_of_every_form(place: Place, name: str, form: str, make_key: t.Any) -> None:
    place.private_key.write_bytes(make_key(name))
    assert base64.b64decode(place.look()["private_key"]["spki"]) == pki.spki(keys.key(name))


def test_without_openssl(place: Place, no_openssl: None) -> None:
    place.private_key.write_bytes(pki.key_bytes(keys.key("P-384")))
    seen = place.look()
    assert seen["has_openssl"] is False
    assert base64.b64decode(seen["private_key"]["spki"]) == pki.spki(keys.key("P-384"))
    place.private_key.write_bytes(pki.key_bytes(keys.key("Ed25519")))
    assert place.look()["private_key"]["spki"] is None


@pytest.mark.parametrize(("spoil", "status", "says"), [
    (os.mkfifo, "not_regular", "a FIFO"), (os.mkdir, "not_regular", "a directory"),
    (lambda path: path.symlink_to(path.name), "not_regular", "a symbolic link"),
    (lambda path: path.write_bytes(bytes((1 << 20) + 1)), "too_large", "1048577 bytes"),
])
def test_what_is_no_file(place: Place, spoil: t.Callable[[Path], object], status: str, says: str) -> None:
    for name in NAMES:
        spoil(getattr(place, name))
    seen = place.look()
    for name in NAMES:
        assert seen[name]["status"] == status
        assert says in seen[name]["reason"]


@pytest.mark.parametrize("garbage", [b"", b"text", pki.key_bytes(pki.ec_key(), passphrase=b"x"), b"\x30\x82"])
def test_garbage(place: Place, garbage: bytes) -> None:
    for name in NAMES:
        getattr(place, name).write_bytes(garbage)
    seen = place.look()
    assert [seen[name]["status"] for name in NAMES] == ["file"] * 3
    assert (seen["private_key"]["spki"], seen["certificate"]["chain"], seen["csr"]["der"]) == (None, [], None)


# Making

def test_all_from_the_controller(place: Place, new: pki.Pair) -> None:
    wish = {"key": content(new.key_pem), "certificate": content(new.pem), "csr": content(request(new.key))}
    before = tree(place.folder)
    assert place.make(**wish, check_mode=True)["changed"]
    assert tree(place.folder) == before
    done = place.make(**wish)
    assert (done["changed"], done["refused"], done["findings"], done["backups"]) == (True, None, [], {})
    assert (place.private_key.read_bytes(), place.certificate.read_bytes()) == (new.key_pem, new.pem)
    assert base64.b64decode(done["spki"]) == pki.spki(new.key)
    assert done["certificate"] == new.base64_chain[0]
    assert base64.b64decode(done["csr"]) == keys.openssl("req", "-outform", "DER", "-in", str(place.csr))
    assert [mode(getattr(place, name)) for name in NAMES] == [0o600, 0o644, 0o644]
    assert [line for line in keys.secret_lines(new.key_pem) if line in json.dumps(done)] == []
    before = tree(place.folder)
    for is_check in (True, False):
        again = place.make(**wish, check_mode=is_check)
        assert (again["changed"], again["spki"], again["certificate"]) == (False, done["spki"], done["certificate"])
    assert tree(place.folder) == before
    assert not place.make()["changed"]


def test_the_same_in_other_words_is_no_change(place: Place, new: pki.Pair) -> None:
    place.put(new)
    for path in (place.private_key, place.certificate, place.csr):
        path.write_bytes(b"text before\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    before = tree(place.folder)
    assert not place.make(key=content(new.key_pem), certificate=content(new.pem))["changed"]
    assert tree(place.folder) == before
    place.private_key.write_bytes(pki.key_bytes(new.key, "TraditionalOpenSSL"))
    assert place.make(key=content(new.key_pem))["changed"]
    assert (place.private_key.read_bytes(), place.certificate.exists()) == (new.key_pem, True)


def test_modes_and_owners_are_mended(place: Place, new: pki.Pair) -> None:
    place.put(new)
    place.private_key.chmod(0o644)
    done = place.make(backup=True)
    assert (done["changed"], done["backups"]) == (True, {})
    assert mode(place.private_key) == 0o600
    if os.geteuid() == 0:
        assert place.make(owner="1234", group="2345")["changed"]
        assert {(path.stat().st_uid, path.stat().st_gid) for path in
                (place.private_key, place.certificate, place.csr)} == {(1234, 2345)}
        # What is new gets the owner of what was there, or of the key.
        place.csr.unlink()
        other = pki.make()
        place.make(key=content(other.key_pem), certificate=content(other.pem), csr=content(request(other.key)))
        assert {(path.stat().st_uid, path.stat().st_gid) for path in
                (place.private_key, place.certificate, place.csr)} == {(1234, 2345)}
    assert place.make(owner="nobody at all")["refused"]["id"] == "owner-unknown"


def test_a_key_that_stays_may_be_immutable(place: Place, new: pki.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put(new)
    place.csr.unlink()
    monkeypatch.setattr(obstacles, "_flags", lambda path: 0x10 if path == str(place.private_key) else 0)
    assert place.make(csr=content(request(new.key)))["changed"]
    other, before = pki.make(), place.contents()
    done = place.make(key=content(other.key_pem), certificate=content(other.pem), csr=content(request(other.key)))
    assert done["refused"]["id"] == "file-immutable"
    assert place.contents() == before


def test_backups(place: Place, old: pki.Pair, new: pki.Pair) -> None:
    place.put(old)
    before = place.contents()
    done = place.make(key=content(new.key_pem), certificate=content(new.pem), csr=content(request(new.key)),
                      backup=True)
    assert {str(Path(path).relative_to(place.folder)): Path(backup).read_bytes()
            for path, backup in done["backups"].items()} == before
    assert {mode(Path(backup)) for backup in done["backups"].values()} == {0o600}
    assert len(place.contents()) == 6


@pytest.mark.parametrize(("name", "curve", "digest"), [
    ("RSA-2048", None, hashes.SHA256()), ("P-256", ec.SECP256R1(), hashes.SHA256()),
    ("P-384", ec.SECP384R1(), hashes.SHA384()), ("P-521", ec.SECP521R1(), hashes.SHA512()),
])
@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_the_host_signs_with_the_key_in_place(
    place: Place, name: str, curve: t.Any, digest: t.Any, form: pki.Form
) -> None:
    """Certificate and request: openssl verifies both."""
    place.private_key.write_bytes(pki.key_bytes(keys.key(name), form))
    place.private_key.chmod(0o600)
    spki = base64.b64decode(place.look()["private_key"]["spki"])
    stranger = ec.generate_private_key(curve) if curve else pki.rsa_key(3)
    foreign = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(stranger, digest)
    foreign_der = foreign.public_bytes(serialization.Encoding.DER).replace(pki.spki(stranger), spki)
    done = place.make(certificate=unsigned_certificate(spki, curve, digest), csr=to_sign(foreign_der))
    assert (done["changed"], done["refused"]) == (True, None)
    assert b"OK" in keys.openssl("verify", "-CAfile", str(place.certificate), str(place.certificate))
    keys.openssl("req", "-verify", "-noout", "-in", str(place.csr))
    # openssl 3.0 says it with its words alone.
    assert x509.load_pem_x509_csr(place.csr.read_bytes()).is_signature_valid
    assert base64.b64decode(done["certificate"]) == keys.openssl(
        "x509", "-outform", "DER", "-in", str(place.certificate))
    assert place.private_key.read_bytes() == pki.key_bytes(keys.key(name), form)


def test_signing_in_check_mode(place: Place) -> None:
    place.private_key.write_bytes(pki.key_bytes(keys.key("P-256")))
    wish = unsigned_certificate(pki.spki(keys.key("P-256")), ec.SECP256R1(), hashes.SHA256())
    before = tree(place.folder)
    assert place.make(certificate=wish, check_mode=True)["changed"]
    assert tree(place.folder) == before


@pytest.mark.parametrize("wish", [
    {"type": "RSA", "size": 2048, "curve": None}, {"type": "EC", "size": None, "curve": "secp384r1"},
    {"type": "EC", "curve": "secp256r1"},
])
def test_a_key_is_made_on_the_host(place: Place, old: pki.Pair, wish: dict[str, t.Any]) -> None:
    place.put(old)
    before = tree(place.folder)
    told = place.make(key={"generate": wish}, check_mode=True)
    assert (told["changed"], told["spki"], told["certificate"]) == (True, None, None)
    assert tree(place.folder) == before
    done = place.make(key={"generate": wish}, backup=True)
    assert base64.b64decode(done["spki"]) == keys.spki_by_openssl(place.private_key.read_bytes())
    assert [line for line in keys.secret_lines(place.private_key.read_bytes()) if line in json.dumps(done)] == []
    # What belonged to the old key is not left beside the new one.
    assert [finding["id"] for finding in done["findings"]] == ["belongs-to-old-key"] * 2
    assert not place.certificate.exists()
    assert not place.csr.exists()
    assert (done["certificate"], done["csr"], len(done["backups"])) == (None, None, 3)


def test_a_key_is_made_where_there_is_none(place: Place) -> None:
    wish = {"generate": {"type": "EC", "curve": "secp256r1"}}
    assert place.make(key=wish, check_mode=True)["changed"]
    assert place.make(key=wish)["changed"]
    assert list(place.contents()) == ["private/x.key"]
    assert mode(place.private_key) == 0o600


def test_the_certificate_that_belongs_to_a_new_key_stays(place: Place, old: pki.Pair, new: pki.Pair) -> None:
    """The key was lost, and comes back."""
    place.put(new)
    place.private_key.write_bytes(old.key_pem)
    done = place.make(key=content(new.key_pem))
    assert (done["findings"], done["certificate"]) == ([], new.base64_chain[0])
    assert place.certificate.read_bytes() == new.pem


@pytest.mark.parametrize("name", ["certificate", "csr"])
def test_what_belongs_to_another_key_is_refused(place: Place, old: pki.Pair, new: pki.Pair, name: str) -> None:
    place.put(old)
    before = tree(place.folder)
    foreign = {"certificate": new.pem, "csr": request(new.key)}[name]
    foreign_der = {"certificate": new.der, "csr": x509.load_pem_x509_csr(request(new.key)).public_bytes(
        serialization.Encoding.DER)}[name]
    for wish in (content(foreign), to_sign(foreign_der)):
        for check_mode in (True, False):
            told = place.make(**{name: wish}, check_mode=check_mode)
            assert told["refused"]["id"] == "pair-mismatch"
    assert place.make(key=content(new.key_pem), **{name: content(foreign)}, check_mode=True)["changed"]
    assert place.make(key={"generate": {"type": "EC", "curve": "secp256r1"}},
                      **{name: content(foreign)})["refused"]["id"] == "pair-mismatch"
    assert tree(place.folder) == before


def test_an_issuer_with_the_key_does_not_make_a_pair(place: Place) -> None:
    """The first certificate is that of the key, whatever follows it."""
    ca = pki.make_ca()
    leaf = pki.make(issuer=ca)
    assert place.make(key=content(ca.key_pem), certificate=content(leaf.pem))["refused"]["id"] == "pair-mismatch"


@pytest.mark.parametrize(("options", "id"), [
    ({"key": {"content": "text"}}, "input-unrecognised"),
    ({"key": {"content": pki.key_bytes(pki.ec_key(), passphrase=b"x").decode()}}, "input-unrecognised"),
    ({"key": {"content": pki.key_bytes(pki.ec_key()).decode()}, "certificate": {"content": "text"}},
     "input-unrecognised"),
    ({"key": {"content": "ä€"}}, "input-unrecognised"),
    ({"certificate": {"content": pki.make().pem.decode()}}, "key-missing"),
    ({"csr": {"tbs": "MAA=", "algorithm": "MAA="}}, "key-missing"),
    ({"key": {"content": pki.key_bytes(pki.ec_key()).decode()}, "csr": {"tbs": "MAA=", "algorithm": "MAA="}},
     "signature-algorithm"),
    ({"key": {"content": pki.key_bytes(keys.key("Ed25519")).decode()}, "csr": {"tbs": "MAA=", "algorithm": "MAA="}},
     "key-not-usable"),
    ({"key": {"generate": {"type": "RSA", "size": 1024}}}, "key-type-unknown"),
])
def test_what_is_refused(place: Place, options: dict[str, t.Any], id: str) -> None:
    assert place.make(**options)["refused"]["id"] == id
    assert place.contents() == {}


def test_places_that_are_refused(place: Place, new: pki.Pair) -> None:
    key = content(new.key_pem)
    for paths, id in (
        ({"private_key": None}, "path-missing"), ({"private_key": "x"}, "path-not-absolute"),
        ({"private_key": "/nowhere/x"}, "directory-missing"),
        ({"private_key": str(place.csr), "csr": str(place.csr)}, "path-twice"),
    ):
        assert make(in_places(paths), key=key)["refused"]["id"] == id
    for name in NAMES:
        path: Path = getattr(place, name)
        path.symlink_to("/etc/hostname")
        assert place.make(key=key)["refused"]["id"] == "destination-is-link"
        path.unlink()
    assert make(in_places({"private_key": str(place.private_key)}), key=key)["changed"]


def test_no_openssl_is_needed_for_what_the_controller_made(place: Place, new: pki.Pair, no_openssl: None) -> None:
    done = place.make(key=content(new.key_pem), certificate=content(new.pem))
    assert (done["changed"], done["refused"]) == (True, None)
    spki = pki.spki(new.key)
    wish = unsigned_certificate(spki, ec.SECP256R1(), hashes.SHA256())
    for options in ({"certificate": wish}, {"key": {"generate": {"type": "EC", "curve": "secp256r1"}}}):
        for check_mode in (True, False):
            assert place.make(**options, check_mode=check_mode)["refused"]["id"] == "openssl-missing"


# As one

def fits(place: Place) -> bool:
    """Whether the files that are there belong together, as openssl has it."""
    public = keys.openssl("pkey", "-pubout", "-in", str(place.private_key)) if place.private_key.exists() else None
    seen = {public}
    if place.certificate.exists():
        seen.add(keys.openssl("x509", "-pubkey", "-noout", "-in", str(place.certificate)))
    if place.csr.exists():
        seen.add(keys.openssl("req", "-pubkey", "-noout", "-in", str(place.csr)))
    return len(seen) == 1


@pytest.mark.parametrize("fails", range(1, 9))
@pytest.mark.parametrize("function", ["rename", "unlink", "fsync"])
def test_either_all_or_none(
    place: Place, old: pki.Pair, new: pki.Pair, function: str, fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(old)
    before = place.contents()
    calls = []
    real = getattr(os, function)

    def once(*arguments: t.Any, **keywords: t.Any) -> None:
        calls.append(arguments)
        if len(calls) == fails:
            raise OSError(5, "Input/output error")
        real(*arguments, **keywords)

    monkeypatch.setattr(os, function, once)
    done = place.make(key=content(new.key_pem), certificate=content(new.pem), csr=content(request(new.key)),
                      backup=True)
    monkeypatch.undo()
    if done["refused"]:
        assert {name: text for name, text in place.contents().items() if "sep-sesam" not in name} == before
    else:
        # Some of these functions are not called so often; or it was only what tidies up.
        assert (place.private_key.read_bytes(), place.certificate.read_bytes()) == (new.key_pem, new.pem)
    assert fits(place)
    assert place.make(key=content(new.key_pem), certificate=content(new.pem))["refused"] is None
    assert place.private_key.read_bytes() == new.key_pem
    assert [name for name in place.contents() if "sep-sesam" in name] == []


@pytest.mark.parametrize("dies", range(1, 12))
def test_whenever_it_dies_what_is_there_fits_together(
    place: Place, old: pki.Pair, new: pki.Pair, dies: int
) -> None:
    """As by SIGKILL: at each call that touches a name, the process is gone."""
    place.put(old)
    pid = os.fork()
    if pid == 0:
        calls = []
        real = {name: getattr(os, name) for name in ("rename", "unlink")}

        def counted(name: str) -> t.Callable[..., None]:
            def call(*arguments: t.Any, **keywords: t.Any) -> None:
                calls.append(name)
                if len(calls) == dies:
                    os._exit(7)
                real[name](*arguments, **keywords)
            return call

        for name in real:
            setattr(os, name, counted(name))
        place.make(key=content(new.key_pem), certificate=content(new.pem), csr=content(request(new.key)))
        os._exit(0)
    os.waitpid(pid, 0)
    assert fits(place)
    assert place.private_key.exists()
    done = place.make(key=content(new.key_pem), certificate=content(new.pem), csr=content(request(new.key)))
    assert done["refused"] is None
    assert sorted(place.contents()) == ["private/x.key", "public/x.crt", "public/x.csr"]
    assert fits(place)


# The pending request

def test_a_request_is_pending(pending: dict[str, t.Any], installation: Path) -> None:
    folder = installation / "var/ini/.sep-sesam/pending"
    before = tree(installation)
    assert [look(pending)[name]["status"] for name in NAMES] == ["absent"] * 3
    wish = {"generate": {"type": "EC", "curve": "secp256r1"}}
    assert make(pending, key=wish, check_mode=True)["changed"]
    assert tree(installation) == before
    first = make(pending, key=wish)
    assert first["paths"] == {"private_key": f"{folder}/sesam.https.key", "certificate": None,
                              "csr": f"{folder}/sesam.https.csr"}
    assert (mode(folder), mode(folder.parent), mode(folder / "sesam.https.key")) == (0o700, 0o700, 0o600)
    spki = base64.b64decode(first["spki"])
    second = make(pending, csr=unsigned_request(spki))
    assert second["spki"] == first["spki"]
    made = x509.load_pem_x509_csr((folder / "sesam.https.csr").read_bytes())
    assert made.is_signature_valid
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    seen = look(pending)
    assert (seen["private_key"]["spki"], seen["csr"]["der"]) == (first["spki"], second["csr"])
    assert not make(pending)["changed"]
    third = make(pending, key=wish)
    assert third["spki"] != first["spki"]
    assert os.listdir(folder) == ["sesam.https.key"]
    assert not (installation / "var/ini/ssl/sesam.https.key").exists()


def test_a_certificate_has_no_place_there(pending: dict[str, t.Any], new: pki.Pair) -> None:
    assert make(pending, key=content(new.key_pem), certificate=content(new.pem))["refused"]["id"] == "path-missing"


def test_a_certificate_without_a_place_is_signed_alone(place: Place) -> None:
    """The key in place stays, and nothing is written: the answer holds the certificate."""
    key = pki.ec_key()
    place.private_key.touch(mode=0o600)
    place.private_key.write_bytes(pki.key_bytes(key))
    before = place.contents()
    where = in_places({"private_key": str(place.private_key), "certificate": None, "csr": None})
    answer = make(where, certificate=unsigned_certificate(pki.spki(key), ec.SECP256R1(), hashes.SHA256()))
    signed = x509.load_der_x509_certificate(base64.b64decode(answer["certificate"]))
    signed.verify_directly_issued_by(signed)
    assert (answer["changed"], answer["backups"]) == (False, {})
    assert place.contents() == before


def test_syslog_gets_one_line_for_a_change(place: Place, old: pki.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says of each file what was done with it."""
    told: list[str] = []
    monkeypatch.setattr(system_log, "tell", told.append)
    place.put(old)
    wish = content(pki.key_bytes(pki.ec_key()))
    assert place.make(key=wish, check_mode=True)["changed"]
    assert place.make(key=wish)["changed"]
    assert not place.make(key=wish)["changed"]
    place.look()
    assert told == [f"Key files: put in place {place.private_key}, taken away {place.certificate} and {place.csr}; "
                    f"run={RUN['id']} by={RUN['by']}"]


def test_both_locks_together_are_waited_for_no_longer_than_told(
    pending: dict[str, t.Any], new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, waited = state.State.lock, []

    def slow(kept: state.State, *given: t.Any, **named: t.Any) -> float:
        lock(kept, *given, **named)
        return 59.5

    monkeypatch.setattr(state.State, "lock", slow)
    monkeypatch.setattr(placing.Places, "lock", lambda places, timeout: waited.append(timeout))
    assert make(pending, key=content(new.key_pem))["changed"]
    assert waited == [0.5]


def test_a_replacement_is_waited_for(
    pending: dict[str, t.Any], installation: Path, new: pki.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = state.State(str(installation / "var/ini/.sep-sesam"))
    kept.lock({"id": "1", "by": "somebody"}, 1, 1)
    monkeypatch.setattr(placing, "LOCK_SECONDS", 0.2)
    told = make(pending, key=content(new.key_pem))
    assert told["refused"]["id"] == "locked"
    assert "somebody" in told["refused"]["message"]
    kept.unlock()
    assert make(pending, key=content(new.key_pem))["changed"]


def test_a_pending_folder_that_is_not_ours(pending: dict[str, t.Any], installation: Path, new: pki.Pair) -> None:
    folder = installation / "var/ini/.sep-sesam/pending"
    folder.parent.mkdir(mode=0o700)
    for spoil in (lambda: folder.mkdir(mode=0o755), lambda: folder.symlink_to("/tmp")):
        spoil()
        assert make(pending, key=content(new.key_pem))["refused"]["id"] == "state-folder-unsafe"
        folder.unlink() if folder.is_symlink() else folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to somebody else")
def test_request_of_somebody_else_is_not_taken(
    pending: dict[str, t.Any], installation: Path, new: pki.Pair
) -> None:
    """It would be fetched for the CA, under the name of the host."""
    assert make(pending, key=content(new.key_pem))["changed"]
    folder = installation / "var/ini/.sep-sesam"
    os.chown(folder, NOBODY, NOBODY)
    looked = answer.answer("key_files", {**pending, "verb": "look"})
    for told in (looked, make(pending, check_mode=True), make(pending)):
        assert told["refused"]["id"] == "state-folder-unsafe"
        assert f"uid {NOBODY}" in told["refused"]["message"]
    seen = gather.gather(pending)
    assert [told["id"] for told in seen["obstacles"]] == ["state-folder-unsafe"]


def test_not_installed() -> None:
    for verb in ("look", "make"):
        told = answer.answer("key_files", {"verb": verb, "pending": True, "sesam2000_ini": "/nowhere",
                                           "check_mode": False})
        assert told["refused"]["id"] == "sesam-not-found"


def test_no_secret_is_seen(place: Place, openssl_recorded: t.Any) -> None:
    done = place.make(key={"generate": {"type": "EC", "curve": "secp256r1"}})
    spki = base64.b64decode(done["spki"])
    answers = [done, place.make(certificate=unsigned_certificate(spki, ec.SECP256R1(), hashes.SHA256())), place.look()]
    lines = keys.secret_lines(place.private_key.read_bytes())
    assert {call.split()[0] for call in openssl_recorded.calls} == {"genpkey", "dgst"}
    assert [line for line in lines if line in openssl_recorded.text + json.dumps(answers)] == []


def test_a_signature_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.private_key.write_bytes(pki.key_bytes(keys.key("P-256")))

    def fail(*_arguments: object) -> t.NoReturn:
        raise refusal.Refused("openssl-failed", "No.", "Mend it.")

    monkeypatch.setattr(openssl, "sign", fail)
    before = tree(place.folder)
    wish = unsigned_certificate(pki.spki(keys.key("P-256")), ec.SECP256R1(), hashes.SHA256())
    assert place.make(certificate=wish)["refused"]["id"] == "openssl-failed"
    assert tree(place.folder) == before
