# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in C(module_utils/_arguments.py) that say where an installation is."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.installation)."""

    DOCUMENTATION = r"""
options:
  sesam2000_ini:
    description:
      - The file that tells where SEP sesam is installed. Everything else is found from it.
    type: path
    default: /etc/sesam2000.ini
  sesam_var:
    description:
      - The folder C(<SESAM_VAR>) of the installation, the one that holds C(ini/sm.ini).
      - Without it, it is found through C(SM_INI) in O(sesam2000_ini).
    type: path
  sm_main:
    description:
      - The program that starts and stops the daemons.
      - Without it, it is found through C(SM_BIN_SESAM) in O(sesam2000_ini), else C(/opt/sesam/bin/sesam/sm_main).
    type: path
  port:
    description:
      - The port of the REST server and Web UI.
    type: int
    default: 11401
  address:
    description:
      - The address on the host on which the REST server is asked for its certificate.
      - Without it, the address on which the server listens. Needed only where several servers listen on O(port).
    type: str
  log_file:
    description:
      - The log C(sm_gui_server.log) of the REST server.
      - Without it, it is looked for in the folder C(gv_rw_lgc) of C(sm.ini), in C(<SESAM_VAR>/log/lgc), and in
        C(<SESAM_VAR>/log). There it is not read through a link that others than root may have made, nor when it has
        a second name; a log that is named here may be any link.
    type: path
"""
