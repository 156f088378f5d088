# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_cert_resolve): read what is wanted, ask the host, judge."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _answers,
    _base,
    _catalogue,
    _certificates,
    _contents,
    _preflight,
    _report,
    _verdict,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused, printable

# Bare, with colons, or as openssl and ssh print it: "sha256 Fingerprint=AA:BB:...".
_FINGERPRINT = re.compile(r"\s*(?:sha-?256(?: fingerprint)?\s*[:=]\s*)?((?:[0-9a-f]{2}:?){32})\s*", re.IGNORECASE)


class ActionModule(_base.SesamAction):
    """Judge the certificate of a host."""

    ARGUMENTS = _arguments.RESOLVE

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """One call on the host, which changes nothing."""
        policy = self.policy(options, task_vars)
        fingerprint = _FINGERPRINT.fullmatch(options["wanted"] or "")
        find_wanted = self._finder(options) if options["wanted"] is not None and not fingerprint else None
        asked: dict[str, t.Any] = {"backups": True} if options["backups"] else {}
        answer = self.ask_host_or_refuse(task_vars, **asked)
        seen = _verdict.Seen.of(answer)
        found = find_wanted(seen) if find_wanted else None
        wanted = _verdict.Wanted(fingerprint.group(1).replace(":", "").lower()) if fingerprint else None
        if isinstance(found, _answers.Answer):
            wanted = _verdict.Wanted(_certificates.fingerprint(found.chain[0]), found.chain)
        verdict = _verdict.judge(seen, wanted, policy)
        result = dict(_report.situation(seen, verdict), ansible_facts=_report.facts(seen, verdict), changed=False)
        if isinstance(found, Finding):
            result["findings"].append(dataclasses.asdict(found))
        if find_wanted:
            result["wanted"] = _in_words(found, seen) if isinstance(found, _answers.Answer) else None
        if "on_disk" in result:
            result["on_disk"]["certificate"]["pem"] = _certificates.to_pem(seen.on_disk)
        return result

    def _finder(self, options: _base.Options) -> t.Callable[[_verdict.Seen], _answers.Answer | Finding]:
        """How the wanted certificate is found, or why not, all files read: before the host is asked in vain."""
        folder = self.folder("wanted", options)
        if folder:
            offered, damaged = self._offered(folder)
            chain = self.read_if_given("chain", options)
            further = _contents.certificates_of(chain).certificates if chain else []
            return lambda seen: (_picked(offered, further, seen)
                                 or _no_answer(options["wanted"], seen, damaged))
        sources = self.sources(options, certificate="wanted")
        if sources.certificate is None:
            raise Refused(_catalogue.finding(
                "input-empty", "wanted", "No certificate was given: the option wanted is empty.",
                fix="Set sesam_https_certificate (with the source csr the answer, or the folder of answers) or "
                "sesam_https_pkcs12. Called by itself, the module takes no option wanted for a look alone."))
        wanted = _preflight.certificates_alone(sources).chain
        found = _answers.Answer(wanted, sources.certificate.name, _certificates.spki(wanted[0]))
        return lambda _seen: found

    def _offered(self, folder: str) -> tuple[list[_answers.Offered], list[Finding]]:
        """Every certificate in a folder, and why others cannot be read; a letter of the CA is passed over."""
        offered, damaged = [], []
        for name in _names_in(folder):
            path = os.path.join(folder, name)
            try:
                found = _contents.of(self.read_path("wanted", path)).certificates if os.path.isfile(path) else []
            except Refused as exc:
                damaged += exc.findings
                continue
            offered += [_answers.Offered(certificate, path) for certificate in found]
        return offered, damaged


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as exc:
        message = f"wanted: the folder {printable(folder)} cannot be read: {exc.strerror}."
        raise Refused(_catalogue.finding("input-missing", "wanted", message)) from None


def _picked(offered: list[_answers.Offered], further: list[t.Any], seen: _verdict.Seen) -> _answers.Answer | None:
    """Of all that a CA has sent, that for the pending key, else that for the key in place."""
    keys = seen.keys()
    now = datetime.datetime.fromtimestamp(seen.answer["clock"], datetime.timezone.utc) if keys else None
    return _answers.pick(offered, keys, now, further) if now else None


def _no_answer(folder: str, seen: _verdict.Seen, damaged: list[Finding]) -> Finding:
    names = ", ".join(_certificates.names(seen.request)) if seen.request else "the key in place"
    passed_over = f" What was passed over: {' '.join(found.message for found in damaged)}" if damaged else ""
    return _catalogue.finding(
        "answer-missing", "current",
        f"No certificate in {folder} is for {names}; the one in service stays.{passed_over}")


def _in_words(found: _answers.Answer, seen: _verdict.Seen) -> dict[str, t.Any]:
    key = {seen.spki_in_place(): "in_place", seen.pending_spki(): "pending"}.get(found.spki, "none")
    return {"certificate": _certificates.facts(found.chain[0]), "source": found.source, "key": key,
            "pem": _certificates.to_pem(found.chain)}
