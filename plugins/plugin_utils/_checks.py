# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From certificates to findings: key, identity, validity, usage, chain. Private to this collection.

Pure functions, for the certificate that is wanted and for the one in place alike. A chain is taken leaf first, as it
is or will be placed; its path is what signatures say, whatever the order behind the leaf.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils import _certificates, _names, _trust
from ansible_collections.sep.sesam.plugins.plugin_utils._catalogue import finding
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Subject, brief, printable

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID
except ImportError:  # _base tells it, before anything here is called.
    pass

Chain = t.Sequence["x509.Certificate"]
_called = _certificates.called

_RSA_LEAST, _RSA_GOOD = 2048, 3072
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
# The upper bound of a CN (RFC 5280, appendix A.1: ub-common-name).
_CN_LIMIT = 64
_DAY = datetime.timedelta(days=1)
_SKEW = 300.0
# Policies of the CA/Browser Forum, which public CAs alone state.
_PUBLIC_POLICIES = "2.23.140.1."
# How long a public certificate may live that was issued since then (Baseline Requirements, 6.3.2), newest first.
_PUBLIC_LIMITS = (
    (datetime.datetime(2029, 3, 15, tzinfo=datetime.timezone.utc), 47),
    (datetime.datetime(2027, 3, 15, tzinfo=datetime.timezone.utc), 100),
    (datetime.datetime(2026, 3, 15, tzinfo=datetime.timezone.utc), 200),
    (datetime.datetime.min.replace(tzinfo=datetime.timezone.utc), 398),
)
# As the field calls them.
_HASHES = {"sha1": "SHA-1"}
# That many certificates are named in a message.
_NAMED = 3


def of_chain(
    chain: Chain,
    *,
    subject: Subject,
    names: t.Sequence[str] = (),
    names_are_given: bool = False,
    trusted: Chain | None = None,
) -> list[Finding]:
    """Key, identity, usage and chain; nothing that depends on the time.

    C(names) are those under which clients ask, given by a user or guessed; C(trusted) is a CA bundle.
    """
    leaf = chain[0]
    path, strangers = _certificates.in_order(chain, leaf)
    return [
        *_unreadable(chain, subject),
        *_key(leaf, subject),
        *_identity(leaf, subject, names, names_are_given),
        *_usage(leaf, subject),
        *_signatures(path, subject),
        *_completeness(path, strangers, subject, trusted),
        *_root(path, subject),
    ]


def of_order(given: Chain, path: Chain, strangers: Chain, *, subject: Subject) -> list[Finding]:
    """How a chain came, against its path and what is left over, as C(_certificates.in_order) makes them."""
    once = list(dict.fromkeys(given))
    repeated = [certificate for certificate in once if given.count(certificate) > 1]
    findings = []
    if once[: len(path)] != list(path):
        findings.append(finding("chain-order", subject, f"The certificates stood as {_listed(once, ' > ')}; "
                                                        f"in order, leaf first, they are {_listed(path, ' > ')}."))
    if strangers:
        findings.append(finding(
            "chain-stranger", subject, f"Not in the path of {_called(path[0])}: {_listed(strangers)}."))
    if repeated:
        findings.append(finding("chain-duplicate", subject, f"There more than once: {_listed(repeated)}."))
    return findings


def of_validity(
    chain: Chain, *, subject: Subject, moment: datetime.datetime, expiring_days: float = 30,
    trusted: Chain | None = None,
) -> list[Finding]:
    """What is or will soon be over at a moment, best that of the host's clock.

    The path is that to C(trusted), where there is one: behind it may stand what older clients need, and be over.
    """
    leaf = chain[0]
    path, strangers = _certificates.in_order(chain, leaf)
    built = _trust.build(leaf, chain[1:], trusted) if trusted else None
    if built and built.builds:
        path, strangers = built.path, [certificate for certificate in chain if certificate not in built.path]
    return [
        *_dates(leaf, subject, moment, expiring_days),
        *_public_lifetime(leaf, subject),
        *_dates_of_issuers(path, subject, moment),
        *(finding("chain-expired-member", subject,
                  f"{_called(stranger)}, outside of the path, ended on {_certificates.in_utc(_end(stranger))}.",
                  level="info", fix="Leave it out: nobody uses it.")
          for stranger in strangers if _end(stranger) < moment),
    ]


