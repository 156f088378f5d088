# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owner and group of a file, by name or number."""

import grp
import pwd
import typing as t

from . import refusal


def ids(parameters: dict, default: t.Tuple[int, int]) -> t.Tuple[int, int]:
    """The numbers of C(owner) and C(group) as asked for, else the default.

    :raises refusal.Refused: the host does not know a name.
    """
    owner, group = parameters["owner"], parameters["group"]
    return (default[0] if owner is None else _id_of(owner, "owner", lambda name: pwd.getpwnam(name).pw_uid),
            default[1] if group is None else _id_of(group, "group", lambda name: grp.getgrnam(name).gr_gid))


def _id_of(name: str, option: str, look_up: t.Callable[[str], int]) -> int:
    try:
        # The largest number stands for "leave it" (chown(2)).
        found = int(name) if name.isdecimal() else look_up(name)
        if found < (1 << 32) - 1:
            return found
        raise KeyError(name)
    except (KeyError, ValueError):  # ValueError: what no name can hold.
        raise refusal.Refused("owner-unknown", "The host does not know the %s %s." % (option, name),
                              "Correct the option %s." % option) from None
