#!/usr/bin/python
# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: sesam_selfsigned
short_description: Make a private key, a self-signed certificate that browsers take, or a certificate request
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Makes what the documentation of SEP sesam makes by hand (RSA 4096, SHA-256, 365 days), and makes it right, with a
    SAN (RFC 9525), CA:FALSE, the usages of a server, and key identifiers (RFC 5280). The documented recipe gives a CA
    without a SAN, which browsers refuse.
  - Makes a certificate anew only for a reason. It ends within O(renew_before), or its names, subject, key type or key
    size are not those asked for, or its key is not there. RV(reasons) says which.
  - With O(certificate_path) and O(private_key_path), writes files on the host, which needs Python alone.
  - With O(pending), makes a key and a certificate request (CSR) for the server's CA, in a folder beside the certificate
    in service, which is not touched. The key is made on the host and never leaves it. When the CA has answered,
    M(sep.sesam.sesam_cert_replace) takes the answer and the pending key. Asking again changes nothing.
  - With O(current), asks no host. Whether a new pair is needed, and that pair, is the result.
options:
  names:
    description:
      - The names by which clients call the server, DNS names and IP addresses. They become the SAN.
      - Without it, the CN of O(subject); without that, the name of the host in the inventory.
    type: list
    elements: str
  subject:
    description:
      - The subject, as C(/C=DE/O=Example/CN=backup.example.com) or as a dictionary with the same short names. Only the
        CN matters; it joins the SAN if it is a host name.
      - Without it, the CN is the first name.
    type: raw
  key_type:
    description:
      - The type of a new key.
    type: str
    choices: [RSA, EC]
    default: RSA
  key_size:
    description:
      - The size of a new RSA key in bits, from 2048 to 8192.
    type: int
    default: 4096
  curve:
    description:
      - The curve of a new EC key.
    type: str
    choices: [secp256r1, secp384r1, secp521r1]
    default: secp256r1
  days:
    description:
      - The life of a new certificate in days. Another number alone is no reason for a new certificate.
    type: int
    default: 365
  renew_before:
    description:
      - How long before its end a certificate is made anew, such as V(30d), V(10h), V(2w), or V(15%) of its life.
    type: str
    default: 30d
  keep_key:
    description:
      - Keep the key in place when the certificate is made anew, if it is of the kind asked for. The host signs with its
        C(openssl) command, so that the key does not leave it.
    type: bool
    default: false
  current:
    description:
      - The certificate that is in place, as content, or an empty text for none. With it, nothing is written anywhere.
      - With O(private_key_path), a new pair is made also where the key there cannot be used or belongs to another
        certificate. With O(keep_key) too, the host signs the new certificate.
    type: str
  certificate_path:
    description:
      - The file on the host that holds the certificate.
    type: path
  private_key_path:
    description:
      - The file on the host that holds the private key. A new one is unencrypted PKCS#8; its mode is 0600.
      - A key that is there and has no certificate yet is used. One that cannot be used, such as an encrypted one, is
        not replaced, unless O(renew_key).
    type: path
  csr_path:
    description:
      - The file on the host for a certificate request of the same key, names and usages.
      - Without O(certificate_path), the request alone is made, and the key if it is not there.
    type: path
  csr_from_certificate:
    description:
      - Make the request from the certificate that is in O(certificate_path), with all of its extensions that belong
        into a request, and leave that certificate as it is. This is the step C(x509toreq) of the vendor's
        documentation.
    type: bool
    default: false
  pending:
    description:
      - Make key and request in the folder C(<SESAM_VAR>/ini/.sep-sesam/pending) of the installation.
    type: bool
    default: false
  key_from:
    description:
      - Who makes the key of a request. V(host), with its C(openssl) command, so that the key never leaves it, or
        V(controller), which sends it there.
    type: str
    choices: [host, controller]
    default: host
  renew_key:
    description:
      - Make a new key for a request, though there is one. A CA's answer to the former request does not fit it.
      - Also lets a key be replaced that is there and cannot be used.
    type: bool
    default: false
  csr_folder:
    description:
      - A folder on the controller into which the request is written too, as C(<inventory_hostname>.csr). It is made if
        it is not there.
    type: str
  backup:
    description:
      - Keep the files that are replaced, beside them, with mode 0600. A key that does not belong to the certificate
        beside it is kept in any case.
    type: bool
    default: false
  owner:
    description:
      - Owner of the files, a name or a number. Without it, that of the file replaced.
    type: str
  group:
    description:
      - Group of the files, a name or a number. Without it, that of the file replaced.
    type: str
