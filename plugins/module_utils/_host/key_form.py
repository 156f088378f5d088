# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of a private key, told from its DER structure and not from its label.

PKCS#8: RFC 5208, RFC 5958. PKCS#1: RFC 8017 A.1.2. SEC1: RFC 5915. Java's key factory, and so the REST
server, reads PKCS#8 alone.
"""

import base64
import binascii
import re
import typing as t

from . import der

PKCS8 = "PKCS#8"
PKCS8_ENCRYPTED = "encrypted PKCS#8"
PKCS1 = "PKCS#1"
SEC1 = "SEC1"
DSA = "traditional DSA"
TRADITIONAL_ENCRYPTED = "traditional encrypted"
OPENSSH = "OpenSSH"
NONE = "no private key"

_BLOCK = re.compile(
    br"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[ \t]*\r?\n(.*?)-----END \1-----", re.DOTALL)


def of(content: bytes) -> str:
    """Name the form of the first private key in a file's content.

    A PKCS#8 structure under another label, or without any (DER), is not what the server reads: the name
    says so.
    """
    block = _BLOCK.search(content)
    if block is None:
        form = of_der(content)
        return NONE if form == NONE else "%s in DER" % form
    label, body = block.group(1), block.group(2)
    if b"Proc-Type:" in body:
        return TRADITIONAL_ENCRYPTED
    if label == b"OPENSSH PRIVATE KEY":
        return OPENSSH
    try:
        form = of_der(base64.b64decode(b"".join(body.split()), validate=True))
    except (binascii.Error, ValueError):
        return NONE
    if form == PKCS8 and label != b"PRIVATE KEY":
        return "PKCS#8 labelled %s" % label.decode("ascii")
    return form


def of_der(content: bytes) -> str:
    """Name the form of a private key in DER, by the kinds of its first members."""
    outer = der.element(content, 0)
    if outer is None or outer[0] != der.SEQUENCE:
        return NONE
    tags: t.List[int] = []
    position, end = outer[1], outer[2]
    while position < end and len(tags) < 9:
        element = der.element(content, position)
        if element is None:
            return NONE
        tags.append(element[0])
        position = element[2]
    if tags[:3] == [der.INTEGER, der.SEQUENCE, der.OCTETS]:
        return PKCS8
    if tags == [der.SEQUENCE, der.OCTETS]:
        return PKCS8_ENCRYPTED
    if tags == [der.INTEGER] * 9:
        return PKCS1
    if tags == [der.INTEGER] * 6:
        return DSA
    if tags[:2] == [der.INTEGER, der.OCTETS]:
        return SEC1
    return NONE
