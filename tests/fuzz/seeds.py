# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What mutation begins with: an input of every kind that people have, good ones and such as are refused."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import typing as t
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dh, dsa, ec, x25519
from integration import forms

# To each kind of input, how often it is taken: what is opened in a child costs a hundred times as much.
CHEAP, IN_A_CHILD, SCRYPT = 100, 2, 0.02
KINDS = ("RSA 2048", "P-256", "P-521", "Ed25519", "Ed448")


class Seed(t.NamedTuple):
    """An input, the passphrase that opens it, and the clean pair that belongs to it."""

    kind: str
    content: bytes
    weight: float
    passphrase: str | None = None
    certificate: bytes = b""
    private_key: bytes = b""


def make(folder: Path) -> tuple[list[Seed], list[str]]:
    """All seeds; and what this machine cannot make, by name."""
    stock, seeds, missing = forms.Stock(folder), [], []
    for kind in KINDS:
        key, chain = stock.key(kind), stock.chain(kind)
        pair = {"certificate": b"".join(chain), "private_key": key}
        for form in (*forms.KEYS_IN_PEM, *forms.KEYS_IN_DER, *forms.KEYS_UNREADABLE, *forms.CONTAINERS):
            if kind not in form.kinds:
                continue
            try:
                content = form.make(key, chain) if form in forms.CONTAINERS else form.make(key)
            except forms.CannotMake as exc:
                missing.append(f"{kind}: {form.name} ({exc})")
                continue
            seeds.append(Seed(f"{kind}: {form.name}", content, _weight(form), form.passphrase, **pair))
        for name, content in _chains(key, chain).items():
            seeds.append(Seed(f"{kind}: {name}", content, CHEAP, None, **pair))
    pair = {"certificate": b"".join(stock.chain("P-256")), "private_key": stock.key("P-256")}
    encrypted = forms.openssh(pair["private_key"], forms.PASSPHRASE)
    seeds.append(Seed("P-256: encrypted OpenSSH", encrypted, IN_A_CHILD, forms.PASSPHRASE, **pair))
    seeds += [Seed(name, content, CHEAP, None, **pair) for name, content in _others(stock).items()]
    return seeds, missing


def _weight(form: forms.Form) -> float:
    if "scrypt" in form.name:
        return SCRYPT
    return IN_A_CHILD if "PBES" in form.name or "PKCS#12" in form.name or "OpenSSH" in form.name else CHEAP


def _chains(key: bytes, chain: t.Sequence[bytes]) -> dict[str, bytes]:
    every = b"".join(chain)
    return {
        "chain": every,
        "leaf in DER": forms.der(chain[0]),
        "key and chain": key + every,
        "chain in another order, and key": b"".join(chain[::-1]) + key,
        "PKCS#7": forms.pkcs7(chain),
        "PKCS#7 in DER": forms.pkcs7(chain, "DER"),
        "PKCS#7 as base64 alone": base64.encodebytes(forms.pkcs7(chain, "DER")),
        "key as base64 alone": base64.encodebytes(forms.der(key)),
        "two keys": key + key,
        **{f"chain, {disturbance.name}": disturbance.make(key + every) for disturbance in forms.DISTURBANCES
           if disturbance.fits(key + every)},
    }  # fmt: skip


def _others(stock: forms.Stock) -> dict[str, bytes]:
    """What is neither key nor chain, and odd ones of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.timezone.utc)
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    revoked = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now).next_update(now)
    leaf = stock.chain("P-256")[0]
    return {
        "CSR": request.public_bytes(serialization.Encoding.PEM),
        "CSR in DER": request.public_bytes(serialization.Encoding.DER),
        "CRL": revoked.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        "public key": public,
        "trusted certificate": forms.openssl("x509", "-trustout", "-addtrust", "serverAuth", content=leaf),
        "certificate with odd extensions": _odd(key).public_bytes(serialization.Encoding.PEM),
        "certificate with odd extensions in DER": _odd(key).public_bytes(serialization.Encoding.DER),
        "JKS": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1\0\1x" + bytes(range(256)),
        "JCEKS": b"\xce\xce\xce\xce\0\0\0\2\0\0\0\1\0\0\0\1\0\1x" + bytes(range(256)),
        "text": b"This is the certificate of backup.example. Please install it soon.\n",
        "path": b"/etc/ssl/private/backup.example.key",
        "path of a home": b"~/certificates/backup.example.key",
        "parameters": b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
        **{f"key of {name}": _pkcs8(key) for name, key in _odd_keys().items()},
        "traditional key of DSA": _odd_keys()["DSA"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
        "key on explicit parameters of a curve": forms.openssl(
            "ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit"),
    }


def _odd_keys() -> dict[str, t.Any]:
    """What the library reads and no server uses."""
    return {
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "brainpool": ec.generate_private_key(ec.BrainpoolP384R1()),
        "X25519": x25519.X25519PrivateKey.generate(),
        "DSA": dsa.generate_private_key(1024),
        "DH": _diffie_hellman_key(),
    }


def _diffie_hellman_key() -> dh.DHPrivateKey:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That it is deprecated.
        return dh.generate_parameters(2, 512).generate_private_key()


def _pkcs8(key: t.Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem


def _odd(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """One with every kind of name, many extensions and text that a terminal would obey."""
    oid = x509.NameOID
    name = x509.Name([x509.NameAttribute(oid.COMMON_NAME, "\x1b[31mred\n"), x509.NameAttribute(oid.COUNTRY_NAME, "DE"),
                      x509.NameAttribute(oid.ORGANIZATION_NAME, "Ünïcode \N{GRINNING FACE}")])
    names: list[x509.GeneralName] = [
        x509.DNSName("*.backup.example"), x509.IPAddress(ipaddress.ip_address("::1")),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.RFC822Name("a@backup.example"),
        x509.UniformResourceIdentifier("https://backup.example"), x509.DirectoryName(name),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01x"),
    ]  # fmt: skip
    begin = datetime.datetime(1950, 1, 1, tzinfo=datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin.replace(year=9999))
    )  # fmt: skip
    extensions: list[x509.ExtensionType] = [
        x509.SubjectAlternativeName(names), x509.BasicConstraints(True, 0), x509.OCSPNoCheck(),
        x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier("1.2.3")]),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier(b"x" * 20, [x509.DirectoryName(name)], 1),
        x509.NameConstraints([x509.DNSName("example")], [x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))]),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), ["a text"])]),
        x509.CRLDistributionPoints([x509.DistributionPoint(names[4:5], None, None, None)]),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"),
    ]
    for number, extension in enumerate(extensions):
        builder = builder.add_extension(extension, critical=bool(number % 2))
    return builder.sign(key, hashes.SHA256())