extends_documentation_fragment:
  - sep.sesam.exposure
  - sep.sesam.installation
  - sep.sesam.transport
  - sep.sesam.attributes
attributes:
  diff_mode:
    support: none
notes:
  - Key and certificate that are written together never stand beside a half that does not belong to them.
  - The options that say where an installation is count with O(pending) alone.
seealso:
  - module: sep.sesam.sesam_cert_replace
  - module: sep.sesam.sesam_pkcs8_convert
"""

EXAMPLES = r"""
- name: A self-signed certificate in two files, made anew 30 days before its end
  sep.sesam.sesam_selfsigned:
    names: [backup.example.com, 192.0.2.7]
    certificate_path: /etc/ssl/backup.crt
    private_key_path: /etc/ssl/backup.key

- name: Make a key and a request for the CA, beside the certificate in service
  sep.sesam.sesam_selfsigned:
    pending: true
    subject: /C=DE/O=Example/CN=backup.example.com
  register: request

- name: A request from the certificate and key that are there
  sep.sesam.sesam_selfsigned:
    certificate_path: /etc/ssl/backup.crt
    private_key_path: /etc/ssl/backup.key
    csr_path: /etc/ssl/backup.csr
    csr_from_certificate: true
"""

RETURN = r"""
reasons:
  description: Why something was made, or in check mode would be; empty when all may stay as it is.
  returned: success
  type: list
  elements: str
  sample: ["The certificate lacks names that were asked for: backup2.example.com."]
certificate:
  description: The certificate in PEM. With O(current), only when it is new.
  returned: when there is one
  type: str
certificate_facts:
  description: The facts of the certificate, as M(sep.sesam.sesam_cert_resolve) returns them.
  returned: when there is one
  type: dict
private_key:
  description: The new key as unencrypted PKCS#8 in PEM. The result is hidden then, and can be registered.
  returned: with O(current), when a new pair was made
  type: str
csr:
  description: The request in PEM. It is no secret.
  returned: when there is one
  type: str
csr_file:
  description: The file on the controller that holds the request.
  returned: with O(csr_folder), when there is a request
  type: str
csr_facts:
  description: C(subject), C(names), C(public_key), C(public_key_sha256) and C(signature_valid) of the request.
  returned: when there is one
  type: dict
spki_sha256:
  description: The SHA-256 hash of the certificate's SubjectPublicKeyInfo.
  returned: when there is a certificate
  type: str
paths:
  description: Where on the host the files are, by C(certificate), C(private_key) and C(csr).
  returned: when the host was asked
  type: dict
backups:
  description: For each file that was replaced, the file that holds what it held.
  returned: when the host was asked
  type: dict
findings:
  description: What is worth knowing, in the shape that M(sep.sesam.sesam_cert_resolve) returns.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.module_utils._host.answer import answer

try:
    from ansible_collections.sep.sesam.plugins.module_utils._host import key_files  # noqa: F401 (sent along) pylint: disable=unused-import
except ImportError:
    pass  # The answer says what the Python of the host lacks.


def main():
    module = AnsibleModule(argument_spec=_arguments.SELFSIGNED, supports_check_mode=True, **_arguments.SELFSIGNED_RULES)
    if module.params["order"] is None:
        module.fail_json(msg="This module works through its action plugin alone: call sep.sesam.sesam_selfsigned.")
    # No invocation: a connection prints what a module answers at -vvv, and its arguments may hold a key.
    module.exit_json(invocation={}, **answer("key_files", _arguments.parameters(module.params, module.check_mode)))


if __name__ == "__main__":
    main()
