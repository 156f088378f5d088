# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The half of the collection that runs on the managed host.

A plain program: parameters in, one result out, both plain data. It knows nothing of Ansible, uses the
Python standard library alone and runs on Python 3.6 and later. It gathers and it acts; what the facts
mean is judged on the controller. Private to this collection.
"""
