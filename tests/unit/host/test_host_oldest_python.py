# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host part on the oldest Python that a managed host has: compiled, and used."""

from __future__ import annotations

import base64
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from integration import orders
from unit import pki
from unit.host import keys
from unit.host.conftest import RUN
from unit.host.test_host_key_files import unsigned_request
from workbench import matrix, pythons, tree

OLDEST = matrix.OLDEST.hosts[0]
SENT = sorted(path for part in ("module_utils", "modules") for path in (tree.ROOT / "plugins" / part).rglob("*.py"))


@pytest.fixture(scope="module")
def oldest() -> Path:
    found = pythons.find(OLDEST)
    if found is None:
        pytest.skip(f"no Python {OLDEST} was found")
    return found


def test_every_file_compiles(oldest: Path) -> None:
    assert len(SENT) > 10
    code = "import pathlib, sys\nfor name in sys.argv[1:]: compile(pathlib.Path(name).read_bytes(), name, 'exec')"
    done = subprocess.run([oldest, "-B", "-W", "error", "-c", code, *SENT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_resolve_and_replace(oldest: Path, make_site: t.Any, program: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site = make_site(type(program)(oldest))
    site.put(old)
    site.instance.start()
    seen = site.resolve()
    assert seen["served"]["chain"] == seen["disk"]["certificate"]["chain"] == old.base64_chain
    assert seen["log"]["of_this_start"]
    assert site.replace(new, check_mode=True)["action"] == "replaced"
    answer = site.replace(new)
    assert (answer["action"], answer["failure"], answer["findings"]) == ("replaced", None, [])
    assert answer["after"]["served"]["chain"] == new.base64_chain
    assert site.serves(new)
    assert site.replace(new)["changed"] is False


def test_convert(oldest: Path, program: t.Any, tmp_path: Path) -> None:
    old = type(program)(oldest)
    src, dest = tmp_path / "src", tmp_path / "dest"
    parameters = orders.conversion(src, dest, passphrase=keys.PASSPHRASE, backup=True)
    for make in (keys.PLAIN_TRADITIONAL["traditional"], keys.PLAIN_TRADITIONAL["traditional in DER"],
                 keys.ENCRYPTED["PBES2 AES-256"], keys.ENCRYPTED["PKCS#12 legacy"]):
        for name in ("RSA-2048", "P-384"):
            src.write_bytes(make(name))
            dest.write_bytes(b"something else")
            answer = old.ask("convert", parameters)
            assert (answer["changed"], answer["refused"]) == (True, None)
            assert keys.spki_by_openssl(dest.read_bytes()) == pki.spki(keys.key(name))
            assert old.ask("convert", parameters)["changed"] is False
    assert old.ask("convert", dict(parameters, src="/nowhere"))["refused"]["id"] == "input-missing"
    assert old.ask("convert", dict(parameters, src=str(src), passphrase="x"))["refused"]["id"] == "key-passphrase-wrong"


def test_request_and_answer(oldest: Path, make_site: t.Any, program: t.Any, old: pki.Pair) -> None:
    """The whole round trip: the key is made on the host, the request is signed there, and the certificate comes."""
    site = make_site(type(program)(oldest))
    site.put(old)
    site.instance.start()
    where = dict(site.parameters, pending=True, certificate=None, backup=False, owner=None, group=None,
                 check_mode=False, run=RUN)
    made = site.program.ask("key_files", dict(
        where, verb="make", key={"generate": {"type": "EC", "curve": "secp256r1"}}, csr=None))
    wish = unsigned_request(base64.b64decode(made["spki"]))
    signed = site.program.ask("key_files", dict(where, verb="make", key=None, csr=wish))
    seen = site.program.ask("key_files", dict(where, verb="look"))
    assert seen["csr"]["der"] == signed["csr"] == site.resolve()["pending"]["csr"]
    request = x509.load_der_x509_csr(base64.b64decode(signed["csr"]))
    assert request.is_signature_valid
    new = pki.make("new.example", issuer=pki.make_ca(), public_key=request.public_key())
    answer = site.replace(new, private_key=None, private_key_on_host="pending")
    assert (answer["action"], answer["failure"], answer["findings"]) == ("replaced", None, [])
    assert site.serves(new)
    assert site.resolve()["pending"] is None


def test_the_way_back(oldest: Path, make_site: t.Any, program: t.Any, old: pki.Pair, new: pki.Pair) -> None:
    site = make_site(type(program)(oldest))
    site.put(old)
    site.instance.start()
    site.instance.set(serves="other@1")
    answer = site.replace(new)
    assert (answer["failure"]["step"], answer["failure"]["way_back"]) == ("served", "")
    assert site.serves(old)
