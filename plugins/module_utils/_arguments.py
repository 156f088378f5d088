# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules, one value each: a module and its action plugin use the same one.

Private to this collection. What each option means stands in the documentation of the modules and in the
documentation fragment C(installation). Runs on the host too, so it is Python 3.6.
"""

import typing as t

Arguments = t.Dict[str, t.Dict[str, t.Any]]

INSTALLATION: Arguments = {
    "sesam2000_ini": {"type": "path", "default": "/etc/sesam2000.ini"},
    "sesam_var": {"type": "path"},
    "sm_main": {"type": "path"},
    "port": {"type": "int", "default": 11401},
    "address": {"type": "str"},
    "log_file": {"type": "path"},
}

# An option is a secret when it *can* hold the text of a key: a certificate file may carry one.
RESOLVE: Arguments = dict(
    INSTALLATION,
    wanted={"type": "str", "no_log": True},
    chain={"type": "str", "no_log": True},
)

REPLACE: Arguments = dict(
    INSTALLATION,
    certificate={"type": "str", "required": True, "no_log": True},
    private_key={"type": "str", "required": True, "no_log": True},
    chain={"type": "str", "no_log": True},
    passphrase={"type": "str", "no_log": True},
    log_check={"type": "str", "default": "required", "choices": ["required", "warn", "off"]},
    start_timeout={"type": "int", "default": 120},
    stop_timeout={"type": "int", "default": 120},
    lock_timeout={"type": "int", "default": 300},
    keep_backups={"type": "int", "default": 5},
    owner={"type": "str"},
    group={"type": "str"},
    start_stopped={"type": "bool", "default": False},
    allow_key_exposure={"type": "bool", "default": False},
    order={"type": "dict"},
)