def of_replacement(
    leaf: x509.Certificate, *, on_disk: x509.Certificate | None, served: x509.Certificate | None
) -> list[Finding]:
    """A new certificate, against the one in place and the one that the port serves."""
    findings = []
    key = _certificates.spki(leaf)
    if on_disk is not None and on_disk != leaf and key and key == _certificates.spki(on_disk):
        findings.append(finding(
            "key-reused", "wanted",
            f"{_called(leaf)} has the same key as the certificate in place, which ends on "
            f"{_certificates.in_utc(_end(on_disk))}."))
    if served is not None and served != leaf and _end(leaf) < _end(served):
        findings.append(finding(
            "older-than-served", "wanted",
            f"{_called(leaf)} ends on {_certificates.in_utc(_end(leaf))}, the certificate served now "
            f"({_called(served)}) not before {_certificates.in_utc(_end(served))}."))
    return findings


def clock_skew(host_clock: float, own_clock: float) -> list[Finding]:
    """Whether two clocks, in seconds since 1970, tell different times."""
    difference = host_clock - own_clock
    if abs(difference) <= _SKEW:
        return []
    return [finding(
        "clock-skew", "place",
        f"The clock of the host is {abs(difference):.0f} s {'ahead of' if difference > 0 else 'behind'} that of the "
        f"controller; up to {_SKEW:.0f} s are taken as the same time.")]


def _listed(certificates: Chain, separator: str = ", ") -> str:
    """The first few of them by name, and how many more there are."""
    named = separator.join(_called(certificate) for certificate in certificates[:_NAMED])
    return f"{named} and {len(certificates) - _NAMED} more" if len(certificates) > _NAMED else named


def _begin(certificate: x509.Certificate) -> datetime.datetime:
    return certificate.not_valid_before_utc


def _end(certificate: x509.Certificate) -> datetime.datetime:
    return certificate.not_valid_after_utc


def _unreadable(chain: Chain, subject: Subject) -> t.Iterator[Finding]:
    for number, certificate in enumerate(chain):
        if parts := _certificates.unreadable_parts(certificate):
            words = "; ".join(f"{part}: {why}" for part, why in parts.items())
            yield finding(
                "certificate-unreadable-part", subject,
                f"Certificate {number + 1} of the chain ({_called(certificate)}) cannot be read in full, so not all of "
                f"it was checked. {words.rstrip('.')}.", level="warning" if number else "error")


# Key


def _key(leaf: x509.Certificate, subject: Subject) -> list[Finding]:
    try:
        key = leaf.public_key()
    except _certificates.UNREADABLE as exc:
        if leaf.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5:
            return []  # Told as an unreadable part.
        return [finding("key-rsa-weak", subject, f"The RSA key of {_called(leaf)} cannot be used: {exc}")]
    words = _certificates.key_in_words(key)
    if isinstance(key, rsa.RSAPublicKey):
        return _rsa(key, words, subject)
    if isinstance(key, dsa.DSAPublicKey):
        return [finding("key-dsa", subject, f"The key is {words}; clients want RSA or EC.")]
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return []
    is_edwards = isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))
    return [finding("key-curve", subject,
                    f"The key is {words}; {'browsers and older Java want' if is_edwards else 'clients want'} RSA or EC "
                    f"on P-256, P-384 or P-521.", level="warning" if is_edwards else "error")]


