# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to one and the same host, plain and odd: connections, shells, means to become root, Pythons, file systems."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.sep.sesam.plugins.plugin_utils import _host_program
from workbench import neighbours, pythons, venvs

from . import accounts
from .controller import Variables, local, works_there
from .sshd import Sshd

PLUGINS = {"ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).with_name("plugins") / "connection"),
           **neighbours.environment(venvs.Venv())}
_DOAS = Path("/etc/doas.conf")
_ADDRESS = "127.0.1.1"
_NO_INPUT = "passes no standard input to a program"
_NO_GENERAL = neighbours.missing("community.general", venvs.Venv())
_ASKS_BECOME = "from ansible.plugins.become import BecomeBase; BecomeBase.pipelining"
_HAS_PARAMIKO = "import paramiko, ansible.plugins.connection.paramiko_ssh"


class Way(t.NamedTuple):
    """How a host is reached, and what is to come of it.

    C(by): the transport that asks it in the end; empty where none can. C(says): what is told at C(-vvvv), or in the
    message where none can. C(key): whether a key may be sent there. C(lacks): what this machine does not have for it.
    """

    variables: Variables
    by: t.Literal["stdin", "module", ""] = "stdin"
    says: str = ""
    key: bool = True
    lacks: str = ""


Ways = dict[str, Way]


# This machine seen from elsewhere

def apart(*wrapper: str, **variables: t.Any) -> Variables:
    """By a program that runs another one."""
    return {**local(), "ansible_connection": "apart", "ansible_apart_wrapper": list(wrapper), **variables}


def script(text: str) -> Variables:
    """The same for a line of shell, in which C("$@") is what is to be run."""
    return apart("/bin/sh", "-c", text, "sh")


def local_ways(folder: Path, server_folder: Path) -> Ways:
    """Without a network: Pythons, garbage, broken streams."""
    usual = {"ansible_python_interpreter": "auto_silent"}
    lost = "answer-lost: The host has begun its work (Python 3."
    ways = {
        "local": Way(local()),
        "by module": Way({**local(), "transport": "module"}, "module", "transport is module"),
        "pipelined module": Way({**local(), "transport": "module", "ansible_pipelining": True}, "module"),
        "usual places": Way({**local(), **usual}, says=" /usr/bin/python3"),
        "nowhere": Way(local("/nowhere/python3"), "", "ansible_python_interpreter is /nowhere/python3, which is no"),
        "banner": Way(script('echo Welcome; echo Lecture >&2; "$@"; echo Good bye')),
        "CRLF": Way(script(r'"$@" | sed "s/$/\r/"')),
        "50 MB": Way(script('head -c 50000000 /dev/zero | tr "\\0" x; "$@"; head -c 50000000 /dev/zero | tr "\\0" y')),
        "cut answer": Way(script('"$@" | head -c 200'), "", f"{lost}"),
        "inside": Way(script('"$@" | sed "s/refused/Broadcast/"'), "", lost),
        # Here an ordinary module gets its turn, from a file.
        "cut stream": Way(script('head -c 9000 | "$@"'), "module", "the program did not come whole", key=False),
        "no input": Way(script('"$@" < /dev/null'), "module", "(exit code 0)", key=False),
    }
    for version in ("3.6", "3.9", "3.13"):
        python = pythons.find(version)
        ways[f"Python {version}"] = Way(
            local(python or ""), says=f"Python {version}.", lacks="" if python else f"no Python {version} was found")
    two = pythons.find("2.7")
    ways["Python 2"] = Way(
        local(two or ""), "", f"ansible_python_interpreter is {two}, which is no Python 3.6 or later on the host "
        "(exit code 127: Unknown option: -I", lacks="" if two else "no Python 2.7 was found")
    return {**ways, **_root_ways(folder, server_folder)}


# A file system in the place of /tmp without a byte left, in which the server still is where it was; and one on which
# nothing is executed, in the place of the home. What is not as it has to be ends the call.
_FULL = """set -e
mount --bind '{server}' /mnt
mount -t tmpfs -o size=64k none /tmp
mkdir -p '{server}'
mount --bind /mnt '{server}'
cat /dev/zero > /tmp/full 2>/dev/null || true
if echo more 2>/dev/null > /tmp/more; then echo /tmp is not full >&2; exit 99; fi
exec "$@"
"""
_NOEXEC = """set -e
mount -t tmpfs -o noexec none "$HOME"
mkdir -p "$HOME/.ansible/tmp"
cp /bin/true "$HOME/.ansible/tmp"
if "$HOME/.ansible/tmp/true" 2>/dev/null; then echo "$HOME" is not noexec >&2; exit 99; fi
rm "$HOME/.ansible/tmp/true"
exec "$@"
"""


