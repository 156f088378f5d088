# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_pkcs8_convert): convert here, or let the host convert what is there."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import _base, _certificates, _keys, _preflight, _report

_SENT_AS_GIVEN = ("src", "dest", "passphrase", "backup", "owner", "group")


class ActionModule(_base.SesamAction):
    """Convert a private key to PKCS#8."""

    ARGUMENTS = _arguments.CONVERT
    RULES = _arguments.CONVERT_RULES

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """A key of the controller is converted in this process, in check mode too; one of the host stays there."""
        if options["src"]:
            return self._on_host(options, task_vars)
        return _as_result(_preflight.convert(self.sources(options)))

    def _on_host(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """The passphrase has to go there: it is guarded as a key would be."""
        for option in ("src", "dest"):
            self.require_path_on_host(option, options)
        sent = {name: options[name] for name in _SENT_AS_GIVEN}
        answer = self.ask_host_or_refuse(
            task_vars, has_secret=bool(options["passphrase"]), **sent, mode=_mode(options["mode"]), order={})
        before, after = answer.pop("before"), answer.pop("after")
        result = {name: value for name, value in answer.items() if name != "refused" and name[0] != "_"}
        if self._task.diff:
            result["diff"] = _report.difference(options["dest"], before, after)
        return result


def _as_result(converted: _preflight.WantedPair) -> _base.Result:
    """A result that holds a key: it is hidden, and can be registered all the same."""
    chain, key = converted.chain, converted.private_key
    return {
        "_ansible_no_log": True,
        "changed": False,
        "private_key": key.pem,
        "form_before": key.form,
        "spki_sha256": _keys.fingerprint(key.spki),
        "certificate": _certificates.to_pem(chain[:1]),
        "chain": _certificates.to_pem(chain[1:]),
        "certificates": [_certificates.facts(certificate) for certificate in chain],
        "findings": _report.findings_as_data(converted.findings),
    }


def _mode(value: t.Any) -> int:
    """The mode of a file as a number; text is octal, as everywhere in Ansible."""
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    raise AnsibleActionFail(f"mode is {value!r}; it has to be three octal digits in quotes, such as '0600'.")
