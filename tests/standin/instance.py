# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Making, using and removing an instance from Python."""

from __future__ import annotations

import atexit
import ipaddress
import os
import shlex
import shutil
import subprocess
import tempfile
import typing as t

from . import pairs, processes, state, switches
from .home import Home, read_text, write_whole
from .switches import StandinError

DEFAULT_ADDRESS = "127.0.1.1"
DEFAULT_PORT = 11401


class Instance:
    """One stand-in, made earlier by ``create``."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        loaded = state.load(os.path.abspath(path))
        # The folder's first name is what its processes show, whatever name it is reached by now.
        self.home = Home(loaded["folder"])
        self.folder: str = self.home.folder
        self.address: str = loaded["address"]
        self.port: int = loaded["port"]
        self.sm_main = self.home.sm_main
        self.sesam_var = self.home.sesam_var
        self.sesam2000_ini = self.home.sesam2000_ini
        self.sesam2000_profile = self.home.profile
        self.sm_ini = self.home.sm_ini
        self.ssl_folder = self.home.ssl_folder
        self.certificate = self.home.certificate
        self.private_key = self.home.private_key

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.remove()

    @property
    def log_file(self) -> str:
        """The server's log, where the next start would write it."""
        return self.home.log_file(str(state.peek(self.folder)["log_folder"]))

    def set(self, times: int | None = None, **values: object) -> None:
        """Set switches for good, or with ``times`` (or ``VALUE@N``) for the next calls only."""
        with state.change(self.folder) as loaded:
            for name, value in values.items():
                state.put(loaded, name, str(value), times)

    def unset(self, *names: str) -> None:
        """Back to the default, for these or for all."""
        with state.change(self.folder) as loaded:
            for name in names or list(switches.SWITCHES):
                if switches.find(name).moment != "create":
                    loaded["switches"].pop(name, None)
                    loaded["orders"].pop(name, None)
                elif names:
                    raise StandinError(f"{name}: can be set only when the instance is made")

    def run(
        self, *words: str, env: t.Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Call sm_main; output in ``stdout``. No pipe is used, for a badly made rmi would hold it open."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            done = subprocess.run(
                [self.sm_main, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                timeout=timeout,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    def start(self, **keywords: t.Any) -> subprocess.CompletedProcess[str]:
        """``sm_main start rmi``; StandinError if rmi does not run afterwards."""
        done = self.run("start", "rmi", **keywords)
        if self.pid() is None:
            console = read_text(self.home.console) or ""
            raise StandinError(f"rmi did not start (exit code {done.returncode}): {(done.stdout + console).strip()}")
        return done

    def stop(self, **keywords: t.Any) -> subprocess.CompletedProcess[str]:
        """``sm_main stop rmi``; StandinError if rmi still runs afterwards."""
        done = self.run("stop", "rmi", **keywords)
        if self.pid() is not None:
            raise StandinError(f"rmi did not stop (exit code {done.returncode}): {done.stdout.strip()}")
        return done

    def pid(self) -> int | None:
        """The pid of the running rmi, or None."""
        return processes.rmi(self.home)

    def end_processes(self) -> None:
        """End whatever runs for this instance, whatever its switches say."""
        processes.end_all(self.home)
        pairs.forget(self.home)

    def remove(self) -> None:
        """End every process and delete the folder; quiet if that is done already."""
        atexit.unregister(self.end_processes)
        self.end_processes()
        shutil.rmtree(self.folder, ignore_errors=True)


def create(
    path: str | os.PathLike[str],
    *,
    address: str = DEFAULT_ADDRESS,
    port: int = DEFAULT_PORT,
    keep: bool = False,
    **values: object,
) -> Instance:
    """Make an instance. Unless ``keep``, its processes end with the Python process that made it."""
    home = Home(os.path.abspath(path))
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise StandinError(f"address={address}: not an IP address") from None
    if not 0 < port < 65536:
        raise StandinError(f"port={port}: not a port number from 1 to 65535")
    if "\n" in home.folder:
        raise StandinError("a folder name with a line break can't be written to sm.ini")
    if os.path.lexists(home.folder) and (not os.path.isdir(home.folder) or os.listdir(home.folder)):
        raise StandinError(f"{home.folder}: is there already and is not an empty folder")
    loaded: dict[str, t.Any] = {
        "folder": home.folder,
        "address": address,
        "port": port,
        "switches": {},
        "orders": {},
    }
    for name, value in values.items():
        state.put(loaded, name, str(value), creating=True)
    _lay_out(home, loaded)
    instance = Instance(home.folder)
    if not keep:
        atexit.register(instance.end_processes)
    return instance


def _lay_out(home: Home, loaded: dict[str, t.Any]) -> None:
    """Write everything an installation has; standin.json comes last and makes it an instance."""
    settings = state.effective(loaded)
    var = home.sesam_var
    folders = [
        os.path.dirname(home.sesam2000_ini),
        home.programs,
        os.path.dirname(home.sm_ini),
        home.run,
        *(os.path.join(var, name) for name in ("log/lgc", "work", "tmp", "lis", "stpd", "prot")),
    ]
    if settings["ssl_folder"] == "exists":
        folders.append(home.ssl_folder)
    for folder in folders:
        os.makedirs(folder, exist_ok=True)

    programs = shlex.quote(home.programs + "/")
    write_whole(
        home.sesam2000_ini,
        (
            f"SM_INI={shlex.quote(home.sm_ini)}\n"
            f"SM_BIN_SESAM={programs}\n"
            f"SM_BIN_SMS={shlex.quote(home.folder + '/opt/bin/sms/')}\n"
        ),
    )
    write_whole(
        home.profile,
        (
            f"SM_INI={shlex.quote(home.sm_ini)}; export SM_INI\n"
            f"SM_BIN_SESAM={programs}; export SM_BIN_SESAM\n"
            f"SESAM_STANDIN={shlex.quote(home.folder)}; export SESAM_STANDIN\n"
            'PATH="$SM_BIN_SESAM:$PATH"; export PATH\n'
        ),
    )
    write_whole(home.sm_ini, _sm_ini(home, with_lgc=settings["sm_ini_lgc"] == "yes"))
    command = shlex.join(processes.command("sm_main", home.folder, "-S"))  # it needs no packages
    write_whole(home.sm_main, f'#!/bin/sh\nexec {command} "$@"\n')
    os.chmod(home.sm_main, 0o755)
    write_whole(home.state_file, state.as_text(loaded))


def _sm_ini(home: Home, *, with_lgc: bool) -> str:
    var = home.sesam_var
    values = {
        "gv_ro": f"{home.folder}/opt/",
        "gv_rw": f"{home.folder}/",  # one level above <SESAM_VAR>, as seen
        "gv_rw_lgc": f"{var}/log/lgc/",
        **{f"gv_rw_{name}": f"{var}/{name}/" for name in ("work", "tmp", "lis", "stpd", "prot")},
    }
    if not with_lgc:
        del values["gv_rw_lgc"]
    lines = ["[PATHES]", *(f"{name}={value}" for name, value in values.items()), "[UI]", "gv_ui_language=en"]
    return "\n".join(lines) + "\n"
