# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate file and its private key in one folder: read, proved, staged, put in place, taken back.

Every name is used relative to the open folder, so that nobody can lead it elsewhere on the way. A key is
never returned: what leaves this file about it is its form, its mode and whether it belongs to the
certificate.
"""

import base64
import errno
import os
import ssl
import stat
import typing as t

from . import files, key_form, layout, pem, refusal, served

SIZE_LIMIT = 1 << 20
CERTIFICATE, PRIVATE_KEY = layout.CERTIFICATE_NAME, layout.PRIVATE_KEY_NAME
CERTIFICATE_MODE, PRIVATE_KEY_MODE = 0o644, 0o600
# What is staged stands beside its place under these endings: the pair to come, and the pair to go back to.
NEW, OLD = ".sep-sesam-new", ".sep-sesam-old"


class Copy(t.NamedTuple):
    """What a file holds and shall have: content, mode, owner (uid and gid)."""

    content: bytes
    mode: int
    owner: t.Tuple[int, int]


# The files of a pair by their names; one that is missing is not there, or shall not be.
Copies = t.Dict[str, Copy]


class File(t.NamedTuple):
    """One file of a pair: C(status) is C(file), or why it could not be read as one."""

    name: str
    status: str
    reason: str
    stat: t.Optional[os.stat_result]
    chain: t.Sequence[bytes] = ()
    key_form: str = ""

    def facts(self) -> dict:
        """As plain data; the chain as base64 of DER."""
        facts: t.Dict[str, t.Any] = {"status": self.status, "reason": self.reason}
        if self.stat is not None:
            facts.update(mode="%04o" % stat.S_IMODE(self.stat.st_mode), uid=self.stat.st_uid,
                         gid=self.stat.st_gid, changed=self.stat.st_ctime)
        if self.name == CERTIFICATE:
            facts["chain"] = as_base64(self.chain)
        else:
            facts["form"] = self.key_form
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
        return {"certificate": self.certificate.facts(), "private_key": self.private_key.facts(),
                "works": self.works, "reason": self.reason}


class Folder:
    """An open folder that holds, or shall hold, a pair. One that cannot be opened shows none, and why."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: t.Optional[int] = None
        self._why_closed = files.Unreadable("absent", "the folder is closed")
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            self._why_closed = files.unreadable(exc)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Reading

    def read(self) -> Pair:
        """Read the pair in place and prove it."""
        return self._prove("")[0]

    def _prove(self, ending: str) -> t.Tuple[Pair, t.Optional[ssl.SSLContext]]:
        certificate = self._file(CERTIFICATE, ending)
        private_key = self._file(PRIVATE_KEY, ending)
        context, reason = None, _reason_not_to_work(certificate, private_key)
        if not reason:
            context, reason = self._load(ending)
        return Pair(certificate, private_key, not reason, reason), context

    def _file(self, name: str, ending: str) -> File:
        try:
            if self._descriptor is None:
                raise self._why_closed
            read = files.read_regular(name + ending, SIZE_LIMIT, dir_fd=self._descriptor)
        except files.Unreadable as exc:
            return File(name, exc.status, exc.reason, None)
        if name == CERTIFICATE:
            return File(name, "file", "", read.stat, chain=chain_in(read.content))
        return File(name, "file", "", read.stat, key_form=key_form.of(read.content))

    def _load(self, ending: str) -> t.Tuple[t.Optional[ssl.SSLContext], str]:
        """Load the pair as a server would; the second value says why it cannot be."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(served.ALL_CIPHERS)
        descriptors = []
        try:
            for name in (CERTIFICATE, PRIVATE_KEY):
                descriptors.append(files.open_regular(name + ending, SIZE_LIMIT, dir_fd=self._descriptor))
            # By descriptor, since a path may be exchanged for a FIFO. A password is always given: without
            # one an encrypted key asks the terminal and waits for ever.
            context.load_cert_chain(*["/proc/self/fd/%d" % descriptor for descriptor in descriptors], password=b"")
        except (files.Unreadable, ssl.SSLError, OSError, ValueError) as exc:
            return None, "certificate and private key do not work together (%s)" % exc
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return context, ""

    # Writing

    def make(self) -> None:
        """Make the folder if it does not exist, with the owner of the one that it is made in."""
        if self._descriptor is None:
            parent = os.stat(os.path.dirname(self.path))
            os.mkdir(self.path, 0o755)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchmod(self._descriptor, 0o755)
            os.fchown(self._descriptor, parent.st_uid, parent.st_gid)
            files.sync_folder(os.path.dirname(self.path))

    def _open(self) -> int:
        """The descriptor: without one, a name would be taken relative to wherever we are."""
        if self._descriptor is None:
            raise FileNotFoundError(errno.ENOENT, self._why_closed.reason, self.path)
        return self._descriptor

    def stage(self, pair: Copies, ending: str) -> None:
        """Write the files of a pair beside their places, ready to be renamed; done if that is done already."""
        if self.copies(ending) == pair:
            return
        self._unstage(ending)
        for name, copy in pair.items():
            files.write_new(name + ending, copy.content, copy.mode, copy.owner, self._open())

    def unstage(self) -> None:
        """Take away all that is staged."""
        for ending in (NEW, OLD):
            self._unstage(ending)

    def _unstage(self, ending: str) -> None:
        if self._descriptor is not None:
            for name in (CERTIFICATE, PRIVATE_KEY):
                files.remove(name + ending, self._descriptor)

    def rehearse(self) -> str:
        """Prove the new pair with a handshake in memory; the answer says why it fails, empty if it works."""
        pair, context = self._prove(NEW)
        if context is None:
            return pair.reason
        is_shown = _handshake_in_memory(context) == pair.leaf
        return "" if is_shown else "a rehearsed handshake shows another certificate"

    def place(self, pair: Copies, ending: str) -> None:
        """Put the staged files of a pair in place; a file that the pair has not is taken away.

        In an order in which the disk holds, at any moment, the old pair, the new pair or no certificate,
        and never two files that do not belong together.
        """
        descriptor = self._open()
        files.remove(CERTIFICATE, descriptor)
        files.sync_folder(descriptor)
        for name in (PRIVATE_KEY, CERTIFICATE):
            if name in pair:
                os.rename(name + ending, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
            else:
                files.remove(name, descriptor)
            files.sync_folder(descriptor)

    def copies(self, ending: str = "") -> Copies:
        """The files in place (or staged) with contents, owners and modes, byte by byte, whatever they hold.

        :raises refusal.Refused: one is there and is no regular file of a bounded size.
        """
        found: Copies = {}
        for name in (CERTIFICATE, PRIVATE_KEY) if self._descriptor is not None else ():
            try:
                read = files.read_regular(name + ending, SIZE_LIMIT, dir_fd=self._descriptor)
            except files.Unreadable as exc:
                if exc.status == "absent":
                    continue
                path = os.path.join(self.path, name + ending)
                raise refusal.Refused("backup-impossible", "%s cannot be kept as a backup: %s." % (path, exc.reason),
                                      "Move it away.") from exc
            found[name] = Copy(read.content, stat.S_IMODE(read.stat.st_mode), (read.stat.st_uid, read.stat.st_gid))
        return found

    def set_permissions(self, owner: t.Tuple[int, int]) -> None:
        """Give the files in place their owner and modes."""
        for name, mode in ((CERTIFICATE, CERTIFICATE_MODE), (PRIVATE_KEY, PRIVATE_KEY_MODE)):
            descriptor = files.open_regular(name, SIZE_LIMIT, dir_fd=self._open())
            try:
                os.fchmod(descriptor, mode)
                os.fchown(descriptor, *owner)
            finally:
                os.close(descriptor)


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


def _reason_not_to_work(certificate: File, private_key: File) -> str:
    for file in (certificate, private_key):
        if file.status != "file":
            return "%s cannot be read: %s" % (file.name, file.reason)
    if not certificate.chain:
        return "%s holds no certificate in PEM" % CERTIFICATE
    if private_key.key_form != key_form.PKCS8:
        return "%s is %s, and the server reads unencrypted PKCS#8 in PEM alone" % (
            PRIVATE_KEY, "no private key" if private_key.key_form == key_form.NONE else private_key.key_form)
    return ""


def _handshake_in_memory(server_context: ssl.SSLContext) -> t.Optional[bytes]:
    """The leaf that a client would see."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = served.client_context().wrap_bio(to_client, to_server)
    for _turn in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            if side is client:
                return client.getpeercert(binary_form=True)
    return None
