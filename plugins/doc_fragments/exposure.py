# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in C(module_utils/_arguments.py) of modules that send a secret to the host."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.exposure)."""

    DOCUMENTATION = r"""
options:
  allow_key_exposure:
    description:
      - Send a private key or its passphrase by an ordinary module (O(transport)) although Ansible would write it to a
        temporary file on the host (connections that cannot be pipelined, become method C(su),
        E(ANSIBLE_KEEP_REMOTE_FILES)) or might print it (E(ANSIBLE_DEBUG)); or write it into the program that
        E(SEP_SESAM_HOST_PROGRAM) keeps.
      - Without it, the task refuses to do so. Pipelining is switched on for such a module in any case.
    type: bool
    default: false
  order:
    description:
      - Not for tasks. Filled in by the action plugin with what the host cannot know.
    type: dict
"""
