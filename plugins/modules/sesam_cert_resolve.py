#!/usr/bin/python
# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: sesam_cert_resolve
short_description: Say which certificate a SEP sesam REST server will use, which it serves, and what to repair
version_added: 0.1.0
author:
  - The sep.sesam contributors (@sep-sesam)
description:
  - Walks the places in which the server looks for its pair, in its order. Compares the certificate that wins there, the
    one that is served on the port, and the wanted one where it is given, and names the state of the server and the
    smallest repair.
  - A running C(rmi) proves nothing, because the server runs on with a certificate of its own making when its files
    cannot be used. So the port is asked, by a TLS handshake on the host itself.
  - Changes nothing. Needs the rights of root to read the private key (which never leaves the host) and to see which
    process listens; without them, what cannot be seen is the finding C(not-seen).
  - Runs C(sm_main status) only where nobody listens on the port, or where what is served is in no source.
options:
  wanted:
    description:
      - The certificate that the server shall serve.
      - The path of a file on the controller in any container, its content, or a SHA-256 fingerprint in hexadecimal.
      - A file is found like those of M(ansible.builtin.copy), else relative to where the command is run. It may be
        encrypted with Ansible Vault.
      - Or a folder on the controller with certificates that a CA has sent, in any number of files with any names.
        Wanted is the one for the key of the pending request of the host, else the newest for the key in place; see
        the return value RV(wanted).
    type: str
  chain:
    description:
      - Further certificates of its chain, if they are not in the same file as O(wanted). Path or content.
    type: str
  passphrase:
    description:
      - The passphrase of O(wanted), if that is a PKCS#12. It never leaves the controller.
    type: str
  backups:
    description:
      - List the pairs that were replaced on this host, too; see the return value RV(backups).
      - Each of them is read and proved, which takes the host 1 ms.
    type: bool
    default: false
extends_documentation_fragment:
  - sep.sesam.checks
  - sep.sesam.installation
  - sep.sesam.transport
  - sep.sesam.attributes
attributes:
  diff_mode:
    support: none
seealso:
  - module: sep.sesam.sesam_cert_replace
  - module: sep.sesam.sesam_selfsigned
"""

EXAMPLES = r"""
- name: Look at the certificate of the REST server
  sep.sesam.sesam_cert_resolve:
  register: sesam

- name: Say what was found
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }}: {{ sesam.state }}, {{ sesam.reason }}"

- name: Is the certificate of this year in service?
  sep.sesam.sesam_cert_resolve:
    wanted: files/backup.example.com.crt
  register: sesam
  failed_when: sesam.state != 'in_sync'

- name: List the backups
  sep.sesam.sesam_cert_resolve:
    backups: true
  register: sesam
"""

RETURN = r"""
state:
  description:
    - The state of the server, the first that matches in this order.
    - V(not_installed). SEP sesam was not found.
    - V(unknown). The rights do not suffice to tell.
    - V(interrupted). A replacement was interrupted on the host; the next one undoes or finishes it.
    - V(stopped). C(rmi) does not run and nobody listens on the port.
    - V(foreign_listener). The port belongs to another program.
    - V(not_answering). C(rmi) runs and the port does not answer, or C(rmi) listens elsewhere.
    - V(plain_http). The port answers without TLS.
    - V(shadowed). The command line of C(rmi) (C(-z), C(-k)) names another pair than the wanted one, or than the one in
      the default location, which is never read.
    - V(half_pair). The source that comes first has only a certificate or only a key.
    - V(broken_pair). The source that comes first has a pair that cannot work; RV(reason) says why.
    - V(fallback_generated). The port serves a certificate that the server made itself.
    - V(unknown_certificate). The port serves a certificate that is in no source.
    - V(stale_process). The files are newer than the process, which still serves an older certificate.
    - V(file_drift). The certificate that comes first is served, but it is not the wanted one, or others can read its
      key.
    - V(wrong_name). The certificate lacks one of O(names), or has no name in its SAN.
    - V(expired). The certificate has ended.
    - V(expiring). The certificate ends within O(expiring_days).
    - V(in_sync). The port serves the certificate that comes first, and it is the wanted one.
    - V(wrong_name), V(expired) and V(expiring) follow the findings C(san-missing), C(name-not-covered), C(expired) and
      C(expiring), so O(levels) decides on them too.
  returned: success
  type: str
  sample: in_sync
