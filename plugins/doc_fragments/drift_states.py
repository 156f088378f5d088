# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the option that the filters on drift share."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.drift_states)."""

    DOCUMENTATION = r"""
options:
  states:
    description: The states that count as drift, as a list or with commas between them. Every one but V(in_sync) when
      left out.
    type: raw
"""
