# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a fleet."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _drift

DOCUMENTATION = r"""
name: drift_report
short_description: Report on the certificates of a fleet of servers
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Takes what M(sep.sesam.sesam_cert_resolve) returned for each host, also where a host could not be reached or the
    module failed, and makes lines for a person of it. The playbook C(sep.sesam.drift_check) prints them.
  - First the number of hosts that drift, then one line for each host with its state, names, days left, source and
    repair, and under those that need care the reason and the findings of the levels error and warning with their fix.
  - Hosts that count as drift come first, then those with such findings, then the rest, by name in each.
positional: _input, states
options:
  _input:
    description: The registered results by the names of the hosts.
    type: dict
    required: true
extends_documentation_fragment:
  - sep.sesam.drift_states
seealso:
  - plugin: sep.sesam.drift
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the certificate of the REST server
  sep.sesam.sesam_cert_resolve:
  register: sesam
  ignore_unreachable: true

- name: Report
  ansible.builtin.debug:
    msg: "{{ dict(hosts | zip(hosts | map('extract', hostvars, 'sesam'))) | sep.sesam.drift_report }}"
  vars:
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "No drift on 1 host."
    - "backup1.example.com: in_sync; backup1.example.com; 312 days left; default_location; none"
"""


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"drift_report": _drift.report}
