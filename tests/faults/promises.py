# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is promised of a disk, whatever happens; each function says what is broken, in words."""

from __future__ import annotations

import os
import typing as t

from integration.certificates import Pair

from . import disk

CERTIFICATE, PRIVATE_KEY = "ssl/sesam.https.crt", "ssl/sesam.https.key"
STATE = ".sep-sesam"
JOURNAL = f"{STATE}/journal"
# What every run writes, whatever it does; also under the names of what is not yet in place.
NOTES = (f"{STATE}/lock", f"{STATE}/result")
# The last one is a folder that a user has named.
_FOR_KEYS = ("ssl/", f"{STATE}/pending/", f"{STATE}/pending.done/", f"{STATE}/backups/",
             "elsewhere/")
_IN_STATE = {"lock", "result", "backups"}

# In every form of PEM, also of a key that nobody here knows.
BEGINS_KEY = b"PRIVATE KEY-----"

Contents = tuple[bytes, bytes]


def contents(pair: Pair) -> Contents:
    """Both files of a pair."""
    return pair.pem, pair.key_pem()


def in_place(tree: disk.Tree) -> tuple[bytes | None, bytes | None]:
    """The files in the default location."""
    found = [tree.get(name) for name in (CERTIFICATE, PRIVATE_KEY)]
    return tuple(file.content if file else None for file in found)  # type: ignore[return-value]


def of_any_moment(
    tree: disk.Tree, old: Contents | None, wanted: Contents | None, keeps_old: bool = True
) -> list[str]:
    """At any moment: no two files that do not belong together, the old pair somewhere, no key where others read it."""
    lost = _lost(tree, old) if keeps_old else ()
    return [*_mixed(tree, old, wanted), *lost, *open_keys(tree, [old, wanted])]


def _mixed(tree: disk.Tree, old: Contents | None, wanted: Contents | None) -> t.Iterator[str]:
    certificate, private_key = in_place(tree)
    if certificate is not None and (certificate, private_key) not in (old, wanted):
        owners = {whole[n]: word for word, whole in (("old", old), ("new", wanted)) if whole for n in (0, 1)}
        words = [owners.get(content or b"", "damaged or no") for content in (certificate, private_key)]
        yield f"the disk holds the {words[0]} certificate with the {words[1]} key"


def _lost(tree: disk.Tree, old: Contents | None) -> t.Iterator[str]:
    if old and in_place(tree) != old and old not in backups(tree):
        yield "the old pair is neither in place nor in a backup"


def backups(tree: disk.Tree) -> list[tuple[bytes | None, bytes | None]]:
    """The pairs in all finished backups."""
    folders = {name.split("/")[2] for name in tree if name.startswith(f"{STATE}/backups/")}
    found = []
    for folder in folders:
        files = [tree.get(f"{STATE}/backups/{folder}/{os.path.basename(n)}") for n in (CERTIFICATE, PRIVATE_KEY)]
        if not folder.endswith(".new"):
            found.append((files[0] and files[0].content, files[1] and files[1].content))
    return found


def open_keys(tree: disk.Tree, pairs: t.Iterable[Contents | None] = ()) -> t.Iterator[str]:
    """Key text where it has no place, or where others can read it."""
    pieces = [BEGINS_KEY]
    pieces += [line for pair in pairs if pair for line in pair[1].splitlines()[1:3]]
    for name, file in tree.items():
        if file.content is None:
            if name.startswith(STATE) and file.mode & 0o077:
                yield f"{name} is open to others: {file.mode:04o}"
        elif any(piece in file.content for piece in pieces):
            if not name.startswith(_FOR_KEYS):
                yield f"key text in {name}"
            elif file.mode & 0o077:
                yield f"key text in {name}, mode {file.mode:04o}"


def of_the_end(tree: disk.Tree, wanted: Contents | None, keeps_pending: bool = False) -> list[str]:
    """After a run that has ended well: the wanted pair in place, and nothing left over."""
    broken = []
    if wanted and in_place(tree) != wanted:
        broken.append("the wanted pair is not in place")
    broken += [f"left over: {name}" for name in sorted(tree) if _is_left_over(name, keeps_pending)]
    return broken


def _is_left_over(name: str, keeps_pending: bool) -> bool:
    parts = name.split("/")
    if parts[0] == "ssl":
        return len(parts) > 1 and name not in (CERTIFICATE, PRIVATE_KEY)
    if parts[0] != STATE or len(parts) == 1:
        return False
    if parts[1] == "pending":
        return not keeps_pending or (len(parts) > 2 and parts[2] not in ("sesam.https.key", "sesam.https.csr"))
    if parts[1] == "backups":
        return len(parts) > 2 and parts[2].endswith(".new")
    return parts[1] not in _IN_STATE
