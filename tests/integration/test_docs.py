# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the documentation are run as they stand there."""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.sep.sesam.plugins.modules import (
    sesam_cert_replace,
    sesam_cert_resolve,
    sesam_pkcs8_convert,
    sesam_selfsigned,
)
from cryptography import x509
from integration import readers
from integration.certificates import Authority, Pair
from integration.controller import OWN, Controller, local
from integration.servers import Server
from workbench import neighbours, tree, venvs

pytestmark = pytest.mark.takes_long

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
        self.authority = authority
        self.servers = {host: make_server() for host in HOSTS}
        self.wanted: dict[str, Pair] = {host: authority.issue(host) for host in HOSTS}
        (folder / "certificates").mkdir()
        for host, pair in self.wanted.items():
            (folder / "certificates" / f"{host}.crt").write_bytes(pair.pem)
            (folder / "certificates" / f"{host}.key").write_bytes(pair.key_pem())
        special = {host: {**server.variables(), **local()} for host, server in self.servers.items()}
        (folder / "special.json").write_text(json.dumps({"sesam": {"hosts": special}}))

    def run(self, command: str, rc: int = 0) -> str:
        """Run a documented command here; become is left out, since there may be no sudo."""
        program, *words = shlex.split(command)
        done = subprocess.run(
            [OWN / program, *words, "-i", "special.json", "-e", "ansible_become=false"],
            cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        """With the collections of others that the guides show, and the configuration where one is shown."""
        env = self.controller.environment()
        own = self.folder / "ansible.cfg"
        # No guide needs facts, and those of ansible-core itself need a Python that it supports.
        return {**env, **neighbours.environment(venvs.Venv()), "ANSIBLE_GATHERING": "explicit",
                **({"ANSIBLE_CONFIG": str(own)} if own.exists() else {})}

    def place_modules(self, play: str) -> None:
        """Let the modules of a playbook find the stand-ins, as the role does by its variables."""
        plays = yaml.safe_load((self.folder / play).read_text())
        places = {"sesam2000_ini": "{{ sesam_https_sesam2000_ini }}", "port": "{{ sesam_https_port }}"}
        for one in plays:
            one["module_defaults"] = {"group/sep.sesam.sesam": places}
        (self.folder / play).write_text(yaml.safe_dump(plays))

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


MODULES = [sesam_cert_replace, sesam_cert_resolve, sesam_pkcs8_convert, sesam_selfsigned]


def test_the_examples_of_the_modules_are_tasks(site: Site) -> None:
    """Ansible takes them."""
    plays = [{"hosts": HOSTS[0], "gather_facts": False, "tasks": yaml.safe_load(m.EXAMPLES)} for m in MODULES]
    (site.folder / "play.yml").write_text(yaml.safe_dump(plays))
    site.run("ansible-playbook play.yml --syntax-check")


@pytest.mark.parametrize("module", MODULES[:2], ids=lambda m: m.__name__.split(".")[-1])
def test_the_first_example_of_a_module(module: t.Any, site: Site) -> None:
    """It runs."""
    tasks = yaml.safe_load(module.EXAMPLES)
    play: list[dict[str, t.Any]] = [{"hosts": HOSTS[0], "gather_facts": False}]
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


# Where the certificate comes from


def guide(title: str) -> list[str]:
    """The YAML examples of a section of the guide."""
    text = (tree.ROOT / "docs" / "sources.md").read_text()
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, title
    return re.findall(r"```yaml\n(.*?)```", section[1], re.DOTALL)


def certificate_in_place(server: Server) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(server.instance.certificate).read_bytes())


def test_the_guide_to_a_pfx(site: Site) -> None:
    """A PFX for each host, and a variable with its passphrase."""
    play, _mend = guide("A file from the security team")
    for host in HOSTS:
        files = [site.folder / "certificates" / f"{host}.{ending}" for ending in ("crt", "key", "pfx")]
        subprocess.run(["openssl", "pkcs12", "-export", "-in", files[0], "-inkey", files[1], "-out", files[2],
                        "-passout", "pass:a passphrase"], check=True)
    (site.folder / "play.yml").write_text(play)
    site.run("ansible-playbook play.yml -e \"vault_pfx_passphrase='a passphrase'\"")
    assert site.all_serve_what_is_wanted()


def test_the_guide_to_a_key_that_cannot_be_read(site: Site, authority: Authority) -> None:
    """A PKCS#1 key in place, mended there; the replacement then finds that a restart is enough."""
    _play, mend = guide("A file from the security team")
    pair = authority.issue(HOSTS[0], key=authority.rsa_key())
    server = site.servers[HOSTS[0]]
    server.put(pair, pair.key_pem("TraditionalOpenSSL"))
    (site.folder / "mend.yml").write_text(mend.replace("/var/opt/sesam/var", server.instance.sesam_var))
    site.place_modules("mend.yml")
    command = f"ansible-playbook mend.yml --limit {HOSTS[0]}"
    assert "changed=2 " in site.run(command)
    assert "changed=0 " in site.run(command)
    assert server.served() == pair.fingerprint
    assert readers.is_plain_pkcs8_of(server.instance.private_key, server.instance.certificate)
    kept = list(Path(server.instance.ssl_folder).glob("sesam.https.key.*"))
    assert [path.read_bytes() for path in kept] == [pair.key_pem("TraditionalOpenSSL")]


