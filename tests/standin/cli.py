# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""A stand-in for SEP sesam's REST server and its sm_main.

SEP sesam is not free to download. This program makes a small make-believe installation of it in a folder of yours:
the files that name its places, a program sm_main that starts and stops a server called rmi, and that server, which
looks for its certificate in the product's order, takes only PKCS#8 keys, writes the product's log line and answers
over real TLS. What nobody outside knows about the product is a switch, and what can go wrong can be ordered.

  create DIR            make an instance; then use DIR/opt/bin/sesam/sm_main start rmi
  set DIR NAME=VALUE    set a switch or order a fault; VALUE@N is for the next N calls, VALUE@M-N for calls M to N
  unset DIR NAME        put a switch back to its default (reset DIR: all of them)
  show DIR              what it is, what is set, what it serves
  lookup DIR            which pair the server would take, and why not the others, as JSON
  remove DIR            stop everything of it and delete the folder
  switches              every switch and fault

Example: a server whose next start fails, and whose second start works again.

  standin.py create /tmp/one --address 127.0.1.1 --port 11401
  standin.py set /tmp/one start=fails@1
  /tmp/one/opt/bin/sesam/sm_main start rmi
  standin.py remove /tmp/one
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import ssl
import sys
import typing as t

from . import lookup, state
from .instance import DEFAULT_ADDRESS, DEFAULT_PORT, Instance, create
from .switches import StandinError, describe, find


def main(argv: t.Sequence[str] | None = None) -> int:
    """The command line."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.function(arguments)
    except (StandinError, OSError) as error:
        print(f"standin: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="standin.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: t.Callable[[argparse.Namespace], object], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if name != "switches":
            sub.add_argument("dir", metavar="DIR", help="the instance's folder")
        return sub

    making = command("create", _create, "make an instance")
    making.add_argument("--address", default=DEFAULT_ADDRESS, help="where rmi listens (default: %(default)s)")
    making.add_argument("--port", type=int, default=DEFAULT_PORT, help="its port (default: %(default)s)")
    making.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        dest="values",
        help="switches and faults; `standin.py switches` lists them",
    )
    setting = command("set", _set, "set switches and order faults")
    setting.add_argument("values", nargs="+", metavar="NAME=VALUE", help="VALUE@N and VALUE@M-N limit it to some calls")
    setting.add_argument("--times", type=int, metavar="N", help="these values count for the next N calls only")
    unsetting = command("unset", lambda a: Instance(a.dir).unset(*a.names), "put switches back to their defaults")
    unsetting.add_argument("names", nargs="+", metavar="NAME")
    command("reset", lambda a: Instance(a.dir).unset(), "put every switch back to its default")
    command("show", _show, "say what an instance is and what it serves").add_argument("--json", action="store_true")
    command("lookup", _lookup, "print as JSON which pair the server would take, in this environment")
    command("remove", lambda a: Instance(a.dir).remove(), "stop everything of an instance and delete it")
    command("switches", lambda _a: print(describe()), "list every switch and fault")
    return parser


def _values(words: t.Iterable[str]) -> dict[str, t.Any]:
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise StandinError(f"{word}: wants NAME=VALUE")
        find(name)
        values[name] = value
    return values


def _create(arguments: argparse.Namespace) -> None:
    values = _values(arguments.values)
    instance = create(arguments.dir, address=arguments.address, port=arguments.port, keep=True, **values)
    print(f"Made. Start it:  {instance.sm_main} start rmi")
    print(f"Its certificate: {instance.certificate}")
    print(f"Its address:     https://{_host(instance)}:{instance.port}/")


def _set(arguments: argparse.Namespace) -> None:
    Instance(arguments.dir).set(arguments.times, **_values(arguments.values))


def _host(instance: Instance) -> str:
    return f"[{instance.address}]" if ":" in instance.address else instance.address


def _lookup(arguments: argparse.Namespace) -> None:
    instance = Instance(arguments.dir)
    settings = state.peek(instance.folder)
    command_line = str(settings["command_line_certificate"]), str(settings["command_line_key"])
    outcome = lookup.look_up(instance.home, settings, command_line, os.environ)
    answer = outcome._asdict() | {"judged": [one._asdict() for one in outcome.judged]}
    print(json.dumps(answer, indent=2))


def _show(arguments: argparse.Namespace) -> None:
    instance = Instance(arguments.dir)
    loaded = state.load(instance.folder)
    shown = {
        "folder": instance.folder,
        "sesam_var": instance.sesam_var,
        "sm_main": instance.sm_main,
        "log_file": instance.log_file,
        "address": instance.address,
        "port": instance.port,
        "pid": instance.pid(),
        "serves": _served(instance),
        "switches": loaded["switches"],
        "orders": loaded["orders"],
    }
    if arguments.json:
        print(json.dumps(shown, indent=2))
        return
    for name, value in shown.items():
        print(f"{name:<10} {value if value not in (None, {}) else '-'}")


def _served(instance: Instance) -> dict[str, str] | None:
    """The certificate on the port now, as a stranger sees it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        plain = socket.create_connection((instance.address, instance.port), timeout=3)
        with plain, context.wrap_socket(plain) as tls:
            der = tls.getpeercert(binary_form=True) or b""
    except OSError as error:
        return {"error": str(error)}
    return {"sha256": hashlib.sha256(der).hexdigest(), **_in_words(der)}


def _in_words(der: bytes) -> dict[str, str]:
    try:
        from cryptography import x509
    except ImportError:
        return {}  # a nicety: all else works without the package
    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "ends": certificate.not_valid_after_utc.isoformat(),
        }
    except ValueError as error:
        return {"unreadable": str(error)}