reason:
  description: The state in a sentence.
  returned: success
  type: str
  sample: The port serves the certificate of the default location.
repair:
  description:
    - The smallest repair.
    - V(none). Nothing is to be done.
    - V(start). Start C(rmi).
    - V(restart). Restart C(rmi); M(sep.sesam.sesam_cert_replace) does that when the pair is the wanted one.
    - V(replace). Place the wanted pair, with M(sep.sesam.sesam_cert_replace).
    - V(renew). The pair in place is the wanted one; get a new certificate.
    - V(recover). Run M(sep.sesam.sesam_cert_replace) again, which undoes or finishes what was interrupted.
    - V(reconfigure). Correct the settings of the server, or the options of this module, as the reason says.
    - V(install). Install SEP sesam, or say where it is.
    - V(become). Run with the rights of root.
  returned: success
  type: str
  sample: none
source:
  description:
    - Where the certificate that is served now comes from, V(command_line), V(default_location), V(sm_ini),
      V(environment), V(generated) (the server made it itself; inferred), or V(unknown).
    - V(null) when nothing is served.
  returned: success
  type: str
  sample: default_location
names:
  description: The names in the SAN of the certificate that is served.
  returned: success
  type: list
  elements: str
days_left:
  description: Whole days until it ends, by the clock of the host; negative when it has ended, V(null) without any.
  returned: success
  type: int
next_sources:
  description:
    - What the next start will use, the name of a source or V(generated), or V(none) if it will be refused.
    - Several, the likeliest first, if a pair that cannot work comes first and O(broken_pair) or O(half_pair) is
      V(unknown), or if there are no rights to read a pair. None, if SEP sesam was not found.
  returned: success
  type: list
  elements: str
  sample: [default_location]
fallback_sources:
  description: The same, if the pair that wins did not work.
  returned: success
  type: list
  elements: str
  sample: [generated]
findings:
  description: Everything worth knowing.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: What kind of finding it is.
      type: str
    subject:
      description: V(wanted), V(place) or V(current).
      type: str
    level:
      description: V(error), V(warning) or V(info).
      type: str
    message:
      description: What was seen.
      type: str
    fix:
      description: What mends it.
      type: str
ansible_facts:
  description:
    - The verdict as a fact of the host, so that groups can be built of it and a fact cache keeps it.
  returned: success
  type: dict
  contains:
    sesam_https:
      description:
        - C(state), C(repair), C(source); of the certificate that is served C(names), C(days_left), C(not_after) and
          C(fingerprint_sha256).
      type: dict
installation:
  description: Where the things of the installation are.
  returned: when SEP sesam is installed
  type: dict
  contains:
    sesam_var:
      description: The folder C(<SESAM_VAR>).
      type: str
    sm_main:
      description: The program sm_main.
      type: str
    ssl_folder:
      description: The folder of the default location.
      type: str
    certificate:
      description: The certificate file of the default location.
      type: str
    private_key:
      description: The key file of the default location.
      type: str
    log_files:
      description: Where the log is looked for, in this order.
      type: list
      elements: str
sources:
  description:
    - Where the server looks for its pair, in its order. The first that works wins.
  returned: when SEP sesam is installed
  type: list
  elements: dict
  contains:
    name:
      description:
        - V(command_line) (C(-z) and C(-k)), V(default_location), V(sm_ini) (C(gv_ro_ssl) in the section C([PATHES])) or
          V(environment) (C(SESAM_SSL_CERT) and C(SESAM_SSL_KEY)).
      type: str
    set_in:
      description: Where it is said, such as a file or a process; empty for the default location.
      type: str
    verdict:
      description:
        - V(absent), V(half) (only one of the two), V(broken), V(usable), or V(unseen) if there are no rights to see it.
      type: str
    reason:
      description: Why it is half, broken or unseen.
      type: str
    certificate:
      description: C(path), and C(status), C(mode), C(uid), C(gid), C(changed) and C(chain) as in RV(on_disk).
      type: dict
    private_key:
      description: C(path), and C(status), C(form), C(mode), C(uid), C(gid) and C(changed). Never the key.
      type: dict
