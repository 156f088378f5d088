# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether one host drifts."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _drift

DOCUMENTATION = r"""
name: drift
short_description: Say why a server counts as drift
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Takes what M(sep.sesam.sesam_cert_resolve) returned for a host, also where the host could not be reached or the
    module failed. These two always count as drift.
positional: _input, states
options:
  _input:
    description: The registered result.
    type: dict
    required: true
extends_documentation_fragment:
  - sep.sesam.drift_states
seealso:
  - plugin: sep.sesam.drift_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the certificate of the REST server
  sep.sesam.sesam_cert_resolve:
  register: sesam

- name: The server is as it should be, or its certificate is near its end
  ansible.builtin.assert:
    that: drift == ''
    fail_msg: "{{ drift }}"
  vars:
    drift: "{{ sesam | sep.sesam.drift('stopped,fallback_generated,expired') }}"
"""

RETURN = r"""
_value:
  description: The state and the reason, on one line. Empty when the host does not count as drift.
  type: str
  sample: "expired: The certificate in service ended on 2026-01-31T12:00:00Z."
"""


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"drift": _drift.drift}
