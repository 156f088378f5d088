# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The C(openssl) command of the host: it makes a key, decrypts one and signs with one, where the key is.

A key goes in and comes out by a pipe, a passphrase by a pipe of its own: neither is ever in a file, in the
arguments or in the environment. Only what OpenSSL 1.0.2 and all later versions know is used; what a version
makes of it is judged by its structure, never by its words.
"""

import os
import shutil
import subprocess
import tempfile
import typing as t

from . import der, key_form, key_source, pem, pkcs8, processes, refusal, server_log

RSA_SIZES = range(2048, 8193)
CURVES = {"secp256r1": "prime256v1", "secp384r1": "secp384r1", "secp521r1": "secp521r1"}
# A PKCS#12 file says itself how often its passphrase is hashed, up to 2^31 times.
_TIMEOUT = 20.0
_TIMEOUT_TO_MAKE = 300.0
_PASSPHRASE_BYTES = 1023
_SAID_LENGTH = 200
_ENCRYPTED = (key_form.PKCS8_ENCRYPTED, key_form.TRADITIONAL_ENCRYPTED)
_LABELS = {key_form.PKCS8: "PRIVATE KEY", key_form.PKCS8_ENCRYPTED: "ENCRYPTED PRIVATE KEY",
           key_form.PKCS1: "RSA PRIVATE KEY", key_form.SEC1: "EC PRIVATE KEY", key_form.DSA: "DSA PRIVATE KEY"}
# What OpenSSL 3 has put aside: RC2, RC4, single DES.
_OLD_CIPHERS: t.Dict[str, t.List[str]] = {
    "pkey": ["-provider", "legacy", "-provider", "default"], "pkcs12": ["-legacy"]}


class _Failed(Exception):
    """The command did not do it; the text is what it said."""


def is_there() -> bool:
    """Whether the host has the command."""
    return _find() is not None


def is_pkcs12(content: bytes) -> bool:
    """Whether a file is PKCS#12 (RFC 7292): version 3, the contents, and mostly a MAC."""
    try:
        version, contents = der.members(content, 2)
        return (version.tag, contents.tag) == (der.INTEGER, der.SEQUENCE) and version.number == 3
    except ValueError:
        return False


def to_pkcs8(content: bytes, passphrase: t.Optional[str]) -> bytes:
    """The one private key of a file, in any form that the command reads, as PKCS#8 in DER.

    :raises refusal.Refused: the passphrase is wrong or missing, there is no single key, or it cannot be had.
    """
    if is_pkcs12(content):
        written = _decrypt(["pkcs12", "-nodes", "-nocerts"], content, passphrase)
    else:
        written = _pkey([], content, passphrase)
    key_source.check_count(written, "what openssl read", least=1)
    try:
        return pkcs8.from_file(written)
    except der.Damaged as exc:
        raise refusal.Refused("conversion-impossible", "What openssl made of the key is not usable: %s." % exc,
                              "Convert the key on the controller: private_key in the place of src.",
                              subject="wanted") from exc


def public_key(content: bytes, passphrase: t.Optional[str] = None) -> bytes:
    """The SubjectPublicKeyInfo in DER of the private key in a file, as the command has it.

    :raises refusal.Refused: see C(to_pkcs8).
    """
    return _pkey(["-pubout", "-outform", "DER"], content, passphrase)


def generate(type: str, size: t.Optional[int] = None, curve: t.Optional[str] = None) -> bytes:
    """A new private key as PKCS#8 in PEM: C(RSA) with a size, C(EC) with a curve.

    :raises refusal.Refused: it is asked for in a kind that is not made here, or cannot be made.
    """
    if type == "RSA" and size in RSA_SIZES:
        options = ["RSA", "-pkeyopt", "rsa_keygen_bits:%d" % size]
    elif type == "EC" and curve in CURVES:
        # OpenSSL 1.0.2 writes the curve out in full when it is not told to name it.
        options = ["EC", "-pkeyopt", "ec_paramgen_curve:" + CURVES[curve], "-pkeyopt", "ec_param_enc:named_curve"]
    else:
        raise refusal.Refused(
            "key-type-unknown", "No key of type %s, size %s and curve %s is made." % (type, size, curve),
            "Ask for RSA with %d to %d bits, or for EC with %s." % (
                RSA_SIZES[0], RSA_SIZES[-1], ", ".join(sorted(CURVES))), subject="wanted")
    made = _run_or_refuse(["genpkey", "-algorithm"] + options, b"", timeout=_TIMEOUT_TO_MAKE)
    return pkcs8.to_pem(pkcs8.from_file(made))


def sign(key: bytes, data: bytes) -> bytes:
    """Sign some data with a key, PKCS#8 in PEM; how, says C(pkcs8.signature_algorithm)."""
    _algorithm, digest = pkcs8.signature_algorithm(pkcs8.from_file(key))
    # The data is no secret and can lie in a file; the key goes through the pipe.
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        return _run_or_refuse(["dgst", "-" + digest, "-sign", "/proc/self/fd/0", "/proc/self/fd/%d" % file.fileno()],
                              key, inherited=[file.fileno()])


def missing() -> refusal.Refused:
    """What to say where the host has no openssl."""
    return refusal.Refused(
        "openssl-missing", "This host has no openssl command (looked for in %s)." % processes.USUAL_PATH,
        "Install the package openssl on the host, or have the key made or converted on the controller.")


