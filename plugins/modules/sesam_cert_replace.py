#!/usr/bin/python
# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: sesam_cert_replace
short_description: Replace the HTTPS certificate of a running SEP sesam REST server, or put the old one back
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Stops C(rmi), puts a certificate and its private key into the default location, starts C(rmi), and waits until the
    port serves this very certificate and the log of this start names its file. If any of it fails, the old pair is
    put back, C(rmi) is started with it, and that is verified in the same way.
  - Does the smallest repair that leads there. Nothing when the server serves the wanted certificate from the wanted
    files, a restart when only the process is old.
  - One call on the host does it all, so that a controller that dies, or a connection that drops, between stop and
    start does no harm. The host finishes what it has begun.
  - The pair may come in any container, PEM, DER, PKCS#12 or PKCS#7, its key in any form, with or without a passphrase.
    It is converted on the controller to unencrypted PKCS#8, the only form that the server reads, and proved to be the
    same key. Or the key is on the host already; then it stays there (O(pending), O(remote_src), O(backup)).
  - What cannot end well is refused before C(rmi) is touched, with all of its reasons. A key that does not belong, a
    certificate for other names, expired, of a CA, without a SAN, with a weak key or signature, and more; see
    C(docs/findings.md) of the collection.
  - A C(rmi) that was stopped stays stopped; see O(start_stopped).
