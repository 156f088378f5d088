#!/usr/bin/python
# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: sesam_pkcs8_convert
short_description: Convert any private key or container to unencrypted PKCS#8, the one form that SEP sesam reads
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Makes unencrypted PKCS#8 in PEM (RFC 5208, RFC 5958) of a private key, and proves that it is still the same key.
  - On the controller, with O(private_key), O(pkcs12) or O(certificate), reads PKCS#8, PKCS#1, SEC1, encrypted forms of
    each, PEM and DER, PKCS#12, OpenSSH keys and PKCS#7 chains, with CRLF, byte order marks, UTF-16, bag attributes or
    other text around them. What a file is, its content says and not its name. The chain comes back in order, leaf
    first. Runs in the controller's process, in check mode too; no host is asked.
  - On the host, with O(src) and O(dest), the key stays there. Unencrypted PKCS#1 and SEC1, a key in place that the
    server cannot read, are wrapped without any tool; other forms need the C(openssl) command of the host.
  - A Java keystore is not read; the message says how C(keytool) makes a PKCS#12 of it.
options:
  certificate:
    description:
      - A certificate, with its chain if it has one, in any order. It may carry the key too.
      - Path on the controller, or content. Binary content is given as base64.
    type: str
  private_key:
    description:
      - The private key. Path on the controller, best of a file that is encrypted with Ansible Vault, or content.
    type: str
  chain:
    description:
      - Further certificates of the chain. Path or content.
    type: str
  pkcs12:
    description:
      - A PKCS#12 (C(.pfx), C(.p12)) with key and certificates. Path or content.
    type: str
  passphrase:
    description:
      - The passphrase of the key or container. With O(src), it goes to the host's C(openssl) by a file descriptor.
    type: str
  src:
    description:
      - The file on the host that holds the key. It is not changed, unless O(dest) is the same.
    type: path
  dest:
    description:
      - The file on the host that shall hold the key as PKCS#8. May be that of O(src).
      - Left alone when it is unencrypted PKCS#8 of the same key already, however it is written.
    type: path
  mode:
    description:
      - The mode of O(dest), three octal digits in quotes.
    type: raw
    default: "0600"
  backup:
    description:
      - Keep what O(dest) held, beside it, with mode 0600.
    type: bool
    default: false
  owner:
    description:
      - Owner of O(dest), a name or a number. Without it, that of the file replaced, who has to be root or the owner
        of O(src); where there is none, the owner of O(src).
    type: str
  group:
    description:
      - Group of O(dest), a name or a number. Without it, that of the file replaced.
    type: str
extends_documentation_fragment:
  - sep.sesam.exposure
  - sep.sesam.transport
  - sep.sesam.attributes
attributes:
  diff_mode:
    support: partial
    details: With O(dest), form, mode and owner; never the key.
notes:
  - A result that holds a key is hidden, as with C(no_log), and can be registered. Do not set C(no_log) for the task,
    it would hide the message of a failure too. In a loop, a failure after such a result is hidden as well.
  - A private key in PKCS#12, OpenSSH or an encrypted form costs what its maker made its passphrase cost. It is opened
    in a child process with limits, 1.8 seconds of processor time and 256 MiB.
seealso:
  - module: sep.sesam.sesam_cert_replace
    description: Converts by itself what it is given.
  - module: community.crypto.openssl_privatekey_convert
"""

EXAMPLES = r"""
- name: Mend a PKCS#1 key that is in place, where it is
  sep.sesam.sesam_pkcs8_convert:
    src: /var/opt/sesam/var/ini/ssl/sesam.https.key
    dest: /var/opt/sesam/var/ini/ssl/sesam.https.key
    backup: true

- name: Open the PFX file of the security team
  sep.sesam.sesam_pkcs8_convert:
    pkcs12: files/backup.example.com.pfx
    passphrase: "{{ vault_pfx_passphrase }}"
  register: opened

- name: Say what is in it
  ansible.builtin.debug:
    msg: "{{ opened.certificates | map(attribute='subject') | join(', issued by ') }}"
"""

RETURN = r"""
private_key:
  description: The key as unencrypted PKCS#8 in PEM. The result is hidden.
  returned: success, for a key of the controller
  type: str
certificate:
  description: The certificate of this key in PEM, empty if none was given.
  returned: success, for a key of the controller
  type: str
chain:
  description: The further certificates in PEM, each behind the one that it has signed.
  returned: success, for a key of the controller
  type: str
certificates:
  description: The facts of all certificates, leaf first, as M(sep.sesam.sesam_cert_resolve) returns them.
  returned: success, for a key of the controller
  type: list
  elements: dict
form_before:
  description: The form in which the key was found.
  returned: success
  type: str
  sample: PKCS#1
spki_sha256:
  description:
    - The SHA-256 hash of the key's SubjectPublicKeyInfo, which was the same before and after.
    - V(null) on a host without C(openssl), for a key that does not carry its public half.
  returned: success
  type: str
  sample: 6c2c7a3b8c0b0a8d9ff53bcd4a0a6e0a9a4a1c0a3c5d6e7f8091a2b3c4d5e6f7
backup:
  description: The file that holds what O(dest) held.
  returned: with O(src)
  type: str
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
    from ansible_collections.sep.sesam.plugins.module_utils._host import conversion  # noqa: F401 (sent along) pylint: disable=unused-import
except ImportError:
    pass  # The answer says what the Python of the host lacks.


def main():
    module = AnsibleModule(argument_spec=_arguments.CONVERT, supports_check_mode=True, **_arguments.CONVERT_RULES)
    if module.params["order"] is None:
        module.fail_json(msg="This module works through its action plugin alone: call sep.sesam.sesam_pkcs8_convert.")
    # No invocation: a connection prints what a module answers at -vvv, and its arguments may hold a key.
    module.exit_json(invocation={}, **answer("convert", _arguments.parameters(module.params, module.check_mode)))


if __name__ == "__main__":
    main()
