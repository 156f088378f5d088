# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules, one value each: a module and its action plugin use the same one.

Private to this collection. What each option means stands in the documentation of the modules and in the
documentation fragment C(installation). Runs on the host too, so it is Python 3.6.
"""

import typing as t

Arguments = t.Dict[str, t.Dict[str, t.Any]]
# What AnsibleModule is to know about options together.
Rules = t.Dict[str, t.Any]
# For an option that is true or false, those that make no sense where it is true.
Flags = t.Dict[str, t.List[str]]

INSTALLATION: Arguments = {
    "sesam2000_ini": {"type": "path", "default": "/etc/sesam2000.ini"},
    "sesam_var": {"type": "path"},
    "sm_main": {"type": "path"},
    "port": {"type": "int", "default": 11401},
    "address": {"type": "str"},
    "log_file": {"type": "path"},
}

# How the host is asked.
_TRANSPORT: Arguments = {"transport": {"type": "str", "default": "auto", "choices": ["auto", "stdin", "module"]}}

# What a pair is made of. An option is a secret when it *can* hold the text of a key: a certificate file may carry one.
_PAIR: Arguments = {
    "certificate": {"type": "str", "no_log": True},
    "private_key": {"type": "str", "no_log": True},
    "chain": {"type": "str", "no_log": True},
    "pkcs12": {"type": "str", "no_log": True},
    "passphrase": {"type": "str", "no_log": True},
}

# What is checked besides, of the pair that is wanted and of the one in place.
_CHECKS: Arguments = {
    "names": {"type": "list", "elements": "str"},
    "ca_bundle": {"type": "str", "no_log": True},
    "expiring_days": {"type": "int", "default": 30},
    "levels": {"type": "dict", "default": {}},
    "broken_pair": {"type": "str", "default": "unknown", "choices": ["unknown", "next", "generated", "refuse"]},
    "half_pair": {"type": "str", "default": "unknown", "choices": ["unknown", "broken", "absent"]},
}

# Of files that are written on the host.
_FILES: Arguments = {
    "backup": {"type": "bool", "default": False},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}

_EXPOSURE: Arguments = {
    "allow_key_exposure": {"type": "bool", "default": False},
    "order": {"type": "dict"},
}

RESOLVE: Arguments = dict(
    INSTALLATION,
    wanted={"type": "str", "no_log": True},
    chain=_PAIR["chain"],
    passphrase=_PAIR["passphrase"],
    backups={"type": "bool", "default": False},
    **_CHECKS, **_TRANSPORT,
)

REPLACE: Arguments = dict(
    INSTALLATION,
    pending={"type": "bool", "default": False},
    remote_src={"type": "bool", "default": False},
    backup={"type": "str"},
    log_check={"type": "str", "default": "required", "choices": ["required", "warn", "off"]},
    start_timeout={"type": "int", "default": 120},
    stop_timeout={"type": "int", "default": 120},
    lock_timeout={"type": "int", "default": 300},
    keep_backups={"type": "int", "default": 5},
    owner=_FILES["owner"],
    group=_FILES["group"],
    start_stopped={"type": "bool", "default": False},
    **_PAIR, **_CHECKS, **_EXPOSURE, **_TRANSPORT,
)
REPLACE_RULES: Rules = {
    "required_one_of": [["certificate", "pkcs12", "backup"]],
    "mutually_exclusive": [["certificate", "pkcs12"], ["private_key", "pkcs12"],
                           *(["backup", name] for name in _PAIR)],
    "required_if": [["remote_src", True, ["certificate", "private_key"]]],
}
# AnsibleModule does not know what a flag excludes: one that is false is there too.
REPLACE_FLAGS: Flags = {"pending": ["private_key", "pkcs12", "remote_src", "backup"], "remote_src": ["pkcs12"]}

CONVERT: Arguments = dict(
    _PAIR,
    src={"type": "path"},
    dest={"type": "path"},
    mode={"type": "raw", "default": "0600"},
    **_FILES, **_EXPOSURE, **_TRANSPORT,
)
CONVERT_RULES: Rules = {
    "required_one_of": [["private_key", "pkcs12", "certificate", "src"]],
    "mutually_exclusive": [["src", name] for name in ("private_key", "pkcs12", "certificate", "chain")],
    "required_together": [["src", "dest"]],
}

SELFSIGNED: Arguments = dict(
    INSTALLATION,
    names={"type": "list", "elements": "str"},
    subject={"type": "raw"},
    key_type={"type": "str", "default": "RSA", "choices": ["RSA", "EC"]},
    key_size={"type": "int", "default": 4096},
    curve={"type": "str", "default": "secp256r1", "choices": ["secp256r1", "secp384r1", "secp521r1"]},
    days={"type": "int", "default": 365},
    renew_before={"type": "str", "default": "30d"},
    keep_key={"type": "bool", "default": False},
    current={"type": "str", "no_log": True},
    certificate_path={"type": "path"},
    private_key_path={"type": "path"},
    csr_path={"type": "path"},
    csr_from_certificate={"type": "bool", "default": False},
    pending={"type": "bool", "default": False},
    key_from={"type": "str", "default": "host", "choices": ["host", "controller"]},
    renew_key={"type": "bool", "default": False},
    csr_folder={"type": "str"},
    **_FILES, **_EXPOSURE, **_TRANSPORT,
)
SELFSIGNED_RULES: Rules = {
    "mutually_exclusive": [["current", "certificate_path"], ["current", "csr_path"]],
    "required_if": [["csr_from_certificate", True, ["certificate_path", "csr_path"]],
                    ["pending", False, ["current", "private_key_path"], True]],
    "required_by": {"certificate_path": "private_key_path", "csr_path": "private_key_path"},
}
SELFSIGNED_FLAGS: Flags = {"pending": ["current", "certificate_path", "private_key_path", "csr_path"]}


class Asked(t.NamedTuple):
    """What a module asks of the host: the question of the host code, and the options that are its parameters."""

    question: str
    arguments: Arguments


def parameters(options: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """What the host code is given: the options, and what the controller has added to them in C(order)."""
    given = {name: value for name, value in options.items() if name != "order"}
    return dict(given, check_mode=check_mode, **(options.get("order") or {}))


OF_MODULE = {
    "sesam_cert_resolve": Asked("resolve", RESOLVE),
    "sesam_cert_replace": Asked("replace", REPLACE),
    "sesam_pkcs8_convert": Asked("convert", CONVERT),
    "sesam_selfsigned": Asked("key_files", SELFSIGNED),
}
