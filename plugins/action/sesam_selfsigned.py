# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_selfsigned): decide, make, and let the host place it or sign."""

from __future__ import annotations

import base64
import datetime
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.plugin_utils import (
    _base,
    _certificates,
    _contents,
    _issuance,
    _keys,
    _renewal,
    _report,
    _requests,
    _subjects,
)

_PATHS = ("certificate_path", "private_key_path", "csr_path")


class ActionModule(_base.SesamAction):
    """Make keys, self-signed certificates and requests."""

    ARGUMENTS = _arguments.SELFSIGNED
    RULES = _arguments.SELFSIGNED_RULES
    FLAGS = _arguments.SELFSIGNED_FLAGS

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """What is there decides: a look on the host, and one call more if there is something to make."""
        for option in filter(options.get, _PATHS):
            self.require_path_on_host(option, options)
        if options["current"] is not None:
            return self._for_current(options, task_vars)
        there, paths = self._look(options, task_vars)
        there.require_usable_key(options["renew_key"])
        if options["csr_from_certificate"]:
            result = self._carry_out(_issuance.request_of_certificate(there), there, paths, options, task_vars)
        elif options["certificate_path"]:
            plan = _issuance.renew(_wish(options, task_vars), there, keep_key=options["keep_key"],
                                   with_request=bool(options["csr_path"]), now=_now())
            result = self._carry_out(plan, there, paths, options, task_vars)
        elif options["renew_key"] or there.spki is None:
            result = self._request_of_new_key(options, task_vars)
        else:
            plan = _issuance.request(_wish(options, task_vars), there)
            result = self._carry_out(plan, there, paths, options, task_vars)
        if options["csr_folder"] and result.get("csr"):
            self._keep_here(result, options["csr_folder"], str(task_vars["inventory_hostname"]))
        return result

    def _for_current(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """Nothing is written anywhere. A new pair is the result, which is hidden then; a key that stays signs there."""
        certificate = None
        if options["current"].strip():
            certificate = _contents.certificates_of(self.read("current", options)).certificates[0]
        spki = _certificates.spki(certificate) if certificate else None
        if options["private_key_path"]:
            spki = self._look(options, task_vars)[0].spki
        there = _issuance.There(certificate, spki)
        plan = _issuance.renew(_wish(options, task_vars), there, keep_key=options["keep_key"] and bool(spki) and bool(
            options["private_key_path"]), now=_now())
        if plan.key:
            key, made = plan.signed_here()
            return {**_told(plan, made, True), "_ansible_no_log": True, "private_key": key,
                    "certificate": _certificates.to_pem([made])}
        if not plan.certificate:
            return _told(plan, certificate, False)
        answer = self._make(plan.order(), options, task_vars)
        (made,) = _certificates.from_base64([answer["certificate"]])
        return {**_told(plan, made, True), "certificate": _certificates.to_pem([made])}

    def _keep_here(self, result: _base.Result, folder: str, host: str) -> None:
        """Write the request into a folder of the controller, if it is not there as it is."""
        path = os.path.join(os.path.abspath(os.path.expanduser(folder)), f"{host.replace(os.sep, '_')}.csr")
        result["csr_file"] = path
        try:
            with open(path, encoding="ascii") as stream:
                is_there = stream.read() == result["csr"]
        except (OSError, ValueError):
            is_there = False
        if is_there:
            return
        result["changed"] = True
        if not self._task.check_mode:
            _write(path, result["csr"])

    def _carry_out(self, plan: _issuance.Plan, there: _issuance.There, paths: dict[str, str], options: _base.Options,
                   task_vars: dict[str, t.Any]) -> _base.Result:
        """The host is called again for what is to be made, and for owners and modes."""
        is_needed = not plan.is_empty or there.is_loose or options["owner"] or options["group"]
        if not is_needed:
            return _as_result(plan, there, {"changed": False, "paths": paths})
        # A key that goes and is no part of a pair that is made anew may be all there is of it.
        keeps = options["backup"] or bool(plan.key and there.spki and not there.is_pair())
        return _as_result(plan, there, self._make(plan.order(), {**options, "backup": keeps}, task_vars))

    def _request_of_new_key(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """The key is made by the host's openssl, and then it signs; or here, when told."""
        wish = _wish(options, task_vars)
        plan = _issuance.Plan(["A new key was asked for." if options["renew_key"] else "There is no key."])
        if options["key_from"] == "controller":
            plan.key = wish.key.generate()
            plan.request = _requests.csr(wish.identity, plan.key.public_key())
            return _as_result(plan, _issuance.There(), self._make(plan.order(), options, task_vars))
        made = self._make({**plan.order(), "key": {"generate": wish.key.as_data()}}, options, task_vars)
        if self._task.check_mode:
            return _as_result(plan, _issuance.There(), made)
        there = _issuance.There(spki=base64.b64decode(made["spki"]))
        plan.request = _requests.csr(wish.identity, there.public_key())
        signed = self._make(plan.order(), {**options, "backup": False}, task_vars)
        return _as_result(plan, there, {**signed, "backups": made["backups"]})

    # The host

    def _look(self, options: _base.Options, task_vars: dict[str, t.Any]) -> tuple[_issuance.There, dict[str, str]]:
        answer = self._ask({"verb": "look"}, options, task_vars)
        return _issuance.There.of(answer), answer["paths"]

    def _make(self, order: dict[str, t.Any], options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        return self._ask({"verb": "make", **order}, options, task_vars)

    def _ask(self, order: dict[str, t.Any], options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        given = {name: options[name] for name in (*_PATHS, "pending", "backup", "owner", "group") if options[name]}
        has_key = bool((order.get("key") or {}).get("content"))
        return self.ask_host_or_refuse(task_vars, has_secret=has_key, **given, order=order)


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.new", "w", encoding="ascii") as stream:
            stream.write(text)
        os.replace(f"{path}.new", path)
    except OSError as exc:
        raise AnsibleActionFail(f"The request is on the host, but cannot be written here: {exc.strerror}: {path}. Set "
                                "csr_folder (sesam_https_csr_folder) to a folder that you may write to.") from None


def _wish(options: _base.Options, task_vars: dict[str, t.Any]) -> _issuance.Wish:
    """What the options ask for; without names, the name of the host in the inventory is one."""
    subject = _subjects.parse(options["subject"]) if options["subject"] else None
    names = options["names"] or ([] if subject else [str(task_vars.get("inventory_hostname", ""))])
    window = _renewal.Window.parse(options["renew_before"])
    if options["certificate_path"] or options["current"] is not None:
        window.require_shorter_than(options["days"])
    return _issuance.Wish(
        _requests.identity(names, subject),
        _requests.KeySpec.of(options["key_type"], options["key_size"], options["curve"]), options["days"], window)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _as_result(plan: _issuance.Plan, there: _issuance.There, made: _base.Result) -> _base.Result:
    """What came of it on the host; no result of this kind holds a key."""
    certificate, csr = there.certificate, there.request
    if made.get("certificate"):
        (certificate,) = _certificates.from_base64([made["certificate"]])
    if made.get("csr"):
        csr = _requests.load_csr(base64.b64decode(made["csr"]))
    told = _told(plan, certificate, made["changed"])
    told.update(paths=made["paths"], backups=made.get("backups", {}))
    told["findings"] += made.get("findings", [])
    if certificate:
        told["certificate"] = _certificates.to_pem([certificate])
    if csr:
        told.update(csr=_issuance.request_pem(csr), csr_facts=_requests.csr_facts(_requests.csr_der(csr)))
    return told


def _told(plan: _issuance.Plan, certificate: t.Any, changed: bool) -> _base.Result:
    result = {"changed": changed, "reasons": plan.reasons, "findings": _report.findings_as_data(plan.findings)}
    if certificate is not None:
        result.update(certificate_facts=_certificates.facts(certificate),
                      spki_sha256=_keys.fingerprint(_certificates.spki(certificate)))
    return result
