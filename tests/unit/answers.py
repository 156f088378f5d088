# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host code answers, as plain data: of a server that is in sync, to be changed by a test."""

from __future__ import annotations

import copy
import time
import typing as t

from unit import pki

Answer = dict[str, t.Any]
NOW = time.time()
STARTED = NOW - 86400 * 5


def in_sync(pair: pki.Pair) -> Answer:
    """All is well with this pair."""
    return {
        "installation": {"sesam_var": "/v", "sm_main": "/b/sm_main", "ssl_folder": "/v/ini/ssl",
                         "log_files": ["/v/log"]},
        "disk": {
            "certificate": {"status": "file", "reason": "", "mode": "0644", "uid": 0, "gid": 0,
                            "changed": STARTED - 60, "chain": pair.base64_chain},
            "private_key": {"status": "file", "reason": "", "mode": "0600", "uid": 0, "gid": 0,
                            "changed": STARTED - 60, "form": "PKCS#8"},
            "works": True, "reason": "",
        },
        "rmi": {"is_running": True, "address": "127.0.0.1", "port": 11401, "pid": 4711, "started": STARTED},
        "served": {"status": "tls", "reason": "", "chain": pair.base64_chain, "chain_seen": True,
                   "protocol": "TLSv1.2"},
        "log": None, "journal": None, "clock": NOW, "uid": 0, "refused": None,
    }


def changed(answer: Answer, changes: t.Mapping[str, t.Any]) -> Answer:
    """A copy with some values changed; a name such as C(disk.private_key.mode) says which."""
    answer = copy.deepcopy(answer)
    for name, value in changes.items():
        *path, last = name.split(".")
        part = answer
        for step in path:
            part = part[step]
        part[last] = value
    return answer
