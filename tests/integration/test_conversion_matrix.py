# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key types, forms, containers and disturbances: each input is converted, and openssl and Java look at what comes out.

An input is one test, so that it is counted and has a name. The way is that of a task: from the value of an option
to the pair that is placed.
"""

from __future__ import annotations

import base64
import functools
import itertools
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _contents, _inputs, _keys, _preflight
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import ssh
from integration import forms, oracle
from integration.forms import Stock

Files = dict[str, bytes]


class Case(t.NamedTuple):
    """One input: the files by the names of their options, made when they are needed."""

    name: str
    kind: str
    make: t.Callable[[bytes, t.Sequence[bytes]], Files]
    passphrase: str | None = None
    # Whether it holds a fourth certificate too, which has the name of the CA and has signed nothing.
    has_namesake: bool = False


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """The keys, the same for all workers."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):  # That of a worker: its parent is common to all.
        folder = folder.parent
    folder /= "stock"
    folder.mkdir(exist_ok=True)
    return Stock(folder)


@pytest.fixture(scope="session")
def java() -> t.Iterator[oracle.Java]:
    """One JVM for all keys."""
    if not oracle.Java.is_there():
        pytest.skip("no JDK is installed")
    machine = oracle.Java()
    yield machine
    machine.close()


# The matrix

def every_form_of_a_key() -> t.Iterator[Case]:
    """Beside a clean chain."""
    for form in (*forms.KEYS_IN_PEM, *forms.KEYS_IN_DER):
        for kind in form.kinds:
            yield Case(form.name, kind, functools.partial(_beside_chain, form.make), form.passphrase)


def _beside_chain(make: t.Callable[[bytes], bytes], key: bytes, chain: t.Sequence[bytes]) -> Files:
    return {"certificate": b"".join(chain), "private_key": make(key)}


def every_container() -> t.Iterator[Case]:
    """With all in it."""
    for form in forms.CONTAINERS:
        for kind in form.kinds:
            yield Case(form.name, kind, lambda key, chain, make=form.make: {"pkcs12": make(key, chain)},
                       form.passphrase)


def containers_used_in_other_ways() -> t.Iterator[Case]:
    """A PKCS#12 as text, under another option, with a part of the chain beside it."""
    windows = {form.name: form for form in forms.CONTAINERS}["PKCS#12 as Windows exports it"]
    uses: dict[str, t.Callable[[bytes, t.Sequence[bytes]], Files]] = {
        "PKCS#12 as the certificate": lambda key, chain: {"certificate": windows.make(key, chain)},
        "PKCS#12 as certificate and key": lambda key, chain: dict.fromkeys(
            ("certificate", "private_key"), windows.make(key, chain)),
        "PKCS#12 in base64": lambda key, chain: {"pkcs12": base64.encodebytes(windows.make(key, chain))},
        "PKCS#12 with BEGIN": lambda key, chain: {"pkcs12": forms.pem(b"PKCS12", windows.make(key, chain))},
        "PKCS#12 with the leaf alone": lambda key, chain: {
            "pkcs12": windows.make(key, chain[:1]), "chain": b"".join(chain[:0:-1])},
        "PKCS#12 with its chain in another order": lambda key, chain: {
            "pkcs12": windows.make(key, [chain[0], chain[2], chain[1]])},
    }
    for (name, make), kind in itertools.product(uses.items(), ("RSA 2048", "P-384", "Ed25519")):
        yield Case(name, kind, make, windows.passphrase)


def chains_in_pkcs7() -> t.Iterator[Case]:
    """Of all certificates, and of those above the leaf; in any order, since a PKCS#7 holds a set."""
    for kind, form in itertools.product(forms.KINDS, ("PEM", "DER")):
        pack = functools.partial(forms.pkcs7, form=form)
        yield Case(f"PKCS#7 in {form}", kind, lambda key, chain, pack=pack: {
            "certificate": pack([chain[1], chain[2], chain[0]]), "private_key": key})
        yield Case(f"PKCS#7 in {form} beside the leaf", kind, lambda key, chain, pack=pack: {
            "certificate": chain[0], "chain": pack(chain[:0:-1]), "private_key": key})


