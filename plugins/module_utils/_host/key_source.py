# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private key that is on this host: read where it is, and proved to belong to a certificate."""

import os
import ssl
import tempfile
import typing as t

from . import der, files, key_form, pairs, pkcs8, refusal, served


def read(path: str, held: t.Optional[str] = None) -> files.Contents:
    """Read a file that shall hold a private key.

    :param held: the same file by a name that nobody can lead elsewhere, where it has one.
    :raises refusal.Refused: it is not there, not regular, empty, too large or not ours to read.
    """
    if not os.path.isabs(path):
        raise refusal.Refused("path-not-absolute", "The path of the private key is not absolute.",
                              "Write the path from the root of the host.", subject="wanted")
    try:
        # A link is followed: an ACME client names its newest files by links.
        found = files.read_regular(held or path, pairs.SIZE_LIMIT, follow_links=True)
    except files.Unreadable as exc:
        id, fix = {
            "absent": ("input-missing", "Correct the path; it is looked for on the host."),
            "not_regular": ("input-missing", "Name a regular file."),
            "too_large": ("input-too-large", "Name the file that holds the private key."),
            "no_permission": ("not-root", "Run with become: true (--become)."),
        }[exc.status]
        raise refusal.Refused(id, "%s cannot be read: %s." % (path, exc.reason), fix, subject="wanted") from exc
    if not found.content.strip():
        raise refusal.Refused("input-empty", "%s is empty." % path, "Name the file that holds the private key.",
                              subject="wanted")
    return found


def check_count(content: bytes, source: str, least: int = 0) -> None:
    """Refuse a PEM file with several private keys: nobody could say which one is meant.

    :param least: 1 refuses none too, where it cannot be DER.
    """
    count = len(key_form.blocks(content))
    if not least <= count <= 1:
        raise refusal.Refused("key-count", "There are %d private keys in %s, where exactly one is wanted." % (
            count, source), "Leave the one that belongs to the certificate in a file of its own.", subject="wanted")


def for_certificate(path: str, certificate: str, held: t.Optional[str] = None) -> str:
    """The private key in a file, as unencrypted PKCS#8 in PEM, proved to be that of a certificate.

    :param held: see C(read).
    :raises refusal.Refused: it cannot be read, cannot be used as it is, or belongs to another certificate.
    """
    content = read(path, held).content
    check_count(content, path)
    try:
        key = pkcs8.from_file(content)
    except der.Damaged as exc:
        raise refusal.Refused(
            "key-not-usable", "%s is no private key that can be used as it is (%s): %s." % (
                path, key_form.of(content), exc),
            "Convert it first with sep.sesam.sesam_pkcs8_convert: src and dest are paths on the host.",
            subject="wanted") from exc
    text = pkcs8.to_pem(key)
    _prove(path, text, certificate)
    return text.decode("ascii")


def _prove(path: str, key: bytes, certificate: str) -> None:
    """Have the TLS library load both. The key goes through a pipe: no copy of it lies in another file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(served.ALL_CIPHERS)
    with tempfile.TemporaryFile() as public:
        public.write(certificate.encode("ascii"))
        public.flush()
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)  # No key is so long that a pipe does not hold it.
            os.write(writing, key)
            os.close(writing)
            context.load_cert_chain("/proc/self/fd/%d" % public.fileno(), "/proc/self/fd/%d" % reading, password=b"")
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError.
            # Other errors are what a pipe answers to being asked where it is.
            words = " (%s)" % exc if isinstance(exc, ssl.SSLError) else ""
            raise refusal.Refused(
                "pair-mismatch", "The certificate does not belong to the private key %s%s." % (path, words),
                "Hand in the certificate that was issued for this key, or request a new one for it.",
                subject="wanted") from exc
        finally:
            os.close(reading)