def _rsa(key: rsa.RSAPublicKey, words: str, subject: Subject) -> list[Finding]:
    findings = []
    if key.key_size < _RSA_GOOD:
        is_too_small = key.key_size < _RSA_LEAST
        findings.append(finding(
            "key-rsa-too-small", subject,
            f"The key is {words}; {f'clients want {_RSA_LEAST}' if is_too_small else f'advised are {_RSA_GOOD}'} bits "
            "or more.", level="error" if is_too_small else "info"))
    numbers = key.public_numbers()
    if numbers.e < 3 or numbers.e % 2 == 0 or numbers.n % 2 == 0:
        findings.append(finding(
            "key-rsa-weak", subject,
            f"The RSA key has the exponent {numbers.e} and {'an even' if numbers.n % 2 == 0 else 'an odd'} modulus; "
            "both have to be odd, and the exponent 3 or more."))
    return findings


# Identity


def of_served(leaf: x509.Certificate, names: t.Sequence[str]) -> list[Finding]:
    """Whether a certificate that is served, and comes from nowhere where it should, is at least for these names."""
    dns_names, addresses = _names_in(leaf) or ([], [])
    missing = [printable(name) for name in names if not _names.is_covered(name, dns_names, addresses)]
    if not missing:
        return []
    return [finding("served-name", "current",
                    f"The certificate that is served now, {_called(leaf)}, is not for {', '.join(missing)}.")]


def _names_in(leaf: x509.Certificate) -> tuple[list[str], list[_names.Address]] | None:
    """DNS names and IP addresses of the SAN; C(None) where the extensions cannot be read."""
    san = _certificates.extension(leaf, x509.SubjectAlternativeName)
    if san is None:
        return None if "extensions" in _certificates.unreadable_parts(leaf) else ([], [])
    addresses = [a for a in san.get_values_for_type(x509.IPAddress) if isinstance(a, _names.Address)]
    return san.get_values_for_type(x509.DNSName), addresses


def _identity(
    leaf: x509.Certificate, subject: Subject, names: t.Sequence[str], names_are_given: bool
) -> list[Finding]:
    found = _names_in(leaf)
    if found is None:
        return []  # Told as an unreadable part: whether it has names is not known.
    dns_names, addresses = found
    has_names = bool(dns_names or addresses)
    common_names = _certificates.common_names(leaf)
    in_words = brief(", ".join([*dns_names, *map(str, addresses)])) or "none"

    def lacking(wanted: t.Iterable[str]) -> list[str]:
        return [printable(name) for name in wanted if not _names.is_covered(name, dns_names, addresses)]

    findings = []
    if not has_names:
        findings.append(finding("san-missing", subject, f"{_called(leaf)} has no DNS name and no IP address in its "
                                                        "SAN, so no client takes it for any server."))
    if missing := lacking(names):
        findings.append(finding(
            "name-not-covered", subject,
            f"{_called(leaf)} is not for {', '.join(missing)}; the names in its SAN are: {in_words}.",
            level="error" if names_are_given else "warning"))
    findings += _syntax(dns_names, names, subject)
    if has_names and (missing := lacking(common_names)):
        findings.append(finding("cn-not-in-san", subject, f"The CN {', '.join(missing)} is not among the names in the "
                                                          f"SAN: {in_words}."))
    findings += [
        finding("cn-too-long", subject,
                f"The CN has {len(name)} characters, at most {_CN_LIMIT} are allowed: {printable(name)}.")
        for name in common_names if len(name) > _CN_LIMIT]
    return findings


def _syntax(dns_names: t.Iterable[str], wanted: t.Iterable[str], subject: Subject) -> t.Iterator[Finding]:
    faulty = {name: _names.faults(name) for name in dns_names}
    for name in dns_names:
        if _names.as_address(name):
            faulty[name].append("an IP address that stands as a DNS name, where no client looks for it")
    for name in wanted:
        if not _names.as_address(name):
            faulty.setdefault(name, _names.faults(_names.to_a_labels(name.removesuffix("."))))
    for name, faults in faulty.items():
        if faults:
            yield finding("name-syntax", subject, f"The name {printable(name)!r} is not right: {', '.join(faults)}.")


# Usage


