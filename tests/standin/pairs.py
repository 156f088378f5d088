# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, the sep.sesam contributors
"""Making certificates: the generated pair, and one that looks like another (needs ``cryptography``)."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
import typing as t

from .home import CERTIFICATE_NAME, KEY_NAME, Home, read_text, write_whole
from .switches import StandinError

if t.TYPE_CHECKING:
    from cryptography import x509

PREFIX = "sesam-https-"


def generated(home: Home, host_name: str) -> tuple[str, str]:
    """A self-signed pair for ``host_name`` in the system's temporary folder."""
    x509 = _x509()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host_name[:64])])
    names = x509.SubjectAlternativeName([x509.DNSName(host_name)])
    return _write(home, name, [names])


def look_alike(home: Home, certificate: bytes) -> tuple[str, str]:
    """A self-signed pair with the subject and names of ``certificate``, but a key and number of its own."""
    x509 = _x509()
    model = x509.load_pem_x509_certificates(certificate)[0]
    names = [
        extension.value for extension in model.extensions if isinstance(extension.value, x509.SubjectAlternativeName)
    ]
    return _write(home, model.subject, names)


def forget(home: Home) -> None:
    """Remove the temporary folders of earlier starts."""
    for folder in (read_text(home.generated_note) or "").splitlines():
        if os.path.basename(folder).startswith(PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
    if os.path.exists(home.run):
        write_whole(home.generated_note, "")


def _x509() -> t.Any:
    try:
        from cryptography import x509
    except ImportError as error:
        raise StandinError(f"making a certificate needs the Python package cryptography ({error})") from error
    return x509


def _write(home: Home, subject: x509.Name, extensions: list[x509.ExtensionType]) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())  # quick to make: a start must not take a second
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    folder = tempfile.mkdtemp(prefix=PREFIX)
    write_whole(home.generated_note, (read_text(home.generated_note) or "") + folder + "\n")
    paths = os.path.join(folder, CERTIFICATE_NAME), os.path.join(folder, KEY_NAME)
    contents = (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    for path, content in zip(paths, contents, strict=True):
        with open(path, "wb") as stream:
            stream.write(content)
    return paths
