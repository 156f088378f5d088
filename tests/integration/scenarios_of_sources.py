# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scenarios: which of the four sources is used, which hides which, what the next start will use."""

from __future__ import annotations

import functools
import itertools
import typing as t
from pathlib import Path

from .certificates import Files
from .scenario import Expected, Host, Scenario, Steps

ORDER = ("command_line", "default_location", "sm_ini", "environment")


def _set(host: Host, source: str, name: str) -> None:
    """Put a pair, the wanted or the old one, into a source."""
    pair = getattr(host, name)
    if source == "default_location":
        host.put(pair)
    else:
        files = host.write(f"pair of {source}", pair)
        put = {"command_line": host.on_command_line, "sm_ini": host.in_sm_ini, "environment": host.in_environment}
        put[source](files)


def _alone(source: str, host: Host) -> Steps:
    host.is_asked = False
    _set(host, source, "wanted")
    host.start()
    yield Expected("in_sync", "none", source, [], [source], ["generated", "none"])


def _both(first: str, second: str, host: Host) -> Steps:
    host.is_asked = False
    _set(host, first, "wanted")
    _set(host, second, "old")
    host.start()
    told = {"also-configured"}
    yield Expected("in_sync", "none", first, told, [first], [second, "generated", "none"], after=told)


def _command_line_and_default_location(host: Host) -> Steps:
    host.is_asked = False
    _set(host, "command_line", "old")
    _set(host, "default_location", "wanted")
    host.start()
    yield Expected("shadowed", "reconfigure", "command_line", {"shadowed", "also-configured"}, ["command_line"],
                   says="The pair in the default location is not read: the command line of process")
    host.nothing_on_command_line()


def _set_in_the_profile(host: Host) -> None:
    """Of which rmi has its whole environment."""
    files = host.write("pair", host.wanted)
    with Path(host.instance.sesam2000_profile).open("a") as profile:
        profile.write(f'export SESAM_SSL_CERT="{files.certificate}"\nexport SESAM_SSL_KEY="{files.private_key}"\n')
    host.instance.set(environment="clean")


def variables_in_the_profile_of_a_stopped_rmi(host: Host) -> Steps:
    _set_in_the_profile(host)
    yield Expected("stopped", "start", None, [], ["environment"])


def variables_in_the_profile(host: Host) -> Steps:
    _set_in_the_profile(host)
    host.is_asked = False
    host.start()
    yield Expected("in_sync", "none", "environment", [], ["environment"])


def sm_ini_from_windows(host: Host) -> Steps:
    """A byte order mark, CRLF, blanks around everything, quotes."""
    files = host.write("pair", host.wanted)
    path = Path(host.instance.sm_ini)
    lines = [f"  {line.replace('=', ' = ')}  " for line in path.read_text().splitlines()]
    lines.insert(1, f'\tgv_ro_ssl = "{files.certificate.parent}/" ')
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    host.start()
    yield Expected("in_sync", "none", "sm_ini", [], ["sm_ini"])


def shadowed_as_to_the_wanted_one(host: Host) -> Steps:
    """Nothing is in the default location: what would be placed there would not be read."""
    host.on_command_line(host.write("pair", host.old), "long")
    host.start()
    yield Expected("shadowed", "reconfigure", "command_line", {"shadowed"}, ["command_line"],
                   says="The wanted pair would not be read")
    host.nothing_on_command_line()


def wanted_on_the_command_line(host: Host) -> Steps:
    host.on_command_line(host.write("pair", host.wanted), "long")
    host.put(host.old)
    host.start()
    yield Expected("in_sync", "none", "command_line", {"also-configured"}, ["command_line"], after={"also-configured"})


def half_a_command_line(host: Host) -> Steps:
    host.is_asked = False
    host.instance.set(command_line_certificate=host.write("pair", host.old).certificate)
    host.start()
    yield Expected("half_pair", "reconfigure", "generated", {"half-pair", "served-name"}, ["generated", "none"],
                   says="no private key is named")
    host.nothing_on_command_line()


def broken_command_line(host: Host) -> Steps:
    """The server goes on to the default location, where the wanted pair is; it may not at the next start."""
    host.on_command_line(Files(Path("/nowhere/a.crt"), Path("/nowhere/a.key")))
    host.put(host.wanted)
    host.start()
    yield Expected("shadowed", "reconfigure", "default_location", {"shadowed", "also-configured"},
                   ["default_location", "generated", "none"], says="may not be read in the default location")
    host.nothing_on_command_line()


def wanted_on_the_command_line_with_a_broken_key(host: Host) -> Steps:
    host.on_command_line(host.write("pair", host.wanted, host.wanted.key_pem(passphrase="secret")))
    host.start()
    yield Expected("shadowed", "reconfigure", "generated", {"shadowed", "served-name"}, ["generated", "none"],
                   says="encrypted PKCS#8")
    host.nothing_on_command_line()


def command_line_that_leads_nowhere(host: Host) -> Steps:
    host.is_asked = False
    host.on_command_line(Files(Path("/nowhere/a.crt"), Path("/nowhere/a.key")))
    host.start()
    yield Expected("broken_pair", "reconfigure", "generated", {"source-broken", "served-name"}, ["generated", "none"],
                   says="/nowhere/a.crt and /nowhere/a.key do not exist")
    host.nothing_on_command_line()


