# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of a private key, told from its DER structure and not from its label.

PKCS#8: RFC 5208, RFC 5958. PKCS#1: RFC 8017 A.1.2. SEC1: RFC 5915. Java's key factory, and so the REST
server, reads PKCS#8 alone.
"""

import typing as t

from . import der, pem

PKCS8 = "PKCS#8"
PKCS8_ENCRYPTED = "encrypted PKCS#8"
PKCS1 = "PKCS#1"
SEC1 = "SEC1"
DSA = "traditional DSA"
TRADITIONAL_ENCRYPTED = "traditional encrypted"
OPENSSH = "OpenSSH"
NONE = "no private key"

# The file may begin with a BOM, hold CRLF, text and certificates: what counts is the first private key.
_LABEL_END = "PRIVATE KEY"


def blocks(content: bytes) -> t.List[pem.Block]:
    """The private keys of a PEM file."""
    return [block for block in pem.blocks(content) if block.is_whole and block.label.endswith(_LABEL_END)]


def of(content: bytes) -> str:
    """Name the form of the first private key in a file's content.

    A PKCS#8 structure under another label, or without any (DER), is not what the server reads: the name
    says so.
    """
    found = blocks(content)
    if not found:
        form = of_der(content)
        return NONE if form == NONE else "%s in DER" % form
    return of_block(found[0])


def of_block(block: pem.Block) -> str:
    """The same for one block of a PEM file."""
    if b"Proc-Type:" in block.body:
        return TRADITIONAL_ENCRYPTED
    if block.label == "OPENSSH PRIVATE KEY":
        return OPENSSH
    try:
        form = of_der(block.der())
    except ValueError:
        return NONE
    if form == PKCS8 and block.label != "PRIVATE KEY":
        return "PKCS#8 labelled %s" % block.label
    return form


def of_der(content: bytes) -> str:
    """Name the form of a private key in DER, by the kinds of its first members."""
    try:
        tags = [member.tag for member in der.members(content, 9)]
    except der.Damaged:
        return NONE
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
