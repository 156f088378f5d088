# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate and its private key in two files: read, and proved to work together.

A key is never returned: what leaves this file about it is its form, its mode and whether it belongs to the
certificate.
"""

import base64
import os
import ssl
import stat
import typing as t

from . import files, key_form, pem, refusal, served

SIZE_LIMIT = 1 << 20


class File(t.NamedTuple):
    """One file of a pair: C(status) is C(file), or why it could not be read as one. Of a key it has the form alone."""

    path: str
    status: str
    reason: str
    stat: t.Optional[os.stat_result] = None
    chain: t.Sequence[bytes] = ()
    key_form: str = ""

    def facts(self) -> dict:
        """Its place as plain data."""
        facts: t.Dict[str, t.Any] = {"status": self.status, "reason": self.reason}
        if self.stat is not None:
            facts.update(mode="%04o" % stat.S_IMODE(self.stat.st_mode), uid=self.stat.st_uid,
                         gid=self.stat.st_gid, changed=self.stat.st_ctime)
        return facts


class Pair(t.NamedTuple):
    """Both files; C(works) says whether a server that reads PKCS#8 alone can use them, C(reason) why not."""

    certificate: File
    private_key: File
    works: bool
    reason: str

    @property
    def leaf(self) -> t.Optional[bytes]:
        return self.certificate.chain[0] if self.certificate.chain else None

    def facts(self) -> dict:
        """As plain data; the chain as base64 of DER."""
        return {
            "certificate": dict(self.certificate.facts(), chain=as_base64(self.certificate.chain)),
            "private_key": dict(self.private_key.facts(), form=self.private_key.key_form),
            "works": self.works, "reason": self.reason}


def read(certificate: str, private_key: str) -> Pair:
    """Read and prove the pair at two absolute paths, as a server does: links are followed."""
    return prove(certificate, private_key)[0]


def prove(certificate: str, private_key: str, dir_fd: t.Optional[int] = None
          ) -> t.Tuple[Pair, t.Optional[ssl.SSLContext]]:
    """The same, and a context that serves the pair where it works.

    :param dir_fd: an open folder that has both names; links in it are not followed.
    """
    descriptors: t.List[int] = []
    try:
        both = (_certificate_file(*_opened(certificate, dir_fd, descriptors)),
                _key_file(*_opened(private_key, dir_fd, descriptors)))
        reason = _reason_not_to_work(*both)
        context, reason = (None, reason) if reason else _load(descriptors)
        return Pair(both[0], both[1], not reason, reason), context
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _opened(path: str, dir_fd: t.Optional[int], descriptors: t.List[int]) -> t.Tuple[File, bytes]:
    """Read one file; its descriptor stays open, so that what is loaded later is what was read."""
    # As bytes: in the locale C, Python 3.6 knows no other letters than those of ASCII.
    name = path.encode("utf-8", "surrogateescape")
    try:
        descriptor = files.open_regular(name, SIZE_LIMIT, follow_links=dir_fd is None, dir_fd=dir_fd)
        descriptors.append(descriptor)
        content, status = files.contents(descriptor, SIZE_LIMIT)
        return File(path, "file", "", status), content
    except files.Unreadable as exc:
        if exc.status == "absent" and dir_fd is None and os.path.islink(name):
            return File(path, "not_regular", "it is a symbolic link that leads nowhere"), b""
        if exc.status == "not_regular" and dir_fd is None and not os.path.lexists(name):
            return File(path, "absent", "its folder is a symbolic link that leads to itself"), b""
        return File(path, exc.status, exc.reason), b""
    except ValueError:
        return File(path, "absent", "no file can have that name"), b""
    except OSError as exc:
        return File(path, "unreadable", refusal.in_words(exc)), b""


def _certificate_file(file: File, content: bytes) -> File:
    return file._replace(chain=chain_in(content))


def _key_file(file: File, content: bytes) -> File:
    return file._replace(key_form=key_form.of(content) if file.status == "file" else "")


def _reason_not_to_work(certificate: File, private_key: File) -> str:
    for file in (certificate, private_key):
        if file.status != "file":
            return "%s cannot be read: %s" % (file.path, file.reason)
    if not certificate.chain:
        return "%s holds no certificate in PEM" % certificate.path
    if private_key.key_form != key_form.PKCS8:
        return "%s is %s, and the server reads unencrypted PKCS#8 in PEM alone" % (
            private_key.path, private_key.key_form)
    return ""


def _load(descriptors: t.List[int]) -> t.Tuple[t.Optional[ssl.SSLContext], str]:
    """Load the pair as a server would; the second value says why it cannot be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(served.ALL_CIPHERS)
    try:
        # By descriptor, since a path may be exchanged for a FIFO. A password is always given: without
        # one an encrypted key asks the terminal and waits for ever.
        context.load_cert_chain(*["/proc/self/fd/%d" % descriptor for descriptor in descriptors], password=b"")
    except (ssl.SSLError, OSError, ValueError) as exc:
        return None, "certificate and private key do not work together (%s)" % exc
    return context, ""


def as_base64(chain: t.Iterable[bytes]) -> t.List[str]:
    """Certificates in the form in which they travel: base64 of DER."""
    return [base64.b64encode(der).decode("ascii") for der in chain]


def chain_in(content: bytes) -> t.List[bytes]:
    """The certificates of a PEM file as DER; none when one of them is damaged."""
    try:
        return [block.der() for block in pem.blocks(content) if block.label == "CERTIFICATE"]
    except ValueError:
        return []


def csr_in(content: bytes) -> t.Optional[bytes]:
    """The certificate signing request of a PEM file as DER; C(None) where there is none that is whole."""
    try:
        found = [block.der() for block in pem.blocks(content) if block.label.endswith("CERTIFICATE REQUEST")]
    except ValueError:
        return None
    return found[0] if found else None