def disturbed_keys() -> t.Iterator[Case]:
    """Each disturbance of each kind of key, in one form after the other."""
    turns = {kind: itertools.cycle(form for form in forms.KEYS_IN_PEM if kind in form.kinds and form.name != "scrypt")
             for kind in forms.KINDS}
    for disturbance, kind in itertools.product(forms.DISTURBANCES, forms.KINDS):
        if disturbance.name == "END and BEGIN on one line":
            continue  # That takes two blocks.
        form = _first(turns[kind], disturbance)
        yield Case(f"{form.name}, {disturbance.name}", kind, functools.partial(
            _beside_chain, lambda key, form=form, disturbance=disturbance: disturbance.make(form.make(key))),
            form.passphrase)


def _first(turns: t.Iterator[forms.Form], disturbance: forms.Disturbance) -> forms.Form:
    """The next form that can have it; the turns have no end."""
    while not _can_have(form := next(turns), disturbance):
        pass
    return form


def _can_have(form: forms.Form, disturbance: forms.Disturbance) -> bool:
    """Told from the name: the form itself is not made yet."""
    parts = {"Proc-Type": b"Proc-Type:", "OpenSSH": b"OPENSSH", "behind": b"-----BEGIN a\n-----BEGIN b\n"}
    return disturbance.fits(b"-----BEGIN x\n" + b"".join(part for word, part in parts.items() if word in form.name))


def disturbed_files() -> t.Iterator[Case]:
    """One file with everything; and a chain of its own, as PEM and as PKCS#7."""
    kinds = itertools.cycle(forms.KINDS)
    for disturbance in forms.DISTURBANCES:
        if "alone" in disturbance.name:
            continue
        for order in ("key first", "key last"):
            yield Case(f"one file, {order}, {disturbance.name}", next(kinds),
                       functools.partial(_one_file, disturbance.make, order == "key first"))
        yield Case(f"chain, {disturbance.name}", next(kinds), lambda key, chain, make=disturbance.make: {
            "certificate": make(b"".join(chain)), "private_key": key})
    for disturbance in forms.DISTURBANCES:
        if disturbance.name != "END and BEGIN on one line":
            yield Case(f"PKCS#7, {disturbance.name}", next(kinds), lambda key, chain, make=disturbance.make: {
                "certificate": make(forms.pkcs7(chain)), "private_key": key})


def _one_file(
    disturb: t.Callable[[bytes], bytes], is_key_first: bool, key: bytes, chain: t.Sequence[bytes]
) -> Files:
    parts = [key, *chain] if is_key_first else [*chain, key]
    return {"certificate": disturb(b"".join(parts))}


def any_order() -> t.Iterator[Case]:
    """Key, leaf, CA and root in each of their orders, in one file or one for both options."""
    names = ("key", "leaf", "CA", "root")
    kinds = itertools.cycle(forms.KINDS)
    for order in itertools.permutations(range(4)):
        for option in ("certificate", "private_key and certificate"):
            def make(key: bytes, chain: t.Sequence[bytes], order: t.Any = order, option: str = option) -> Files:
                text = b"".join([key, *chain][number] for number in order)
                return dict.fromkeys(option.split(" and "), text)

            yield Case(f"{', '.join(names[number] for number in order)} as {option}", next(kinds), make)


def renewed_authorities() -> t.Iterator[Case]:
    """A CA of the same name with an older key, before and behind the one that has signed."""
    for kind, (name, order) in itertools.product(forms.KINDS, {"before": (0, 3, 1, 2), "behind": (2, 1, 3, 0)}.items()):
        yield Case(f"a CA of the same name {name} the right one", kind, lambda key, chain, order=order: {
            "certificate": b"".join(chain[number] for number in order), "private_key": key}, None, True)


