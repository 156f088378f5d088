# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that changes a host: by what it is known there, and who started it. Private to this collection."""

from __future__ import annotations

import getpass
import os
import socket
import uuid


def new() -> dict[str, str]:
    """As the host writes it into its lock, its journal, its backups and its syslog."""
    return {"id": uuid.uuid4().hex, "by": f"{_user()}@{socket.gethostname()}"}


def _user() -> str:
    """Who runs Ansible; in the container of a pipeline this may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # The latter since Python 3.13.
        return f"uid {os.getuid()}"
