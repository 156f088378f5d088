# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading files that somebody else may have put there.

A FIFO blocks whoever opens it, a link leads elsewhere, a device never ends, and some do something because they were
opened (a tape is rewound, a watchdog begins to count). So a file is first held without being opened, looked at,
opened only then, through what is held, and read up to a limit. Where somebody else may have made the way to it, the
way is gone folder by folder, and a link on it is followed only where none but root or ourselves can have put it there.
"""

import contextlib
import errno
import os
import stat
import typing as t

from . import refusal

_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# As many as the kernel follows.
_MOST_LINKS = 40


class NotFollowed(NotADirectoryError):
    """A link that others than root or ourselves may have put there."""


class Unreadable(Exception):
    """The file could not be read. C(status) is C(absent), C(not_regular), C(too_large) or C(no_permission)."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Contents(t.NamedTuple):
    """What a regular file holds, and what C(fstat) says of it."""

    content: bytes
    stat: os.stat_result


def read_regular(path: str, limit: int, follow_links: bool = False, dir_fd: t.Optional[int] = None) -> Contents:
    """Read a regular file of at most C(limit) bytes.

    :raises Unreadable: for anything else, with the reason in words.
    """
    descriptor = open_regular(path, limit, follow_links, dir_fd)
    try:
        return contents(descriptor, limit)
    finally:
        os.close(descriptor)


