# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether states that somebody chose are some."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _drift

DOCUMENTATION = r"""
name: drift_states_error
short_description: Say what is wrong with the states that are to count as drift
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - The playbook C(sep.sesam.drift_check) refuses by this a C(sesam_drift_states) with a name that is no state, before
    any host is asked.
options:
  _input:
    description: The states, as a list or with commas between them.
    type: raw
    required: true
seealso:
  - plugin: sep.sesam.drift_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Every name is that of a state
  ansible.builtin.assert:
    that: sesam_drift_states | sep.sesam.drift_states_error == ''
    fail_msg: "{{ sesam_drift_states | sep.sesam.drift_states_error }}"
"""

RETURN = r"""
_value:
  description: What is wrong, on one line. Empty when nothing is.
  type: str
"""


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"drift_states_error": _drift.wrong_choice}