def _usage(leaf: x509.Certificate, subject: Subject) -> list[Finding]:
    findings = []
    basic = _certificates.extension(leaf, x509.BasicConstraints)
    purposes = _certificates.extension(leaf, x509.ExtendedKeyUsage)
    if basic is not None and basic.ca:
        is_self_signed = _certificates.is_self_signed(leaf)
        findings.append(finding(
            "is-ca", subject,
            f"{_called(leaf)} is a certificate of a CA (CA:TRUE){', signed by itself' if is_self_signed else ''}; "
            "that of a server has CA:FALSE.", level="warning" if is_self_signed else "error"))
    if purposes is not None and ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        seen = ", ".join(_purpose(oid) for oid in purposes)
        findings.append(finding("eku-server-auth", subject,
                                f"{_called(leaf)} is for {seen} alone (extendedKeyUsage), and not for servers."))
    return findings + _key_usage(leaf, subject)


def _purpose(oid: x509.ObjectIdentifier) -> str:
    named = {value: name for name, value in vars(ExtendedKeyUsageOID).items() if not name.startswith("_")}
    return str(named.get(oid, oid.dotted_string)).lower().replace("_", " ")


def _key_usage(leaf: x509.Certificate, subject: Subject) -> list[Finding]:
    usage = _certificates.extension(leaf, x509.KeyUsage)
    if usage is None:
        return []
    is_rsa = leaf.public_key_algorithm_oid in (
        PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5, PublicKeyAlgorithmOID.RSASSA_PSS)
    if not usage.digital_signature:
        return [finding("key-usage", subject, f"The keyUsage of {_called(leaf)} lacks digitalSignature, without which "
                                              "no client speaks TLS 1.3 with it.")]
    if is_rsa != usage.key_encipherment:
        return [finding("key-usage", subject,
                        f"The keyUsage of {_called(leaf)} {'lacks' if is_rsa else 'has'} keyEncipherment, which RSA "
                        "keys have and others have not.", level="warning")]
    return []


def _signatures(path: Chain, subject: Subject) -> t.Iterator[Finding]:
    """Of the leaf and of every issuer but a root, whose own signature nobody checks."""
    for certificate in path:
        is_root = certificate is not path[0] and _certificates.is_self_signed(certificate)
        if (hash_name := _certificates.weak_hash(certificate)) and not is_root:
            yield finding("signature-weak", subject,
                          f"{_called(certificate)} is signed by {brief(_certificates.issuer(certificate), 100)} with "
                          f"{_HASHES.get(hash_name, hash_name.upper())}; clients want SHA-256 or better.")


# Chain


def _completeness(path: Chain, strangers: Chain, subject: Subject, trusted: Chain | None) -> list[Finding]:
    if trusted is not None:
        built = _trust.build(path[0], [*path[1:], *strangers], trusted)
        if not built.builds:
            return [_does_not_build(built, subject, trusted)]
        strict_words = built.strict_words
    else:
        if _has_gap(path, strangers):
            return [_gap(path, strangers, subject)]
        strict_words = _trust.strictness(path)
    if not strict_words:
        return []
    return [finding("chain-strict", subject, f"Strict clients refuse this chain: {strict_words.rstrip('.')}.")]


def _does_not_build(built: _trust.Built, subject: Subject, trusted: Chain) -> Finding:
    end = built.path[-1]
    if len(built.path) == 1 and _certificates.is_self_signed(end):
        return finding(
            "chain-incomplete", subject, f"{_called(end)} is signed by itself, and is not in ca_bundle "
            f"({_listed(trusted)}).", level="error",
            fix="Put it into ca_bundle, or leave ca_bundle out: no CA stands above it.")
    issued = "" if _certificates.is_self_signed(end) else f", issued by {brief(_certificates.issuer(end), 100)}"
    return finding(
        "chain-incomplete", subject,
        f"The chain of {_called(built.path[0])} does not build to a CA of ca_bundle ({_listed(trusted)}); it leads to "
        f"{_called(end)}{issued}. {built.words.rstrip('.')}.", level="error")


