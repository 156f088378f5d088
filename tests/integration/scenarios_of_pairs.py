# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scenarios: the pair in the default location is not good, not the wanted one, or not the one that is served."""

from __future__ import annotations

import dataclasses
import subprocess
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .certificates import Pair
from .scenario import NAME, Expected, Host, Steps

GENERATED = ["generated", "none"]
DEFAULT = ["default_location"]


def nothing_anywhere(host: Host) -> Steps:
    host.is_asked = False
    host.start()
    yield Expected("fallback_generated", "replace", "generated", {"fallback-generated", "served-name"}, ["generated"],
                   ["generated"], says="no source has a pair")


# It cannot work.


def pkcs1(host: Host) -> Steps:
    """As `openssl genrsa -traditional` makes it."""
    pair = host.wanted = host.authority.issue(NAME, host.authority.rsa_key())
    host.put(pair, pair.key_pem("TraditionalOpenSSL"))
    host.start()
    yield Expected("broken_pair", "replace", "generated", {"source-broken", "served-name"}, GENERATED,
                   says="PKCS#1")


def encrypted_key(host: Host) -> Steps:
    host.put(host.wanted, host.wanted.key_pem(passphrase="secret"))
    host.start()
    yield Expected("broken_pair", "replace", "generated", {"source-broken", "served-name"}, GENERATED,
                   says="encrypted PKCS#8")


def key_of_another_certificate(host: Host) -> Steps:
    host.put(host.wanted, host.old.key_pem())
    host.start()
    yield Expected("broken_pair", "replace", "generated", {"source-broken", "served-name"}, GENERATED,
                   says="do not work together")


def certificate_in_der(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.certificate).write_bytes(host.wanted.chain[0])
    host.start()
    yield Expected("broken_pair", "replace", "generated", {"source-broken", "served-name"}, GENERATED,
                   says="holds no certificate in PEM")


def certificate_alone(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.private_key).unlink()
    host.start()
    yield Expected("half_pair", "replace", "generated", {"half-pair", "served-name"}, GENERATED,
                   says="sesam.https.key does not exist")


def key_alone(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.certificate).unlink()
    host.start()
    yield Expected("half_pair", "replace", "generated", {"half-pair", "served-name"}, GENERATED,
                   says="sesam.https.crt does not exist")


# It is not the one that is served.


