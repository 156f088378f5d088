# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the attributes that all modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.attributes)."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the host.
    support: full
  diff_mode:
    description: Returns details on what has changed (or would change in C(check_mode)) when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same options, the second run changes nothing.
    support: full
  platform:
    description:
      - Hosts on which it works. They need Python 3.6 or later. To make or decrypt a key there, or to sign with it, they
        need the C(openssl) command too.
    platforms: linux
    support: full
  async:
    description: Can be used with C(async).
    support: none
  action:
    description: Has an action plugin of the same name, so that certificates and keys are read on the controller.
    support: full
"""
