# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine as seen from elsewhere: every command is run by another program, as a chroot or a container does it."""

from __future__ import annotations

import shlex
import typing as t

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: apart
short_description: This machine, by another program
description: As local, but each command is an argument of another one.
options:
  wrapper:
    description: The other program and its first arguments.
    type: list
    elements: str
    vars:
      - name: ansible_apart_wrapper
extends_documentation_fragment:
  - connection_pipelining
"""


class Connection(Local):  # type: ignore[misc]
    """Passes standard input as C(local) does."""

    transport = "apart"

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command."""
        wrapped = f"{shlex.join(self.get_option('wrapper'))} {cmd}"
        return t.cast("tuple[int, bytes, bytes]", super().exec_command(wrapped, in_data=in_data, sudoable=sudoable))
