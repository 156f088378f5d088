# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a disk: read as it is, put back, and as a power cut may leave it.

The model of a power cut: what a file holds is safe when the file was fsynced, a name when its folder was. Of the names
that are not safe, any number of changes from the first on may have reached the disk, in their order, as a file system
with a journal does it, or all but one; of contents that are not safe, nothing or a half.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import typing as t
from pathlib import Path


class File(t.NamedTuple):
    """A file, or a folder (no content)."""

    content: bytes | None
    mode: int
    owner: tuple[int, int]


# By the path relative to the top.
Tree = dict[str, File]
# As the shim writes it down.
Call = dict[str, t.Any]


def read(top: Path) -> Tree:
    """Everything below a folder."""
    tree: Tree = {}
    for folder, _folders, files in os.walk(top):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            status = os.lstat(path)
            content = Path(path).read_bytes() if os.path.isfile(path) and not os.path.islink(path) else None
            tree[os.path.relpath(path, top)] = File(content, status.st_mode & 0o7777, (status.st_uid, status.st_gid))
    return tree


def write(top: Path, tree: Tree) -> None:
    """Make a folder hold this and nothing else."""
    for entry in top.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name in sorted(tree):
        path, file = top / name, tree[name]
        if file.content is None:
            path.mkdir(exist_ok=True)
        else:
            path.touch(mode=0o600)
            path.write_bytes(file.content)
        os.chown(path, *file.owner)
        path.chmod(file.mode)


@dataclasses.dataclass
class _Node:
    """A file or a folder, whatever its names: as the processes see it, and as it is safe on the disk."""

    content: bytearray | None
    mode: int
    owner: tuple[int, int]
    safe: bytes = b""
    safe_mode: int = 0o600

    @property
    def is_safe(self) -> bool:
        return self.content is None or bytes(self.content) == self.safe


@dataclasses.dataclass
class _Change:
    """A name in a folder that comes (node), goes (no node), or comes from another one (moved)."""

    folder: _Node
    name: str
    node: _Node | None
    moved: str = ""
    is_safe: bool = False


_Names = dict[int, dict[str, _Node]]


