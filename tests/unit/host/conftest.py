# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the host code share: an installation on disk, the host code as a program, another user."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import standin
from ansible_collections.sep.sesam.plugins.module_utils._host import layout, processes
from integration import accounts, orders
from unit import pki
from workbench import tree

MODULE_UTILS = tree.ROOT / "plugins" / "module_utils"
# The name of a folder of which no shell may make anything; {} is a number.
HOSTILE = "-e {} 'x' \"$(kill $$)\" `kill $$`; kill $$ & %s * ? ~ | é"
# As the controller names a run.
RUN = {"id": "0123456789abcdef", "by": "tester@controller"}


class HostProgram:
    """The host code as a subprocess: C(python -m _host)."""

    def __init__(self, python: str | Path = sys.executable) -> None:
        self.python = str(python)

    def spawn(self, code: str, *arguments: str, **keywords: t.Any) -> subprocess.Popen[str]:
        """Run some code that imports the host code, in a process of its own."""
        return subprocess.Popen([self.python, "-B", "-c", code, *arguments], cwd=MODULE_UTILS, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **keywords)

    def begin(self, question: str, parameters: dict[str, t.Any]) -> subprocess.Popen[str]:
        """Ask and do not wait."""
        process = subprocess.Popen([self.python, "-B", "-m", "_host", question], cwd=MODULE_UTILS, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin
        json.dump(parameters, process.stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def ask(self, question: str, parameters: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask and take the answer."""
        done = subprocess.run([self.python, "-B", "-m", "_host", question], cwd=MODULE_UTILS, text=True,
                              input=json.dumps(parameters), capture_output=True, timeout=60, check=False)
        assert done.stderr == ""
        answer: dict[str, t.Any] = json.loads(done.stdout)
        assert done.returncode == (1 if answer["refused"] or answer.get("failure") else 0)
        return answer


@pytest.fixture(autouse=True)
def limited() -> t.Iterator[None]:
    """End a test that hangs: files that block whoever opens them are part of what is tested."""

    def give_up(number: int, frame: object) -> t.NoReturn:
        raise TimeoutError("the test took more than two minutes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def program() -> HostProgram:
    return HostProgram()


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A folder with C(sesam2000.ini), C(bin/sm_main), C(var/ini/sm.ini) and C(var/ini/ssl): an installation at rest."""
    for folder in ("var/ini/ssl", "var/log/lgc", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    sm_ini = tmp_path / "var/ini/sm.ini"
    sm_ini.write_text(f"[PATHES]\ngv_rw_lgc={tmp_path}/var/log/lgc/\n")
    (tmp_path / "sesam2000.ini").write_text(f"SM_INI={sm_ini}\nSM_BIN_SESAM={tmp_path}/bin\n")
    script(tmp_path / "bin/sm_main", "echo '2026-01-01 00:00:00: rmi                : offline'")
    return tmp_path


@pytest.fixture
def places(installation: Path) -> layout.Layout:
    """The places of that installation, as the host code finds them."""
    return layout.find({"sesam2000_ini": str(installation / "sesam2000.ini")})


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    """A shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


@pytest.fixture(name="script")
def script_fixture() -> t.Callable[..., Path]:
    return script


@dataclasses.dataclass
class Recorded:
    """What the wrapper of a command wrote down, once for each call."""

    log: Path

    @property
    def text(self) -> str:
        """Arguments and environment of all calls."""
        return self.log.read_text() if self.log.exists() else ""

    @property
    def core_limits(self) -> list[str]:
        """What each call may leave when it crashes."""
        return self.log.with_suffix(".limits").read_text().split()

    @property
    def calls(self) -> list[str]:
        """The arguments of each call."""
        return [line[6:] for line in self.text.splitlines() if line.startswith("call: ")]


@pytest.fixture
def openssl_recorded(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The real openssl behind a wrapper that writes down what everybody on the host can see of it."""
    real = shutil.which("openssl")
    if real is None:
        pytest.skip("openssl was not found")
    folder = tmp_path_factory.mktemp("bin")
    log = folder / "log"
    script(folder / "openssl", f"""
        {{ echo "call: $*"; tr '\\0' ' ' < /proc/$$/cmdline; echo; env; }} >> '{log}'
        ulimit -Sc >> '{log}.limits'
        exec {real} "$@\"""")
    monkeypatch.setattr(processes, "USUAL_PATH", f"{folder}:{processes.USUAL_PATH}")
    return Recorded(log)


@pytest.fixture
def no_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without the command."""
    monkeypatch.setattr(processes, "USUAL_PATH", str(tmp_path / "nowhere"))


@pytest.fixture
def as_nobody(tmp_path: Path) -> t.Callable[[t.Callable[[], object]], str]:
    """Calls a function as a user without rights and returns what it returned, as text."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")

    def call(function: t.Callable[[], object]) -> str:
        def tell(writing: int) -> None:
            try:
                os.write(writing, str(function()).encode())
            except BaseException as exc:  # it has to be seen by whoever waits
                os.write(writing, f"{type(exc).__name__}: {exc}".encode())

        # Not before: whenever a pytest is started on this machine, it closes the folder of all of them.
        accounts.open_the_way(tmp_path)
        pid, reading = accounts.start_as_nobody(tell)
        with open(reading) as stream:
            text = stream.read()
        os.waitpid(pid, 0)
        return text

    return call


@dataclasses.dataclass
class Site:
    """A stand-in and what to ask the host code about it."""

    instance: standin.Instance
    program: HostProgram

    @property
    def parameters(self) -> dict[str, t.Any]:
        """As the module gets them when no option is set."""
        return {
            "sesam2000_ini": self.instance.sesam2000_ini, "sesam_var": None, "sm_main": None,
            "port": self.instance.port, "address": None, "log_file": None,
        }

    def order(self, pair: pki.Pair, **options: t.Any) -> dict[str, t.Any]:
        """The parameters of C(replace)."""
        begins, ends = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
        return {
            **self.parameters,
            "run": orders.run(),
            "certificate": pair.pem.decode(), "private_key": pair.key_pem.decode(),
            "not_before": begins.timestamp(), "not_after": ends.timestamp(), "log_check": "required",
            "start_timeout": 20, "stop_timeout": 20, "lock_timeout": 5, "keep_backups": 5, "owner": None,
            "group": None, "start_stopped": False, "check_mode": False, **options,
        }

    def replace(self, pair: pki.Pair, **options: t.Any) -> dict[str, t.Any]:
        """Have the pair placed."""
        return self.program.ask("replace", self.order(pair, **options))

    def resolve(self) -> dict[str, t.Any]:
        """Have the host looked at."""
        return self.program.ask("resolve", self.parameters)

    def put(self, pair: pki.Pair, key: bytes | None = None) -> None:
        """Put a pair in place by hand."""
        certificate, private_key = Path(self.instance.certificate), Path(self.instance.private_key)
        certificate.write_bytes(pair.pem)
        private_key.write_bytes(pair.key_pem if key is None else key)
        private_key.chmod(0o600)

    def on_disk(self) -> tuple[bytes, bytes]:
        """Both files as they are."""
        return Path(self.instance.certificate).read_bytes(), Path(self.instance.private_key).read_bytes()

    def is_on_disk(self, pair: pki.Pair) -> bool:
        """Whether the pair is in place, byte by byte."""
        return self.on_disk() == (pair.pem, pair.key_pem)

    def serves(self, pair: pki.Pair) -> bool:
        """Whether the port serves this leaf, as a stranger sees it."""
        import ssl

        with contextlib.suppress(OSError):
            pem = ssl.get_server_certificate((self.instance.address, self.instance.port), timeout=5)
            return ssl.PEM_cert_to_DER_cert(pem) == pair.der
        return False

    @property
    def state(self) -> Path:
        """The folder of lock, journal and backups."""
        return Path(self.instance.sesam_var) / "ini" / ".sep-sesam"


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_site(tmp_path: Path, program: HostProgram) -> t.Iterator[t.Callable[..., Site]]:
    """Makes stand-ins in folders whose names a shell would act on; each worker of xdist has its own address."""
    address = f"127.0.21.{10 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"
    with contextlib.ExitStack() as stack:

        def make(with_program: HostProgram = program, **switches: t.Any) -> Site:
            folder = tmp_path / HOSTILE.format(len(list(tmp_path.iterdir())))
            instance = standin.create(folder, address=address, port=_free_port(address), **switches)
            return Site(stack.enter_context(instance), with_program)

        yield make


@pytest.fixture
def site(make_site: t.Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture(scope="session")
def old() -> pki.Pair:
    """The pair that was there."""
    return pki.make("old.example")


@pytest.fixture(scope="session")
def new() -> pki.Pair:
    """The pair that shall be there, with a chain."""
    return pki.make("new.example", issuer=pki.make_ca())