options:
  certificate:
    description:
      - The certificate, with its chain if it has one, in any order. It may carry the key too.
      - The path of a file on the controller, or its content; binary content is given as base64.
      - A file is found like those of M(ansible.builtin.copy), else relative to where the command is run. It may be
        encrypted with Ansible Vault.
      - One of O(certificate), O(pkcs12) and O(backup) is required.
    type: str
  private_key:
    description:
      - The private key, as the path of a file on the controller or as its content. Best a file that is encrypted with
        Ansible Vault; it is decrypted in memory.
      - Without it, the key is in O(certificate) or O(pkcs12), or on the host.
    type: str
  chain:
    description:
      - Further certificates of the chain, if they are not in the same file as the certificate. Path or content.
    type: str
  pkcs12:
    description:
      - A PKCS#12 (C(.pfx), C(.p12)) with key, certificate and chain. Path or content.
    type: str
  passphrase:
    description:
      - The passphrase of the private key or container. It never leaves the controller.
    type: str
  pending:
    description:
      - Take the private key of the request that M(sep.sesam.sesam_selfsigned) has made on the host. Only a certificate
        for this very key is accepted. The request is forgotten when the certificate is in place.
    type: bool
    default: false
  remote_src:
    description:
      - O(certificate) and O(private_key) are absolute paths on the host, where another program has put the pair. The
        certificate may be content, too. The key has to be unencrypted PKCS#8, PKCS#1 or SEC1.
    type: bool
    default: false
  backup:
    description:
      - Restore a pair that was replaced on this host. V(latest), or the name of a backup, which is the last part of
        RV(backup) of an earlier result; M(sep.sesam.sesam_cert_resolve) lists all with its option
        O(sep.sesam.sesam_cert_resolve#module:backups).
      - V(latest) is the newest one that can be restored and is not the pair in place.
      - The certificate is checked like every other one, except that it may end before the one in place and have a
        former key. One that has ended is refused, unless O(levels) says otherwise. The private key stays on the host.
      - What is replaced becomes a backup too, so that the next V(latest) goes forth again.
      - Costs one more call on the host, which changes nothing.
    type: str
  log_check:
    description:
      - What to do when the log of this start does not name the certificate in place within ten seconds.
      - V(required) takes it for a failure and puts the old pair back.
      - V(warn) returns a finding.
      - V(off) does not look.
    type: str
    choices: [required, warn, 'off']
    default: required
  start_timeout:
    description:
      - Seconds to wait after the start until the port serves the certificate.
    type: int
    default: 120
  stop_timeout:
    description:
      - Seconds to wait until C(rmi) has stopped. If it has not, the replacement fails; but C(rmi) gets the seconds of
        O(start_timeout) to end, and is then started again with the old pair.
    type: int
    default: 120
  lock_timeout:
    description:
      - Seconds to wait for another run on the same host.
    type: int
    default: 300
  keep_backups:
    description:
      - How many replaced pairs are kept on the host, in C(<SESAM_VAR>/ini/.sep-sesam/backups).
    type: int
    default: 5
  owner:
    description:
      - The owner of both files, by name or number.
      - Without it, that of the key in place, else the user as whom C(rmi) runs.
    type: str
  group:
    description:
      - The group of both files, by name or number. Without it, as for O(owner).
    type: str
  start_stopped:
    description:
      - Start a C(rmi) that is found stopped. Without it, the files are put in place and it stays stopped.
    type: bool
    default: false
extends_documentation_fragment:
  - sep.sesam.checks
  - sep.sesam.exposure
  - sep.sesam.installation
  - sep.sesam.transport
  - sep.sesam.attributes
attributes:
  diff_mode:
    support: full
notes:
  - Do not set C(no_log) for the task. Every option that can hold a key is secret already, no result holds one, and
    C(no_log) would hide the message of a failure.
seealso:
  - module: sep.sesam.sesam_cert_resolve
  - module: sep.sesam.sesam_selfsigned
  - module: sep.sesam.sesam_pkcs8_convert
"""

EXAMPLES = r"""
- name: Replace the certificate of the REST server
  sep.sesam.sesam_cert_replace:
    certificate: files/backup.example.com.crt
    private_key: files/backup.example.com.key

- name: The same with an encrypted key and the chain in a file of its own
  sep.sesam.sesam_cert_replace:
    certificate: files/backup.example.com.crt
    chain: files/company-ca.pem
    private_key: files/backup.example.com.key
    passphrase: "{{ vault_backup_key_passphrase }}"
    start_timeout: 300

- name: Take everything from a PFX file, and insist on the names and the CA
  sep.sesam.sesam_cert_replace:
    pkcs12: files/backup.example.com.pfx
    passphrase: "{{ vault_pfx_passphrase }}"
    names: [backup.example.com, backup]
    ca_bundle: files/company-root.pem

- name: Take the answer of the CA to the pending request
  sep.sesam.sesam_cert_replace:
    certificate: answers/backup.example.com.cer
    chain: files/company-ca.p7b
    pending: true

- name: Take the pair that an ACME client has put on the host
  sep.sesam.sesam_cert_replace:
    certificate: /etc/letsencrypt/live/backup.example.com/fullchain.pem
    private_key: /etc/letsencrypt/live/backup.example.com/privkey.pem
    remote_src: true

- name: Go back to the pair that was replaced last
  sep.sesam.sesam_cert_replace:
    backup: latest
"""

RETURN = r"""
action:
  description:
    - What was done, or in check mode would be done. V(none), V(permissions), V(placed) (the files, with C(rmi) stopped
      before and after), V(started), V(restarted) or V(replaced).
  returned: when the host was asked
  type: str
  sample: replaced
state:
  description: The state of the server at the end, as M(sep.sesam.sesam_cert_resolve) names it.
  returned: when the host was asked
  type: str
  sample: in_sync
repair:
  description: The smallest repair that is still needed.
  returned: when the host was asked
  type: str
  sample: none
before:
  description: What was found, in the shape that M(sep.sesam.sesam_cert_resolve) returns.
  returned: success
  type: dict
after:
  description: What was left, in the same shape.
  returned: success
  type: dict
certificate:
  description: The facts of the wanted certificate.
  returned: success
  type: dict
  sample:
    subject: CN=backup.example.com
    issuer: CN=Example CA
    names: [backup.example.com]
    not_before: '2026-11-23T00:00:00Z'
    not_after: '2027-05-23T00:00:00Z'
    serial_number: 4f2c
    fingerprint_sha256: 63c1dd951ffedf6f7fd968ad4efa39b8ed584f162f46e715114ee184f8de9201
    public_key: RSA 4096
    self_signed: false
steps:
  description:
    - What was done and how long it took. C(name) is V(stop), V(place), V(start), V(served) or V(log_line); C(part) is
      V(replacement), V(rollback) or V(recovery); further C(seconds), C(ok) and C(detail).
  returned: when the host was asked
  type: list
  elements: dict
downtime:
  description: Seconds from the stop until the port served the new certificate, or after a failure the old one; V(null)
      if C(rmi) was not stopped.
  returned: when the host was asked
  type: float
  sample: 21.4
backup:
  description: The folder on the host with the pair that was replaced, V(null) if there was none.
  returned: when the host was asked
  type: str
  sample: /var/opt/sesam/var/ini/.sep-sesam/backups/20261123T180000Z-1f0e3dad
restored:
  description: The name of the backup that was restored, or in check mode would be.
  returned: when O(backup) is given and the host was asked
  type: str
  sample: 20261123T180000Z-1f0e3dad
log_line:
  description: The line in which the server named the certificate at this start.
  returned: when it was found
  type: str
recovered:
  description: What was done about an interrupted run, V(undone) or V(finished); V(null) if there was none.
  returned: when the host was asked
  type: str
failed_step:
  description: The step that failed.
  returned: when a step failed
  type: str
  sample: served
findings:
  description: Everything worth knowing, in the shape that M(sep.sesam.sesam_cert_resolve) returns.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.module_utils._host.answer import answer

try:
    from ansible_collections.sep.sesam.plugins.module_utils._host import transaction  # noqa: F401 (sent along) pylint: disable=unused-import
except ImportError:
    pass  # The answer says what the Python of the host lacks.


def main():
    module = AnsibleModule(argument_spec=_arguments.REPLACE, supports_check_mode=True, **_arguments.REPLACE_RULES)
    if module.params["order"] is None:
        module.fail_json(msg="This module works through its action plugin alone: call sep.sesam.sesam_cert_replace.")
    # No invocation: a connection prints what a module answers at -vvv, and its arguments may hold a key.
    module.exit_json(invocation={}, **answer("replace", _arguments.parameters(module.params, module.check_mode)))


if __name__ == "__main__":
    main()
