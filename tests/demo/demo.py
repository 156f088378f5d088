# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on three stand-ins: what they serve, the replacement, what they serve then, and nothing to do.

Exits with 0 only when every server ended up with its own new certificate and the second run changed nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import types
import typing as t
from pathlib import Path

from cryptography import x509

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pairs
import standin

PORT = 11401

HOSTS = {
    "alpha.example.com": "serves a certificate that it made itself",
    "bravo.example.com": "serves an expired certificate",
    "charlie.example.com": "is healthy",
}
_SETTLE_SECONDS = 10


class Style:
    """ANSI styles, empty where nobody would see them."""

    def __init__(self) -> None:
        self._on = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._on else text

    @property
    def is_on(self) -> bool:
        """Whether colours are shown."""
        return self._on


style = Style()


def heading(number: int, text: str) -> None:
    """Begin a part."""
    print(style("1;36", f"\n{number}. {text}"), flush=True)


def say(text: str) -> None:
    """One line of a part."""
    print(f"   {text}", flush=True)


def main() -> int:
    """Run the demo and clean up, whatever happens."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    begin = time.monotonic()
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="sep-sesam-demo-")))
        try:
            is_good = show(folder, cleanup)
        except KeyboardInterrupt:
            print("\nInterrupted: stopping the servers.", flush=True)
            return 130
    seconds = time.monotonic() - begin
    print(style("1;32" if is_good else "1;31", f"\n{'Done' if is_good else 'NOT as promised'} in {seconds:.0f} s; "
                "the servers are stopped and their files removed."), flush=True)
    return 0 if is_good else 1


def _end(number: int, _frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def show(folder: Path, cleanup: contextlib.ExitStack) -> bool:
    """The parts of the demo; whether all is as promised."""
    heading(1, "Three make-believe SEP sesam servers start, each in a state of its own")
    authority = pairs.Authority("Demo CA")
    servers, wanted = {}, {}
    for number, (name, words) in enumerate(HOSTS.items(), 1):
        pair = authority.pair(name, days=90)
        pair.write(folder / "wanted" / f"{name}.crt", folder / "wanted" / f"{name}.key", "PKCS#1")
        wanted[name] = pairs.fingerprint(pair.certificate)
        in_place = {"bravo.example.com": authority.pair(name, days=-3), "charlie.example.com": pair}.get(name)
        servers[name] = start(folder / name, f"127.0.1.{number}", in_place, cleanup)
        say(f"{name:20} {servers[name].address}:{servers[name].port}  {words}")

    heading(2, "What each port serves")
    tell(servers, wanted)

    heading(3, "The playbook sep.sesam.replace, with certificates of the demo CA and PKCS#1 keys")
    inventory = write_inventory(folder, servers)
    say(style("2", f"ansible-playbook -i {inventory} sep.sesam.replace"))
    is_good = run_playbook(inventory)

    heading(4, "What each port serves now")
    is_good &= tell(servers, wanted)
    for name, server in servers.items():
        first_line = Path(server.private_key).read_text(encoding="ascii").splitlines()[0]
        say(f"{name:20} key on disk: {first_line}, mode {os.stat(server.private_key).st_mode & 0o777:04o}")

    heading(5, "The same playbook again: nothing changes, no server is restarted, no key is sent")
    before = {name: server.pid() for name, server in servers.items()}
    is_good &= run_playbook(inventory)
    same = {name: server.pid() == before[name] for name, server in servers.items()}
    for name, is_same in same.items():
        say(f"{name:20} rmi is {'the same process as before' if is_same else 'ANOTHER process'}, PID {before[name]}")
    return is_good and all(same.values())


def start(folder: Path, address: str, in_place: pairs.Pair | None, cleanup: contextlib.ExitStack) -> standin.Instance:
    """Make a server with a pair in place, or none, and start it."""
    server = standin.create(folder, address=address, port=_free_port(address), host_name=folder.name)
    cleanup.callback(remove, server)
    if in_place:
        in_place.write(Path(server.certificate), Path(server.private_key), "PKCS#8")
    server.start()
    return server


def remove(server: standin.Instance) -> None:
    """Remove a server, after a replacement on it that is still going on has come to its end."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    with contextlib.suppress(OSError), open(Path(server.sesam_var, "ini", ".sep-sesam", "lock"), "rb") as lock:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
    server.remove()


def _free_port(address: str) -> int:
    """The product's own port, or any other where that is taken."""
    for port in (PORT, 0):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind((address, port))
            return int(candidate.getsockname()[1])
    raise OSError(f"no free port on {address}")


def tell(servers: dict[str, standin.Instance], wanted: dict[str, str]) -> bool:
    """Show what each port serves, read by a plain TLS client; whether all serve what is wanted."""
    is_wanted = []
    for name, server in servers.items():
        pem = ssl.get_server_certificate((server.address, server.port), timeout=10)
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        is_wanted.append(pairs.fingerprint(certificate) == wanted[name])
        mark = style("32", "wanted  ") if is_wanted[-1] else style("31", "not wanted")
        say(f"{name:20} {mark:10}  {_issuer(certificate)}, {_until(certificate)}, "
            f"SHA-256 {pairs.fingerprint(certificate)[:16]}...")
    return all(is_wanted)


def _issuer(certificate: x509.Certificate) -> str:
    if certificate.issuer == certificate.subject:
        return "self-signed"
    return f"issued by {certificate.issuer.rfc4514_string()}"


def _until(certificate: x509.Certificate) -> str:
    end = certificate.not_valid_after_utc
    word = "ended" if end < datetime.datetime.now(datetime.timezone.utc) else "until"
    return f"{word} {end:%Y-%m-%d}"


def write_inventory(folder: Path, servers: dict[str, standin.Instance]) -> Path:
    """The inventory a user would write, in JSON, which is YAML too."""
    hosts = {
        name: {
            "sesam_https_sesam2000_ini": server.sesam2000_ini,
            "sesam_https_address": server.address,
            "sesam_https_port": server.port,
        }
        for name, server in servers.items()
    }
    common = {
        "ansible_connection": "local",
        # That of the system, as on a real server: no virtual environment.
        "ansible_python_interpreter": os.path.realpath(sys.executable),
        "sesam_https_certificate": f"{folder}/wanted/{{{{ inventory_hostname }}}}.crt",
        "sesam_https_private_key": f"{folder}/wanted/{{{{ inventory_hostname }}}}.key",
    }
    path = folder / "inventory.json"
    path.write_text(json.dumps({"sesam": {"hosts": hosts, "vars": common}}, indent=2), encoding="utf-8")
    return path


def run_playbook(inventory: Path) -> bool:
    """Run the playbook, its output indented as it comes; whether it ended well."""
    environment = {
        **os.environ,
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_FORCE_COLOR": str(style.is_on).lower(),
        "ANSIBLE_NOCOLOR": str(not style.is_on).lower(),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(inventory), "sep.sesam.replace"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in t.cast(t.Iterable[str], process.stdout):
                if line.strip():
                    print(f"   {style('2', '|')} {line.rstrip()}", flush=True)
        except KeyboardInterrupt:
            process.terminate()
            raise
        return process.wait() == 0


if __name__ == "__main__":
    sys.exit(main())
