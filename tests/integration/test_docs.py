# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the documentation are run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.sep.sesam.plugins.modules import sesam_cert_replace, sesam_cert_resolve
from integration.certificates import Authority, Pair
from integration.controller import OWN, Controller, local
from integration.servers import Server
from workbench import tree

HOSTS = ("backup1.example.com", "backup2.example.com")
MakeServer = t.Callable[..., Server]


def blocks(document: str) -> list[str]:
    """The YAML examples of a document."""
    return re.findall(r"```yaml\n(.*?)```", (tree.ROOT / document).read_text(), re.DOTALL)


def commands(document: str, program: str) -> list[str]:
    """The indented command lines of a document that call a program."""
    return re.findall(rf"^    ({program} .*)$", (tree.ROOT / document).read_text(), re.MULTILINE)


class Site:
    """A folder of an admin: certificates for two servers, and what is special about these two."""

    def __init__(self, folder: Path, controller: Controller, make_server: MakeServer, authority: Authority) -> None:
        self.folder = folder
        self.controller = controller
        self.servers = {host: make_server() for host in HOSTS}
        self.wanted: dict[str, Pair] = {host: authority.issue(host) for host in HOSTS}
        (folder / "certificates").mkdir()
        for host, pair in self.wanted.items():
            (folder / "certificates" / f"{host}.crt").write_bytes(pair.pem)
            (folder / "certificates" / f"{host}.key").write_bytes(pair.key_pem())
        special = {host: {**server.variables(), **local()} for host, server in self.servers.items()}
        (folder / "special.json").write_text(json.dumps({"sesam": {"hosts": special}}))

    def run(self, command: str) -> str:
        """Run a documented command here; become is left out, since there may be no sudo."""
        program, *words = shlex.split(command)
        done = subprocess.run(
            [OWN / program, *words, "-i", "special.json", "-e", "ansible_become=false"],
            cwd=self.folder, env=self.controller.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def all_serve_what_is_wanted(self) -> bool:
        """Whether both ports serve the certificate of their host."""
        return all(server.served() == self.wanted[host].fingerprint for host, server in self.servers.items())


@pytest.fixture
def site(tmp_path: Path, controller: Controller, make_server: MakeServer, authority: Authority) -> Site:
    """Two running servers that generated their certificates."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder, controller, make_server, authority)


def test_the_readme(site: Site) -> None:
    """The inventory and both commands of the README: the first one touches nothing, the second one does it."""
    (inventory,) = blocks("README.md")
    (site.folder / "inventory.yml").write_text(inventory)
    check, replace = commands("README.md", "ansible-playbook")
    assert "--check" in check
    output = site.run(check)
    assert "+subject: CN=backup1.example.com" in output
    assert not site.all_serve_what_is_wanted()
    site.run(replace)
    assert site.all_serve_what_is_wanted()
    assert site.run(replace).count("changed=0 ") == len(HOSTS)


def test_the_readme_of_the_role(site: Site) -> None:
    """The example of the role, as a playbook."""
    (play,) = blocks("roles/sesam_https/README.md")
    (site.folder / "play.yml").write_text(play)
    site.run("ansible-playbook play.yml")
    assert site.all_serve_what_is_wanted()


def test_the_look_at_a_host(site: Site) -> None:
    """The command of the guide for the case that it fails."""
    (inventory,) = blocks("README.md")
    (site.folder / "inventory.yml").write_text(inventory)
    (command,) = commands("docs/troubleshooting.md", "ansible")
    ini = site.servers[HOSTS[0]].instance
    output = site.run(f"{command} -a 'sesam2000_ini=\"{ini.sesam2000_ini}\" port={ini.port}'")
    assert '"state": "fallback_generated"' in output


@pytest.mark.parametrize("module", [sesam_cert_replace, sesam_cert_resolve], ids=lambda m: m.__name__.split(".")[-1])
def test_the_examples_of_a_module(module: t.Any, site: Site) -> None:
    """The examples of a module are tasks that Ansible takes, and the first one runs."""
    tasks = yaml.safe_load(module.EXAMPLES)
    play = [{"hosts": HOSTS[0], "gather_facts": False, "tasks": tasks}]
    (site.folder / "play.yml").write_text(yaml.safe_dump(play))
    site.run("ansible-playbook play.yml --syntax-check")
    (site.folder / "files").mkdir()
    pair = site.wanted[HOSTS[0]]
    (site.folder / "files" / "backup.example.com.crt").write_bytes(pair.pem)
    (site.folder / "files" / "backup.example.com.key").write_bytes(pair.key_pem())
    instance = site.servers[HOSTS[0]].instance
    places = {"sesam2000_ini": instance.sesam2000_ini, "port": instance.port}
    play[0].update(tasks=tasks[:1], module_defaults={"group/sep.sesam.sesam": places})
    (site.folder / "play.yml").write_text(yaml.safe_dump(play))
    site.run("ansible-playbook play.yml")
    expected = pair.fingerprint if module is sesam_cert_replace else None
    assert expected in (None, site.servers[HOSTS[0]].served())


@pytest.mark.parametrize("document", ["docs/troubleshooting.md", "docs/how-it-works.md", "roles/sesam_https/README.md"])
def test_links_lead_somewhere(document: str) -> None:
    """Relative links of the documents."""
    path = tree.ROOT / document
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target
