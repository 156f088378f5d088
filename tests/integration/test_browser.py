# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A browser trusts the certificates that are made right, by name, on the server's port; and refuses the others."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from integration import browser, forms
from integration.browser import Browser
from integration.certificates import Authority, Pair
from integration.servers import Server

NAME = "backup.example"
MakeServer = t.Callable[..., Server]


@pytest.fixture
def chromium(tmp_path: Path) -> Browser:
    """With an empty store."""
    return Browser(tmp_path / "browser's home")


def self_signed(name: str) -> Pair:
    """What sesam_selfsigned makes."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.timezone.utc)
    made = _requests.self_signed(_requests.identity([name]), key.public_key(), days=365, now=now)
    return Pair(x509.load_der_x509_certificate(made.signed_by(key)), key)


def by_the_recipe(name: str, folder: Path) -> Pair:
    """By openssl, with a subject and nothing else, as the vendor's documentation has it."""
    key, certificate = folder / "recipe.key", folder / "recipe.crt"
    try:
        forms.openssl("req", "-x509", "-newkey", "rsa:2048", "-sha256", "-days", "365", "-nodes",
                      "-subj", f"/CN={name}", "-keyout", key, "-out", certificate)
    except forms.CannotMake as exc:
        pytest.skip(str(exc))
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    return Pair(x509.load_pem_x509_certificate(certificate.read_bytes()), t.cast("rsa.RSAPrivateKey", loaded))


def shown(chromium: Browser, server: Server, name: str = NAME, picture: Path | None = None) -> browser.Page:
    """What is seen of the server's own page."""
    with chromium.running(server.instance.address) as tab:
        page = tab.open(f"https://{name}:{server.instance.port}/sep/ui/")
        if picture:
            picture.write_bytes(tab.picture())
    return page


PAGE = browser.Page("", "SEP sesam Web UI", "SEP sesam Web UI")


def is_refused(page: browser.Page, why: str) -> bool:
    """Whether a warning is shown in the place of the page, for one reason alone."""
    return page.error == f"net::{why}" and f"NET::{why}" in page.text and PAGE.text not in page.text


def test_one_of_a_ca_that_is_in_the_store(
    chromium: Browser, make_server: MakeServer, authority: Authority, tmp_path: Path
) -> None:
    server = make_server(authority.issue(NAME))
    assert is_refused(shown(chromium, server), "ERR_CERT_AUTHORITY_INVALID")
    chromium.trust(authority.certificate.public_bytes(serialization.Encoding.PEM))
    assert shown(chromium, server, picture=tmp_path / "trusted.png") == PAGE
    # The name is looked at: it is no browser that trusts all.
    assert is_refused(shown(chromium, server, "other.example"), "ERR_CERT_COMMON_NAME_INVALID")


def test_a_self_signed_one_that_is_in_the_store(chromium: Browser, make_server: MakeServer) -> None:
    pair = self_signed(NAME)
    server = make_server(pair)
    assert is_refused(shown(chromium, server), "ERR_CERT_AUTHORITY_INVALID")
    chromium.trust(pair.pem, browser.SERVER)
    assert shown(chromium, server) == PAGE
    assert is_refused(shown(chromium, server, "other.example"), "ERR_CERT_COMMON_NAME_INVALID")


@pytest.mark.parametrize("how", [browser.CA, browser.SERVER])
def test_the_plain_recipe_is_refused_although_it_is_in_the_store(
    how: str, chromium: Browser, make_server: MakeServer, tmp_path: Path
) -> None:
    """It has no SAN, and nobody reads the CN any more."""
    pair = by_the_recipe(NAME, tmp_path)
    server = make_server(pair)
    chromium.trust(pair.pem, how)
    assert is_refused(shown(chromium, server, picture=tmp_path / "refused.png"), "ERR_CERT_COMMON_NAME_INVALID")