def contents(descriptor: int, limit: int) -> Contents:
    """Read what C(open_regular) has opened, from its beginning."""
    parts = []
    offset = 0
    while offset < limit:
        part = os.pread(descriptor, min(limit - offset, 1 << 16), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return Contents(b"".join(parts), os.fstat(descriptor))


def open_regular(path: t.Union[str, bytes], limit: int, follow_links: bool = False,
                 dir_fd: t.Optional[int] = None) -> int:
    """Open a regular file of at most C(limit) bytes for reading and return its descriptor.

    :raises Unreadable: for anything else, with the reason in words.
    """
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        held = os.open(path, flags, dir_fd=dir_fd)
    except OSError as exc:
        raise unreadable(exc) from exc
    return _open_held(held, limit)


def open_guarded(path: str, limit: int) -> int:
    """The same for a place where others may write: they lead us to no file that they could not read themselves.

    A link of theirs is not followed, on the whole way, and what has a second name may be a file of somebody else.

    :raises Unreadable: as above, and for these, with their owners.
    """
    try:
        held = _walk(os.open("/", _HOLD), path)
    except OSError as exc:
        raise unreadable(exc) from exc
    status = os.fstat(held)
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        os.close(held)
        raise Unreadable("not_regular", "it has %d names (hard links), and may be another file of uid %d" % (
            status.st_nlink, status.st_uid))
    return _open_held(held, limit)


def _open_held(held: int, limit: int) -> int:
    """Open what is held and let go of it."""
    try:
        status = os.fstat(held)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not_regular", "it is %s, not a regular file" % kind(status.st_mode))
        if status.st_size > limit:
            raise Unreadable("too_large", "it has %d bytes, more than the %d that are read" % (status.st_size, limit))
        return os.open("/proc/self/fd/%d" % held, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise unreadable(exc) from exc
    finally:
        os.close(held)


def unreadable(exc: OSError) -> Unreadable:
    """Why something could not be opened; what is no such reason is raised again."""
    if isinstance(exc, NotFollowed):
        return Unreadable("not_regular", "%s %s" % (exc.filename, exc.strerror))
    if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return Unreadable("absent", "it does not exist")
    if exc.errno == errno.ELOOP:
        return Unreadable("not_regular", "it is a symbolic link, not a regular file")
    if exc.errno in (errno.EACCES, errno.EPERM):
        return Unreadable("no_permission", "there is no permission to read it")
    raise exc


def kind(mode: int) -> str:
    """The kind of a file in words, from its C(st_mode)."""
    for test, word in ((stat.S_ISREG, "a regular file"), (stat.S_ISDIR, "a directory"),
                       (stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a FIFO"),
                       (stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a block device"),
                       (stat.S_ISCHR, "a character device")):
        if test(mode):
            return word
    return "something unknown"


@contextlib.contextmanager
def named(descriptor: int) -> t.Iterator[None]:
    """What goes wrong with an open file, or in an open folder, is told with the whole path."""
    try:
        yield
    except OSError as exc:
        path = os.readlink("/proc/self/fd/%d" % descriptor)
        # Of a renaming, the second name is the place.
        name = exc.filename2 or exc.filename
        exc.filename, exc.filename2 = os.path.join(path, name) if name else path, None
        raise


def sync_folder(path_or_fd: t.Union[str, int]) -> None:
    """Make renames and unlinks in a folder survive a power cut."""
    if isinstance(path_or_fd, int):
        os.fsync(path_or_fd)
        return
    descriptor = os.open(path_or_fd, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with named(descriptor):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(name: str, content: bytes, mode: int = 0o600, owner: t.Optional[t.Tuple[int, int]] = None,
              dir_fd: t.Optional[int] = None) -> None:
    """Write a file that must not exist yet: 0600 from its creation, owner and mode set last, fsynced.

    The mode is all that lets others in: what a default ACL of the folder gives to further users is taken away.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=dir_fd)
    try:
        with named(descriptor):
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left):]
            if owner is not None:
                os.fchown(descriptor, *owner)
            _remove_acl(descriptor)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_acl(descriptor: int) -> None:
    try:
        os.removexattr(descriptor, "system.posix_acl_access")
    except OSError as exc:
        if exc.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise


def remove(name: str, dir_fd: t.Optional[int] = None) -> None:
    """Unlink a file if it is there."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass


def open_folder(path: str) -> int:
    """Open a folder. A link in its place is followed only where none but root or ourselves can have put it there.

    :raises NotFollowed: it is another link.
    """
    above, name = os.path.split(path)
    held = _walk(os.open(above or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), name)
    try:
        return os.open("/proc/self/fd/%d" % held, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        exc.filename = path
        raise
    finally:
        os.close(held)


def _walk(at: int, path: str) -> int:
    """Hold what has a path, and let go of the folder that it begins at; links are followed here, not by the kernel.

    :raises NotFollowed: a link on the way, or at its end, may have been put there by others.
    """
    names, links = _reversed_names(path), 0
    try:
        while names:
            with named(at):
                held = os.open(names.pop(), _HOLD, dir_fd=at)
            try:
                if stat.S_ISLNK(os.fstat(held).st_mode):
                    links += 1
                    names += _reversed_names(_target(held, os.fstat(at), links))
                else:
                    at, held = held, at
            finally:
                os.close(held)
        return at
    except BaseException:
        os.close(at)
        raise


def _reversed_names(path: str) -> t.List[str]:
    """The names on a way, the last one first; an absolute one begins at the root, wherever we are by then."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    return names[::-1] + (["/"] if path.startswith("/") else [])


def _target(link: int, folder: os.stat_result, links: int) -> str:
    """Where a link that is held leads to, if it is to be followed."""
    status, name = os.fstat(link), os.readlink("/proc/self/fd/%d" % link)
    if not may_only_we_write(folder) or status.st_uid not in (0, os.geteuid()):
        raise NotFollowed(
            errno.ENOTDIR, "is a symbolic link that others than root may have made (uid %d, its folder uid %d, mode "
            "%04o)" % (status.st_uid, folder.st_uid, stat.S_IMODE(folder.st_mode)), name)
    if links > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return os.readlink("", dir_fd=link)


def may_only_we_write(status: os.stat_result) -> bool:
    """Whether nobody but root or ourselves could have written a file, or what is in a folder."""
    others_write = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != 0)
    return status.st_uid in (0, os.geteuid()) and not others_write


def make_private_folder(path: str) -> None:
    """Make a folder that is ours alone, if it is not there.

    :raises refusal.Refused: what is there is not.
    """
    os.close(hold_private_folder(path))


def hold_private_folder(path: str) -> int:
    """The same, and a descriptor that leads to this folder wherever its name leads to by then."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    # Also where it is there: who made it may have died just after.
    sync_folder(os.path.dirname(path))
    held = os.open(path, _HOLD)
    try:
        check_private(path, os.fstat(held), os.geteuid())
    except refusal.Refused:
        os.close(held)
        raise
    return held


def check_private(path: str, status: os.stat_result, *owners: int) -> None:
    """Refuse what is no folder of an owner's alone."""
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners or stat.S_IMODE(status.st_mode) & 0o077:
        raise refusal.Refused(
            "state-folder-unsafe", "%s is not a folder of our own alone: it is %s, uid %d, mode %04o." % (
                refusal.by_name(path), kind(status.st_mode), status.st_uid, stat.S_IMODE(status.st_mode)),
            "Look who made it, then move it away; it is made anew with mode 0700.")


def through(descriptor: int, name: str = "") -> str:
    """The path of a name in an open folder, which nobody can lead elsewhere."""
    return os.path.join("/proc/self/fd/%d" % descriptor, name)
