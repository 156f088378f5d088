# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: every finding of the code is in it, the page shows it, and levels are set by it."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _catalogue, _findings, _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._catalogue import CATALOGUE
from workbench import docs, findings_page, tree

Refused = t.Callable[[t.Callable[[], object]], str]
LEVELS = t.get_args(_findings.Level)
SUBJECTS = t.get_args(_findings.Subject)
SOURCES = sorted((tree.ROOT / "plugins").rglob("*.py"))


class Use(t.NamedTuple):
    """A place in the source where a finding is made: what is written there of its id, level and subject."""

    where: str
    first: str
    ids: set[str]
    levels: set[str]
    subjects: set[str]


def constants(node: ast.expr | None) -> set[str]:
    """The texts that an expression can be, where it is one or chooses between some."""
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def makes_a_finding(call: ast.Call) -> bool:
    """By the name of what is called: C(Finding), C(refusal.Refused), C(_refused) ..."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.lower().endswith(("finding", "refused")) and name not in ("is_refused",)


def uses(path: Path) -> t.Iterator[Use]:
    """What a source makes findings of."""
    host = "_host" in path.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not makes_a_finding(node) or not node.args:
            continue
        arguments = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg in ("level", "subject"))]
        texts = [constants(argument) for argument in arguments]
        levels = {text for found in texts for text in found if text in LEVELS}
        subjects = {text for found in texts for text in found if text in SUBJECTS}
        if host and "efused" in ast.unparse(node.func):
            levels, subjects = {"error"}, subjects or {"place"}
        yield Use(f"{path.name}:{node.lineno}", ast.unparse(node.args[0]), texts[0], levels, subjects)


USES = [use for path in SOURCES for use in uses(path)]


def test_the_source_is_read() -> None:
    assert len(USES) >= 60
    assert len(set().union(*(use.ids for use in USES))) >= 50
    assert sum(bool(use.levels) for use in USES) >= 30
    assert sum(bool(use.subjects) for use in USES) >= 30


@pytest.mark.parametrize("use", [use for use in USES if use.ids], ids=lambda use: use.where)
def test_every_finding_of_the_source_is_in_the_catalogue(use: Use) -> None:
    for id in use.ids:
        assert id in CATALOGUE, use
        assert use.levels <= set(CATALOGUE[id].levels), use
        assert use.subjects <= set(CATALOGUE[id].subjects), use


def test_an_id_is_written_where_a_finding_is_made() -> None:
    """Or it is the argument of a helper, whose calls are looked at; C(Refused) takes findings that were made."""
    unseen = {use.where: use.first for use in USES if not use.ids}
    made_before = re.compile(
        r"id|self\.id|told\['id'\]|_TOLD\[(?:state|found\[0\])\]|\*.*|refused.*|.*(?:[Ff]inding|_mismatch)\(.*",
        re.DOTALL)
    assert [found for found in unseen.items() if not made_before.fullmatch(found[1])] == []


def test_every_finding_of_the_catalogue_is_made_somewhere() -> None:
    """The page promises no check that there is not."""
    made = set().union(*(use.ids for use in USES)) | set(_verdict._TOLD.values())
    assert set(CATALOGUE) - made == set()


@pytest.mark.parametrize("id", sorted(_verdict._TOLD.values()))
def test_every_finding_of_a_verdict_is_in_the_catalogue(id: str) -> None:
    assert ("place" if id == "shadowed" else "current") in CATALOGUE[id].subjects
    assert CATALOGUE[id].levels[0] == ("warning" if id == "stale-process" else "error")


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_an_entry_is_whole(entry: _catalogue.Entry) -> None:
    assert entry.section in _catalogue.SECTIONS
    assert entry.levels
    assert set(entry.levels) <= set(LEVELS)
    assert entry.subjects
    assert set(entry.subjects) <= set(SUBJECTS)
    assert entry.check.endswith(".")
    assert entry.fix.endswith((".", "?"))
    # An audit may warn of what a replacement is refused for.
    assert entry.is_settable or (entry.levels[0] == "error" and set(entry.levels) <= {"error", "warning"})


def test_no_id_is_there_twice() -> None:
    assert len(CATALOGUE) == len(_catalogue._ENTRIES)


def test_no_section_is_empty() -> None:
    assert {entry.section for entry in CATALOGUE.values()} == set(_catalogue.SECTIONS)


@pytest.mark.parametrize("id", [
    "input-unrecognised", "pair-mismatch", "key-passphrase-wrong", "sesam-not-found", "locked", "journal-damaged",
    "host-bug", "not-root",
])
def test_what_ends_everything_stays_an_error(refused: Refused, id: str) -> None:
    text = refused(lambda: _catalogue.check_levels({id: "warning"}))
    assert text.startswith(f"place error level-unknown: levels: {id}: warning is not possible, it stays an error. "
                           f"Remove {id} from levels.")
    _catalogue.check_levels({id: "error"})


# Levels that a user sets


def test_a_finding_has_the_level_and_the_fix_of_its_entry() -> None:
    found = _catalogue.finding("expiring", "current", "It ends.")
    assert found == _findings.Finding("expiring", "current", "warning", "It ends.", CATALOGUE["expiring"].fix)
    other = _catalogue.finding("key-usage", "wanted", "It lacks.", level="warning", fix="")
    assert other == _findings.Finding("key-usage", "wanted", "warning", "It lacks.")


@pytest.mark.parametrize(("id", "subject", "level"), [
    ("expiring", "place", None), ("expiring", "wanted", "error"), ("pair-mismatch", "wanted", "info")])
def test_no_finding_is_otherwise_than_its_entry(id: str, subject: t.Any, level: t.Any) -> None:
    with pytest.raises(ValueError, match=f"^{id} has no level (error|info|warning) for {subject}$"):
        _catalogue.finding(id, subject, "x", level=level)


def test_levels_are_applied_by_id() -> None:
    findings = [_catalogue.finding("key-reused", "wanted", "a"), _catalogue.finding("expired", "wanted", "b"),
                _catalogue.finding("key-usage", "wanted", "c"),
                _catalogue.finding("key-usage", "current", "d", level="warning")]
    levels = {"key-reused": "error", "key-usage": "info"}
    _catalogue.check_levels(levels)
    applied = _catalogue.apply_levels(findings, levels)
    assert [(f.message, f.level) for f in applied] == [("a", "error"), ("b", "error"), ("c", "info"), ("d", "info")]
    assert [(f.id, f.subject, f.fix) for f in applied] == [(f.id, f.subject, f.fix) for f in findings]
    assert _catalogue.apply_levels(findings, {}) == findings


def test_what_is_wrong_now_is_no_hindrance() -> None:
    findings = [_catalogue.finding("expired", subject, "x") for subject in t.cast("list[t.Any]", ["wanted", "current"])]
    findings.append(_catalogue.finding("not-root", "place", "x"))
    assert [f.subject for f in _findings.errors(findings)] == ["wanted", "place"]
    assert _findings.errors(_catalogue.apply_levels(findings[:2], {"expired": "warning"})) == []


@pytest.mark.parametrize(("levels", "words"), [
    ({"key-reuse": "error"}, "levels: there is no finding 'key-reuse'. Did you mean key-reused?"),
    ({"Expired": "error"}, "levels: there is no finding 'Expired'. Did you mean expired?"),
    ({"zzz": "error"}, "levels: there is no finding 'zzz'. Correct the option levels (sesam_https_levels)."),
    ({1: "error"}, "levels: there is no finding '1'."),
    ({"key-reused": "fatal"}, "levels: key-reused: 'fatal' is no level. Set one of error, warning, info."),
    ({"key-reused": False}, "levels: key-reused: 'False' is no level."),
    ({"key-reused": None}, "levels: key-reused: 'None' is no level."),
    ({"pair-mismatch": "ignore"}, "levels: pair-mismatch: 'ignore' is no level."),
])
def test_levels_that_cannot_be(refused: Refused, levels: t.Any, words: str) -> None:
    assert words in refused(lambda: _catalogue.check_levels(levels))


def test_every_wrong_level_is_named_at_once(refused: Refused) -> None:
    levels = {"key-reuse": "error", "expired": "warning", "expiring": "loud", "locked": "info"}
    assert refused(lambda: _catalogue.check_levels(levels)).count("level-unknown") == 3


@pytest.mark.parametrize("entry", [e for e in CATALOGUE.values() if e.is_settable], ids=lambda entry: entry.id)
def test_levels_that_can_be(entry: _catalogue.Entry) -> None:
    for level in LEVELS:
        _catalogue.check_levels({entry.id: level})


# The page


def test_the_page_is_current() -> None:
    """After a change of the catalogue: make docs."""
    assert docs.FINDINGS.read_text(encoding="utf-8") == findings_page.page()


def test_the_page_lists_every_finding_once() -> None:
    page = findings_page.page()
    assert [id for id in CATALOGUE if page.count(f"| `{id}` |") != 1] == []
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(CATALOGUE)
    assert {line.count(" | ") for line in rows} == {4}


def test_a_message_has_an_end_and_can_be_printed() -> None:
    message = _catalogue.finding("san-missing", "wanted", "a\x1b[2J" + "x" * 5000).message
    assert message.isprintable()
    assert len(message) == 1200
