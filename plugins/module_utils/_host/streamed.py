# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host code as one stream: this text comes first, then a call of C(run) with all the rest packed.

Python reads it from standard input, so that nothing of it is on a disk or in the list of processes of the
host. It runs only what came whole: a digest of all of it stands in front.
"""

import base64
import hashlib
import importlib
import importlib.util
import json
import os
import sys
import typing as t
import zlib

_PACKAGE = "_host"


class _Importer:
    """Finds the files of the host code in memory."""

    def __init__(self, sources: t.Dict[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, _path: t.Any = None, _target: t.Any = None) -> t.Any:
        """Of a file that was sent; of any other, nothing."""
        if self._file(name) not in self._sources:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name == _PACKAGE)  # type: ignore[arg-type]

    def create_module(self, _spec: t.Any) -> None:
        """As usual."""

    def exec_module(self, module: t.Any) -> None:
        """Compile the text, here and now."""
        file = self._file(module.__name__)
        exec(compile(self._sources[file], file, "exec"), module.__dict__)

    @staticmethod
    def _file(name: str) -> str:
        return "%s/%s.py" % (_PACKAGE, "__init__" if name == _PACKAGE else name[len(_PACKAGE) + 1:])


def run(packed: str, request: str, nonce: str) -> None:
    """Answer one question, in a frame by which the answer is found among whatever else is printed.

    :param packed: the sources, JSON (file -> text), compressed, in base64.
    :param request: JSON with C(question), C(parameters), and C(paths), the names of those that are paths.
    :param nonce: what marks the lines of this frame.
    """
    try:
        _say("\nsep.sesam %s begin %s %s\n" % (nonce, sys.version.split()[0], sys.executable))
    except OSError:
        # No module: it ends as every program does.
        sys.exit("sep.sesam: nobody hears an answer; nothing was done.")  # pylint: disable=ansible-bad-function
    sys.meta_path.insert(0, _Importer(json.loads(zlib.decompress(base64.b64decode(packed)).decode("utf-8"))))
    asked = json.loads(request)
    for name in asked["paths"]:
        asked["parameters"][name] = os.path.expanduser(os.path.expandvars(asked["parameters"][name]))
    door: t.Any = importlib.import_module(_PACKAGE + ".answer")
    text = json.dumps(door.answer(asked["question"], asked["parameters"]))
    try:
        _say("\nsep.sesam %s answer %d %s\n%s\n" % (
            nonce, len(text), hashlib.sha256(text.encode("ascii")).hexdigest(), text))
    except OSError:
        # Whoever asked is gone, and what was done is done. Python would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """In ASCII, whatever the locale is: the path of a Python may hold anything."""
    sys.stdout.buffer.write(text.encode("ascii", "backslashreplace"))
    sys.stdout.buffer.flush()
