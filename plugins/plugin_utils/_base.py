# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugins share: options checked, inputs read, the host asked. Private to this collection."""

from __future__ import annotations

import abc
import os
import re
import sys
import typing as t
import warnings

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _catalogue,
    _contents,
    _host_calls,
    _inputs,
    _lookup,
    _preflight,
    _report,
)
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused

try:
    from cryptography import __version__ as _FOUND
except ImportError:
    _FOUND = "none"

# The oldest version of cryptography that the collection is made for.
CRYPTOGRAPHY = 45

# The least that makes sense for an option that is a number.
_LEAST = {"port": 1, "start_timeout": 1, "stop_timeout": 1, "lock_timeout": 0, "keep_backups": 0, "expiring_days": 0,
          "days": 1}

# A name of two labels or more that is no IPv4 address.
_DNS_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

Options = _host_calls.Options
Result = _host_calls.Result


class SesamAction(_host_calls.HostCalls):
    """An action that asks one question of the host and makes a result of the answer."""

    RULES: t.ClassVar[t.Mapping[str, t.Any]] = {}
    FLAGS: t.ClassVar[t.Mapping[str, t.Sequence[str]]] = {}

    @abc.abstractmethod
    def answer(self, options: Options, task_vars: dict[str, t.Any]) -> Result:
        """The result of the task."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Run the task; every refusal becomes a failed result, never a traceback."""
        result: Result = super().run(tmp, task_vars)
        _require_cryptography()
        try:
            with warnings.catch_warnings():
                # What the library thinks of an input (BER and no DER, a negative serial number, a kind of key that is
                # going out of use) would stand on the terminal between the tasks; what matters of it is a finding.
                warnings.simplefilter("ignore")
                self.options = self._options()
                result.update(self.answer(self.options, task_vars or {}))
            self._show_warnings(result, task_vars or {})
            if result.get("_ansible_no_log"):
                # ansible-core 2.16 shows the results of a loop to callbacks unless the task says it too.
                self._task.no_log = True
        except Refused as exc:
            result.update(failed=True, changed=False, msg=_report.refusal(exc.findings),
                          findings=_report.findings_as_data(exc.findings))
        except _host_calls.HostFailed as exc:
            result.update(exc.result)
        return result

    @staticmethod
    def _show_warnings(result: Result, task_vars: dict[str, t.Any]) -> None:
        """Let Ansible print what wants somebody's time before long: in a result alone, few would read it.

        Not twice: the playbook drift_check says by this variable that its report has them.
        """
        if task_vars.get("__sesam_https_is_reported"):
            return
        host = task_vars.get("inventory_hostname", "")
        warned = [_report.in_a_line(finding) for finding in result.get("findings", []) if finding["level"] == "warning"]
        if warned and not result.get("failed"):
            result.setdefault("warnings", []).extend(f"{host}: {line}" for line in warned)

    def _options(self) -> Options:
        """The options as the argument spec wants them; no message repeats the value of a secret one."""
        try:
            _validation, options = self.validate_argument_spec(argument_spec=self.ARGUMENTS, **self.RULES)
        except AnsibleActionFail as exc:
            raise AnsibleActionFail(self._without_secrets(str(exc))) from None
        for name, entry in self.ARGUMENTS.items():
            # A path is one of the host: what "~" and variables in it mean is known there.
            if entry["type"] == "path" and options.get(name) is not None and name in self._task.args:
                options[name] = str(self._task.args[name])
        for name, least in _LEAST.items():
            if options.get(name) is not None and options[name] < least:
                raise AnsibleActionFail(f"{name} is {options[name]}; it has to be {least} or more.")
        for flag, others in self.FLAGS.items():
            if clashes := [name for name in others if options[flag] and options[name] not in (None, False)]:
                raise AnsibleActionFail(f"{flag} is true, so leave out: {', '.join(clashes)}.")
        return t.cast(Options, options)

    def _without_secrets(self, message: str) -> str:
        secrets = (str(self._task.args[name]) for name, entry in self.ARGUMENTS.items()
                   if entry.get("no_log") and self._task.args.get(name))
        for secret in secrets:
            # Line by line too: a message may show line breaks in another way.
            for piece in (secret, *filter(str.strip, secret.splitlines())):
                message = message.replace(piece, "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER")
        return message

    def require_path_on_host(self, option: str, options: Options) -> None:
        """Refuse what is no absolute path, and never repeat it: by mistake it may be a key."""
        value = str(options[option])
        if not value.startswith("/") or _inputs.is_content(value) or not _inputs.may_be_path(value):
            raise Refused(_catalogue.finding(
                "path-not-absolute", "wanted", f"{option} is no absolute path.",
                fix="Give the path of a file on the host, from its root; here the option takes no content."))

    def read(self, option: str, options: Options) -> _inputs.Input:
        """The content of an option that holds content or a path."""
        return _inputs.read(option, options[option], self._read_file)

    def read_if_given(self, option: str, options: Options) -> _inputs.Input | None:
        """The same for an option that may be absent."""
        return self.read(option, options) if options[option] else None

    def read_path(self, option: str, path: str) -> _inputs.Input:
        """A file of a folder that an option names."""
        return _inputs.read(option, path, self._read_file)

    def folder(self, option: str, options: Options) -> str:
        """The folder on the controller that an option names; empty where it names none."""
        value = str(options[option] or "")
        if not value or not _inputs.may_be_path(value):
            return ""
        try:
            found = self._find_file(os.path.expanduser(value))
        except OSError:
            return ""
        return found if os.path.isdir(found) else ""

    def sources(self, options: Options, **renamed: str) -> _preflight.Sources:
        """The inputs that hold a pair; C(renamed) says which option holds one that has not its name."""
        names = {name: renamed.get(name, name) for name in ("certificate", "private_key", "chain", "pkcs12")}
        inputs = {name: self.read(option, options) for name, option in names.items() if options.get(option)}
        return _preflight.Sources(**inputs, passphrase=options.get("passphrase"))

    def policy(self, options: Options, task_vars: dict[str, t.Any]) -> _preflight.Policy:
        """What certificates are checked for besides. Without names, the inventory's name of the host is a guess."""
        _catalogue.check_levels(options["levels"])
        trusted = None
        if options["ca_bundle"]:
            bundle = self.read("ca_bundle", options)
            trusted = _contents.certificates_of(bundle, most=_contents.MOST_ROOTS).certificates
        names = options["names"] or _guessed(str(task_vars.get("inventory_hostname", "")))
        behaviour = _lookup.Behaviour(options["broken_pair"], options["half_pair"])
        return _preflight.Policy(names, bool(options["names"]), trusted, options["expiring_days"], options["levels"],
                                 behaviour)

    def _read_file(self, path: str) -> bytes:
        """A file of the controller; a vault-encrypted one is decrypted in memory, never on disk."""
        try:
            found = self._find_file(os.path.expanduser(path))
            if not os.path.isfile(found):
                raise IsADirectoryError(f"{found} is no regular file")
            if os.path.getsize(found) > _inputs.FILE_LIMIT:
                raise _inputs.too_large(f"{found} has {os.path.getsize(found)} bytes.")
            content, _is_plain = self._loader._get_file_contents(found)
        except AnsibleError as exc:
            raise OSError(" ".join(str(exc).split())) from exc
        return t.cast(bytes, content)

    def _find_file(self, path: str) -> str:
        """Found like the files of C(copy), else where the command is run: a playbook of a collection is not near."""
        try:
            return t.cast(str, self._find_needle("files", path))
        except AnsibleError:
            if not os.path.exists(path):
                raise FileNotFoundError(
                    f"it is not there, neither where copy looks for files nor in {os.getcwd()}") from None
            return os.path.abspath(path)


def _guessed(host: str) -> list[str]:
    """The name of a host in the inventory, if it looks like one by which clients call it."""
    return [host] if _DNS_NAME.fullmatch(host) else []


def _require_cryptography() -> None:
    """Say in one line what is missing on the controller."""
    if _FOUND == "none" or int(_FOUND.partition(".")[0]) < CRYPTOGRAPHY:
        raise AnsibleActionFail(
            f"cryptography {CRYPTOGRAPHY} or later is needed on the controller, found: {_FOUND}. "
            f"Install it for the Python that runs Ansible: {sys.executable} -m pip install --upgrade cryptography")
