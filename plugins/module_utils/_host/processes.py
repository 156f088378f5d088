# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Linux tells about processes and listening sockets in C(/proc)."""

import os
import re
import resource
import socket
import struct
import time
import typing as t

# Where programs are on a host, whatever the PATH of whoever runs us says.
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LISTENING = "0A"
# CLOCK_BOOTTIME, which Python 3.6 has no name for.
_SINCE_BOOT = 7
# Signals 32 and 33, which glibc keeps for itself and lets no program change.
_OF_THE_C_LIBRARY = 0x180000000
_KEPT_PREFIXES = ("SESAM_", "LC_", "JAVA_")
_KEPT_NAMES = ("LANG", "TZ", "LD_LIBRARY_PATH")
_LIMITS = [(name, getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]


class Listener(t.NamedTuple):
    """A listening TCP socket: its local address, and the inode by which its owner is found."""

    address: str
    inode: str


class Context(t.NamedTuple):
    """What a daemon has got from whoever started it.

    Of one that others than root or ourselves have in hand, only who it is: it could have its next start, which is
    root's, load what it likes.
    """

    uid: int
    gid: int
    umask: t.Optional[int]
    ignored_signals: int
    limits: t.Dict[str, t.Tuple[int, int]]
    environment: t.Dict[str, str]

    def differences(self, other: "Context") -> t.List[str]:
        """In words, what is not the same in two contexts."""
        return [_difference(name, mine, theirs)
                for name, mine, theirs in zip(self._fields, self, other) if mine != theirs]


def _difference(name: str, old: t.Any, new: t.Any) -> str:
    """In words; of limits and environment the names alone, since a value may be a secret."""
    if isinstance(old, dict):
        names = sorted(key for key in set(old) | set(new) if old.get(key) != new.get(key))
        return "%s differs in %s" % (name, ", ".join(names))
    form = {"umask": "%04o", "ignored_signals": "%#x"}.get(name, "%d")
    was, now = ["unknown" if value is None else form % value for value in (old, new)]
    return "%s was %s and is %s" % (name.replace("_", " "), was, now)


def listeners(port: int) -> t.List[Listener]:
    """Every listening TCP socket of a port, IPv4 and IPv6."""
    return [listener for number, listener in _all_listeners() if number == port]


def listening_ports(pids: t.Set[int]) -> t.List[t.Tuple[str, int]]:
    """Where some processes listen: address and port."""
    held = {target for pid in pids for target in _descriptors(pid)}
    return [(listener.address, number) for number, listener in _all_listeners() if _socket(listener) in held]


def _all_listeners() -> t.Iterator[t.Tuple[int, Listener]]:
    for table, size in (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16)):
        for local, inode in _listening(table):
            address, port = local.split(":")
            yield int(port, 16), Listener(_address(address, size), inode)


def family(pid: int) -> t.Set[int]:
    """A process and its descendants: what a daemon is known by may be its starter."""
    parents = {child: int(columns[1]) for child, columns in ((child, _stat(child)) for child in _pids()) if columns}
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def _listening(table: str) -> t.Iterator[t.Tuple[str, str]]:
    try:
        with open(table) as lines:
            next(lines, None)
            for line in lines:
                columns = line.split()
                if len(columns) > 9 and columns[3] == _LISTENING:
                    yield columns[1], columns[9]
    except OSError:
        return


def _address(text: str, size: int) -> str:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    packed = b"".join(struct.pack("=I", int(text[i:i + 8], 16)) for i in range(0, size * 2, 8))
    if size == 16 and packed[:12] == b"\0" * 10 + b"\xff\xff":
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def owner(listener: Listener) -> t.Optional[int]:
    """The process that holds a listening socket; C(None) without the rights to see it."""
    wanted = _socket(listener)
    return next((pid for pid in _pids() if wanted in _descriptors(pid)), None)


def _socket(listener: Listener) -> str:
    return "socket:[%s]" % listener.inode


def _descriptors(pid: int) -> t.Iterator[str]:
    """What the descriptors of a process lead to; nothing where it is gone, or not ours to look at."""
    folder = "/proc/%d/fd" % pid
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(os.path.join(folder, name))
        except OSError:
            continue  # Closed meanwhile.


