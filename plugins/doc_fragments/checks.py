# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in C(module_utils/_arguments.py) that say what certificates are checked for."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment C(sep.sesam.checks)."""

    DOCUMENTATION = r"""
options:
  names:
    description:
      - The names by which clients call the server, DNS names and IP addresses. A certificate that lacks one in its SAN
        (RFC 9525) is the finding C(name-not-covered), an error.
      - Without it, the name of the host in the inventory is tried, if it looks like a DNS name, and the finding is a
        warning.
    type: list
    elements: str
  ca_bundle:
    description:
      - The certificates of the CAs that clients trust. With it, a chain that does not lead to one of them is an error;
        the certificates that this machine trusts do not count.
      - Path on the controller, or content.
    type: str
  expiring_days:
    description:
      - A certificate that ends within so many days is the finding C(expiring); one with a short life within the last
        third of it.
    type: int
    default: 30
  levels:
    description:
      - Levels of findings, by their ids; V(error), V(warning) or V(info). An error about the pair handed in, or about
        the place where it goes, stops a replacement before C(rmi) is touched.
      - All ids and their usual levels are in C(docs/findings.md) of the collection.
    type: dict
    default: {}
  broken_pair:
    description:
      - What the server does with a pair that cannot work, on its way through its sources. No document says it, so
        without this option C(next_sources) in the result names all that is possible.
      - V(next). It goes on to the next source.
      - V(generated). It makes a pair itself at once.
      - V(refuse). It does not start.
    type: str
    choices: [unknown, next, generated, refuse]
    default: unknown
  half_pair:
    description:
      - What a certificate without a private key, or a key without a certificate, is to the server.
      - V(broken). A pair that cannot work, see O(broken_pair).
      - V(absent). No pair, so that it goes on to the next source.
    type: str
    choices: [unknown, broken, absent]
    default: unknown
"""
