# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a certificate or a request is made anew: for what was asked for, its end, and nothing else."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.sep.sesam.plugins.plugin_utils import _renewal, _requests, _subjects
from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Refused as Refusal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from unit import openssl, pki

Refused = t.Callable[[t.Callable[[], object]], str]
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc)
SPEC = _requests.KeySpec.of(type="EC")
KEY = ec.generate_private_key(ec.SECP256R1())
WINDOW = _renewal.Window.parse("30d")
NAMES = ("a.example", "b.example", "192.0.2.7")


def asked(names: t.Sequence[str] = NAMES, subject: _subjects.Value = "") -> _requests.Identity:
    return _requests.identity(names, _subjects.parse(subject))


def general(name: str) -> x509.GeneralName:
    return _requests.identity([name]).san[0]


def there(
    names: t.Sequence[str | x509.GeneralName] = NAMES, subject: x509.Name | None = None, key: t.Any = KEY,
    ends: datetime.timedelta = 100 * DAY, life: datetime.timedelta = 200 * DAY, issuer: str = "anybody",
) -> x509.Certificate:
    """A certificate made by nothing of ours."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject if subject is not None else common("a.example")).issuer_name(common(issuer))
        .public_key(key.public_key()).serial_number(1).not_valid_before(NOW + ends - life).not_valid_after(NOW + ends))
    if names:
        san = [x509.DNSName(n) if isinstance(n, str) and n[0].isalpha() else general(n) if isinstance(n, str) else n
               for n in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def reasons(current: x509.Certificate | None, identity: _requests.Identity | None = None,
            spec: _requests.KeySpec = SPEC, window: str = "30d") -> list[str]:
    return _renewal.reasons(current, identity or asked(), spec, _renewal.Window.parse(window), NOW)


# --- the window


@pytest.mark.parametrize(("value", "before"), [
    ("30d", 30 * DAY), ("10h", 10 * HOUR), ("2w", 14 * DAY), ("0d", 0 * DAY), ("15%", 30 * DAY), ("0%", 0 * DAY),
    ("99%", 198 * DAY), (" 1 D ", DAY), ("36500d", 36500 * DAY), ("007d", 7 * DAY), ("1%", 2 * DAY),
])
def test_window(value: str, before: datetime.timedelta) -> None:
    certificate = there(ends=100 * DAY, life=200 * DAY)
    assert _renewal.Window.parse(value).opens(certificate) == NOW + 100 * DAY - before


@pytest.mark.parametrize("value", ["", "30", "d", "-1d", "1.5d", "30 days", "1m", "1y", "15 percent", "%", "٣d", "1d2h",
                                   "x" * 1000, "a\nb", "1d\n2"])
def test_what_is_no_window(refused: Refused, value: str) -> None:
    text = refused(lambda: _renewal.Window.parse(value))
    assert text.startswith(f'wanted error option-value: "{value[:10] if value.isprintable() else value[0]}')
    assert "30d (days), 10h (hours), 2w (weeks), 15%" in text
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize(("value", "words"), [
    ("100%", "renewed at every run"), ("999999999%", "renewed at every run"), ("36501d", "more than 36500 days"),
    ("999999999w", "more than 36500 days"), ("999999999h", "more than 36500 days"),
])
def test_windows_that_make_no_sense(refused: Refused, value: str, words: str) -> None:
    text = refused(lambda: _renewal.Window.parse(value))
    assert text.startswith(f"wanted error option-value: {value} ")
    assert words in text


def test_a_number_that_yaml_made() -> None:
    with pytest.raises(Refusal, match='"30" is no time'):
        _renewal.Window.parse(t.cast(str, 30))


@given(st.text())
def test_anything_is_a_window_or_refused(value: str) -> None:
    try:
        window = _renewal.Window.parse(value)
    except Refusal as exc:
        assert [finding.id for finding in exc.findings] == ["option-value"]  # noqa: PT017
    else:
        assert _renewal.Window.parse(window.text) == window


@given(st.integers(0, 36500), st.sampled_from("hdw%"))
def test_a_window_lies_before_the_end(number: int, unit: str) -> None:
    try:
        window = _renewal.Window.parse(f"{number}{unit}")
    except Refusal:
        assert (unit == "%" and number >= 100) or (unit == "w" and number > 36500 // 7)
        return
    hours = {"h": 1, "d": 24, "w": 168, "%": 2 * 24}[unit] * number
    assert window.opens(CERTIFICATE) == NOW + 100 * DAY - hours * HOUR


@pytest.mark.parametrize(("value", "days", "is_refused"), [
    ("30d", 31, False), ("30d", 30, True), ("30d", 29, True), ("99%", 1, False), ("23h", 1, False), ("24h", 1, True),
    ("0d", 1, False),
])
def test_a_window_as_long_as_the_life(refused: Refused, value: str, days: int, is_refused: bool) -> None:
    window = _renewal.Window.parse(value)
    if not is_refused:
        window.require_shorter_than(days)
        fresh = _requests.self_signed(asked(), KEY.public_key(), days=days, now=NOW).signed_by(KEY)
        assert reasons(x509.load_der_x509_certificate(fresh), window=value) == []
        return
    text = refused(lambda: window.require_shorter_than(days))
    assert text.startswith(f"wanted error option-value: A certificate of {days} days that is renewed {value} before")


CERTIFICATE = there()


# --- the end


@pytest.mark.parametrize(("ends", "window", "words"), [
    (30 * DAY + datetime.timedelta(seconds=1), "30d", None),
    (30 * DAY, "30d", "The certificate ends on 2026-12-24T12:00:00Z, and is renewed 30d before its end."),
    (DAY, "30d", "ends on 2026-11-25T12:00:00Z"), (10 * HOUR, "10h", "renewed 10h"), (11 * HOUR, "10h", None),
    (30 * DAY, "15%", "is renewed 15% before"), (31 * DAY, "15%", None),
    (datetime.timedelta(seconds=1), "0d", None), (-DAY, "0d", "The certificate ended on 2026-11-23T12:00:00Z."),
    (-DAY, "30d", "The certificate ended on"),
])
def test_the_end(ends: datetime.timedelta, window: str, words: str | None) -> None:
    found = reasons(there(ends=ends), window=window)
    if words is None:
        assert found == []
    else:
        assert len(found) == 1
        assert words in found[0]


# --- what was asked for


def test_nothing_there() -> None:
    assert reasons(None) == ["There is no certificate that can be read."]
    assert _renewal.request_differs(None, asked(), SPEC) == ["There is no request that can be read."]


@pytest.mark.parametrize(("names", "wanted", "found"), [
    (NAMES, ["A.EXAMPLE", "192.0.2.7", "b.example."], []),
    (["B.Example", "192.0.2.7", "A.example"], NAMES, []),
    (["xn--mller-kva.example"], ["müller.example"], []), (["2001:db8::7"], ["2001:DB8:0::7"], []),
    (NAMES[:2], NAMES, ["lacks names that were asked for: IP address 192.0.2.7."]),
    (NAMES, NAMES[1:], ["has names that were not asked for: a.example."]),
    (["a.example"], ["c.example", "d.example"], ["lacks names that were asked for: c.example, d.example.",
                                                 "has names that were not asked for: a.example."]),
    ([], ["a.example"], ["lacks names that were asked for: a.example."]),
    (["a.example", x509.RFC822Name("root@a.example")], ["a.example"], ["root@a.example"]),
    ([x509.DNSName("192.0.2.7")], ["192.0.2.7"], [
        "lacks names that were asked for: IP address 192.0.2.7.", "has names that were not asked for: 192.0.2.7."]),
])
def test_names(names: list[str | x509.GeneralName], wanted: list[str], found: list[str]) -> None:
    certificate = reasons(there(names), asked(wanted))
    request = _renewal.request_differs(pending(names), asked(wanted), SPEC)
    assert [sentence.replace("request", "certificate") for sentence in request] == certificate
    assert len(certificate) == len(found)
    assert all(words in sentence for words, sentence in zip(found, certificate))


RICH = "/C=DE/O=Example  Sons/OU=a/OU=b/CN=a.example"


@pytest.mark.parametrize(("have", "want", "is_other"), [
    (RICH, "", False), ("", "", False), ("/CN=z.example", "", False),
    (RICH, RICH, False), (RICH, "/C=de/O=EXAMPLE Sons/OU=A/OU=b/CN=A.example", False),
    (RICH, {"CN": "a.example", "OU": ["a", "b"], "O": "Example Sons", "C": "DE"}, False),
    (RICH, "/C=DE/O=Example Sons/OU=b/OU=a/CN=a.example", True), (RICH, "/CN=a.example", True),
    (RICH, RICH + "/L=x", True), ("", "/CN=a.example", True), (RICH, RICH.replace("DE", "AT"), True),
    ("/O=a.example", "/CN=a.example", True),
])
def test_subject(have: str, want: _subjects.Value, is_other: bool) -> None:
    """It counts only where one was asked for."""
    identity = asked(subject=want)
    for sentences in (reasons(there(subject=_subjects.parse(have)), identity),
                      _renewal.request_differs(pending(subject=_subjects.parse(have)), identity, SPEC)):
        assert len(sentences) == is_other
        assert all("has the subject " in sentence and "was asked for." in sentence for sentence in sentences)


def test_both_subjects_are_told() -> None:
    sentence = reasons(there(subject=_subjects.parse("/O=B/CN=a.example")), asked(subject="/O=A/CN=a.example"))
    assert sentence == ["The certificate has the subject CN=a.example,O=B, and CN=a.example,O=A was asked for."]
    assert "subject (empty)" in reasons(there(subject=x509.Name([])), asked(subject="/CN=a.example"))[0]


def test_the_kind_of_string_is_no_difference() -> None:
    printable_string = x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "DE")._type
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example", printable_string)])
    assert name.public_bytes() != common("a.example").public_bytes()
    assert reasons(there(subject=name), asked(subject="/CN=a.example")) == []


@pytest.mark.parametrize(("key", "spec", "words"), [
    (KEY, SPEC, None), (pki.rsa_key(), _requests.KeySpec.of(size=2048), None),
    (pki.rsa_key(), _requests.KeySpec.of(size=3072), "a key of RSA 2048, and RSA 3072 was asked for."),
    (pki.rsa_key(), SPEC, "RSA 2048, and EC secp256r1 was"),
    (KEY, _requests.KeySpec.of(), "EC secp256r1, and RSA 4096 was"),
    (KEY, _requests.KeySpec.of(type="EC", curve="secp384r1"), "EC secp256r1, and EC secp384r1 was"),
    (ed25519.Ed25519PrivateKey.generate(), SPEC, "Ed25519, and EC secp256r1 was"),
])
def test_key(key: t.Any, spec: _requests.KeySpec, words: str | None) -> None:
    for sentences in (reasons(there(key=key), spec=spec), _renewal.request_differs(pending(key=key), asked(), spec)):
        assert len(sentences) == (words is not None)
        assert words is None or words in sentences[0]


def test_every_reason_is_told() -> None:
    current = there(["z.example"], ends=DAY, key=pki.rsa_key())
    found = reasons(current, asked(subject="/O=Example/CN=a.example"))
    assert [sentence.split()[2] for sentence in found] == ["ends", "lacks", "has", "has", "has"]


@pytest.mark.parametrize("current", [
    there(issuer="Some CA"), there(life=9999 * DAY), there(list(reversed(NAMES))), there([n.upper() for n in NAMES]),
    pki.make(names=NAMES, ends=100, key=KEY, issuer=pki.make_ca()).certificate,
    pki.make(names=NAMES, ends=100, key=KEY, begins=50).certificate,
    pki.make(names=NAMES, ends=100, key=KEY, ca=True).certificate,
])
def test_no_other_reason(current: x509.Certificate) -> None:
    assert reasons(current) == []


@pytest.mark.parametrize("days", [31, 90, 365, 36500])
@pytest.mark.parametrize("subject", ["", RICH, {"CN": "Backup Server 1", "O": "Zoë"}])
@pytest.mark.parametrize("spec", [SPEC, _requests.KeySpec.of(size=2048)])
def test_what_was_made_stays(days: int, subject: _subjects.Value, spec: _requests.KeySpec) -> None:
    """Whatever was asked for: the next run has no reason to make it anew, nor to ask anew."""
    key: t.Any = KEY if spec == SPEC else pki.rsa_key()
    identity = asked(["Müller.example", *NAMES], subject)
    made = _requests.self_signed(identity, key.public_key(), days=days, now=NOW).signed_by(key)
    assert reasons(x509.load_der_x509_certificate(made), identity, spec) == []
    request = _requests.load_csr(_requests.csr(identity, key.public_key()).signed_by(key))
    assert _renewal.request_differs(request, identity, spec) == []


def test_the_plain_recipe_is_made_anew() -> None:
    pem = openssl.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      "/dev/null", "-days", "3650", "-subj", "/CN=a.example")
    assert reasons(x509.load_pem_x509_certificate(pem), asked(["a.example"])) == [
        "The certificate lacks names that were asked for: a.example."]


# --- requests


def pending(
    names: t.Sequence[str | x509.GeneralName] = NAMES, subject: x509.Name | None = None, key: t.Any = KEY,
) -> x509.CertificateSigningRequest:
    """A request made by nothing of ours."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        subject if subject is not None else common("a.example"))
    for extension in there(names, key=key).extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def test_a_request_with_a_broken_signature() -> None:
    der = bytearray(pending().public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    request = _requests.load_csr(bytes(der))
    assert _renewal.request_differs(request, asked(), SPEC) == ["The request is not signed by its own key."]


# --- what cannot be read


@pytest.mark.parametrize(("old", "new", "words"), [
    (bytes.fromhex("0603551d11"), bytes.fromhex("0603551d0f"), "lacks names"),
    (b"\x0c\x09a.example", b"\x0c\x09a.\xff\xff\xff\xff\xff\xff\xff", "subject (unreadable), and O=x was asked"),
    (b"\x0c\x09a.example", b"\x07\x09a.example", "subject (unreadable), and O=x was asked"),
    (b"\x0c\x09a.example", b"\x03\x09\0.example", "subject (unreadable), and O=x was asked"),
    (bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f"), "a key of an unknown kind"),
])
def test_a_part_that_cannot_be_read_is_a_difference(old: bytes, new: bytes, words: str) -> None:
    der = there(["a.example"]).public_bytes(serialization.Encoding.DER)
    broken = x509.load_der_x509_certificate(der.replace(old, new))
    assert der != der.replace(old, new)
    assert [sentence for sentence in reasons(broken, asked(["a.example"], "/O=x")) if words in sentence]


@pytest.mark.parametrize("year", [b"0000", b"0001"])
def test_dates_that_make_no_sense(year: bytes) -> None:
    far = there(ends=40 * 365 * DAY, life=DAY)
    der = far.public_bytes(serialization.Encoding.DER)
    assert der.count(b"20661114") == 1
    broken = x509.load_der_x509_certificate(der.replace(b"20661114", year + b"1114"))
    assert reasons(broken, window="36500d") == ["The certificate has no dates that can be read."]
    assert reasons(far) == []
