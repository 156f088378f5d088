# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owner and group of a file, by name or number."""

import grp
import pwd
import typing as t

from . import refusal

# Numbers of an owner and a group; C(None): not asked for.
Asked = t.Tuple[t.Optional[int], t.Optional[int]]


def ids(parameters: dict, default: t.Tuple[int, int]) -> t.Tuple[int, int]:
    """The numbers of C(owner) and C(group) as asked for, else the default; C(asked) says what it raises."""
    return or_default(asked(parameters), default)


def asked(parameters: dict) -> Asked:
    """The numbers of C(owner) and C(group), where they are asked for.

    :raises refusal.Refused: the host does not know a name.
    """
    owner, group = parameters["owner"], parameters["group"]
    return (None if owner is None else _id_of(owner, "owner", lambda name: pwd.getpwnam(name).pw_uid),
            None if group is None else _id_of(group, "group", lambda name: grp.getgrnam(name).gr_gid))


def or_default(numbers: Asked, default: t.Tuple[int, int]) -> t.Tuple[int, int]:
    """What is asked for, else the default."""
    return (default[0] if numbers[0] is None else numbers[0], default[1] if numbers[1] is None else numbers[1])


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