CASES = [
    *every_form_of_a_key(), *every_container(), *containers_used_in_other_ways(), *chains_in_pkcs7(),
    *disturbed_keys(), *disturbed_files(), *any_order(), *renewed_authorities(),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_converted(case: Case, stock: Stock, request: pytest.FixtureRequest) -> None:
    key, chain = stock.key(case.kind), stock.chain(case.kind)
    if case.has_namesake:
        chain = [*chain, stock.namesake(case.kind)]
    expected = oracle.public_key(key)
    wanted = converted(_made(case.make, key, chain), case.passphrase)

    assert wanted.private_key.pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert oracle.public_key_of_plain_pkcs8(wanted.private_key.pem.encode()) == expected

    placed = forms.blocks(_certificates.to_pem(wanted.chain).encode())
    assert placed == list(chain)
    assert [oracle.has_signed(*two) for two in zip(placed[1:], placed)] == [True, True, *[False] * (len(placed) - 3)]

    if oracle.Java.is_there():
        java = request.getfixturevalue("java")
        answer = java.reads(case.kind, expected, forms.der(wanted.private_key.pem.encode()))
        assert answer == java.algorithm(case.kind)


def _made(make: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
    try:
        return make(*arguments)
    except forms.CannotMake as exc:
        pytest.skip(str(exc))


def converted(files: Files, passphrase: str | None = None) -> _preflight.WantedPair:
    """The pair from the values of options: paths of files."""
    inputs = {option: _inputs.read(option, f"/a folder/{option}", lambda path, content=content: content)
              for option, content in files.items()}
    return _preflight.pair(_preflight.Sources(**inputs, passphrase=passphrase))


def test_java_was_asked(java: oracle.Java) -> None:
    """Where there is no JDK, this is skipped, and the matrix had openssl alone."""
    assert java.reads("P-256", b"x", b"x").startswith("java.security.spec.InvalidKeySpecException")


def test_the_matrix_is_as_large_as_promised() -> None:
    names = [f"{case.kind}: {case.name}" for case in CASES]
    assert len(names) >= 600
    assert len(set(names)) == len(names)
    assert {case.kind for case in CASES} == set(forms.KINDS)


# What watches can see

def test_openssl_sees_what_is_no_plain_pkcs8(stock: Stock) -> None:
    """Else every test above would be worth little."""
    key = stock.key("RSA 2048")
    inner = {form.name: form.make(key) for form in forms.KEYS_IN_PEM if form.name in ("PKCS#1", "scrypt")}
    relabelled = forms.pem(b"PRIVATE KEY", forms.der(inner["PKCS#1"]))
    for text in (*inner.values(), relabelled, key.replace(b"M", b"N", 1)):
        with pytest.raises(forms.CannotMake, match="openssl pkcs8"):
            oracle.public_key_of_plain_pkcs8(text)


def test_openssl_sees_who_has_not_signed(stock: Stock) -> None:
    leaf, authority, root = stock.chain("P-256")
    assert oracle.has_signed(authority, leaf)
    assert not oracle.has_signed(root, leaf)
    assert not oracle.has_signed(leaf, authority)


def test_java_sees_another_key(stock: Stock, java: oracle.Java) -> None:
    for kind, other in (("RSA 2048", "RSA 3072"), ("P-256", "P-384"), ("Ed25519", "Ed448")):
        assert java.reads(kind, oracle.public_key(stock.key(other)), forms.der(stock.key(kind))) != java.algorithm(kind)


# What is not opened, and says so

@pytest.mark.parametrize("form", forms.KEYS_UNREADABLE, ids=lambda form: form.name)
def test_old_encryption_that_no_library_reads_names_the_way_out(form: forms.Form, stock: Stock) -> None:
    content = _made(form.make, stock.key("P-256"))
    text = refusal({"private_key": content, "certificate": stock.chain("P-256")[0]}, form.passphrase)
    assert text.startswith("input-unrecognised: private_key (/a folder/private_key) is encrypted PKCS#8 and cannot be")
    assert "openssl pkcs8 -topk8 -in KEY -out NEW" in text


ENCRYPTED = [form for form in (*forms.KEYS_IN_PEM, *forms.KEYS_IN_DER, *forms.CONTAINERS) if form.passphrase]


@pytest.mark.parametrize("form", ENCRYPTED, ids=lambda form: form.name)
def test_without_the_passphrase_and_with_another(form: forms.Form, stock: Stock) -> None:
    key, chain = stock.key("P-256"), stock.chain("P-256")
    if form in forms.CONTAINERS:
        files = {"pkcs12": _made(form.make, key, chain)}
    else:
        files = {"certificate": chain[0], "private_key": _made(form.make, key)}
    missing, wrong = refusal(files, None), refusal(files, "n0t the one")
    assert missing.startswith("key-passphrase-missing: ")
    assert wrong.startswith("key-passphrase-wrong: ")
    assert "n0t the one" not in wrong


def refusal(files: Files, passphrase: str | None) -> str:
    """Id, message and fix of the one finding for which a pair is refused."""
    with pytest.raises(Refused) as raised:
        converted(files, passphrase)
    (finding,) = raised.value.findings
    assert finding.fix
    return str(finding)


@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "Ed25519"])
def test_an_encrypted_openssh_key_needs_bcrypt(kind: str, stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that controllers need not have; the answer names it, and the program that does without."""

    def absent(*_arguments: object) -> t.NoReturn:
        raise UnsupportedAlgorithm("Need bcrypt module")  # The library's own words where it is not installed.

    monkeypatch.setattr(ssh, "_bcrypt_kdf", absent)
    content = _made(forms.openssh, stock.key(kind), forms.PASSPHRASE)
    files = {"certificate": stock.chain(kind)[0], "private_key": content}
    assert refusal(files, None).startswith("key-passphrase-missing: private_key (/a folder/private_key) is encrypted")
    text = refusal(files, forms.PASSPHRASE)
    assert text.startswith("input-unrecognised: private_key (/a folder/private_key) is OpenSSH and cannot be read: ")
    assert "bcrypt" in text
    assert "ssh-keygen -p -m PKCS8 -f KEY" in text


@pytest.mark.parametrize("kind", ["RSA 2048", "P-256", "Ed25519"])
def test_an_encrypted_openssh_key_with_bcrypt(kind: str, stock: Stock) -> None:
    content = _made(forms.openssh, stock.key(kind), forms.PASSPHRASE)
    key = _keys.to_pkcs8(_keys.one_of(_contents.of(_inputs.Input(content, "key"))), forms.PASSPHRASE)
    assert key.spki == oracle.public_key(stock.key(kind))
    assert refusal({"certificate": stock.chain(kind)[0], "private_key": content}, "n0t the one").startswith(
        "key-passphrase-wrong: ")


@pytest.mark.parametrize("kind", forms.KINDS)
def test_the_key_of_another_is_refused(kind: str, stock: Stock) -> None:
    other = forms.KINDS[forms.KINDS.index(kind) - 1]
    text = refusal({"certificate": b"".join(stock.chain(kind)), "private_key": stock.key(other)}, None)
    assert text.startswith("pair-mismatch: The private key in private_key (/a folder/private_key) does not belong")


@pytest.mark.parametrize("store", ["JKS", "JCEKS"])
def test_a_keystore_of_java_names_keytool_which_helps(store: str, stock: Stock, tmp_path: Path) -> None:
    """The command of the message is run, and what it makes is read."""
    old, new = tmp_path / "old.jks", tmp_path / "new.p12"
    _made(forms.run, "keytool", "-genkeypair", "-keyalg", "EC", "-alias", "x", "-dname", "CN=x", "-storetype", store,
          "-keystore", old, "-storepass", "changeit", "-keypass", "changeit")
    text = refusal({"pkcs12": old.read_bytes()}, "changeit")
    assert f"is a Java keystore ({store})" in text
    command = text.partition("keytool ")[2].partition(";")[0].split()
    names = {"FILE": str(old), "FILE.p12": str(new)}
    forms.run("keytool", *(names.get(word, word) for word in command), "-srcstorepass", "changeit",
              "-deststorepass", "changeit")
    wanted = converted({"pkcs12": new.read_bytes()}, "changeit")
    assert oracle.public_key_of_plain_pkcs8(wanted.private_key.pem.encode()) == wanted.private_key.spki