def _find() -> t.Optional[str]:
    return shutil.which("openssl", path=processes.USUAL_PATH)


def _readable(content: bytes) -> t.Tuple[bytes, bool]:
    """A key in clean PEM with the label of its form, which every version reads; and whether it is encrypted."""
    found = key_form.blocks(content)
    if not found:
        form, key = key_form.of_der(content), content
    else:
        block = found[0]
        form = key_form.of_block(block)
        if form == key_form.TRADITIONAL_ENCRYPTED:
            lines = [line.strip() for line in block.body.strip().splitlines()]
            marks = [("-----%s %s-----" % (word, block.label)).encode("ascii") for word in ("BEGIN", "END")]
            return b"\n".join([marks[0]] + lines + [marks[1], b""]), True
        try:
            key = block.der()
        except ValueError:
            return content, False
        form = key_form.of_der(key)
    return (pem.encode(_LABELS[form], key) if form in _LABELS else content), form in _ENCRYPTED


def _pkey(arguments: t.List[str], content: bytes, passphrase: t.Optional[str]) -> bytes:
    readable, is_encrypted = _readable(content)
    if is_encrypted:
        return _decrypt(["pkey"] + arguments, readable, passphrase)
    return _run_or_refuse(["pkey"] + arguments, readable)


def _decrypt(arguments: t.List[str], content: bytes, passphrase: t.Optional[str]) -> bytes:
    """Run it on something encrypted: what fails then is told as what is at fault most likely."""
    try:
        # Always one, if an empty one: without, openssl asks for it, and there is nobody to answer.
        return _run_old_too(arguments, content, passphrase or "")
    except _Failed as exc:
        if passphrase is None:
            raise refusal.Refused(
                "key-passphrase-missing", "The private key is encrypted, and no passphrase was given.",
                "Set the option passphrase.", subject="wanted") from exc
        raise refusal.Refused(
            "key-passphrase-wrong", "The passphrase does not decrypt the private key (%s)." % exc,
            "Correct the option passphrase; if it is right, the openssl of the host does not know this encryption: "
            "then convert the key on the controller.", subject="wanted") from exc


def _run_or_refuse(arguments: t.List[str], content: bytes, timeout: t.Optional[float] = None,
                   inherited: t.Sequence[int] = ()) -> bytes:
    try:
        return _run(arguments, content, None, timeout, inherited)
    except _Failed as exc:
        raise refusal.Refused("openssl-failed", "openssl %s failed on this host: %s." % (arguments[0], exc),
                              "Is the key whole? Look at it with the command openssl.", subject="wanted") from exc


def _run_old_too(arguments: t.List[str], content: bytes, passphrase: str) -> bytes:
    """Run it, and once more with the old ciphers of OpenSSL 3; an older version does not know how to put them aside."""
    try:
        return _run(arguments, content, passphrase)
    except _Failed as first:
        try:
            return _run(arguments[:1] + _OLD_CIPHERS[arguments[0]] + arguments[1:], content, passphrase)
        except _Failed:
            raise first from None


def _run(arguments: t.List[str], content: bytes, passphrase: t.Optional[str], timeout: t.Optional[float] = None,
         inherited: t.Sequence[int] = ()) -> bytes:
    """What the command writes.

    :raises _Failed: it says no.
    """
    program = _find()
    if program is None:
        raise missing()
    limit = timeout or _TIMEOUT
    given = list(inherited)
    secret = None if passphrase is None else _passphrase_pipe(passphrase)
    try:
        if secret is not None:
            arguments = arguments + ["-passin", "fd:%d" % secret]
            given.append(secret)
        # Not run_command: the host code knows no AnsibleModule.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program] + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            # RANDFILE: OpenSSL 1.0.2 writes a file to the HOME otherwise.
            env={"PATH": processes.USUAL_PATH, "HOME": "/", "LC_ALL": "C", "RANDFILE": "/dev/null"},
            start_new_session=True, close_fds=True, pass_fds=given)
    finally:
        if secret is not None:
            os.close(secret)
    try:
        written, said = process.communicate(content, limit)
    except subprocess.TimeoutExpired:
        raise refusal.Refused(
            "openssl-slow", "openssl %s did not end within %.0f s and was ended." % (arguments[0], limit),
            "Is the passphrase of the file hashed unusually often? Have it made anew by whoever sent it.",
            subject="wanted") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    if process.returncode != 0:
        lines = server_log.clean(said).strip().splitlines() or ["it said nothing"]
        raise _Failed("openssl: %s" % lines[-1].strip()[:_SAID_LENGTH])
    return written


def _passphrase_pipe(passphrase: str) -> int:
    """A descriptor that the passphrase can be read from: its first line, as the command wants it."""
    line = passphrase.encode("utf-8", "surrogateescape")
    if len(line) > _PASSPHRASE_BYTES or b"\n" in line or b"\0" in line:
        raise refusal.Refused(
            "key-passphrase-wrong", "No passphrase of more than one line or %d bytes can be given to openssl." % (
                _PASSPHRASE_BYTES), "Convert the key on the controller.", subject="wanted")
    reading, writing = os.pipe()
    try:
        os.write(writing, line + b"\n")
    finally:
        os.close(writing)
    return reading
