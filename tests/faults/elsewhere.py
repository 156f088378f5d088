# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is not on the host dies at a random instant: the whole ansible-playbook, or the connection.

The host has to finish or to roll back alone, the port to answer, the next run to converge, and no key to be seen.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import random
import subprocess
import time
import typing as t
from concurrent import futures
from pathlib import Path

from integration import accounts, addresses, processes, sshd
from integration.accounts import Account
from integration.certificates import Authority
from integration.controller import Controller, Outcome, Run, Variables, local
from integration.processes import wait_until
from integration.secret_text import PASSPHRASE, Secrets
from integration.sshd import Sshd
from integration.syslog_socket import Syslog
from integration.watch import Watch

from . import disk, promises
from .site import Site
from .table import Row

CONTROLLER, CONNECTION = "controller", "connection"
BEFORE, INSIDE, AFTER = MOMENTS = ("before the transaction", "inside the transaction", "after the transaction")
# So many of the instants are drawn from each.
_SHARES = (0.15, 0.75, 0.1)
# Hosts side by side, on which one run of the playbook converges.
HOSTS = 4
_LOUD = ("-vvvvv", "--diff")
# As many distributions have it: what sudo starts gets a terminal of its own.
_RIGHTS = ("Defaults:{name} use_pty", "{name} ALL=(ALL) ALL")
# Of a stop and of a start: long enough to be hit often.
_DELAY = 2.5
_START_TIMEOUT = _STOP_TIMEOUT = 20
_LOGIN = 60.0
_RUN = 120.0
_TRIES = 9
# Every process of the machine is looked at so often.
_PAUSE = 0.2
# With so many kills, some have met the transaction, if the instants are drawn from the right time.
_ENOUGH = 8
_ENDS = {0: "ended well", 2: "failed", 4: "unreachable"}


class Way(t.NamedTuple):
    """How a host is asked."""

    transport: str
    by_sudo: bool

    def __str__(self) -> str:
        return f"{self.transport}{' by sudo' if self.by_sudo else ''}"


