# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the option in C(module_utils/_arguments.py) that says how the host is asked."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.transport)."""

    DOCUMENTATION = r"""
options:
  transport:
    description:
      - How the program that does the work gets to the host.
      - V(stdin). To the standard input of the host's Python, 3.6 or later, with any ansible-core. Nothing is written
        to the host's disk, and less is sent than for an ordinary module. Pipelining need not be configured.
      - V(module). As an ordinary module, which has to suit the Python of the host, as for every other module.
      - V(auto). What the environment variable E(SEP_SESAM_TRANSPORT) of the controller says, else V(stdin). V(module)
        where the connection or the become method passes on no standard input, as C(su) and a C(sudo) that requires a
        terminal. What was begun is never begun again in another way.
      - With C(-vvvv) the way taken is told.
    type: str
    default: auto
    choices: [auto, stdin, module]
"""