def _pids() -> t.Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def group_members(group: int) -> t.List[int]:
    """The living processes of a process group."""
    members = []
    for pid in _pids():
        columns = _stat(pid)
        if columns and int(columns[2]) == group and columns[0] != "Z":
            members.append(pid)
    return members


def mount_points(table: str = "/proc/self/mountinfo") -> t.Set[str]:
    """Where something is mounted, as this process sees it."""
    try:
        with open(table, "rb") as lines:
            # The kernel writes blanks and the like as octal numbers.
            return {os.fsdecode(re.sub(br"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]),
                                       line.split(b" ")[4])) for line in lines}
    except OSError:
        return set()


def lock_holders(descriptor: int) -> t.List[int]:
    """The processes that hold a lock (flock) on what a descriptor leads to, as far as they can be seen."""
    inode = str(os.fstat(descriptor).st_ino)
    columns = [line.split() for line in (_read("/proc/locks") or b"").decode("ascii", "replace").splitlines()]
    return [int(one[4]) for one in columns
            if len(one) > 5 and one[1] == "FLOCK" and one[5].rpartition(":")[2] == inode and one[4].isdigit()]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    columns = _stat(pid)
    return bool(columns) and columns[0] not in "ZX"


def _stat(pid: int) -> t.List[str]:
    """The columns of C(/proc/PID/stat) after the name, which may hold blanks; empty when it is gone."""
    return (_read("/proc/%d/stat" % pid) or b"").rpartition(b")")[2].decode("ascii").split()


def birth(pid: int) -> t.Optional[str]:
    """What tells a living process from a later one with the same number; C(None) when it is gone."""
    columns = _stat(pid)
    boot = (_read("/proc/sys/kernel/random/boot_id") or b"").decode("ascii").strip()
    return "%s %s" % (boot, columns[19]) if columns and columns[0] not in "ZX" else None


def started(pid: int) -> t.Optional[float]:
    """When a process was started, in seconds since the epoch."""
    columns = _stat(pid)
    if not columns:
        return None
    # Not btime of /proc/stat: that is a whole second, and a file may be placed less than one before a start.
    boot = time.time() - time.clock_gettime(_SINCE_BOOT)
    return round(boot + int(columns[19]) / float(os.sysconf("SC_CLK_TCK")), 2)


def command_line(pid: int) -> t.Optional[t.List[str]]:
    """The arguments of a process; C(None) when it is gone or not ours to look at."""
    content = _read("/proc/%d/cmdline" % pid)
    return None if content is None else [os.fsdecode(word) for word in content.split(b"\0")[:-1]]


def environment(pid: int) -> t.Optional[t.Dict[str, str]]:
    """The environment that a process was started with; C(None) when it is gone or not ours to look at."""
    content = _read("/proc/%d/environ" % pid)
    return None if content is None else parse_environment(content)


def _read(path: str) -> t.Optional[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def context(pid: t.Optional[int]) -> t.Optional[Context]:
    """What a process has got from whoever started it; C(None) when it is gone or not ours to look at."""
    if pid is None:
        return None
    try:
        with open("/proc/%d/status" % pid) as lines:
            status = dict(line.rstrip("\n").split(":", 1) for line in lines if ":" in line)
        variables = environment(pid)
        if variables is None:
            return None
        uid, gid, ignored = int(status["Uid"].split()[0]), int(status["Gid"].split()[0]), int(status["SigIgn"], 16)
        if not {0, os.geteuid()} >= set(map(int, status["Uid"].split())):
            return Context(uid, gid, None, ignored & ~_OF_THE_C_LIBRARY, {}, {})
        return Context(
            uid=uid, gid=gid, umask=int(status["Umask"], 8) if "Umask" in status else None,
            ignored_signals=ignored & ~_OF_THE_C_LIBRARY,
            limits={name: resource.prlimit(pid, number) for name, number in _LIMITS},
            environment={name: value for name, value in variables.items() if matters(name)})
    except (OSError, ValueError, KeyError):
        return None


def matters(name: str) -> bool:
    """Whether an environment variable is one that changes how the server behaves."""
    return name in _KEPT_NAMES or name.startswith(_KEPT_PREFIXES)


def parse_environment(content: bytes) -> t.Dict[str, str]:
    """Read C(NAME=value) entries that end with NUL, as C(/proc/PID/environ) and C(env -0) write them."""
    entries = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0") if b"=" in entry)
    return {name: value for name, equal_sign, value in entries if name}