def test_the_guide_to_self_signed(site: Site) -> None:
    """As it stands there; the key is smaller here, since a test has no time."""
    (play,) = guide("Self-signed in five lines")
    assert len(play.splitlines()) == 5
    (site.folder / "play.yml").write_text(play)
    command = "ansible-playbook play.yml -e sesam_https_key_size=2048"
    site.run(command)
    for host, server in site.servers.items():
        found = certificate_in_place(server)
        assert found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == (
            x509.SubjectAlternativeName([x509.DNSName(host)]))
        assert server.served() == readers.on_disk(server.instance.certificate)
    assert site.run(command).count("changed=0 ") == len(HOSTS)


def test_the_guide_to_a_ca_of_ones_own(site: Site, authority: Authority) -> None:
    """Both commands, and between them community.crypto as the CA."""
    if reason := neighbours.missing("community.crypto", venvs.Venv()):
        pytest.skip(reason)
    (inventory,) = blocks("README.md")
    (site.folder / "inventory.yml").write_text(inventory)
    (sign,) = guide("Your own CA")
    (site.folder / "sign.yml").write_text(sign)
    (site.folder / "ca").mkdir()
    (site.folder / "ca" / "ca.crt").write_bytes(authority.issue().pem.partition(b"-----END CERTIFICATE-----\n")[2])
    (site.folder / "ca" / "ca.key").write_bytes(authority.key_pem())
    request, replace = commands("docs/sources.md", "ansible-playbook")
    site.run(f"{request} -e sesam_https_key_size=2048")
    assert sorted(path.name for path in (site.folder / "csr").iterdir()) == [f"{host}.csr" for host in HOSTS]
    site.run("ansible-playbook sign.yml")
    site.run(replace)
    for host, server in site.servers.items():
        assert host in str(certificate_in_place(server).subject)
        assert certificate_in_place(server).issuer == authority.certificate.subject
        assert server.served() == readers.on_disk(server.instance.certificate)
    assert site.run(replace).count("changed=0 ") == len(HOSTS)


def test_the_guide_to_acme(site: Site) -> None:
    """Paths of the host, which are links there; the paths are ours, the rest as it stands there."""
    (play,) = guide("ACME")
    live = site.folder / "live"
    for host in HOSTS:
        (live / host).mkdir(parents=True)
        for name, ending in (("fullchain.pem", "crt"), ("privkey.pem", "key")):
            (live / host / name).symlink_to(site.folder / "certificates" / f"{host}.{ending}")
    (site.folder / "play.yml").write_text(play.replace("/etc/letsencrypt/live", str(live)))
    site.place_modules("play.yml")
    site.run("ansible-playbook play.yml")
    assert site.all_serve_what_is_wanted()


def test_the_guide_to_hashicorp_vault_is_a_playbook(site: Site) -> None:
    """No Vault runs here; that Ansible takes the playbook is all that is shown."""
    if reason := neighbours.missing("community.hashi_vault", venvs.Venv()):
        pytest.skip(reason)
    (play,) = guide("HashiCorp Vault")
    (site.folder / "play.yml").write_text(play)
    site.run("ansible-playbook play.yml --syntax-check")


DRIFT = "docs/drift-check.md"


@pytest.fixture
def audited(site: Site) -> Site:
    """The same with the inventory of the README."""
    (inventory,) = blocks("README.md")
    (site.folder / "inventory.yml").write_text(inventory)
    return site


def test_the_drift_check(audited: Site) -> None:
    """As it is, and for some states alone; then in sync."""
    plain, chosen, *_others = commands(DRIFT, "ansible-playbook")
    assert "Drift on 2 of 2 hosts: 2 fallback_generated." in audited.run(plain, rc=2)
    assert "Drift on 2 of 2 hosts: 2 fallback_generated." in audited.run(chosen, rc=2)
    assert "No drift on 2 hosts." in audited.run(f"{chosen} -e sesam_drift_states=expired")
    audited.run(commands("README.md", "ansible-playbook")[1])
    assert "No drift on 2 hosts." in audited.run(plain)
    assert "skipping: no hosts matched" in audited.run(f"{plain} -e sesam_hosts=typo")