def relative_command_line(host: Host) -> Steps:
    host.is_asked = False
    host.on_command_line(Files(Path("a.crt"), Path("a.key")))
    host.start()
    yield Expected("broken_pair", "reconfigure", "generated", {"source-broken", "served-name"}, ["generated", "none"],
                   says="a.crt is no absolute path")
    host.nothing_on_command_line()


# What is known of the server narrows what it will use.


def _broken_in_front(host: Host) -> None:
    """The key of another pair in the default location, and a good pair behind."""
    host.put(host.old, host.wanted.key_pem())
    host.in_sm_ini(host.write("pair", host.old))


def broken_and_nothing_known(host: Host) -> Steps:
    _broken_in_front(host)
    host.start()
    yield Expected("broken_pair", "replace", "sm_ini", {"source-broken", "also-configured"},
                   ["sm_ini", "generated", "none"], says="do not work together", after={"also-configured"})


def broken_and_the_next_is_tried(host: Host) -> Steps:
    _broken_in_front(host)
    host.others["broken_pair"] = "next"
    host.start()
    yield Expected("broken_pair", "replace", "sm_ini", {"source-broken", "also-configured"}, ["sm_ini"],
                   after={"also-configured"})


def broken_and_one_is_generated(host: Host) -> Steps:
    _broken_in_front(host)
    host.others["broken_pair"] = "generated"
    host.instance.set(broken_pair="generated")
    host.start()
    yield Expected("broken_pair", "replace", "generated", {"source-broken", "also-configured", "served-name"},
                   ["generated"], after={"also-configured"})


def broken_and_the_start_is_refused(host: Host) -> Steps:
    _broken_in_front(host)
    host.others["broken_pair"] = "refuse"
    host.instance.set(broken_pair="refuse")
    host.instance.run("start", "rmi", env=host.environment)
    yield Expected("stopped", "start", None, {"source-broken", "also-configured"}, ["none"], ["none"],
                   after={"also-configured"})


def half_and_nothing_known(host: Host) -> Steps:
    host.put(host.old)
    Path(host.instance.private_key).unlink()
    host.in_environment(host.write("pair", host.old))
    host.start()
    yield Expected("half_pair", "replace", "environment", {"half-pair", "also-configured"},
                   ["environment", "generated", "none"], after={"also-configured"})


def half_counts_as_absent(host: Host) -> Steps:
    host.put(host.old)
    Path(host.instance.certificate).unlink()
    host.in_environment(host.write("pair", host.old))
    host.others["half_pair"] = "absent"
    host.instance.set(half_pair="absent", broken_pair="refuse")
    host.start()
    yield Expected("half_pair", "replace", "environment", {"half-pair", "also-configured"}, ["environment"],
                   after={"also-configured"})


def half_counts_as_broken(host: Host) -> Steps:
    host.put(host.old)
    Path(host.instance.private_key).unlink()
    host.in_sm_ini(host.write("pair", host.old))
    host.others.update(half_pair="broken", broken_pair="generated")
    host.instance.set(half_pair="broken", broken_pair="generated")
    host.start()
    yield Expected("half_pair", "replace", "generated", {"half-pair", "also-configured", "served-name"}, ["generated"],
                   after={"also-configured"})


def broken_behind_the_winner(host: Host) -> Steps:
    host.put(host.wanted)
    host.in_sm_ini(host.write("pair", host.old, host.wanted.key_pem()))
    host.start()
    yield Expected("in_sync", "none", "default_location", {"also-configured"}, ["default_location"],
                   ["generated", "none"], after={"also-configured"})


def default_location_filled_after_the_start(host: Host) -> Steps:
    host.in_sm_ini(host.write("pair", host.old))
    host.start()
    host.put(host.wanted)
    yield Expected("stale_process", "restart", "sm_ini", {"stale-process", "also-configured"}, ["default_location"],
                   says="The port serves the pair of the folder in sm.ini (gv_ro_ssl), but that of the default",
                   after={"also-configured"})


SCENARIOS: dict[str, Scenario] = {
    **{f"{source} alone": functools.partial(_alone, source) for source in ORDER},
    **{f"{first} and {second}": functools.partial(_both, first, second)
       for first, second in itertools.combinations(ORDER, 2)},
    "command_line and default_location": _command_line_and_default_location,
}  # fmt: skip
MORE: t.Sequence[Scenario] = (
    variables_in_the_profile, variables_in_the_profile_of_a_stopped_rmi, sm_ini_from_windows,
    shadowed_as_to_the_wanted_one, wanted_on_the_command_line,
    half_a_command_line, broken_command_line, wanted_on_the_command_line_with_a_broken_key,
    command_line_that_leads_nowhere, relative_command_line, broken_and_nothing_known, broken_and_the_next_is_tried,
    broken_and_one_is_generated, broken_and_the_start_is_refused, half_and_nothing_known, half_counts_as_absent,
    half_counts_as_broken, broken_behind_the_winner, default_location_filled_after_the_start,
)  # fmt: skip
