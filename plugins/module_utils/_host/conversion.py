# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private key on this host in the form that the server reads, unencrypted PKCS#8 in PEM. It never leaves it."""

import hashlib
import os
import typing as t

from . import der, files, key_form, key_source, obstacles, openssl, owners, pem, pkcs8, place_checks, placing, refusal

_BY_OURSELVES = (key_form.PKCS8, key_form.PKCS1, key_form.SEC1)
_BY_OPENSSL = (key_form.PKCS8_ENCRYPTED, key_form.TRADITIONAL_ENCRYPTED, key_form.DSA)
_PKCS12 = "PKCS#12"
_JKS_MAGIC = {b"\xfe\xed\xfe\xed": "a Java keystore (JKS)", b"\xce\xce\xce\xce": "a Java keystore (JCEKS)"}


def convert(parameters: dict) -> dict:
    """Answer the question C(convert).

    The parameters: C(src) and C(dest) (absolute paths, which may be the same), C(passphrase), C(backup),
    C(mode) (a number), C(owner), C(group), C(check_mode), C(run) (C(id), C(by)).

    The answer has C(changed), C(form_before), C(form), C(spki_sha256) (C(None) where it cannot be known),
    C(backup) (its path), C(before) and C(after) (C(form), C(mode), C(uid) and C(gid) of dest, C(None) where there is
    none), and C(findings). It never has the key.
    """
    src, dest = parameters["src"], parameters["dest"]
    findings = []
    place_checks.check_destination(dest)
    with placing.Places([dest]) as places:
        if not parameters["check_mode"]:
            places.lock(placing.LOCK_SECONDS)
        # Not before: whoever had the lock may have replaced this very key.
        source = key_source.read(src)
        form, key = _to_pkcs8(source.content, src, parameters["passphrase"])
        public = _prove(source.content, key, form, parameters["passphrase"])
        before = places.copy(dest)
        if before and _holds(before.content, key):
            content, default = before.content, before.owner
        else:
            content, default = pkcs8.to_pem(key), _owner(dest, before, source, parameters)
        wanted = placing.Copy(content, parameters["mode"], owners.ids(parameters, default))
        changed = wanted != before
        backups: t.Dict[str, str] = {}
        lost = _certificate_labels(before.content) - _certificate_labels(content) if before else set()
        if lost:
            findings.append(refusal.finding(
                "key-file-held-more", "place", "info", "%s holds more than the private key: %s." % (
                    dest, ", ".join(sorted(lost))), "What is needed of it can be taken from the backup."))
        if changed:
            obstacles.check_replaceable(dest)
        if changed and not parameters["check_mode"]:
            backups = places.exchange([(dest, wanted)], parameters["backup"] or bool(lost), parameters["run"])
    return {"changed": changed, "form_before": form, "form": key_form.PKCS8,
            "spki_sha256": hashlib.sha256(public).hexdigest() if public else None, "backup": backups.get(dest),
            "before": _facts(before), "after": _facts(wanted), "findings": findings, "refused": None}


def _owner(dest: str, before: t.Optional[placing.Copy], source: files.Contents, parameters: dict
           ) -> t.Tuple[int, int]:
    """Owner and group where none are asked for. A link may have led src to a key that is not that of dest's owner."""
    if before is None:
        return source.stat.st_uid, source.stat.st_gid
    if parameters["owner"] is None and before.owner[0] not in (0, os.geteuid(), source.stat.st_uid):
        raise refusal.Refused(
            "key-given-away", "%s belongs to uid %d, and the key in %s to uid %d: the one would get the key of the "
            "other." % (dest, before.owner[0], parameters["src"], source.stat.st_uid),
            "Set the option owner to whoever shall have it.")
    return before.owner


def _to_pkcs8(content: bytes, src: str, passphrase: t.Optional[str]) -> t.Tuple[str, bytes]:
    """The form of a key, and the key as PKCS#8 in DER."""
    key_source.check_count(content, src)
    form = _PKCS12 if openssl.is_pkcs12(content) else key_form.of(content)
    kind = _structure(content)
    if kind in _BY_OURSELVES:
        try:
            return form, pkcs8.from_file(content)
        except der.Damaged as exc:
            raise refusal.Refused(
                "conversion-impossible", "%s is %s, and cannot be converted: %s." % (src, form, exc),
                "Is the file whole? A curve gets its name by: openssl ec -in %s -param_enc named_curve." % (
                    refusal.as_word(src)),
                subject="wanted") from exc
    if form == _PKCS12 or kind in _BY_OPENSSL:
        if not openssl.is_there():
            raise openssl.missing()
        return form, openssl.to_pkcs8(content, passphrase)
    raise _impossible(content, src, form)


def _structure(content: bytes) -> str:
    """The form without the words for its label and its encoding."""
    found = key_form.blocks(content)
    if not found:
        return key_form.of_der(content)
    try:
        return key_form.of_der(found[0].der())
    except ValueError:
        return key_form.of_block(found[0])


def _impossible(content: bytes, src: str, form: str) -> refusal.Refused:
    """What to say of what cannot be converted on the host: what it is, and where it can be."""
    if form == key_form.OPENSSH:
        return refusal.Refused(
            "conversion-impossible", "%s is an OpenSSH key, which the host's openssl does not read." % src,
            "Convert it on the controller: private_key in the place of src; or, in a copy of the file: "
            "ssh-keygen -p -m PKCS8 -f COPY.", subject="wanted")
    if content[:4] in _JKS_MAGIC:
        return refusal.Refused(
            "conversion-impossible", "%s is %s, which openssl does not read." % (src, _JKS_MAGIC[content[:4]]),
            "Make PKCS#12 of it first: keytool -importkeystore -srckeystore %s -destkeystore %s "
            "-deststoretype PKCS12." % (refusal.as_word(src), refusal.as_word(src + ".p12")), subject="wanted")
    labels = ", ".join(sorted({block.label for block in pem.blocks(content)}))
    return refusal.Refused(
        "input-unrecognised", "%s holds no private key; it holds %s." % (src, labels or "nothing that is known"),
        "Name the file of the private key.", subject="wanted")


def _prove(content: bytes, key: bytes, form: str, passphrase: t.Optional[str]) -> t.Optional[bytes]:
    """The public key, which has to be the same before and after, read by ourselves and by openssl."""
    seen = [pkcs8.spki(key)]
    if openssl.is_there():
        seen.append(openssl.public_key(pkcs8.to_pem(key)))
        if form != _PKCS12:
            seen.append(openssl.public_key(content, passphrase))
    known = {public for public in seen if public is not None}
    if len(known) > 1:
        raise refusal.Refused(
            "key-not-proved", "The public key is not the same before and after the conversion; nothing was written.",
            "Is the file whole? Look at it with: openssl pkey -noout -text_pub.", subject="wanted")
    return known.pop() if known else None


def _holds(content: bytes, key: bytes) -> bool:
    """Whether a file is what the server reads, with this key and no other."""
    if key_form.of(content) != key_form.PKCS8 or len(key_form.blocks(content)) != 1:
        return False
    try:
        return pkcs8.same_key(pkcs8.from_file(content), key)
    except der.Damaged:
        return False


def _certificate_labels(content: bytes) -> t.Set[str]:
    return {block.label for block in pem.blocks(content) if "CERTIFICATE" in block.label}


def _facts(copy: t.Optional[placing.Copy]) -> t.Optional[dict]:
    if copy is None:
        return None
    return {"form": key_form.of(copy.content), "mode": "%04o" % copy.mode, "uid": copy.owner[0], "gid": copy.owner[1]}
