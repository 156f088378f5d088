# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real C(doas), of which ansible-core has no plugin; as the one of community.general, it cannot be pipelined."""

from __future__ import annotations

import typing as t

from ansible.plugins.become import BecomeBase

DOCUMENTATION = """
name: plain_doas
short_description: Become by doas without a password
description: Runs a command by doas.
options:
  become_user:
    description: Who to become.
    default: root
    vars:
      - name: ansible_become_user
  become_exe:
    description: The program.
    default: doas
  become_flags:
    description: Its options.
    default: ''
"""


class BecomeModule(BecomeBase):  # type: ignore[misc]
    """No password, no prompt."""

    name = "plain_doas"
    pipelining = False

    def build_become_command(self, cmd: str, shell: t.Any) -> str:
        """The command in front of which doas stands."""
        super().build_become_command(cmd, shell)
        return f"doas -n -u {self.get_option('become_user')} {self._build_success_command(cmd, shell)}"