def _root_ways(folder: Path, server_folder: Path) -> Ways:
    """Other file systems, which root alone can have for a program."""

    def chroot(root: Path, **variables: t.Any) -> Variables:
        return {**local(), "ansible_connection": "community.general.chroot", "ansible_host": str(root), **variables}

    def mounted(script: str) -> Variables:
        return apart(*namespace, script, "sh", ansible_python_interpreter="auto_silent")

    namespace = ("unshare", "--mount", "/bin/sh", "-c")
    can_mount = subprocess.run([*namespace, "mount -t tmpfs none /mnt"], check=False, capture_output=True)
    no_chroot = "only root can change the root" if os.geteuid() else _NO_GENERAL
    no_mount = "no file system can be mounted here" if can_mount.returncode else ""
    return {
        "chroot": Way(chroot(Path("/")), lacks=no_chroot),
        "chroot, module": Way(chroot(Path("/"), transport="module"), "module", lacks=no_chroot),
        "chroot without Python": Way(
            chroot(_bare_root(folder / "bare"), ansible_python_interpreter="auto"), "",
            f"no Python 3.6 or later as {', '.join(_host_program.INTERPRETERS)} (exit code 127", lacks=no_chroot),
        "full /tmp": Way(mounted(_FULL.replace("{server}", str(server_folder))), lacks=no_mount),
        "noexec home": Way(mounted(_NOEXEC), lacks=no_mount),
    }


def _bare_root(folder: Path) -> Path:
    """A system with a shell and nothing else."""
    shell = Path("/bin/sh").resolve()
    listed = subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout
    for path in [str(shell), *(word for word in listed.split() if word.startswith("/"))]:
        copy = folder / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (folder / "bin").mkdir(exist_ok=True)
    if not (folder / "bin" / "sh").exists():
        (folder / "bin" / "sh").symlink_to(shell)
    return folder


# Over SSH

# Login shells that are no POSIX shell, and one that is.
_SHELLS = ("tcsh", "fish", "bash")


