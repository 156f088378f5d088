# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_cert_resolve): read what is wanted, ask the host, judge."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _base, _certificates, _preflight, _report, _verdict
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused

# Bare, with colons, or as openssl and ssh print it: "sha256 Fingerprint=AA:BB:...".
_FINGERPRINT = re.compile(r"\s*(?:sha-?256(?: fingerprint)?\s*[:=]\s*)?((?:[0-9a-f]{2}:?){32})\s*", re.IGNORECASE)


class ActionModule(_base.SesamAction):
    """Judge the certificate of a host."""

    ARGUMENTS = _arguments.RESOLVE

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """One call on the host, which changes nothing."""
        wanted = self._wanted(options)
        answer = self.ask_host(task_vars)
        if answer["refused"]:
            raise Refused(Finding(**answer["refused"]))
        seen = _verdict.Seen.of(answer)
        return dict(_report.situation(seen, _verdict.judge(seen, wanted)), changed=False)

    def _wanted(self, options: _base.Options) -> _verdict.Wanted | None:
        if not options["wanted"]:
            return None
        if match := _FINGERPRINT.fullmatch(options["wanted"]):
            return _verdict.Wanted(match.group(1).replace(":", "").lower())
        chain = _preflight.certificates_alone(self.sources(options, certificate="wanted"))
        return _verdict.Wanted(_certificates.fingerprint(chain[0]), chain)
