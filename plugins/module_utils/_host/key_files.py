# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key, its certificate and its request (CSR) in files: those of a request that is pending, or anywhere.

What is in a certificate is decided on the controller. Where the key is on this host, the controller sends
what is to be signed, and gets it back signed.
"""

import base64
import os
import stat
import time
import typing as t

from . import (
    der,
    files,
    key_form,
    obstacles,
    openssl,
    owners,
    pair_files,
    pairs,
    pem,
    pkcs8,
    place_checks,
    placing,
    refusal,
    state,
)

_KEY, _CERTIFICATE, _CSR = "private_key", "certificate", "csr"
_LABELS = {_CERTIFICATE: "CERTIFICATE", _CSR: "CERTIFICATE REQUEST"}

Paths = t.Dict[str, t.Optional[str]]


def look_or_make(parameters: dict) -> dict:
    """Answer the question C(key_files), by its C(verb): C(look) or C(make).

    Where: C(private_key_path), C(certificate_path), C(csr_path), absolute, or C(None); or C(pending), true, and what
    C(layout.find) needs.
    """
    if parameters.get("pending"):
        return _pending(parameters)
    paths: Paths = {name: parameters.get(name + "_path") for name in (_KEY, _CERTIFICATE, _CSR)}
    if parameters["verb"] == "look":
        return _look(paths)
    for path in filter(None, paths.values()):
        place_checks.check_destination(path)
    return _Work(paths, parameters).do()


def _pending(parameters: dict) -> dict:
    """In the folder that is ours alone: the key and the request of somebody else would be sent to the CA."""
    places = place_checks.find_installation(parameters)
    kept = state.State(places.state_folder)
    paths: Paths = {_KEY: kept.pending_key, _CERTIFICATE: None, _CSR: kept.pending_csr}
    try:
        if parameters["verb"] == "make" and not parameters["check_mode"]:
            return _make_pending(kept, paths, parameters)
        kept.hold()
        if parameters["verb"] == "make":
            return _Work(paths, parameters, kept.held).do()
        nothing = dict.fromkeys(paths) if kept.is_answered(places.private_key) else paths
        return dict(_look(nothing, kept.held), paths=paths)
    finally:
        kept.unlock()


def _make_pending(kept: state.State, paths: Paths, parameters: dict) -> dict:
    """Under the lock of the replacement, which may be about to take this key."""
    waited = kept.lock(parameters["run"], placing.LOCK_SECONDS, timeout_same_run=placing.LOCK_SECONDS)
    kept.make_pending()
    for path in filter(None, paths.values()):
        place_checks.check_destination(path)
    return _Work(paths, parameters, kept.held, waited).do()


# Looking

def _look(paths: Paths, held: t.Callable[[str], str] = str) -> dict:
    """C(paths), C(private_key), C(certificate), C(csr), C(clock), C(has_openssl), C(refused), as plain data.

    Each file has C(status) (C(file), or why it could not be read as one), C(reason), C(mode), C(uid), C(gid),
    and of its contents: the key C(form) and C(spki), the certificate C(chain), the request C(der). All DER is in
    base64, and C(None) what is not there or not known.
    """
    (key, key_content), (certificate, certificate_content), (csr, csr_content) = [
        _read(path and held(path)) for path in (paths[_KEY], paths[_CERTIFICATE], paths[_CSR])]
    found = pairs.csr_in(csr_content)
    return {
        "paths": paths,
        "private_key": dict(key, form=key_form.of(key_content), spki=_base64(_public_key(key_content))),
        "certificate": dict(certificate, chain=pairs.as_base64(pairs.chain_in(certificate_content))),
        "csr": dict(csr, der=_base64(found)),
        "clock": time.time(), "has_openssl": openssl.is_there(), "refused": None,
    }


def _read(path: t.Optional[str]) -> t.Tuple[dict, bytes]:
    nothing = {"mode": None, "uid": None, "gid": None}
    if path is None:
        return dict(nothing, status="absent", reason="there is no place for it"), b""
    try:
        # To look, a link is followed; where something is to be written, it is refused.
        read = files.read_regular(path, pairs.SIZE_LIMIT, follow_links=True)
    except files.Unreadable as exc:
        return dict(nothing, status=exc.status, reason=exc.reason), b""
    return {"status": "file", "reason": "", "mode": "%04o" % stat.S_IMODE(read.stat.st_mode),
            "uid": read.stat.st_uid, "gid": read.stat.st_gid}, read.content


def _public_key(content: bytes) -> t.Optional[bytes]:
    """The SubjectPublicKeyInfo of a key that is not encrypted; C(None) where it cannot be known."""
    try:
        return _spki(pkcs8.from_file(content))
    except (der.Damaged, refusal.Refused):
        return None


def _spki(key: bytes) -> bytes:
    return pkcs8.spki(key) or openssl.public_key(pkcs8.to_pem(key))


def _base64(content: t.Optional[bytes]) -> t.Optional[str]:
    return None if content is None else base64.b64encode(content).decode("ascii")


# Making

class _Work:
    """What shall be there, worked out from what is there and what was asked for; then done as one.

    C(key) is C(None) (the one in place stays), or has C(content) (PEM), or C(generate) (C(type), C(size),
    C(curve)). C(certificate) and C(csr) are C(None), or have C(content) (PEM), or C(tbs) and C(algorithm) (DER in
    base64): what the key shall sign, and how. Further C(backup), C(owner), C(group), C(check_mode), C(run) (C(id),
    C(by)).

    The answer has C(changed), C(paths), C(spki), C(certificate) (the leaf) and C(csr) as they are in place then
    (DER in base64), C(backups) (by path), C(findings) and C(refused).
    """

    def __init__(self, paths: Paths, parameters: dict, held: t.Callable[[str], str] = str, waited: float = 0) -> None:
        """C(waited): the seconds for which others were waited for already."""
        self._paths = paths
        self._held = held
        self._patience = max(placing.LOCK_SECONDS - waited, 0)
        self._parameters = parameters
        self._findings: t.List[dict] = []
        self._before: t.Dict[str, t.Optional[placing.Copy]] = {}

    def do(self) -> dict:
        """Do it, or say in check mode what would be done."""
        self._check_places()
        with placing.Places(filter(None, self._paths.values()), self._held) as places:
            if not self._parameters["check_mode"]:
                places.lock(self._patience)
            self._before = {name: places.copy(path) if path else None for name, path in self._paths.items()}
            key, is_new = self._key()
            spki = _spki(key) if key else None
            content = {_KEY: self._key_content(key, is_new)}
            for name in (_CERTIFICATE, _CSR):
                content[name] = self._document(name, key, spki, is_new)
            after = {name: self._copy(name, content[name]) for name in content}
            wanted = [(t.cast(str, self._paths[name]), after[name]) for name in (_KEY, _CERTIFICATE, _CSR)
                      if self._paths[name] and after[name] != self._before[name]]
            for path, _copy in wanted:
                obstacles.check_replaceable(path)
            is_made_up = is_new and key is None  # In check mode, a key that would be generated.
            backups: t.Dict[str, str] = {}
            if wanted and not self._parameters["check_mode"]:
                backups = places.exchange(wanted, self._parameters["backup"], self._parameters["run"])
        chain = pairs.chain_in(content[_CERTIFICATE] or b"")
        return {"changed": bool(wanted) or is_made_up, "paths": self._paths, "spki": _base64(spki),
                "certificate": _base64(chain[0]) if chain else None,
                "csr": _base64(pairs.csr_in(content[_CSR] or b"")), "backups": backups,
                "findings": self._findings, "refused": None}

    def _check_places(self) -> None:
        for name, option in ((_KEY, "key"), (_CERTIFICATE, _CERTIFICATE), (_CSR, _CSR)):
            wish = self._parameters[option]
            # A certificate that has no place is signed all the same: the answer holds it.
            is_only_signed = name == _CERTIFICATE and "tbs" in (wish or {})
            if wish is not None and self._paths[name] is None and not is_only_signed:
                raise refusal.Refused("path-missing", "There is no place for the %s." % name.replace("_", " "),
                                      "Give its absolute path.", subject="wanted")
        given = [path for path in self._paths.values() if path]
        if len(set(given)) != len(given):
            raise refusal.Refused("path-twice", "Two of the files have the same path: %s." % ", ".join(given),
                                  "Give each a path of its own.")

    def _key(self) -> t.Tuple[t.Optional[bytes], bool]:
        """The key that will be in place, as PKCS#8 in DER, and whether it is not the one that is there now."""
        wish, there = self._parameters["key"], self._before[_KEY]
        in_place = None
        if there is not None:
            try:
                in_place = pkcs8.from_file(there.content)
            except der.Damaged:
                pass
        if wish is None:
            return in_place, False
        if "generate" in wish:
            return self._generate(wish["generate"]), True
        try:
            given = pkcs8.from_file(wish["content"].encode("ascii", "replace"))
        except der.Damaged as exc:
            raise refusal.Refused("input-unrecognised", "The private key cannot be used: %s." % exc,
                                  "Hand in unencrypted PKCS#8.", subject="wanted") from exc
        return given, in_place is None or not pkcs8.same_key(in_place, given)

    def _generate(self, wish: dict) -> t.Optional[bytes]:
        if self._parameters[_CERTIFICATE] or self._parameters[_CSR]:
            raise refusal.Refused(
                "pair-mismatch", "A key that is only made now stands in no certificate and no request yet.",
                "Have the key made first, and then send what it shall sign.", subject="wanted")
        if not openssl.is_there():
            raise openssl.missing()
        if self._parameters["check_mode"]:
            return None
        return pkcs8.from_file(openssl.generate(wish["type"], wish.get("size"), wish.get("curve")))

    def _key_content(self, key: t.Optional[bytes], is_new: bool) -> t.Optional[bytes]:
        there = self._before[_KEY]
        if there is not None and (key is None or (not is_new and (
                self._parameters["key"] is None or key_form.of(there.content) == key_form.PKCS8))):
            return there.content
        return pkcs8.to_pem(key) if key else None

    def _document(self, name: str, key: t.Optional[bytes], spki: t.Optional[bytes], is_new: bool) -> t.Optional[bytes]:
        """What the file of the certificate, or of the request, will hold."""
        wish, there = self._parameters[name], self._before[name]
        if wish is None:
            return self._kept_document(name, spki, is_new)
        if "content" in wish:
            content = wish["content"].encode("ascii", "replace")
            documents = _documents(name, content)
        else:
            documents = [self._signed(wish, key)]
            content = pem.encode(_LABELS[name], documents[0])
        if not documents:
            raise refusal.Refused("input-unrecognised", "What shall be the %s is none in PEM." % name,
                                  "Hand in PEM.", subject="wanted")
        if key is None and self._paths[_KEY] is not None:
            raise refusal.Refused("key-missing", "There is no private key that can be used in %s." % self._paths[_KEY],
                                  "Hand in the key too, or have one made.", subject="wanted")
        if spki is not None and spki not in documents[0]:
            raise refusal.Refused("pair-mismatch", "The %s belongs to another key than %s." % (name, self._paths[_KEY]),
                                  "Hand in the one that belongs to this key. Run again, if another run has made a new "
                                  "key meanwhile.", subject="wanted")
        return there.content if there and _documents(name, there.content) == documents else content

    def _kept_document(self, name: str, spki: t.Optional[bytes], is_new: bool) -> t.Optional[bytes]:
        """What is there stays, if it does not belong to a key that goes."""
        there = self._before[name]
        if there is None or not is_new or (spki and spki in b"".join(_documents(name, there.content)[:1])):
            return there.content if there else None
        self._findings.append(refusal.finding(
            "belongs-to-old-key", "current", "info", "%s belongs to the key that is replaced: it is taken away." % (
                self._paths[name]), "Have a new one made for the new key."))
        return None

    def _signed(self, wish: dict, key: t.Optional[bytes]) -> bytes:
        """What the controller wants to be signed, as the standard has it: SEQUENCE of this, how, and the signature."""
        tbs, algorithm = base64.b64decode(wish["tbs"]), base64.b64decode(wish["algorithm"])
        if key is None:
            raise refusal.Refused("key-missing", "There is no private key that could sign in %s." % self._paths[_KEY],
                                  "Have one made first.", subject="wanted")
        try:
            expected, _digest = pkcs8.signature_algorithm(key)
        except der.Damaged as exc:
            raise refusal.Refused("key-not-usable", "Nothing is signed with the key in %s: %s." % (
                self._paths[_KEY], exc), "Use a key of type RSA or EC.", subject="wanted") from exc
        if algorithm != expected:
            raise refusal.Refused("signature-algorithm", "The key in %s does not sign in the way that was asked "
                                  "for." % self._paths[_KEY], "Look at the key again: it was exchanged meanwhile.",
                                  subject="wanted")
        if not openssl.is_there():
            raise openssl.missing()
        signature = openssl.sign(pkcs8.to_pem(key), tbs)
        return der.encode(der.SEQUENCE, tbs, algorithm, der.bit_string(signature))

    def _copy(self, name: str, content: t.Optional[bytes]) -> t.Optional[placing.Copy]:
        """A file with its mode, and its owner: as asked for, else as before, else as the key's, else ours."""
        if content is None:
            return None
        before = self._before[name] or self._before[_KEY]
        default = before.owner if before else (os.geteuid(), os.getegid())
        mode = pair_files.PRIVATE_KEY_MODE if name == _KEY else pair_files.CERTIFICATE_MODE
        return placing.Copy(content, mode, owners.ids(self._parameters, default))


def _documents(name: str, content: bytes) -> t.List[bytes]:
    """The certificates, leaf first, or the one request, in a PEM file, as DER."""
    if name == _CERTIFICATE:
        return pairs.chain_in(content)
    found = pairs.csr_in(content)
    return [found] if found else []