def newer_than_the_process(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    host.later()
    host.put(host.wanted)
    yield Expected("stale_process", "restart", "unknown", {"stale-process"}, DEFAULT,
                   says="The pair of the default location is newer than the process")


def newer_and_not_the_wanted_one(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    host.later()
    host.put(host.authority.issue(NAME))
    yield Expected("stale_process", "replace", "unknown", {"stale-process"}, DEFAULT)


def chain_newer_than_the_process(host: Host) -> Steps:
    host.put(dataclasses.replace(host.wanted, above=()))
    host.start()
    host.later()
    host.put(host.wanted)
    yield Expected("stale_process", "restart", "default_location", {"stale-process", "served-chain"}, DEFAULT,
                   says="The chain of the default location is newer")


def generated_before_the_pair_came(host: Host) -> Steps:
    host.start()
    host.later()
    host.put(host.wanted)
    yield Expected("fallback_generated", "restart", "generated", {"fallback-generated", "served-name"}, DEFAULT,
                   says="is newer than this start")


def generated_for_no_known_reason(host: Host) -> Steps:
    """The server has taken a dislike to a pair that is good by all that is known of it."""
    host.put(host.wanted)
    host.later()
    host.start(serves="other")
    yield Expected("fallback_generated", "restart", "generated", {"fallback-generated"}, DEFAULT,
                   says="is older than this start")


def served_from_nowhere(host: Host) -> Steps:
    """And no server has made it itself: a CA has, though just before the start."""
    files = host.write("elsewhere", host.authority.issue(NAME, begins=0))
    host.put(host.wanted)
    host.later()
    host.start(serves=f"{files.certificate},{files.private_key}")
    yield Expected("unknown_certificate", "restart", "unknown", {"unknown-certificate"}, DEFAULT,
                   says="is in no source")


def served_from_nowhere_and_nothing_in_place(host: Host) -> Steps:
    """And no server has made it itself: it is self-signed, and older than the process."""
    files = host.write("elsewhere", Pair(host.authority.certificate, _loaded(host.authority.key_pem())))
    host.start(serves=f"{files.certificate},{files.private_key}")
    yield Expected("unknown_certificate", "replace", "unknown", {"unknown-certificate", "served-name"}, ["generated"],
                   says="No source has a pair")


# It is served and whole, and not as it should be.


def not_the_wanted_one(host: Host) -> Steps:
    host.put(host.old)
    host.start()
    yield Expected("file_drift", "replace", "default_location", [], DEFAULT, says="is not the wanted one")


def without_its_intermediate(host: Host) -> Steps:
    host.put(dataclasses.replace(host.wanted, above=()))
    host.start()
    yield Expected("file_drift", "replace", "default_location", [], DEFAULT, says="is not the wanted one")


def key_that_everybody_can_read(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.private_key).chmod(0o644)
    host.start()
    yield Expected("file_drift", "replace", "default_location", {"key-permissions"}, DEFAULT, says="has mode 0644")


def key_that_a_group_can_read(host: Host) -> Steps:
    host.put(host.wanted)
    Path(host.instance.private_key).chmod(0o640)
    host.start()
    yield Expected("file_drift", "replace", "default_location", {"key-permissions"}, DEFAULT, says="has mode 0640")


def other_name(host: Host) -> Steps:
    host.is_asked = False
    host.put(host.authority.issue("other.example"))
    host.start()
    yield Expected("wrong_name", "renew", "default_location", {"name-not-covered"}, DEFAULT, says=NAME)


def no_san(host: Host) -> Steps:
    """As the documented recipe makes it."""
    host.is_asked = False
    host.put(_by_the_recipe(host.folder("recipe")))
    host.start()
    yield Expected("wrong_name", "renew", "default_location",
                   {"san-missing", "name-not-covered", "is-ca", "chain-incomplete"}, DEFAULT, says="in its SAN")


def _by_the_recipe(folder: Path) -> Pair:
    certificate, key = folder / "made.crt", folder / "made.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "365", "-subj", f"/CN={NAME}",
         "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)  # fmt: skip
    return Pair(x509.load_pem_x509_certificate(certificate.read_bytes()), _loaded(key.read_bytes()))


def _loaded(pem: bytes) -> t.Any:
    return serialization.load_pem_private_key(pem, None)


def expired(host: Host) -> Steps:
    host.is_asked = False
    host.put(host.authority.issue(NAME, begins=-60, days=59))
    host.start()
    yield Expected("expired", "renew", "default_location", {"expired"}, DEFAULT)


def expired_though_wanted(host: Host) -> Steps:
    """It is the one that is handed in."""
    new, host.wanted = host.wanted, host.authority.issue(NAME, begins=-60, days=59)
    host.put(host.wanted)
    host.start()
    yield Expected("expired", "renew", "default_location", {"expired"}, DEFAULT)
    host.wanted = new


def expiring(host: Host) -> Steps:
    host.is_asked = False
    host.put(host.authority.issue(NAME, begins=-85, days=90))
    host.start()
    yield Expected("expiring", "renew", "default_location", {"expiring"}, DEFAULT)


def expired_behind_a_stopped_rmi(host: Host) -> Steps:
    host.put(host.authority.issue(NAME, begins=-60, days=59))
    yield Expected("stopped", "start", None, {"expired"}, DEFAULT)


SCENARIOS = (
    nothing_anywhere, pkcs1, encrypted_key, key_of_another_certificate, certificate_in_der, certificate_alone,
    key_alone, newer_than_the_process, newer_and_not_the_wanted_one, chain_newer_than_the_process,
    generated_before_the_pair_came, generated_for_no_known_reason, served_from_nowhere,
    served_from_nowhere_and_nothing_in_place, not_the_wanted_one, without_its_intermediate,
    key_that_everybody_can_read, key_that_a_group_can_read, other_name, no_san, expired, expired_though_wanted,
    expiring, expired_behind_a_stopped_rmi,
)  # fmt: skip
