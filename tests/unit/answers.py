# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host code answers, as plain data: of a server that is in sync, to be changed by a test."""

from __future__ import annotations

import copy
import time
import typing as t

from unit import pki

Answer = dict[str, t.Any]
# Days since rmi began.
AGE = 5
STARTED = time.time() - 86400 * AGE


def in_sync(pair: pki.Pair) -> Answer:
    """All is well with this pair, now: tests run long after they were read, and a clock is compared with another."""
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
        "sources": [source("command_line"),
                    source("default_location", certificate="/v/ini/ssl/sesam.https.crt", verdict="usable"),
                    source("sm_ini"), source("environment")],
        "rmi": {"is_running": True, "address": "127.0.0.1", "port": 11401, "pid": 4711, "started": STARTED,
                "foreign": None, "listens_on": []},
        "served": {"status": "tls", "reason": "", "chain": pair.base64_chain, "chain_seen": True,
                   "protocol": "TLSv1.2"},
        "log": None, "journal": None, "journal_damage": None, "pending": None, "clock": time.time(),
        "uid": 0, "unseen": [], "obstacles": [],
        "refused": None,
    }


def source(name: str, *, pair: pki.Pair | None = None, certificate: str = "", **facts: t.Any) -> Answer:
    """A source as the host describes it, with a pair that works or without any."""
    files = in_sync(pair)["disk"] if pair else None
    path = certificate or (f"/{name}/crt" if pair else "")
    return {"name": name, "certificate": path, "private_key": path.replace("crt", "key"), "set_in": "somewhere",
            "unseen": "", "elsewhere": "", "verdict": "usable" if pair else "absent", "reason": "", "pair": files,
            **facts}


def changed(answer: Answer, changes: t.Mapping[str, t.Any]) -> Answer:
    """A copy with some values changed; a name such as C(disk.private_key.mode) says which."""
    answer = copy.deepcopy(answer)
    for name, value in changes.items():
        *path, last = name.split(".")
        part = answer
        for step in path:
            part = part[step]
        part[last] = value
    if "sources" in answer and "sources" not in changes:
        answer["sources"][1].update(_of_disk(answer["disk"]))
    return answer


def _of_disk(disk: Answer) -> Answer:
    """What the host says of the default location, by what lies there."""
    statuses = [disk["certificate"]["status"], disk["private_key"]["status"]]
    verdict = ("unseen" if "no_permission" in statuses else "usable" if disk["works"] else
               {0: "broken", 1: "half", 2: "absent"}[statuses.count("absent")])
    return {"verdict": verdict, "reason": disk["reason"] or "it is hidden" if verdict != "usable" else ""}
