# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate file and its private key in one folder: staged, proved, put in place, taken back.

Every name is used relative to the open folder, so that nobody can lead it elsewhere on the way.
"""

import contextlib
import errno
import os
import ssl
import stat
import typing as t

from . import files, layout, pairs, refusal, served

CERTIFICATE, PRIVATE_KEY = layout.CERTIFICATE_NAME, layout.PRIVATE_KEY_NAME
CERTIFICATE_MODE, PRIVATE_KEY_MODE = 0o644, 0o600
# What is staged stands beside its place under these endings: the pair to come, and the pair to go back to.
NEW, OLD = ".sep-sesam-new", ".sep-sesam-old"


class Copy(t.NamedTuple):
    """What a file holds and shall have: content, mode, owner (uid and gid)."""

    content: bytes
    mode: int
    owner: t.Tuple[int, int]


# Says whose a file shall be (uid and gid), from whose it is.
OwnerOf = t.Callable[[t.Tuple[int, int]], t.Tuple[int, int]]
# The files of a pair by their names; one that is missing is not there, or shall not be.
Copies = t.Dict[str, Copy]


class Folder:
    """An open folder that holds, or shall hold, a pair. One that cannot be opened shows none, and why."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: t.Optional[int] = None
        self._why_closed = files.Unreadable("absent", "the folder is closed")
        try:
            self._descriptor = files.open_folder(path)
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

    def read(self, ending: str = "") -> pairs.Pair:
        """Read the pair in place (or staged) and prove it."""
        return self._prove(ending)[0]

    def _prove(self, ending: str) -> t.Tuple[pairs.Pair, t.Optional[ssl.SSLContext]]:
        if self._descriptor is None:
            missing = [pairs.File(name, self._why_closed.status, self._why_closed.reason)
                       for name in (CERTIFICATE, PRIVATE_KEY)]
            return pairs.Pair(missing[0], missing[1], False, self._why_closed.reason), None
        return pairs.prove(CERTIFICATE + ending, PRIVATE_KEY + ending, self._descriptor)

    # Writing

    def make(self) -> None:
        """Make the folder if it does not exist, with the owner of the one that it is made in."""
        if self._descriptor is None:
            parent = os.stat(os.path.dirname(self.path))
            os.mkdir(self.path, 0o755)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if os.listdir(self._descriptor):
                raise FileExistsError(errno.EEXIST, "another folder was put in the place of a new one", self.path)
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
        with files.named(self._open()):
            for name, copy in pair.items():
                files.write_new(name + ending, copy.content, copy.mode, copy.owner, self._open())

    def unstage(self) -> None:
        """Take away all that is staged."""
        for ending in (NEW, OLD):
            self._unstage(ending)

    def _unstage(self, ending: str) -> None:
        if self._descriptor is not None:
            with files.named(self._descriptor):
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
        with files.named(descriptor):
            files.remove(CERTIFICATE, descriptor)
            files.sync_folder(descriptor)
            for name in (PRIVATE_KEY, CERTIFICATE):
                if name not in pair:
                    files.remove(name, descriptor)
                elif not self._has(name, pair[name]):  # One that is immutable is no reason to lose the other.
                    os.rename(name + ending, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
                files.sync_folder(descriptor)

    def _has(self, name: str, copy: Copy) -> bool:
        try:
            return self._copy(name) == copy
        except refusal.Refused:
            return False

    def copies(self, ending: str = "") -> Copies:
        """The files in place (or staged) with contents, owners and modes, byte by byte, whatever they hold.

        :raises refusal.Refused: one is there and is no regular file of a bounded size.
        """
        names = (CERTIFICATE, PRIVATE_KEY) if self._descriptor is not None else ()
        found = {name: self._copy(name + ending) for name in names}
        return {name: copy for name, copy in found.items() if copy is not None}

    def _copy(self, name: str) -> t.Optional[Copy]:
        try:
            read = files.read_regular(name, pairs.SIZE_LIMIT, dir_fd=self._descriptor)
        except files.Unreadable as exc:
            if exc.status == "absent":
                return None
            raise refusal.Refused("backup-impossible", "%s cannot be kept as a backup: %s." % (
                os.path.join(self.path, name), exc.reason), "Move it away.") from exc
        return Copy(read.content, stat.S_IMODE(read.stat.st_mode), (read.stat.st_uid, read.stat.st_gid))

    def set_permissions(self, owner_of: OwnerOf) -> None:
        """Give the files in place their owner and modes; one that has them stays as old as it is.

        :param owner_of: says whose a file shall be, from whose it is.
        :raises refusal.Refused: one has a second name, so that it may be a file of somebody else, at another place.
        """
        with contextlib.ExitStack() as stack:
            # Both are looked at before one is touched.
            both = [(self._open_only_name(name, stack), mode) for name, mode in (
                (CERTIFICATE, CERTIFICATE_MODE), (PRIVATE_KEY, PRIVATE_KEY_MODE))]
            for descriptor, mode in both:
                _set_permissions(descriptor, mode, owner_of)

    def _open_only_name(self, name: str, stack: contextlib.ExitStack) -> int:
        """A descriptor, until the stack ends, of a file that has no other name than this one."""
        descriptor = files.open_regular(name, pairs.SIZE_LIMIT, dir_fd=self._open())
        stack.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        named = os.stat(name, dir_fd=self._open(), follow_symlinks=False)
        # By descriptor and by name: of one that lost its name meanwhile, the only one left is elsewhere.
        if {status.st_nlink, named.st_nlink} != {1} or not os.path.samestat(status, named):
            raise refusal.Refused(
                "destination-is-link", "%s has other names, or was exchanged just now: its owner and mode are "
                "left as they are." % os.path.join(self.path, name),
                "Look for the other name (find -samefile), and remove one of them.")
        return descriptor


def _set_permissions(descriptor: int, mode: int, owner_of: OwnerOf) -> None:
    status = os.fstat(descriptor)
    before = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    after = mode, owner_of(before[1])
    if before[0] != after[0]:
        os.fchmod(descriptor, after[0])
    if before[1] != after[1]:
        os.fchown(descriptor, *after[1])
    if before != after:
        os.fsync(descriptor)  # Else a power cut could open again what was reported as closed.


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
