# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door of the host code: a question and its parameters in, plain data out, never a traceback."""

import importlib
import typing as t

from . import core_dumps, refusal

# Question -> the file that answers it, and the function there. A module imports its own file, so that no host gets more
# than it needs. The program is also run by hand and as a subprocess: python -m _host resolve < parameters.json
QUESTIONS = {
    "resolve": ("gather", "gather"),
    "replace": ("transaction", "replace"),
    "convert": ("conversion", "convert"),
    "key_files": ("key_files", "look_or_make"),
}


def answer(question: str, parameters: dict) -> dict:
    """Answer one of the C(QUESTIONS).

    The answer always has C(refused): C(None), or a finding (id, subject, level, message, fix) that says
    why nothing was done.
    """
    try:
        with core_dumps.none():
            return _in_utf8(_ask(question, parameters))
    except refusal.Refused as exc:
        return {"changed": False, "refused": exc.finding()}
    except OSError as exc:
        return {"changed": False, "refused": refusal.from_os_error(exc).finding()}
    except Exception as exc:  # pylint: disable=broad-except
        return {"changed": False, "refused": refusal.Refused(
            "host-bug", "The host code failed where it must not: %s." % refusal.in_words(exc),
            "Run it again, it looks anew at what is there; and report this line.").finding()}


def _in_utf8(value: t.Any) -> t.Any:
    """Plain data whose text is UTF-8: the name of a file may hold any bytes, and no terminal would print them."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {name: _in_utf8(part) for name, part in value.items()}
    return [_in_utf8(part) for part in value] if isinstance(value, (list, tuple)) else value


def _ask(question: str, parameters: dict) -> dict:
    try:
        import ssl  # noqa: F401
    except ImportError:
        raise refusal.Refused(
            "python-without-ssl", "The Python that runs on the host cannot do TLS: it has no ssl module.",
            "Set ansible_python_interpreter to the system's own Python.") from None
    # Imported here, not above: they need the ssl module that was just looked for.
    file, function = QUESTIONS[question]
    seen: dict = getattr(importlib.import_module("." + file, __package__), function)(parameters)
    return dict(seen, refused=seen.get("refused"))
