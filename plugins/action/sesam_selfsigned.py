# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of M(sep.sesam.sesam_selfsigned): decide, make, and let the host place it or sign."""

from __future__ import annotations

import base64
import dataclasses
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
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Refused

_PATHS = ("certificate_path", "private_key_path", "csr_path")


class ActionModule(_base.SesamAction):
    """Make keys, self-signed certificates and requests."""

    ARGUMENTS = _arguments.SELFSIGNED
    RULES = _arguments.SELFSIGNED_RULES
    FLAGS = _arguments.SELFSIGNED_FLAGS

    def answer(self, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """In memory alone, or on the host: a look there, and one call more if there is something to make."""
        wish = _wish(options, task_vars)
        if options["current"] is not None and not options["private_key_path"]:
            return _in_memory(wish, self._current(options))
        there, paths = self._look(options, task_vars)
        if _makes_key_first(options, there):
            result = self._with_new_key(wish, options, task_vars)
        else:
            plan = self._plan(wish, there, options)
            made = self._make(plan.order(), options, task_vars) if not plan.is_empty else {}
            result = _as_result(plan, there, made, paths)
        if options["csr_folder"] and result.get("csr"):
            self._keep_here(result, options["csr_folder"], str(task_vars["inventory_hostname"]))
        return result

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

    def _current(self, options: _base.Options) -> _issuance.There:
        """The certificate that is given as being in place; none is, when it is empty."""
        if not options["current"].strip():
            return _issuance.There()
        return _issuance.There(_contents.certificates_of(self.read("current", options)).certificates[0])

    def _plan(self, wish: _issuance.Wish, there: _issuance.There, options: _base.Options) -> _issuance.Plan:
        if options["csr_from_certificate"]:
            return _issuance.request_of_certificate(there)
        if options["current"] is not None:
            there = dataclasses.replace(there, certificate=self._current(options).certificate)
        elif not options["certificate_path"]:
            _issuance.require_kind(wish, there)
            return _issuance.request(wish, there)
        return _issuance.renew(wish, there, keep_key=options["keep_key"], with_request=bool(options["csr_path"]),
                               now=datetime.datetime.now(datetime.timezone.utc))

    def _with_new_key(self, wish: _issuance.Wish, options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        """A request for a key that has to be made: by the host's openssl, and then it signs; or here, when told."""
        plan = _issuance.Plan(["There is no key, or a new one was asked for."])
        if options["key_from"] == "controller":
            plan.key = wish.key.generate()
            plan.request = _requests.csr(wish.identity, plan.key.public_key())
            return _as_result(plan, _issuance.There(), self._make(plan.order(), options, task_vars), {})
        made = self._make({**plan.order(), "key": {"generate": wish.key.as_data()}}, options, task_vars)
        if self._task.check_mode:
            return _as_result(plan, _issuance.There(), made, {})
        there = _issuance.There(spki=base64.b64decode(made["spki"]))
        plan.request = _requests.csr(wish.identity, there.public_key())
        signed = self._make(plan.order(), {**options, "backup": False}, task_vars)
        return _as_result(plan, there, {**signed, "backups": made["backups"]}, {})

    # The host

    def _look(self, options: _base.Options, task_vars: dict[str, t.Any]) -> tuple[_issuance.There, dict[str, str]]:
        answer = self._ask({"verb": "look"}, options, task_vars)
        return _issuance.There.of(answer), answer["paths"]

    def _make(self, order: dict[str, t.Any], options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        with self.pipelining():
            if (order.get("key") or {}).get("content"):
                self.refuse_to_expose_a_key(options)
            return self._ask({"verb": "make", **order}, options, task_vars)

    def _ask(self, order: dict[str, t.Any], options: _base.Options, task_vars: dict[str, t.Any]) -> _base.Result:
        given = {name: options[name] for name in (*_PATHS, "pending", "backup", "owner", "group") if options[name]}
        answer = self.ask_host(task_vars, **given, order=order)
        if answer["refused"]:
            raise Refused(Finding(**answer["refused"]))
        return answer


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
    window.require_shorter_than(options["days"])
    return _issuance.Wish(
        _requests.identity(names, subject),
        _requests.KeySpec.of(options["key_type"], options["key_size"], options["curve"]), options["days"], window)


def _makes_key_first(options: _base.Options, there: _issuance.There) -> bool:
    """Whether a request is wanted of a key that is not there."""
    is_request_alone = not options["certificate_path"] and options["current"] is None
    return is_request_alone and (options["renew_key"] or there.spki is None)


def _in_memory(wish: _issuance.Wish, there: _issuance.There) -> _base.Result:
    """No host is asked, in check mode neither; the result holds the new pair, and is hidden then."""
    key = _certificates.spki(there.certificate) if there.certificate else None
    plan = _issuance.renew(wish, dataclasses.replace(there, spki=key), keep_key=False, with_request=False,
                           now=datetime.datetime.now(datetime.timezone.utc))
    if plan.key is None or plan.certificate is None:
        return _told(plan, there.certificate)
    der = plan.certificate.signed_by(plan.key)
    (certificate,) = _certificates.from_base64([base64.b64encode(der).decode("ascii")])
    return {**_told(plan, certificate), "_ansible_no_log": True, "private_key": plan.key_pem,
            "certificate": _certificates.to_pem([certificate])}


def _as_result(plan: _issuance.Plan, there: _issuance.There, made: _base.Result, paths: dict[str, str]) -> _base.Result:
    """What came of it on the host; no result of this kind holds a key."""
    certificate, csr = there.certificate, there.request
    if made.get("certificate"):
        (certificate,) = _certificates.from_base64([made["certificate"]])
    if made.get("csr"):
        csr = _requests.load_csr(base64.b64decode(made["csr"]))
    told = _told(plan, certificate)
    told.update(paths=made.get("paths", paths), backups=made.get("backups", {}))
    told["findings"] += made.get("findings", [])
    if certificate:
        told["certificate"] = _certificates.to_pem([certificate])
    if csr:
        told.update(csr=_issuance.request_pem(csr), csr_facts=_requests.csr_facts(_requests.csr_der(csr)))
    return told


def _told(plan: _issuance.Plan, certificate: t.Any) -> _base.Result:
    result = {"changed": not plan.is_empty, "reasons": plan.reasons,
              "findings": _report.findings_as_data(plan.findings)}
    if certificate is not None:
        result.update(certificate_facts=_certificates.facts(certificate),
                      spki_sha256=_keys.fingerprint(_certificates.spki(certificate)))
    return result