class Disk:
    """A folder to which the calls happen that the shim has written down."""

    def __init__(self, top: Path, before: Tree) -> None:
        self._top = str(top)
        self._nodes: list[_Node] = []
        self._changes: list[_Change] = []
        self._root = self._node(None, before["."].mode, before["."].owner)
        self._names: _Names = {}
        for name in sorted(before.keys() - {"."}):
            file = before[name]
            node = self._node(file.content, file.mode, file.owner)
            node.safe, node.safe_mode = file.content or b"", file.mode
            self._folder_of(name)[os.path.basename(name)] = node
        self._before: _Names = {folder: dict(names) for folder, names in self._names.items()}

    def _node(self, content: bytes | None, mode: int, owner: tuple[int, int]) -> _Node:
        self._nodes.append(_Node(None if content is None else bytearray(content), mode, owner, safe_mode=mode))
        return self._nodes[-1]

    def _find(self, name: str) -> _Node:
        node = self._root
        for part in [] if name in ("", ".") else name.split("/"):
            node = self._names[id(node)][part]
        return node

    def _folder_of(self, name: str) -> dict[str, _Node]:
        return self._names.setdefault(id(self._find(os.path.dirname(name))), {})

    def happen(self, call: Call) -> None:
        """Let one call happen."""
        if not (call.get("path", "") + "/").startswith(self._top + "/"):
            return
        name = os.path.relpath(call["path"], self._top)
        getattr(self, "_" + call["call"])(name, call)

    def _change(self, name: str, node: _Node | None, moved: str = "") -> None:
        folder = self._find(os.path.dirname(name))
        names = self._folder_of(name)
        self._changes.append(_Change(folder, os.path.basename(name), node, os.path.basename(moved)))
        if moved:
            names[os.path.basename(name)] = names.pop(os.path.basename(moved))
        elif node is None:
            del names[os.path.basename(name)]
        else:
            names[os.path.basename(name)] = node

    def _create(self, name: str, call: Call) -> None:
        if os.path.basename(name) not in self._folder_of(name):
            self._change(name, self._node(b"", call["mode"], (os.geteuid(), os.getegid())))

    def _mkdir(self, name: str, call: Call) -> None:
        self._change(name, self._node(None, call["mode"] & ~0o022, (os.geteuid(), os.getegid())))

    def _write(self, name: str, call: Call) -> None:
        content, node = base64.b64decode(call["content"]), self._find(name)
        if call["half"]:
            content = content[: len(content) // 2]
        assert node.content is not None
        node.content[call["offset"] : call["offset"] + len(content)] = content

    def _truncate(self, name: str, call: Call) -> None:
        content = self._find(name).content
        assert content is not None
        del content[call["length"] :]

    def _fsync(self, name: str, _call: Call) -> None:
        node = self._find(name)
        node.safe_mode = node.mode
        if node.content is not None:
            node.safe = bytes(node.content)
        for change in self._changes:
            change.is_safe |= change.folder is node

    def _rename(self, name: str, call: Call) -> None:
        to = os.path.relpath(call["to"], self._top)
        assert os.path.dirname(to) == os.path.dirname(name), "a rename into another folder is not in this model"
        self._change(to, None, name)

    def _unlink(self, name: str, _call: Call) -> None:
        self._change(name, None)

    _rmdir = _unlink

    def _chmod(self, name: str, call: Call) -> None:
        self._find(name).mode = call["mode"]

    def _chown(self, name: str, call: Call) -> None:
        uid, gid = json.loads(call["arguments"].replace("(", "[").replace(")", "]"))
        self._find(name).owner = uid, gid

    # What is there then

    def now(self) -> Tree:
        """As the processes see it."""
        return self._tree(self._names, lambda node: bytes(node.content or b""), lambda node: node.mode)

    def after_power_cut(self) -> t.Iterator[tuple[str, Tree]]:
        """Every state that a power cut may leave now, in words and as it is; some of them may be the same."""
        pending = [change for change in self._changes if not change.is_safe]
        kept = [(f"{number} of {len(pending)}", pending[:number]) for number in range(len(pending) + 1)]
        # Not every file system keeps them in order.
        for number, change in enumerate(pending[:-1]):
            kept.append((f"all but {change.name}", pending[:number] + pending[number + 1 :]))
        for which, changes in kept:
            names = self._names_with({id(change) for change in changes})
            for words, content in _LOST:
                tree = self._tree(names, content, lambda node: node.safe_mode)
                yield f"unsafe names: {which}, {words}", tree

    def _names_with(self, kept: set[int]) -> _Names:
        """The names with all changes that are safe, and these."""
        found: _Names = {folder: dict(names) for folder, names in self._before.items()}
        for change in self._changes:
            if not change.is_safe and id(change) not in kept:
                continue
            names = found.setdefault(id(change.folder), {})
            if change.moved:
                if change.moved in names:
                    names[change.name] = names.pop(change.moved)
            elif change.node is None:
                names.pop(change.name, None)
            else:
                names[change.name] = change.node
        return found

    def _tree(self, names: _Names, content: t.Callable[[_Node], bytes], mode: t.Callable[[_Node], int]) -> Tree:
        tree: Tree = {}

        def add(name: str, node: _Node) -> None:
            is_folder = node.content is None
            tree[name] = File(None if is_folder else content(node), mode(node), node.owner)
            for child, below in names.get(id(node), {}).items():
                add(child if name == "." else f"{name}/{child}", below)

        add(".", self._root)
        return tree


def _half(node: _Node) -> bytes:
    content = bytes(node.content or b"")
    return node.safe if node.is_safe else content[: len(content) // 2]


_LOST: tuple[tuple[str, t.Callable[[_Node], bytes]], ...] = (
    ("nothing of unsafe contents", lambda node: node.safe),
    ("half of unsafe contents", _half),
)


def replayed(top: Path, before: Tree, calls: t.Sequence[Call]) -> t.Iterator[tuple[int, Disk]]:
    """The disk before every call, and after the last."""
    disk = Disk(top, before)
    for number, call in enumerate(calls, 1):
        yield number, disk
        disk.happen(call)
    yield len(calls) + 1, disk


def differs(top: Path, before: Tree, calls: t.Sequence[Call], now: Tree) -> t.Iterator[str]:
    """Where the model has something else than the disk itself, after the same calls."""
    *_earlier, (_number, model) = replayed(top, before, calls)
    models = model.now()
    for name in sorted(models.keys() | now.keys()):
        if _facts(models, name) != _facts(now, name):
            yield f"the model of the disk is not true of {name}: {_facts(models, name)}, {_facts(now, name)}"


def _facts(tree: Tree, name: str) -> tuple[bytes | None, int] | None:
    # The lock is written by others too: who is started there notes himself.
    file = tree.get(name)
    return file and ((None if name.endswith("/lock") else file.content), file.mode)
