# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scenario is: how a host comes into a state, what is to be said of it, and what an admin does by hand then.

A scenario is a function that takes a host, makes the state for real, yields what is expected, and goes on with the
hands of the admin where the repair is theirs. What the role repairs is not in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t
from concurrent import futures
from pathlib import Path

from integration import foreign, servers
from integration.certificates import Authority, Files, Pair
from integration.controller import Variables, local
from integration.processes import wait_until

NAME = "backup.example"
# The kernel tells the start of a process from a boot time in whole seconds.
_GRAIN = 1.3
_SECONDS = 40.0
_AT_A_TIME = 8
_LEFT_ALONE = 3


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is to be said of a host; C(ids) are the findings of level error and warning.

    C(says) stands in the reason. C(after): the findings that are left when all is in sync. C(is_mended): false where
    nothing on the host can be mended.
    """

    state: str
    repair: str
    source: str | None
    ids: t.Collection[str] = ()
    next_sources: list[str] | None = None
    fallback_sources: list[str] | None = None
    says: str = ""
    after: t.Collection[str] = ()
    is_mended: bool = True


class Host:
    """A host with SEP sesam, its pairs, and what an inventory says of it."""

    def __init__(self, name: str, server: servers.Server, authority: Authority, folder: Path) -> None:
        self.name = name
        self.server = server
        self.instance = server.instance
        self.authority = authority
        self.old, self.wanted = authority.issue(NAME), authority.issue(NAME)
        # Whether the first look is told which certificate is wanted.
        self.is_asked = True
        # Whether nobody can talk to its port without waiting for ever.
        self.is_mute = False
        self.environment = dict(servers.ENVIRONMENT)
        self.others: Variables = {"names": [NAME]}
        self._folder = folder
        self._closing = contextlib.ExitStack()

    # Files

    def folder(self, name: str) -> Path:
        """A folder on the host, beside the installation."""
        folder = Path(self.instance.folder, name)
        folder.mkdir(exist_ok=True)
        return folder

    def write(self, name: str, pair: Pair, key_pem: bytes | None = None) -> Files:
        """A pair in a folder on the host."""
        folder = self.folder(name)
        files = Files(folder / "sesam.https.crt", folder / "sesam.https.key")
        files.certificate.write_bytes(pair.pem)
        files.private_key.touch(mode=0o600)
        files.private_key.write_bytes(key_pem or pair.key_pem())
        return files

    def put(self, pair: Pair, key_pem: bytes | None = None) -> None:
        """A pair in the default location."""
        self.server.put(pair, key_pem)

    # The four sources

    def on_command_line(self, files: Files, form: str = "short") -> None:
        """Have rmi started with C(-z) and C(-k)."""
        self.instance.set(
            command_line_certificate=files.certificate, command_line_key=files.private_key, command_line_form=form)

    def nothing_on_command_line(self) -> None:
        """What an admin does: take the options away, and restart."""
        self.instance.unset("command_line_certificate", "command_line_key", "command_line_form")
        self.restart()

    def in_sm_ini(self, files: Files) -> None:
        """Set C(gv_ro_ssl)."""
        path = Path(self.instance.sm_ini)
        path.write_text(path.read_text().replace("[PATHES]\n", f"[PATHES]\ngv_ro_ssl={files.certificate.parent}/\n"))

    def in_environment(self, files: Files) -> None:
        """Set the variables for the process."""
        self.environment.update(SESAM_SSL_CERT=str(files.certificate), SESAM_SSL_KEY=str(files.private_key))

    # The process

    def start(self, **once: object) -> None:
        """Start rmi; C(once) are switches for this start alone."""
        if once:
            self.instance.set(times=1, **once)
        self.instance.start(env=self.environment)

    def restart(self) -> None:
        """What an admin does."""
        self.instance.stop(env=self.environment)
        self.start()

    def later(self) -> None:
        """So much later that what is done now is seen to be later than what was done before."""
        time.sleep(_GRAIN)

    def wait_until(self, condition: t.Callable[[], object], what: str) -> None:
        """Wait for something on this host."""
        wait_until(condition, _SECONDS, f"{self.name}: {what}")

    def take_port(self) -> t.Callable[[], None]:
        """Let another program have the port; what is returned ends it."""
        files = self.authority.issue("mail.example").write(self.folder("mail"))
        taken = contextlib.ExitStack()
        self._closing.callback(taken.close)
        taken.enter_context(foreign.running(self.instance.address, self.instance.port, files))
        return taken.close

    # The inventory

    def variables(self, ca_bundle: Path) -> Variables:
        """What an inventory says of this host."""
        files = self.wanted.write(self._folder / self.name)
        others = {"start_stopped": True, "ca_bundle": str(ca_bundle), "log_check": "required", **self.others}
        # What the CA of these tests lacks is not the matter here.
        levels = {"chain-strict": "info", "root-included": "info"}
        return {**local(), **self.server.variables(files, levels=levels, **others)}

    def close(self) -> None:
        """End and remove everything."""
        self._closing.close()
        self.instance.remove()


Steps = t.Iterator[Expected]
Scenario = t.Callable[[Host], Steps]


@dataclasses.dataclass
class Group:
    """Hosts of which each goes through its scenario, all at the same time."""

    scenarios: dict[str, Scenario]
    # Whether each is looked at in check mode too.
    is_asked_twice: bool = False
    hosts: dict[str, Host] = dataclasses.field(default_factory=dict)
    expected: dict[str, Expected] = dataclasses.field(default_factory=dict)
    _steps: dict[str, Steps] = dataclasses.field(default_factory=dict)

    def prepare(self, folder: Path, authority: Authority) -> None:
        """Bring every host into its state."""
        authority.rsa_key()
        for number, name in enumerate(self.scenarios):
            server = servers.create(folder / f"sesam no {number}", number)
            self.hosts[name] = Host(name, server, authority, folder / "controller's files")
            self._steps[name] = self.scenarios[name](self.hosts[name])
        self.expected = self._each(lambda name: next(self._steps[name]))

    def mend(self) -> list[str]:
        """Let the admins do what is theirs to do; the hosts on which something can be mended, and some where nothing is
        to be: as many as it takes to see that they are left alone."""
        self._each(lambda name: next(self._steps[name], None))
        fine = [name for name, expected in self.expected.items() if expected.repair == "none"]
        mended = [name for name, expected in self.expected.items() if expected.is_mended]
        return [name for name in mended if name not in fine[_LEFT_ALONE:]]

    def close(self) -> None:
        """Remove all hosts."""
        self._each(lambda name: self.hosts[name].close(), list(self.hosts))

    def _each(self, do: t.Callable[[str], t.Any], names: t.Sequence[str] = ()) -> dict[str, t.Any]:
        names = names or list(self.scenarios)
        with futures.ThreadPoolExecutor(_AT_A_TIME) as pool:
            return dict(zip(names, pool.map(do, names), strict=True))


def scenarios_in(functions: t.Iterable[Scenario]) -> dict[str, Scenario]:
    """Scenarios by their names in words."""
    return {function.__name__.replace("_", " "): function for function in functions}
