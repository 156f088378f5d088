# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host code run by hand, as an ordinary program: a question, parameters in, one answer out."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import typing as t
from pathlib import Path

from workbench import tree

from . import orders
from .certificates import Pair
from .controller import HOST_PYTHON
from .servers import Server

FOLDER = tree.ROOT / "plugins" / "module_utils"


def parameters(server: Server, pair: Pair, **others: t.Any) -> dict[str, t.Any]:
    """What the controller sends for a replacement."""
    return {
        "sesam2000_ini": server.instance.sesam2000_ini,
        "sesam_var": None,
        "sm_main": None,
        "port": server.instance.port,
        "address": None,
        "log_file": None,
        "certificate": pair.pem.decode(),
        "private_key": pair.key_pem().decode(),
        "chain": [base64.b64encode(der).decode() for der in pair.chain],
        "not_before": pair.certificate.not_valid_before_utc.timestamp(),
        "not_after": pair.certificate.not_valid_after_utc.timestamp(),
        "run": orders.run(),
        "log_check": "required",
        "start_timeout": 20,
        "stop_timeout": 20,
        "lock_timeout": 20,
        "keep_backups": 5,
        "owner": None,
        "group": None,
        "start_stopped": False,
        "check_mode": False,
        **others,
    }


class Call:
    """A call in progress."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def answer(self, seconds: float = 60.0) -> dict[str, t.Any]:
        """Wait for its answer."""
        output, errors = self.process.communicate(timeout=seconds)
        assert not errors, errors.decode()
        return dict(json.loads(output))


def start(
    asked: dict[str, t.Any], question: str = "replace", wrapper: t.Sequence[str | Path] = (), umask: int = -1,
    **environment: str,
) -> Call:
    """Start it; C(wrapper) is a program that runs another one, as strace does; C(environment) is added to ours."""
    process = subprocess.Popen(
        # -S: the standard library alone, whatever else this Python has been given.
        [*wrapper, HOST_PYTHON, "-S", "-m", "_host", question],
        cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, umask=umask,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(json.dumps(asked).encode())
    process.stdin.close()
    process.stdin = None
    return Call(process)