def _has_gap(path: Chain, strangers: Chain) -> bool:
    """Whether something is missing as far as that can be known without the root.

    A leaf with its intermediates and no root is right. A leaf alone is right below a root only; and where a CA is
    left over, there is something between it and the end of the path.
    """
    if _certificates.is_self_signed(path[-1]):
        return False
    return len(path) == 1 or any(_is_ca(stranger) for stranger in strangers)


def _is_ca(certificate: x509.Certificate) -> bool:
    basic = _certificates.extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca


def _gap(path: Chain, strangers: Chain, subject: Subject) -> Finding:
    end, issuer = path[-1], _certificates.issuer(path[-1])
    same_name = any(_certificates.subject(stranger) == issuer for stranger in strangers)
    why = "there is one of that name, with another key" if same_name else "it is not in the chain"
    return finding(
        "chain-incomplete", subject,
        f"The certificate of {brief(issuer, 100)}, which issued {_called(end)}, is missing: {why}. If that is a root CA"
        " which all clients have, all is well.")


def _root(path: Chain, subject: Subject) -> list[Finding]:
    if len(path) == 1 or not _certificates.is_self_signed(path[-1]):
        return []
    return [finding("root-included", subject, f"The chain holds its root too: {_called(path[-1])}.")]


# Validity


def _dates(
    leaf: x509.Certificate, subject: Subject, moment: datetime.datetime, expiring_days: float
) -> list[Finding]:
    begin, end, now = (_certificates.in_utc(date) for date in (_begin(leaf), _end(leaf), moment))
    if _end(leaf) < moment:
        return [finding("expired", subject, f"{_called(leaf)} ended on {end}; it is {now}.")]
    if moment < _begin(leaf):
        return [finding("not-yet-valid", subject, f"{_called(leaf)} begins on {begin}; it is {now}.")]
    window = min((_end(leaf) - _begin(leaf)) / 3, expiring_days * _DAY)
    if _end(leaf) - moment > window:
        return []
    return [finding("expiring", subject, f"{_called(leaf)} ends on {end}, in {(_end(leaf) - moment) / _DAY:.1f} days; "
                                         f"this is told from {window / _DAY:.1f} days before.")]


def _public_lifetime(leaf: x509.Certificate, subject: Subject) -> list[Finding]:
    limit = next(days for since, days in _PUBLIC_LIMITS if since <= _begin(leaf))
    life = _end(leaf) - _begin(leaf)
    if life <= limit * _DAY or not _is_public(leaf):
        return []
    return [finding(
        "lifetime-public", subject,
        f"{_called(leaf)} of a public CA lives {life / _DAY:.1f} days; browsers accept {limit} for one that begins on "
        f"{_certificates.in_utc(_begin(leaf))}.")]


def _is_public(leaf: x509.Certificate) -> bool:
    """By a policy of the CA/Browser Forum, or by embedded proofs of Certificate Transparency."""
    policies = _certificates.extension(leaf, x509.CertificatePolicies) or ()
    return any(policy.policy_identifier.dotted_string.startswith(_PUBLIC_POLICIES) for policy in policies) or (
        _certificates.extension(leaf, x509.PrecertificateSignedCertificateTimestamps) is not None)


def _dates_of_issuers(path: Chain, subject: Subject, moment: datetime.datetime) -> t.Iterator[Finding]:
    leaf = path[0]
    for issuer in path[1:]:
        begin, end = _certificates.in_utc(_begin(issuer)), _certificates.in_utc(_end(issuer))
        if _end(issuer) < moment:
            yield finding("chain-expired-member", subject,
                          f"{_called(issuer)}, in the path of {_called(leaf)}, ended on {end}.")
        elif moment < _begin(issuer):
            yield finding("chain-expired-member", subject,
                          f"{_called(issuer)}, in the path of {_called(leaf)}, begins on {begin}.")
        elif _end(issuer) < _end(leaf):
            yield finding("chain-ends-earlier", subject,
                          f"{_called(issuer)} ends on {end}, before {_called(leaf)}, which ends on "
                          f"{_certificates.in_utc(_end(leaf))}.")