def test_the_drift_check_in_a_pipeline(audited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job fails where a host drifts, and for a group that is misspelt."""
    (job,) = yaml.safe_load(blocks(DRIFT)[0]).values()
    environment = audited.environment()
    monkeypatch.setattr(audited, "environment", lambda: {**environment, **job["variables"]})
    (command,) = job["script"]
    assert "- 'Drift on 2 of 2 hosts" in audited.run(command, rc=2)
    audited.run(f"{command} -e sesam_hosts=typo", rc=1)


def test_the_drift_check_in_a_crontab(audited: Site) -> None:
    """Silent where no host drifts."""
    text = (tree.ROOT / DRIFT).read_text()
    (line,) = re.findall(r"^    (?:\S+ ){5} *(cd .*)$", text, re.MULTILINE)
    line = line.replace("inventory.yml", "inventory.yml -i special.json -e ansible_become=false")
    environment = {**audited.environment(), "HOME": str(audited.folder.parent)}
    (audited.folder.parent / "sesam").symlink_to(audited.folder)

    def mailed() -> str:
        return subprocess.run(["sh", "-c", line], env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout

    assert "Drift on 2 of 2 hosts" in mailed()
    audited.run(commands("README.md", "ansible-playbook")[1])
    assert mailed() == ""


def test_groups_by_state(audited: Site) -> None:
    """The playbook with group_by; and the fact cache, of which the inventory makes groups."""
    _job, play, plugin = blocks(DRIFT)
    (audited.folder / "play.yml").write_text(play)
    audited.place_modules("play.yml")
    assert audited.run("ansible-playbook play.yml").count('"msg": "replace"') == len(HOSTS)
    (configuration,) = re.findall(r"```ini\n(.*?)```", (tree.ROOT / DRIFT).read_text(), re.DOTALL)
    (audited.folder / "ansible.cfg").write_text(configuration)
    (audited.folder / "states.yml").write_text(plugin)
    _plain, _chosen, check, replace = commands(DRIFT, "ansible-playbook")
    audited.run(check, rc=2)
    audited.run(replace)
    assert audited.all_serve_what_is_wanted()
    assert "skipping: no hosts matched" in audited.run(replace)


# Back to the former certificate


def test_the_guide_to_a_rollback(site: Site) -> None:
    """Every command as it stands there, and the playbook: back by the last, by a name, forth again."""
    (inventory,) = blocks("README.md")
    (site.folder / "inventory.yml").write_text(inventory)
    (play,) = blocks("docs/rollback.md")
    (site.folder / "play.yml").write_text(play)
    check, last, by_name = commands("docs/rollback.md", "ansible-playbook")
    (verify,) = commands("docs/rollback.md", "openssl")
    server, new = site.servers[HOSTS[0]], site.wanted[HOSTS[0]]
    old = site.authority.issue(HOSTS[0])
    server.put(old)
    server.instance.stop()
    server.instance.start()
    site.run(f"{commands('README.md', 'ansible-playbook')[1]} --limit {HOSTS[0]}")
    (backup,) = (server.state_folder / "backups").iterdir()
    assert f"-> {backup.name} (CN={HOSTS[0]}, until " in site.run(check)
    assert server.served() == new.fingerprint
    site.run(last)
    assert server.served() == old.fingerprint
    address = f"{server.instance.address}:{server.instance.port}"
    seen = subprocess.run(verify.replace(f"{HOSTS[0]}:11401", address), shell=True, check=True, capture_output=True)
    assert old.fingerprint in seen.stdout.decode().replace(":", "").lower()
    site.run(f"ansible-playbook play.yml --limit {HOSTS[0]}")
    assert server.served() == new.fingerprint
    site.run(by_name.replace("NAME", backup.name))
    assert server.served() == old.fingerprint


# What is named exists

DOCUMENTS = ["README.md", "roles/sesam_https/README.md", "tests/standin/README.md",
             *(f"docs/{path.name}" for path in sorted((tree.ROOT / "docs").glob("*.md")))]


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Relative links of the documents, to their headings too."""
    path = tree.ROOT / document
    for target in re.findall(r"\]\(([^)]+)", path.read_text()):
        name, _hash, anchor = target.partition("#")
        there = path.parent / name if name else path
        assert "://" in target or there.exists(), target
        assert "://" in target or not anchor or anchor in anchors(there), target


@functools.cache
def names_of_tests() -> set[str]:
    """The names of all tests."""
    found = (re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
             for path in (tree.ROOT / "tests").rglob("test_*.py"))
    return set().union(*found)


def is_command(words: list[str]) -> bool:
    """Whether the Makefile has such a target, and its program the arguments."""
    target, *rest = words
    program = tree.ROOT / "tests" / target / "__main__.py"
    known = program.read_text() if program.exists() else ""
    arguments = [word for one in rest for word in shlex.split(one.removeprefix("ARGS="))]
    return target in (tree.ROOT / "Makefile").read_text().partition(".PHONY: ")[2].partition("\n")[0].split() and all(
        word.isdigit() or word == "--help" or f'"{word}"' in known for word in arguments)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_is_there(document: str) -> None:
    """Tests, files of tests, and commands of the workbench."""
    text = (tree.ROOT / document).read_text()
    quoted = re.findall(r"`([^`\n]+)`", text)
    lines = re.findall(r"^    (make .*)$", text, re.MULTILINE)
    called = [words[5:] for words in (*quoted, *lines) if words.startswith("make ")]
    missing = [
        *(name for name in quoted if name.startswith("tests/") and not (tree.ROOT / name).exists()),
        *(name for name in quoted if re.fullmatch(r"test_\w+", name) and name not in names_of_tests()),
        *(f"make {words}" for words in called if not is_command(shlex.split(words))),
    ]
    assert missing == []
    assert called or document != "docs/performance.md"
    assert [name for name in quoted if name in names_of_tests()] or document != "docs/security.md"
