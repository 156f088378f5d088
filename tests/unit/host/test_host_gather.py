# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is seen of a host as a whole, on a stand-in: whose process listens, where rmi is, what could not be seen."""

from __future__ import annotations

import json
import os
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import gather, lookup, sm_main
from unit import pki

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

Make = t.Callable[..., t.Any]
AsNobody = t.Callable[[t.Callable[[], object]], str]


@pytest.fixture
def listener(site: t.Any) -> t.Iterator[socket.socket]:
    """Ourselves on the port of rmi."""
    with socket.create_server((site.instance.address, site.instance.port)) as server:
        yield server


def source(seen: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    return next(dict(one) for one in seen["sources"] if one["name"] == name)


def test_all_is_well(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    site.instance.start()
    seen = site.resolve()
    assert (seen["rmi"]["pid"], seen["rmi"]["foreign"], seen["rmi"]["listens_on"]) == (site.instance.pid(), None, [])
    assert (seen["unseen"], seen["journal"], seen["journal_damage"]) == ([], None, None)
    assert (seen["log"]["source"], seen["log"]["of_this_start"]) == (lookup.DEFAULT_LOCATION, True)
    # The pair in place stands in the answer once.
    assert source(seen, lookup.DEFAULT_LOCATION)["pair"] is None
    assert gather.pair_of(seen, source(seen, lookup.DEFAULT_LOCATION)) == seen["disk"]


def test_sm_main_is_not_asked_where_the_port_serves_what_it_should(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    site.instance.start()
    site.instance.set(status="hangs")
    assert site.resolve()["rmi"]["pid"] == site.instance.pid()


def test_another_program_on_the_port(site: t.Any, listener: socket.socket) -> None:
    seen = site.resolve()
    assert (seen["rmi"]["is_running"], seen["rmi"]["foreign"]) == (False, os.getpid())
    assert seen["rmi"]["pid"] is None
    assert source(seen, lookup.COMMAND_LINE)["verdict"] == "unseen"


def test_another_program_beside_an_rmi_that_runs(site: t.Any, listener: socket.socket, new: pki.Pair) -> None:
    """The sources are those of rmi, and not those of the process that listens."""
    site.instance.set(port_busy="stays", command_line_certificate="/c", command_line_key="/k")
    site.instance.start()
    seen = site.resolve()
    assert (seen["rmi"]["is_running"], seen["rmi"]["foreign"]) == (True, os.getpid())
    assert seen["rmi"]["pid"] == site.instance.pid()
    assert source(seen, lookup.COMMAND_LINE)["certificate"] == "/c"


def test_who_cannot_be_asked_is_not_called_foreign(site: t.Any, listener: socket.socket) -> None:
    site.instance.set(status="fails")
    seen = site.resolve()
    assert (seen["rmi"]["pid"], seen["rmi"]["foreign"]) == (os.getpid(), None)


def test_an_rmi_that_listens_elsewhere(site: t.Any, new: pki.Pair) -> None:
    site.put(new)
    site.instance.start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        seen = site.program.ask("resolve", {**site.parameters, "port": free.getsockname()[1]})
    assert seen["rmi"]["listens_on"] == [[site.instance.address, site.instance.port]]
    assert (seen["rmi"]["pid"], seen["served"]["status"]) == (site.instance.pid(), "closed")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"run": "x"}', '{"run": {"id": 1, "by": "y"}}'])
def test_a_journal_that_is_damaged_is_told_and_no_failure(site: t.Any, text: str) -> None:
    site.state.mkdir(mode=0o700)
    (site.state / "journal").write_text(text)
    seen = site.resolve()
    assert (seen["journal"], seen["journal_damage"]["id"]) == (None, "journal-damaged")


def test_what_somebody_without_rights_is_told(
    make_site: Make, as_nobody: AsNobody, new: pki.Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sm_main, "GLOBAL_VARIABLES", str(tmp_path / "none"))
    site = make_site()
    site.put(new)
    site.state.mkdir(mode=0o700)
    site.instance.start()
    gather.gather(site.parameters)  # whatever is loaded late is loaded: nobody cannot read our Python
    seen = json.loads(as_nobody(lambda: json.dumps(gather.gather(site.parameters))))
    assert (seen["rmi"]["pid"], seen["rmi"]["is_running"], seen["served"]["status"]) == (None, True, "tls")
    told = "\n".join(seen["unseen"])
    assert [words for words in (
        "the command line of rmi", f"there is no permission to read {site.instance.private_key}",
        f"which process listens on port {site.instance.port}", f"what is kept in {site.state}",
    ) if words not in told] == []
    assert source(seen, lookup.DEFAULT_LOCATION)["verdict"] == "unseen"
    assert seen["disk"]["certificate"]["chain"] == new.base64_chain


@pytest.mark.parametrize("place", [lookup.SM_INI, lookup.ENVIRONMENT, lookup.COMMAND_LINE])
def test_the_log_line_of_another_source(site: t.Any, tmp_path: Path, new: pki.Pair, place: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    certificate, private_key = folder / "sesam.https.crt", folder / "sesam.https.key"
    certificate.write_bytes(new.pem)
    private_key.write_bytes(new.key_pem)
    variables = {"PATH": os.defpath}
    if place == lookup.SM_INI:
        sm_ini = Path(site.instance.sm_ini)
        sm_ini.write_text(sm_ini.read_text().replace("[UI]", f"gv_ro_ssl={folder}/\n[UI]"))
    elif place == lookup.ENVIRONMENT:
        variables |= {"SESAM_SSL_CERT": str(certificate), "SESAM_SSL_KEY": str(private_key)}
    else:
        site.instance.set(command_line_certificate=certificate, command_line_key=private_key)
    site.instance.start(env=variables)
    seen = site.resolve()
    assert (seen["log"]["source"], source(seen, place)["verdict"]) == (place, "usable")
    assert seen["served"]["chain"] == source(seen, place)["pair"]["certificate"]["chain"]
