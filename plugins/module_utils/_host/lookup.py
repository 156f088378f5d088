# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's look-up: the sources in which it looks for its pair, in its order, and what is in each.

1. command line: C(-z) (C(--sslCertificate)) and C(-k) (C(--sslPrivateKey)), absolute names
2. default location: C(<SESAM_VAR>/ini/ssl)
3. sm.ini: the folder C(gv_ro_ssl) in section C([PATHES]), with the same two names
4. environment: C(SESAM_SSL_CERT) and C(SESAM_SSL_KEY), absolute names

The first that works is used; where none does, the server makes a pair itself. What it does on its way with a
pair that does not work is not known.
"""

import os
import typing as t

from . import files, layout, pairs, processes, refusal, sm_ini, sm_main

COMMAND_LINE, DEFAULT_LOCATION, SM_INI, ENVIRONMENT = "command_line", "default_location", "sm_ini", "environment"
_CERTIFICATE_OPTIONS, _KEY_OPTIONS = ("-z", "--sslCertificate"), ("-k", "--sslPrivateKey")
_NOTHING = {"absent", "unseen"}


class Named(t.NamedTuple):
    """What a source names: two paths, empty where none is named, and where that is said.

    C(unseen): why what it names cannot be seen. C(elsewhere): what does not count for the next start, but may for
    one by somebody else.
    """

    certificate: str = ""
    private_key: str = ""
    set_in: str = ""
    unseen: str = ""
    elsewhere: str = ""


class Source(t.NamedTuple):
    """A source and what is in it.

    C(verdict): C(absent), C(half) (one of the two), C(broken), C(usable), or C(unseen) where rights are missing.
    """

    name: str
    named: Named
    verdict: str
    reason: str
    pair: t.Optional[pairs.Pair]

    def facts(self) -> dict:
        """As plain data; the chain as base64 of DER."""
        return dict(self.named._asdict(), name=self.name, verdict=self.verdict, reason=self.reason,
                    pair=self.pair.facts() if self.pair else None)


def walk(places: layout.Layout, pid: t.Optional[int]) -> t.List[Source]:
    """Look into every source, in the order of the server.

    :param pid: the process of rmi, C(None) where it does not run or cannot be seen.
    """
    return [
        _source(COMMAND_LINE, _on_command_line(pid)),
        _source(DEFAULT_LOCATION, Named(places.certificate, places.private_key)),
        _source(SM_INI, _in_sm_ini(places)),
        _source(ENVIRONMENT, _in_environment(places, pid)),
    ]


def leading(sources: t.Sequence[dict]) -> t.Optional[dict]:
    """Of sources as plain data, the first in which there is something: what decides at the next start."""
    return next((source for source in sources if source["verdict"] not in _NOTHING), None)


def before_default_location(sources: t.Sequence[dict]) -> t.Optional[dict]:
    """The source that hides the default location, as plain data; C(None) where none does.

    One that names the very files of the default location hides nothing: they are read.
    """
    first = leading(sources)
    order = [source["name"] for source in sources]
    place = order.index(DEFAULT_LOCATION)
    hides = first is not None and order.index(first["name"]) < place and _files(first) != _files(sources[place])
    return first if hides else None


def _files(source: dict) -> t.Tuple[str, str]:
    """Both paths that a source as plain data names, each in one spelling."""
    return os.path.normpath(source["certificate"]), os.path.normpath(source["private_key"])


# What the sources name

def _on_command_line(pid: t.Optional[int]) -> Named:
    arguments = processes.command_line(pid) if pid is not None else None
    if arguments is None:
        return Named(unseen="the command line of rmi cannot be seen")
    found = [_value_of(arguments, options) for options in (_CERTIFICATE_OPTIONS, _KEY_OPTIONS)]
    return Named(found[0], found[1], "the command line of process %d" % pid if any(found) else "")


def _value_of(arguments: t.List[str], options: t.Tuple[str, str]) -> str:
    """The value of an option, which is the next argument, or follows an equal sign."""
    for argument, following in zip(arguments, arguments[1:] + [""]):
        name, equal_sign, value = argument.partition("=")
        if argument in options:
            return following
        if equal_sign and name in options:
            return value
    return ""


def _in_sm_ini(places: layout.Layout) -> Named:
    if places.sm_ini_unseen:
        return Named(unseen="%s: %s" % (places.sm_ini, places.sm_ini_unseen))
    folder = places.gv_ro_ssl
    if not folder:
        return Named()
    return Named(os.path.join(folder, layout.CERTIFICATE_NAME), os.path.join(folder, layout.PRIVATE_KEY_NAME),
                 "gv_ro_ssl in %s" % places.sm_ini)


def _in_environment(places: layout.Layout, pid: t.Optional[int]) -> Named:
    """The variables as they are at the next start; see C(sm_main.environment)."""
    own = processes.environment(pid) if pid is not None else None
    of_all = sm_main.global_variables()
    of_profile, profile_unseen = _of_profile(places.profile)
    by_place = {
        places.profile: of_profile,
        "the environment of process %s" % pid if own is not None else sm_main.GLOBAL_VARIABLES:
            of_all if own is None else own,
    }
    values, set_in = [], []
    for variable in layout.PAIR_VARIABLES:
        # One that is set to nothing hides the others too.
        place = next((place for place, variables in by_place.items() if variable in variables), "")
        values.append(by_place[place][variable] if place else "")
        set_in += [place] if values[-1] and place not in set_in else []
    unseen = "" if pid is None or own is not None else "the environment of process %d cannot be seen" % pid
    unseen = " and ".join(filter(None, (profile_unseen, unseen)))
    others = ["%s=%s" % (name, of_all[name]) for name, value in zip(layout.PAIR_VARIABLES, values)
              if of_all.get(name, value) != value]
    elsewhere = "%s has %s" % (sm_main.GLOBAL_VARIABLES, " and ".join(others)) if others else ""
    return Named(values[0], values[1], " and ".join(set_in), unseen, elsewhere)


def _of_profile(path: str) -> t.Tuple[t.Dict[str, str], str]:
    """What the profile sets of the variables, and why that cannot be seen. It is run only where its text has one."""
    try:
        text = files.read_regular(path, sm_ini.SIZE_LIMIT, follow_links=True).content
        is_told = any(name.encode("ascii") in text for name in layout.PAIR_VARIABLES)
        return (sm_main.environment_of(path) if is_told else {}), ""
    except files.Unreadable as exc:
        return {}, "" if exc.status == "absent" else "%s: %s" % (path, exc.reason)
    except refusal.Refused as exc:
        return {}, str(exc).rstrip(".")


# What is there

def _source(name: str, named: Named) -> Source:
    paths = (named.certificate, named.private_key)
    if not any(paths):
        return Source(name, named, "unseen" if named.unseen else "absent", named.unseen, None)
    if not all(paths):
        missing = "private key" if named.certificate else "certificate"
        return Source(name, named, "half", "no %s is named" % missing, None)
    relative = [path for path in paths if not os.path.isabs(path)]
    if relative:
        return Source(name, named, "broken", "%s is no absolute path" % relative[0], None)
    pair = pairs.read(*paths)
    return Source(name, named, *_verdict(pair, name in (COMMAND_LINE, ENVIRONMENT)), pair=pair)


def _verdict(pair: pairs.Pair, names_files: bool) -> t.Tuple[str, str]:
    """The verdict and its reason. Where the two files are named outright, one has to be there."""
    both = (pair.certificate, pair.private_key)
    absent = [file.path for file in both if file.status == "absent"]
    if len(absent) == 2:
        return ("broken", "%s and %s do not exist" % tuple(absent)) if names_files else ("absent", "")
    if absent:
        return "half", "%s does not exist" % absent[0]
    hidden = [file.path for file in both if file.status == "no_permission"]
    if hidden:
        return "unseen", "there is no permission to read %s" % " and ".join(hidden)
    return ("usable", "") if pair.works else ("broken", pair.reason)