@contextlib.contextmanager
def ssh_ways(sshd: Sshd, account: accounts.Account) -> t.Iterator[Ways]:
    """As root, as users with shells of all kinds, and by all means to become root."""

    def login(user: str = "root", **variables: t.Any) -> Variables:
        return {**local(), **sshd.variables(_ADDRESS, user), **variables}

    def become(user: accounts.Account | None = None, method: str = "sudo", **variables: t.Any) -> Variables:
        return login((user or account).name, ansible_become=True, ansible_become_method=method, **variables)

    def no_tty(why: str) -> Way:
        return Way({}, "module", why, key=False)

    free, terminal = "{name} ALL=(ALL) NOPASSWD: ALL", "Defaults:{name} requiretty"
    with contextlib.ExitStack() as stack:
        def user(*rights: str, **options: t.Any) -> accounts.Account:
            return stack.enter_context(accounts.throwaway(*rights, **options))

        boss = user("{name} ALL=(ALL) ALL", uid=0)
        noisy, tied = user(free, shell=stack.enter_context(_noisy_shell())), user(free, terminal)
        in_a_pty = user("{name} ALL=(ALL) ALL", "Defaults:{name} use_pty")
        lectured = user("{name} ALL=(ALL) ALL", "Defaults:{name} lecture=always")
        password = {"ansible_become_password": account.password}
        ways = {
            "ssh": Way(login()),
            "ssh, pipelining": Way(login(ansible_pipelining=True)),
            "ssh, pipelined module": Way(login(ansible_pipelining=True, transport="module"), "module"),
            "ssh, no ControlPersist": Way(login(ansible_ssh_args="-o ControlMaster=no", ansible_pipelining=False)),
            "forced command": Way(login(ansible_ssh_private_key_file=str(sshd.folder / "forced_key"))),
            "noisy login shell": Way(become(noisy)),
            "sudo with password": Way(become(**password)),
            "sudo with password, pipelining": Way(become(**password, ansible_pipelining=True)),
            "sudo with password, module": Way(become(**password, transport="module"), "module"),
            "sudo without password": Way(become(noisy, ansible_pipelining=False)),
            "sudo with a lecture": Way(become(lectured, ansible_become_password=lectured.password)),
            # Its login shell reads the command once more.
            "sudo -i": Way(become(noisy, ansible_become_flags="-H -S -n -i")),
            "sudo -i with password, found": Way(become(
                **password, ansible_become_flags="-H -S -i", ansible_python_interpreter="auto_silent")),
            "sudo -i, module": Way(become(**password, ansible_become_flags="-H -S -i", transport="module"), "module"),
            "sudo su": Way(become(
                method="community.general.sudosu", ansible_become_user="root", **password), lacks=_NO_GENERAL),
            "sudo requires a terminal": no_tty("you must have a tty")._replace(variables=become(tied)),
            "su with password": no_tty(f"become method su {_NO_INPUT}")._replace(variables=become(
                method="su", ansible_become_user=boss.name, ansible_become_password=boss.password,
                ansible_admin_users=["root", boss.name])),
        }
        for words in ("-tt", "-o RequestTTY=force"):
            asks = {"ansible_ssh_args": f"-o ControlMaster=auto -o ControlPersist=5s {words}"}
            ways[f"ssh {words}"] = Way(login(**asks))
            ways[f"ssh {words}, sudo use_pty"] = Way(become(
                in_a_pty, ansible_become_password=in_a_pty.password, **asks))
        # What is configured so, Ansible does not see: it pipelines a module, too.
        config = sshd.folder / "terminal"
        config.write_text("RequestTTY force\n")
        common = str(login()["ansible_ssh_common_args"]).replace("/dev/null", str(config), 1)
        transports: tuple[t.Literal["stdin", "module"], ...] = ("stdin", "module")
        for transport in transports:
            ways[f"a terminal by configuration, {transport}"] = Way(login(
                ansible_ssh_common_args=common, transport=transport, ansible_pipelining=True), transport)
        ways["a terminal all the same"] = no_tty("standard input is a terminal; nothing was started")._replace(
            variables=login(ansible_ssh_executable=str(stack.enter_context(_stubborn_ssh()))))
        # With a password, this connection opens a terminal unless it is pipelined.
        ways["local, sudo with password"] = Way({
            **local(), "ansible_become": True, "ansible_become_user": boss.name, "ansible_become_password": "unused",
            "ansible_pipelining": False})
        for name in _SHELLS:
            shell = shutil.which(name)
            ways[f"login shell {name}"] = Way(become(user(free, shell=shell)) if shell else {}, lacks=_not_there(name))
        no_doas = _NO_GENERAL or _not_there("doas") or (f"{_DOAS} is there" if _DOAS.exists() else "")
        if not no_doas:
            stack.callback(_DOAS.unlink)
            _DOAS.touch(mode=0o600)
            _DOAS.write_text(f"permit nopass {tied.name} as root\n")
        # An older core does not ask its plugin, and pipelines a module all the same.
        ways["doas"] = Way(become(tied, method="community.general.doas"), "module",
                           f"become method community.general.doas {_NO_INPUT}",
                           key=not works_there(_ASKS_BECOME), lacks=no_doas)
        if works_there(_HAS_PARAMIKO):
            ways["paramiko"] = no_tty(f"the connection paramiko {_NO_INPUT}")._replace(variables=login(
                ansible_connection="paramiko_ssh", ansible_paramiko_host_key_checking=False))
        yield ways


def _not_there(program: str) -> str:
    return "" if shutil.which(program) else f"{program} is not installed"


def _noisy_shell() -> contextlib.AbstractContextManager[Path]:
    """A login shell that talks before and after."""
    return _program('echo "Welcome!\\nsep.sesam"\necho Authorised users only >&2\n'
                    '/bin/sh "$@"\nrc=$?\nprintf "Good bye"\nexit $rc')


def _stubborn_ssh() -> contextlib.AbstractContextManager[Path]:
    """An ssh that opens a terminal, whatever it is asked for."""
    return _program('for word do shift; [ "$word" = -T ] || set -- "$@" "$word"; done\nexec ssh -tt "$@"')


@contextlib.contextmanager
def _program(text: str) -> t.Iterator[Path]:
    """Some lines of shell as a program that everybody can run."""
    folder = Path(tempfile.mkdtemp(prefix="shell-"))
    folder.chmod(0o755)
    try:
        program = folder / "program"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        yield program
    finally:
        shutil.rmtree(folder)