on_disk:
  description: The pair in the default location, where M(sep.sesam.sesam_cert_replace) places one.
  returned: when SEP sesam is installed
  type: dict
  contains:
    certificate:
      description:
        - C(status) (V(file), V(absent), V(not_regular), V(no_permission), V(too_large)), C(mode), C(uid), C(gid),
          C(changed) (seconds since the epoch), C(chain), the facts of each certificate, leaf first, and C(pem), the
          certificates themselves.
      type: dict
    private_key:
      description: C(status), C(form) (such as V(PKCS#8)), C(mode), C(uid) and C(gid). Never the key.
      type: dict
    works:
      description: Whether a server that reads unencrypted PKCS#8 alone can use the pair; proved with the host's TLS.
      type: bool
    reason:
      description: Why it does not work.
      type: str
served:
  description: What the port answered.
  returned: when SEP sesam is installed
  type: dict
  contains:
    status:
      description: V(tls), V(plain_http), V(closed), V(silent) or V(not_tls).
      type: str
    chain:
      description:
        - The facts of each certificate, leaf first.
        - These are C(subject), C(issuer), C(names), C(not_before), C(not_after), C(serial_number),
          C(fingerprint_sha256), C(public_key) and C(self_signed).
      type: list
      elements: dict
    chain_seen:
      description: Whether the whole chain could be seen. With TLS 1.3 alone only the leaf can.
      type: bool
    protocol:
      description: The TLS version of this look, at most 1.2 where the server allows it.
      type: str
    reason:
      description: Why there is no chain.
      type: str
rmi:
  description:
    - C(is_running), C(pid), C(started) (seconds since the epoch), C(address) and C(port).
    - C(foreign) is the process that listens on the port in its place, C(listens_on) where C(rmi) listens if not there.
  returned: when SEP sesam is installed
  type: dict
pending:
  description:
    - The request for which a certificate has still to come, V(null) when there is none.
    - C(subject), C(names), C(public_key), C(public_key_sha256) and C(signature_valid).
  returned: when SEP sesam is installed
  type: dict
backups:
  description:
    - The pairs that were replaced, newest first, at most 50; V(null) when there is no permission to look.
    - One of them is restored by O(sep.sesam.sesam_cert_replace#module:backup) or the playbook C(sep.sesam.rollback).
  returned: when O(backups) is true and SEP sesam is installed
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    path:
      description: Its folder on the host.
      type: str
    made:
      description: When the pair was replaced.
      type: str
    by:
      description: Who replaced it, empty if that is not known.
      type: str
    run:
      description: The run that replaced it, empty if that is not known.
      type: str
    certificate:
      description: The facts of its certificate, V(null) if it has none that can be read.
      type: dict
    usable:
      description: Whether its pair is whole and loads, so that it can be restored.
      type: bool
    reason:
      description: Why it cannot be restored.
      type: str
    in_place:
      description: Whether this certificate, with its chain, is in place and works there.
      type: bool
    latest:
      description: Whether it is the one that V(latest) restores, the newest that is usable and not in place.
      type: bool
    summary:
      description: All this in a line.
      type: str
wanted:
  description:
    - The wanted certificate, V(null) if the folder O(wanted) has none for this host.
    - C(certificate) (its facts), C(source) (the file), C(pem) (with its chain, in order) and C(key) (V(pending) if it
      is for the key of the pending request, V(in_place) for that in place, else V(none)).
  returned: when O(wanted) is given, and no fingerprint
  type: dict
log:
  description:
    - The last line "Setting up HTTPS certificate" in the log, V(null) when there is none.
    - C(line), C(path), C(words), C(file), C(of_this_start) (whether the running process has written it) and C(source),
      the name of the source whose certificate it names.
  returned: when SEP sesam is installed
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sep.sesam.plugins.module_utils import _arguments
from ansible_collections.sep.sesam.plugins.module_utils._host.answer import answer

try:
    from ansible_collections.sep.sesam.plugins.module_utils._host import gather  # noqa: F401 (sent along) pylint: disable=unused-import
except ImportError:
    pass  # The answer says what the Python of the host lacks.


def main():
    module = AnsibleModule(argument_spec=_arguments.RESOLVE, supports_check_mode=True)
    # No invocation: a connection prints what a module answers at -vvv, and its arguments may hold a key.
    module.exit_json(invocation={}, **answer("resolve", module.params))


if __name__ == "__main__":
    main()
