# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host program is asked to do while it dies: each flow with what is there before, and what shall be after."""

from __future__ import annotations

import base64
import os
import typing as t
from pathlib import Path

from ansible_collections.sep.sesam.plugins.plugin_utils import _requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from integration import accounts, orders
from integration.certificates import Pair
from integration.secret_text import PASSPHRASE

from . import disk, promises, told
from .promises import Contents
from .site import Answer, Site

Asked = tuple[str, dict[str, t.Any]]


class Flow:
    """A replacement of the pair in place, by one from the controller."""

    name = "replacement"
    needs_rmi = True
    keeps_pending = False
    keeps_old = True
    # What the port serves at the end.
    serves = "new"

    def begin(self, site: Site) -> None:
        """Bring the host into the state of before."""
        site.rest()

    def pairs(self, site: Site) -> tuple[Contents | None, Contents | None]:
        """The old pair and the wanted one."""
        return promises.contents(site.current), promises.contents(site.other)

    def asked(self, site: Site) -> Asked:
        """What it is asked while it dies."""
        return "replace", site.parameters()

    def before_next(self, site: Site) -> None:
        """What an order of a fault has left is not for the next run."""
        site.instance.unset()

    def next(self, site: Site) -> Asked:
        """What it is asked then; as many backups are kept as nobody counts."""
        question, parameters = self.asked(site)
        return question, {**parameters, "keep_backups": 5}

    def broken_alone(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        """What is promised of it where it does not die."""
        return [*self._outcome("", answer), *promises.of_the_end(tree, self.pairs(site)[1], self.keeps_pending)]

    def _outcome(self, expected: str, answer: Answer) -> list[str]:
        failed = told.outcome(answer) if answer.get("refused") or answer.get("failure") else ""
        return told.broken(answer) + ([] if failed == expected else [f"it ends otherwise: {told.message(answer)}"])

    def broken_now(self, tree: disk.Tree) -> list[str]:
        """Further promises, of any moment."""
        return []

    def broken_at_the_end(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        """Further promises, of the end."""
        return []

    def end(self, site: Site, answer: Answer) -> None:
        """Take note of what is in place now."""


class FailedStart(Flow):
    """The new pair does not start, and the old one comes back."""

    name = "rollback after a failed start"

    def begin(self, site: Site) -> None:
        super().begin(site)
        site.instance.set(start="fails@1")

    def broken_alone(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        """The way back is gone to its end."""
        old, _wanted = self.pairs(site)
        served = site.served_in_words()
        return [*self._outcome("failed: start", answer), *promises.of_the_end(tree, old),
                *([] if served == "old" else [f"after the way back the port serves {served}"])]


class FirstPair(Flow):
    """A host that never had a pair, nor any folder for one, and serves one that rmi has generated."""

    name = "first pair"

    def begin(self, site: Site) -> None:
        site.rest()
        tree = {name: file for name, file in site.tree().items()
                if not name.startswith(("ssl", promises.STATE))}
        disk.write(site.ini, tree)
        site.instance.stop()
        site.start()

    def pairs(self, site: Site) -> tuple[Contents | None, Contents | None]:
        return None, promises.contents(site.other)


class Recovery(Flow):
    """The run that finds what an interrupted one has left: the new pair in place, and rmi stopped."""

    name = "recovery"

    def begin(self, site: Site) -> None:
        super().begin(site)
        # The start of rmi.
        if not site.run(*super().asked(site), kill="start rmi").was_killed:
            raise RuntimeError("the run that is to be recovered did not die")


class Restore(Flow):
    """The pair of a backup comes back."""

    name = "restore of a backup"

    def asked(self, site: Site) -> Asked:
        found = (site.server.state_folder / "backups").glob("*[!w]/sesam.https.key")
        key = next(path for path in found if path.read_bytes() == site.other.key_pem())
        # As the playbook has it: what is restored is kept until all is done.
        return "replace", site.parameters(private_key=None, private_key_on_host=str(key), keep_backups=5)


class Permissions(Flow):
    """The pair stays, and gets the owner that was asked for, and its modes. Root alone can do it."""

    name = "permissions alone"
    serves = "old"

    def begin(self, site: Site) -> None:
        super().begin(site)
        for path, mode in ((site.instance.private_key, 0o400), (site.instance.certificate, 0o640)):
            os.chown(path, accounts.NOBODY, accounts.NOBODY)
            os.chmod(path, mode)

    def asked(self, site: Site) -> Asked:
        return "replace", site.parameters(site.current, owner="root", group="root")

    def pairs(self, site: Site) -> tuple[Contents | None, Contents | None]:
        pair = promises.contents(site.current)
        return pair, pair

    def broken_alone(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        return [*super().broken_alone(site, tree, answer), *self.broken_at_the_end(site, tree, answer)]

    def broken_at_the_end(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        right = {promises.PRIVATE_KEY: 0o600, promises.CERTIFICATE: 0o644}
        return [f"{name} belongs to {tree[name].owner}, mode {tree[name].mode:04o}" for name, mode in right.items()
                if (tree[name].owner, tree[name].mode) != ((0, 0), mode)]


class _OfKeys(Flow):
    """What touches no server: files alone."""

    needs_rmi = False

    def pairs(self, site: Site) -> tuple[Contents | None, Contents | None]:
        """The pair in place is not touched."""
        pair = promises.contents(site.current)
        return pair, pair

    def next(self, site: Site) -> Asked:
        return self.asked(site)


_PENDING_KEY, _PENDING_CSR = (f"{promises.STATE}/pending/sesam.https.{ending}" for ending in ("key", "csr"))


def _put(site: Site, tree: dict[str, bytes]) -> None:
    """Further files on the host, closed to others."""
    for name, content in tree.items():
        path = site.ini / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _csr(pair: Pair) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(pair.certificate.subject)
    names = x509.SubjectAlternativeName([x509.DNSName("two.example")])
    request = builder.add_extension(names, critical=False).sign(pair.key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _apart(key: bytes | None, document: bytes | None, words: str) -> list[str]:
    """Whether a key and a request, or a certificate, do not belong together."""
    if document is None:
        return []
    if key is None:
        return [f"{words} is there without its key"]
    load = x509.load_pem_x509_csr if b"REQUEST" in document else x509.load_pem_x509_certificate
    private = serialization.load_pem_private_key(key, None)
    is_same = load(document).public_key() == private.public_key()
    return [] if is_same else [f"{words} belongs to another key"]


def _content(tree: disk.Tree, name: str) -> bytes | None:
    return tree[name].content if name in tree else None


class NewRequest(_OfKeys):
    """A key for a request is made, where an older request is pending."""

    name = "CSR: new key"
    keeps_pending = True

    def begin(self, site: Site) -> None:
        super().begin(site)
        _put(site, {_PENDING_KEY: site.other.key_pem(), _PENDING_CSR: _csr(site.other)})

    def asked(self, site: Site) -> Asked:
        wish = {"generate": {"type": "EC", "curve": "secp256r1"}}
        return "key_files", {**site.parameters(), **orders.key_files(pending=True, key=wish)}

    def broken_now(self, tree: disk.Tree) -> list[str]:
        return _apart(_content(tree, _PENDING_KEY), _content(tree, _PENDING_CSR), "the pending request")


class SignedRequest(NewRequest):
    """The request for a key that was made is signed on the host."""

    name = "CSR: request"

    def begin(self, site: Site) -> None:
        site.rest()
        _put(site, {_PENDING_KEY: site.other.key_pem()})
        self._key = site.other.key_pem()

    def asked(self, site: Site) -> Asked:
        unsigned = _requests.csr(_requests.identity(["two.example"]), site.other.key.public_key())
        return "key_files", {**site.parameters(), **orders.key_files(pending=True, csr=_wish(unsigned))}

    def broken_now(self, tree: disk.Tree) -> list[str]:
        lost = [] if _content(tree, _PENDING_KEY) == self._key else ["the pending key is lost"]
        return lost + super().broken_now(tree)

    def broken_at_the_end(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        return [] if _PENDING_CSR in tree else ["there is no request"]


def _wish(unsigned: t.Any) -> dict[str, str]:
    return {"tbs": base64.b64encode(unsigned.tbs).decode(), "algorithm": base64.b64encode(unsigned.algorithm).decode()}


class Answered(Flow):
    """The certificate of a pending request comes: its key is taken from there."""

    name = "CSR: certificate placed"

    def begin(self, site: Site) -> None:
        super().begin(site)
        _put(site, {_PENDING_KEY: site.other.key_pem(), _PENDING_CSR: _csr(site.other)})

    def asked(self, site: Site) -> Asked:
        return "replace", site.parameters(private_key=None, private_key_on_host="pending")


class Elsewhere(_OfKeys):
    """Key and certificate in folders of the user's are replaced as one."""

    name = "key and certificate elsewhere"
    _KEY, _CERTIFICATE = "elsewhere/x.key", "elsewhere/x.crt"

    def begin(self, site: Site) -> None:
        super().begin(site)
        _put(site, {self._KEY: site.current.key_pem(), self._CERTIFICATE: site.current.pem})

    def asked(self, site: Site) -> Asked:
        paths = {"private_key_path": str(site.ini / self._KEY), "certificate_path": str(site.ini / self._CERTIFICATE)}
        wishes = {"key": {"content": site.other.key_pem().decode()},
                  "certificate": {"content": site.other.pem.decode()}}  # fmt: skip
        return "key_files", orders.key_files(pending=False, **wishes, **paths)

    def broken_now(self, tree: disk.Tree) -> list[str]:
        return _apart(_content(tree, self._KEY), _content(tree, self._CERTIFICATE), "the certificate elsewhere")

    def broken_at_the_end(self, site: Site, tree: disk.Tree, answer: Answer) -> list[str]:
        names = {name for name in tree if name.startswith("elsewhere/")}
        is_placed = _content(tree, self._KEY) == site.other.key_pem()
        left = [f"left over: {name}" for name in names - {self._KEY, self._CERTIFICATE}]
        return left + ([] if is_placed else ["the key elsewhere is not the wanted one"])


class Conversion(_OfKeys):
    """An encrypted key is converted where it is."""

    name = "conversion in place"
    # It is the same key, in another form.
    keeps_old = False

    def begin(self, site: Site) -> None:
        super().begin(site)
        key = site.current.key_pem("TraditionalOpenSSL", PASSPHRASE)
        place = Path(site.instance.private_key)
        place.write_bytes(key)
        self._before = (site.current.pem, key)
        site.ask(*self.asked(site))  # How the converted key is written is not known here.
        self._after = (site.current.pem, place.read_bytes())
        place.write_bytes(key)

    def pairs(self, site: Site) -> tuple[Contents | None, Contents | None]:
        return self._before, self._after

    def asked(self, site: Site) -> Asked:
        key = site.instance.private_key
        return "convert", orders.conversion(key, key, passphrase=PASSPHRASE)


ALL: tuple[type[Flow], ...] = (
    Flow, FailedStart, FirstPair, Recovery, Restore, *([] if os.geteuid() else [Permissions]), NewRequest,
    SignedRequest, Answered, Elsewhere, Conversion,
)  # fmt: skip