class Plan(t.NamedTuple):
    """What dies and where; the instant is drawn from the seed, and again if nothing was there to be killed.

    Victim, transport and sudo: each of two, by all of the others in turn; four in a row have every way.
    """

    number: int
    seed: int
    tried: int = 0

    @property
    def victim(self) -> str:
        return (CONTROLLER, CONNECTION)[self.number % 2]

    @property
    def way(self) -> Way:
        return Way(("stdin", "module")[self.number // 2 % 2], bool((self.number + self.number // 4) % 2))

    @property
    def fails(self) -> bool:
        """Whether the new pair does not start: one of four, by every victim and way in turn."""
        return self.number % 4 == self.number // 8 % 4

    @property
    def fraction(self) -> float:
        """The instant, as C(Times.at) takes it."""
        return random.Random(f"{self.seed} {self.number} {self.tried}").random()

    def again(self) -> Plan:
        """The next instant that the seed gives."""
        return self._replace(tried=self.tried + 1)

    def __str__(self) -> str:
        fails = ", the new pair does not start" if self.fails else ""
        return f"{self.victim} dies, {self.way}{fails}"


class Times(t.NamedTuple):
    """When the transaction of an undisturbed run begins and ends, and the run; in seconds from its login on."""

    begins: float
    is_over: float
    ends: float

    def at(self, fraction: float) -> float:
        """An instant somewhere in the whole time, most often while the transaction runs."""
        borders = (0.0, *self)
        for number, share in enumerate(_SHARES):
            if fraction < share:
                return borders[number] + fraction / share * (borders[number + 1] - borders[number])
            fraction -= share
        return self.ends

    def shorter(self, ends: float) -> Times:
        """The same for a run that has ended earlier."""
        return Times(*(seconds * ends / self.ends for seconds in self))


def not_tried(plan: Plan, why: str) -> Row:
    """A row that is neither green nor broken."""
    return Row.not_tried(str(plan), f"#{plan.number} of seed {plan.seed}", why, "any instant")


def plans(times: int, seed: int) -> list[Plan]:
    """So many of them: half for the controller, half for the connection."""
    return [Plan(number, seed) for number in range(times)]


class Host:
    """A site that is reached over SSH, by a controller and an sshd of its own: what is killed is nobody else's."""

    def __init__(
        self, site: Site, daemon: Sshd, account: Account, controller: Controller, secrets: Secrets
    ) -> None:
        self.site = site
        self.sshd = daemon
        self.controller = controller
        self._account = account
        self._files = {}
        for pair in (site.current, site.other):
            files = pair.write(controller.folder / pair.fingerprint, "TraditionalOpenSSL", PASSPHRASE)
            secrets.add(pair)
            secrets.add_encrypted(files.private_key.read_bytes())
            self._files[pair.fingerprint] = files

    def begin(self, fails: bool = False) -> None:
        """Bring it to rest, slow enough to be hit; the next run has to log in."""
        self.site.rest()
        self.site.instance.set(stop_delay=_DELAY, start_delay=_DELAY)
        if fails:
            self.site.instance.set(start="fails@1")
        self.sshd.drop()

    def variables(self, way: Way) -> Variables:
        """What an inventory says of it; the key is encrypted."""
        server, files = self.site.server, self._files[self.site.other.fingerprint]
        return {
            **local(),
            **self.sshd.variables(server.instance.address, self._account.name if way.by_sudo else "root"),
            **(self._account.variables() if way.by_sudo else {}),
            **server.variables(files, passphrase=PASSPHRASE, transport=way.transport),
            "sesam_https_start_timeout": _START_TIMEOUT,
            "sesam_https_stop_timeout": _STOP_TIMEOUT,
        }

    def start(self, way: Way) -> Run:
        """A run of its own controller, which has just logged in."""
        logins, log = self.sshd.logins(), {"ANSIBLE_LOG_PATH": str(self.log)}
        run = self.controller.start({"one": self.variables(way)}, *_LOUD, env=log)
        with _killed_on_error(run):
            wait_until(lambda: self.sshd.logins() > logins, _LOGIN, "ansible-playbook logs in")
        return run

    @property
    def log(self) -> Path:
        """The log of its controller."""
        return self.controller.folder / "log"

    def notes(self) -> list[bytes]:
        """Result, lock and journal as they are now."""
        return [_content(self.site.server.state_folder / name) for name in ("result", "lock", "journal")]

    def is_alone(self) -> bool:
        """Whether nobody works on it any more: nothing is left that was started there, and the lock is free."""
        return not self.site.is_locked() and not self.left()

    def left(self) -> list[int]:
        """What was started there over SSH and runs still."""
        return started_over_ssh(self.site.instance.address, self.sshd.port, self._account.name)


@dataclasses.dataclass
class Shot:
    """One kill, and what was seen of it."""

    plan: Plan
    host: Host
    row: Row
    was_missed: bool = False
    moment: str = ""


class Fleet:
    """Hosts side by side, the controller that converges them, and who looks for the keys meanwhile."""

    def __init__(
        self, hosts: t.Sequence[Host], controller: Controller, secrets: Secrets, watch: Watch, syslog: Syslog
    ) -> None:
        self._hosts = hosts
        self._controller = controller
        self._secrets = secrets
        self._watch = watch
        self._syslog = syslog
        self._heard = len(syslog.lines)
        self._begin = time.monotonic()
        self._times: dict[Way, Times] = {}

    def rows(self, plans: t.Sequence[Plan], times: Times | None = None) -> list[Row]:
        """Every kill; what found nothing to kill is drawn again. The first of them, one a host, have every way.

        :param times: of an undisturbed run, roughly, where to measure them would take too long.
        """
        rows: list[Row] = []
        waiting, ways = list(plans), [plan.way for plan in plans[:len(self._hosts)]]
        with self._watch:
            self._times = dict.fromkeys(ways, times) if times else self._measured(ways)
            while waiting:
                wave, waiting = waiting[:len(self._hosts)], waiting[len(self._hosts):]
                for shot in self._wave(wave):
                    rows += self._rows_of(shot, waiting)
                broken = sum(bool(row.broken) for row in rows)
                self._tell(f"{len(plans) - len(waiting)} of {len(plans)} kills, {broken} broken")
        return [*rows, _spread(rows), self._watched(), self.logged()]

    def _rows_of(self, shot: Shot, waiting: list[Plan]) -> list[Row]:
        """None, where it found nothing to kill and comes again."""
        if not shot.was_missed or shot.row.broken:
            return [shot.row]
        if shot.plan.tried == _TRIES:
            return [not_tried(shot.plan, f"{_TRIES + 1} times there was nothing to kill")]
        waiting.append(shot.plan.again())
        return []

    def _tell(self, words: str) -> None:
        """What has come so far: it takes long."""
        addresses = ", ".join(host.site.instance.address for host in self._hosts)
        print(f"dies elsewhere, {addresses}: {words} ({time.monotonic() - self._begin:.0f} s)", flush=True)

    def _measured(self, ways: t.Sequence[Way]) -> dict[Way, Times]:
        """How long an undisturbed run takes from its login on, by each way, next to as many others as there will be."""
        with futures.ThreadPoolExecutor(len(ways)) as pool:
            found = dict(zip(ways, pool.map(_undisturbed, self._hosts, ways), strict=True))
        for way, times in found.items():
            self._tell(f"undisturbed, {way}: the transaction from {times.begins:.1f} to {times.is_over:.1f} s "
                       f"of {times.ends:.1f}")  # fmt: skip
        return found

    def _wave(self, chosen: t.Sequence[Plan]) -> list[Shot]:
        """One kill a host, and one run that converges them all."""
        with futures.ThreadPoolExecutor(len(chosen)) as pool:
            shots = list(pool.map(self._shoot, chosen, self._hosts))
        self._converge(shots)
        return shots

    # The kill

    def _shoot(self, plan: Plan, host: Host) -> Shot:
        """Start a run, kill, and look at the host when it is alone."""
        host.begin(plan.fails)
        row = Row(str(plan), "", before=host.site.served_in_words())
        shot = Shot(plan, host, row)
        result = host.notes()[0]
        run, login = host.start(plan.way), time.monotonic()
        self._wait(run, plan, login)
        new_result, lock, journal = host.notes()
        is_inside = host.site.is_locked() or journal
        shot.moment = row.group = INSIDE if is_inside else AFTER if new_result != result else BEFORE
        row.where = (f"#{plan.number} of seed {plan.seed}: {shot.moment}, at {time.monotonic() - login:.2f} of "
                     f"{self._times[plan.way].ends:.2f} s")  # fmt: skip
        shot.was_missed = not _kill(run, host, plan)
        outcome = run.finish()
        row.saw = _ENDS.get(outcome.rc, "killed")
        self._look(shot)
        self._search(shot, outcome, [new_result, lock, journal, *host.notes()])
        return shot

    def _wait(self, run: Run, plan: Plan, login: float) -> None:
        """Until the instant comes; where the run ends before it, the machine is quicker than it was."""
        times = self._times[plan.way]
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(max(login + times.at(plan.fraction) - time.monotonic(), 0))
            if not plan.fails:
                self._times[plan.way] = times.shorter(time.monotonic() - login)

    def _look(self, shot: Shot) -> None:
        """Nobody elsewhere is left: what the host does alone."""
        host, site, row, since = shot.host, shot.host.site, shot.row, time.monotonic()
        try:
            wait_until(host.is_alone, _STOP_TIMEOUT + _START_TIMEOUT, "the host has ended what it does")
        except TimeoutError as late:
            left = host.left()
            row.broken.append(f"{late}; left over: {[processes.words(pid) for pid in left]}")
            processes.kill(*left)
        row.during = site.served_in_words()
        seconds, tree = time.monotonic() - since, site.tree()
        if row.during not in ("old", "new") or seconds > _START_TIMEOUT:
            row.broken.append(f"after {seconds:.1f} s the port serves {row.during}")
        old, wanted = promises.contents(site.current), promises.contents(site.other)
        row.broken += promises.of_any_moment(tree, old, wanted)
        if promises.in_place(tree) != {"old": old, "new": wanted}.get(row.during):
            row.broken.append(f"the port serves {row.during}, and another pair is in place")
        if promises.JOURNAL in tree:
            row.broken.append("the host has neither finished nor rolled back")
        if shot.moment != BEFORE and row.during != ("old" if shot.plan.fails else "new"):
            row.broken.append(f"killed {shot.moment}, the port serves {row.during}")

    # Secrets

    def _search(self, shot: Shot, outcome: Outcome, notes: t.Sequence[bytes]) -> None:
        """No key and no passphrase in what the run has printed and logged, and in what the host keeps."""
        folder = Path(shot.host.site.instance.folder)
        texts: dict[str, bytes | str] = {
            "the output": outcome.output, "the results": outcome.dump, "the log": _content(shot.host.log),
            "result, lock or journal": b"\n".join(notes),
        }  # fmt: skip
        for name, file in disk.read(folder).items():
            path = folder / name
            if "backups" not in path.parts and str(path) != shot.host.site.instance.private_key:
                texts[name] = file.content or b""
        found = {name: self._secrets.found_in(text) for name, text in texts.items()}
        shot.row.broken += [f"{name}: {what}" for name, what in found.items() if what]
        shot.host.log.unlink(missing_ok=True)

    def _watched(self) -> Row:
        """All that was seen of processes and temporary folders in all the time."""
        where = f"{self._watch.rounds} looks at every process and the temporary folders"
        return Row("secrets", where, broken=sorted(self._watch.found), group="processes and temporary folders")

    def logged(self) -> Row:
        """All that was sent to syslog in all the time: by sudo, by modules, by the host program."""
        if self._syslog.missing:
            return Row.not_tried("secrets", "syslog", self._syslog.missing)
        lines = self._syslog.lines[self._heard:]
        row = Row("secrets", f"{len(lines)} lines of syslog", group="syslog")
        row.broken = [f"{what} in syslog: {line[:60]!r}" for line in lines if (what := self._secrets.found_in(line))]
        if not any(b"sep.sesam[" in line for line in lines):
            row.broken.append("not even a replacement was heard of")
        return row

    # The next run

    def _converge(self, shots: t.Sequence[Shot]) -> None:
        """The next ordinary run, for all hosts at once."""
        for shot in shots:
            shot.host.site.instance.unset()
        hosts = {f"host{n}": shot.host.variables(shot.plan.way) for n, shot in enumerate(shots)}
        outcome = self._controller.run(hosts, *_LOUD)
        for name, shot in zip(hosts, shots, strict=True):
            self._judge(shot, outcome, name)

    def _judge(self, shot: Shot, outcome: Outcome, name: str) -> None:
        site, row = shot.host.site, shot.row
        row.after = site.served_in_words()
        tree, recap = site.tree(), outcome.recap(name)
        if recap["failures"] or recap["unreachable"]:
            row.broken.append(f"the next run fails: {[one.message for one in outcome.results if one.host == name]}")
        replaced = outcome.of("replace", name)
        if replaced and replaced.result.get("recovered"):
            row.broken.append(f"the next run had to recover: {replaced.result['recovered']}")
        row.recovered_by = "the host alone" if shot.moment == INSIDE else "nothing to recover"
        if row.after != "new":
            row.broken.append(f"after the next run the port serves {row.after}")
        old, wanted = promises.contents(site.current), promises.contents(site.other)
        row.broken += [*promises.of_the_end(tree, wanted), *promises.of_any_moment(tree, old, wanted)]
        if site.is_locked():
            row.broken.append("the lock is held")
        if found := self._secrets.found_in(outcome.output + outcome.dump):
            row.broken.append(f"the output of the next run: {found}")


def started_over_ssh(address: str, port: int, user: str) -> list[int]:
    """Every process that a login has started, shells and sudo included; what sudo starts knows of its user alone."""
    known = ((pid, processes.environment(pid)) for pid in processes.all_pids())
    return [pid for pid, values in known
            if values.get("SSH_CONNECTION", "").endswith(f" {address} {port}") or values.get("SUDO_USER") == user]


def _content(path: Path) -> bytes:
    """What is not there is empty."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@contextlib.contextmanager
def _killed_on_error(run: Run) -> t.Iterator[None]:
    try:
        yield
    except BaseException:
        run.kill()
        raise


def _undisturbed(host: Host, way: Way) -> Times:
    """Let a run be: the transaction notes itself in the lock when it begins, and in the result when it is over."""
    host.begin()
    result, lock, _journal = host.notes()
    run, login, seen = host.start(way), time.monotonic(), []
    with _killed_on_error(run):
        for number, before in ((1, lock), (0, result)):
            wait_until(lambda n=number, old=before: host.notes()[n] != old, _RUN, "the transaction comes")
            seen.append(time.monotonic() - login)
    outcome = run.finish()
    if outcome.rc:
        raise RuntimeError(f"what is not disturbed fails: {outcome.output[-3000:]}")
    return Times(*seen, time.monotonic() - login)


def _kill(run: Run, host: Host, plan: Plan) -> bool:
    """Whether there was something to kill."""
    was_alive = processes.is_alive(run.process.pid)
    if plan.victim == CONNECTION:
        return host.sshd.drop() > 0 and was_alive
    run.kill()
    return was_alive


def _spread(rows: t.Sequence[Row]) -> Row:
    """Where the kills were: most of them are to be inside."""
    moments = collections.Counter(row.group for row in rows)
    row = Row("instants", ", ".join(f"{moments[moment]} {moment}" for moment in MOMENTS))
    if len(rows) >= _ENOUGH and not moments[INSIDE]:
        row.broken.append("no kill has met the transaction")
    return row


@contextlib.contextmanager
def fleet(folder: Path, numbers: t.Sequence[int], syslog: Syslog) -> t.Iterator[Fleet]:
    """As many hosts, which are torn down at the end, and their users with them."""
    place, authority = folder / f"elsewhere {numbers[0]}", Authority()
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(accounts.throwaway(*_RIGHTS)) for _number in numbers]
        secrets = Secrets(authority.issue(), PASSPHRASE, *(user.password for user in users))
        hosts = []
        for number, user in zip(numbers, users, strict=True):
            site = Site(folder, number, authority, is_watched=False)
            stack.callback(site.close)
            daemon = stack.enter_context(sshd.running(addresses.free_port(), [site.instance.address]))
            hosts.append(Host(site, daemon, user, Controller(place / f"controller of {number}"), secrets))
        controller = Controller(place / "controller of all")
        homes = [*(host.controller.home for host in hosts), controller.home, *(user.home for user in users),
                 Path("~root").expanduser() / ".ansible"]  # fmt: skip
        watch = Watch(secrets, homes, [folder, *(host.sshd.folder for host in hosts)], _PAUSE)
        yield Fleet(hosts, controller, secrets, watch, syslog)
