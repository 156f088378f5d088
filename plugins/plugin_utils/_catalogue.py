# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding that there is: its level, what is checked, what mends it. Private to this collection.

The one place for them: the page of the documentation is made from here, and levels are set by these ids.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils._findings import Finding, Level, Refused, Subject, brief

_LONGEST = 1200

FILES = "Files and encoding"
KEY = "Key"
PAIR = "Pair"
IDENTITY = "Identity"
VALIDITY = "Validity"
USAGE = "Usage"
CHAIN = "Chain"
REQUESTS = "Requests and certificates of one's own"
PLACE = "The place"
RUN = "The replacement itself"
PRESENT = "What is there now"
SECTIONS = (FILES, KEY, PAIR, IDENTITY, VALIDITY, USAGE, CHAIN, REQUESTS, PLACE, RUN, PRESENT)

_ERROR: tuple[Level, ...] = ("error",)
_WARNING: tuple[Level, ...] = ("warning",)
# Of what a replacement is refused for, and of what nothing is wrong with as long as there is none.
_OBSTACLE: tuple[Level, ...] = ("error", "warning")
_INFO: tuple[Level, ...] = ("info",)
_WANTED: tuple[Subject, ...] = ("wanted",)
_CURRENT: tuple[Subject, ...] = ("current",)
_BOTH: tuple[Subject, ...] = ("wanted", "current")
_AT_PLACE: tuple[Subject, ...] = ("place",)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One kind of finding. The first level is the usual one; others depend on what is seen.

    C(is_settable): whether a user may set the level. What makes it impossible to go on stays an error.
    """

    id: str
    section: str
    levels: tuple[Level, ...]
    subjects: tuple[Subject, ...]
    check: str
    fix: str
    is_settable: bool = True


def _fixed(id: str, section: str, subjects: tuple[Subject, ...], check: str, fix: str) -> Entry:
    """An error without which nothing can go on."""
    return Entry(id, section, _ERROR, subjects, check, fix, is_settable=False)


_ENTRIES = (
    _fixed("input-missing", FILES, _BOTH,
           "The file that an option names is there and can be read.",
           "Give the path of a file on the controller, absolute or relative to where the command is run."),
    _fixed("input-empty", FILES, _BOTH,
           "The file or the content holds something.",
           "Give a file that holds what the option asks for."),
    _fixed("input-too-large", FILES, _BOTH,
           "It has no more than 1 MiB.",
           "Give the certificate, its chain or the key alone: is it the right file?"),
    _fixed("input-unrecognised", FILES, _BOTH,
           "It is a form that can be read; the message says what it is instead.",
           "Give a certificate or a private key in PEM; its text has BEGIN and END lines."),
    Entry("input-normalised", FILES, _INFO, _BOTH,
          "The file is clean PEM: no byte order mark, CRLF, bag attributes, text dump or blank lines.",
          "Nothing: clean PEM is written."),
    _fixed("conversion-impossible", FILES, _BOTH,
           "The key can be converted to PKCS#8 where it is.",
           "Convert it on the controller: give the content or a path there."),
    _fixed("key-count", FILES, _BOTH,
           "There is exactly one private key for the pair.",
           "Give a file with the one key that belongs to the certificate."),
    Entry("key-in-certificate-file", FILES, _WARNING, _BOTH,
          "The certificate file holds no private key; one that is there is not written to the server's certificate.",
          "Keep certificates and keys in files of their own."),
    Entry("trusted-certificate-block", FILES, _WARNING, _BOTH,
          "The file has plain certificates and no BEGIN TRUSTED CERTIFICATE, which OpenSSL alone reads.",
          "Convert it: openssl x509 -in FILE -out NEW."),
    Entry("certificate-unreadable-part", FILES, ("error", "warning"), _BOTH,
          "Names, key and extensions of each certificate can be read; a warning for one of the chain.",
          "Have the certificate issued anew; what it does not say rightly, clients read in different ways."),
    _fixed("chain-too-long", FILES, _BOTH,
           "There are no more than 30 certificates.",
           "Give the certificate with its own chain alone, not a bundle of CAs."),

    _fixed("key-passphrase-missing", KEY, _WANTED,
           "The key is not encrypted, or a passphrase was given.",
           "Set the option passphrase (sesam_https_passphrase), best from a vault-encrypted variable."),
    _fixed("key-passphrase-wrong", KEY, _WANTED,
           "The key opens with the passphrase given.",
           "Correct the option passphrase (sesam_https_passphrase)."),
    _fixed("key-broken", KEY, _BOTH,
           "The numbers of the key fit together.",
           "Take the key from a backup, or make a new key and have a certificate issued for it."),
    Entry("key-converted", KEY, _INFO, _BOTH,
          "The key is unencrypted PKCS#8; in another form, it is converted and proved to be the same.",
          "Nothing: the server reads PKCS#8 alone."),
    Entry("key-rsa-too-small", KEY, ("error", "info"), _BOTH,
          "An RSA key has 2048 bits or more; an info below 3072.",
          "Make a new key of 3072 bits or more, and have a certificate issued for it."),
    Entry("key-rsa-weak", KEY, _ERROR, _BOTH,
          "The numbers of an RSA key are odd, and its exponent is greater than 1.",
          "Make a new key with openssl, and have a certificate issued for it. Do not use the old one again."),
    Entry("key-curve", KEY, ("error", "warning"), _BOTH,
          "An elliptic curve is P-256, P-384 or P-521; a warning for Ed25519 and Ed448, which browsers refuse.",
          "Make a new key, RSA or on P-256, and have a certificate issued for it."),
    Entry("key-dsa", KEY, _ERROR, _BOTH,
          "The key is not DSA, which no browser takes.",
          "Make a new key, RSA or on P-256, and have a certificate issued for it."),

    _fixed("pair-mismatch", PAIR, _BOTH,
           "The key belongs to the certificate: both have the same SubjectPublicKeyInfo.",
           "Give the key from which this certificate was requested."),
    _fixed("backup-missing", PAIR, _WANTED,
           "The backup that is to be restored is there; the message names those that there are.",
           "Choose one of those by the option backup (sesam_https_backup), or hand in a certificate and its key."),
    _fixed("backup-unusable", PAIR, _WANTED,
           "The pair of the backup that is to be restored is whole, and passes the checks that every pair has to pass.",
           "Choose another one by the option backup (sesam_https_backup), or hand in a certificate and its key."),
    Entry("key-reused", PAIR, _INFO, _WANTED,
          "A new certificate has a new key.",
          "To change keys with certificates, request the next one with a new key; to forbid it, set the level error."),

    Entry("san-missing", IDENTITY, _ERROR, _BOTH,
          "The certificate has a DNS name or an IP address in its SAN; clients do not read the CN.",
          "Have a certificate issued with the server's names in the subjectAltName."),
    Entry("name-not-covered", IDENTITY, ("error", "warning"), _BOTH,
          "Every wanted name matches the SAN; a warning where the name is a guess from the inventory.",
          "Have a certificate issued with that name, or correct the option names (sesam_https_names)."),
    Entry("name-syntax", IDENTITY, _WARNING, _BOTH,
          "Names are such as DNS allows: labels up to 63 characters, 253 in all, none empty, no underscore or blank.",
          "Correct the name; in a certificate, have it issued anew with the right one."),
    Entry("cn-not-in-san", IDENTITY, _WARNING, _BOTH,
          "The CN is in the SAN too: a name that stands in the CN alone counts for nothing.",
          "Have the next certificate issued with this name in the subjectAltName, or with another CN."),
    Entry("cn-too-long", IDENTITY, _WARNING, _BOTH,
          "The CN has at most 64 characters, as X.509 allows.",
          "Have the next certificate issued with a short CN; the whole name belongs in the subjectAltName."),

    Entry("expired", VALIDITY, _ERROR, _BOTH,
          "The certificate has not ended by the clock of the host.",
          "Hand in a certificate that is valid now, or correct the clock of the host."),
    Entry("not-yet-valid", VALIDITY, _ERROR, _BOTH,
          "The certificate has begun by the clock of the host.",
          "Wait until it begins, or correct the clock of the host."),
    Entry("expiring", VALIDITY, _WARNING, _BOTH,
          "More than 30 days are left (expiring_days), or more than a third of its life.",
          "Get a new certificate now; the option expiring_days (sesam_https_expiring_days) sets when this is told."),
    Entry("clock-skew", VALIDITY, _WARNING, _AT_PLACE,
          "The clocks of host and controller differ by less than 5 minutes.",
          "Set the clock of the one that is wrong; NTP keeps it so."),
    Entry("lifetime-public", VALIDITY, _WARNING, _BOTH,
          "A certificate of a public CA lives no longer than browsers accept: 200 days since 2026-03-15, 100 from "
          "2027-03-15, 47 from 2029-03-15.",
          "Have a certificate issued with a shorter life."),
    Entry("chain-ends-earlier", VALIDITY, _WARNING, _BOTH,
          "No certificate of the chain ends before that of the server.",
          "Get the renewed certificate of that CA before the old one ends, and hand in the new chain."),
    Entry("older-than-served", VALIDITY, _WARNING, _WANTED,
          "The certificate does not end before the one served now.",
          "Was an old file handed in? If not, nothing."),

    Entry("is-ca", USAGE, ("error", "warning"), _BOTH,
          "The certificate is not one of a CA; a warning for a self-signed one.",
          "Have a certificate issued for a server (CA:FALSE); for a self-signed one, add basicConstraints CA:FALSE."),
    Entry("eku-server-auth", USAGE, _ERROR, _BOTH,
          "If it says what it may be used for (extendedKeyUsage), servers are among it.",
          "Have a certificate issued from a template for web servers (serverAuth)."),
    Entry("key-usage", USAGE, ("error", "warning"), _BOTH,
          "If there is a keyUsage, it has digitalSignature; a warning for RSA without and EC with keyEncipherment.",
          "Have a certificate issued with digitalSignature, and with keyEncipherment for RSA alone."),
    Entry("signature-weak", USAGE, _ERROR, _BOTH,
          "No signature below the root is made with SHA-1 or MD5.",
          "Have the certificate that the message names issued anew with SHA-256."),

    Entry("chain-order", CHAIN, _INFO, _BOTH,
          "The chain is in order: leaf first, each followed by the one that signed it.",
          "Nothing: the chain is written in order."),
    Entry("chain-incomplete", CHAIN, ("warning", "error"), _BOTH,
          "The chain leads to a root; an error if it does not build to the CA that was given.",
          "Add the missing intermediate certificates with the option chain (sesam_https_chain); the CA has them."),
    Entry("chain-strict", CHAIN, _WARNING, _BOTH,
          "The chain has what strict clients ask for too: keyUsage of a CA, key identifiers, current algorithms.",
          "Make the CA anew with keyUsage and key identifiers when it is due; until then, most clients take it."),
    Entry("chain-stranger", CHAIN, _WARNING, _BOTH,
          "Every certificate is in the path of the server's certificate.",
          "Give the chain of this certificate alone."),
    Entry("chain-duplicate", CHAIN, _WARNING, _BOTH,
          "Every certificate is there once.",
          "Remove the repeated ones from the option chain; each is written once."),
    Entry("root-included", CHAIN, _WARNING, _BOTH,
          "The chain ends below its root: clients have the root themselves, or do not trust it.",
          "Leave the root out; it does no harm but costs bytes in each handshake."),
    Entry("chain-expired-member", CHAIN, ("error", "info"), _BOTH,
          "Every certificate of the path is valid now; an info for one outside of it.",
          "Get the renewed certificate of that CA, and hand in the new chain."),

    _fixed("subject-syntax", REQUESTS, _WANTED,
           "The subject can be read: /C=DE/O=Example/CN=name, or a dictionary; it has a CN.",
           "Correct the option subject."),
    _fixed("names-missing", REQUESTS, _WANTED,
           "There is a name for the SAN: of the option names or the CN.",
           "Set the option names (sesam_https_names)."),
    _fixed("openssl-missing", REQUESTS, _AT_PLACE,
           "The host has an openssl that can do this.",
           "Install openssl on the host, or have the key made on the controller."),
    Entry("request-pending", REQUESTS, _INFO, _CURRENT,
          "No request waits for the answer of a CA.",
          "Put the answer in place with source csr; the playbook request_csr fetches the request once more."),
    Entry("answer-missing", REQUESTS, _WARNING, _CURRENT,
          "The folder of answers has a certificate for the key of the host.",
          "Put what the CA has sent into the folder, under any name."),
    _fixed("pending-missing", REQUESTS, _WANTED,
           "There is a pending key, to which the answer of the CA can belong.",
           "Make a request first with the playbook sep.sesam.request_csr."),
    _fixed("pending-differs", REQUESTS, _WANTED,
           "The pending key is of the kind that is asked for now.",
           "Ask for the same kind of key, or set renew_key to make a new one."),
    _fixed("answer-foreign", REQUESTS, _WANTED,
           "The certificate fits the pending key of this host and not that of another one.",
           "Give each host the answer to its own request."),

    _fixed("option-value", REQUESTS, _WANTED,
           "An option has a value that makes sense.",
           "Correct the option as the message says."),
    _fixed("subject-missing", REQUESTS, _WANTED,
           "A self-signed certificate has a subject, which is its issuer too.",
           "Set the option subject (sesam_https_subject)."),
    _fixed("signature-invalid", REQUESTS, _WANTED,
           "What the host has signed is signed by the key that was meant.",
           "Run the task again: the key was exchanged meanwhile."),
    _fixed("signature-algorithm", REQUESTS, _WANTED,
           "The key on the host can sign in the way that was asked for.",
           "Run the task again: the key was exchanged meanwhile."),
    Entry("request-notes", REQUESTS, _INFO, _WANTED,
          "A request that was made from a certificate asks for all that the certificate has.",
          "Nothing: the message says what a CA writes anew."),
    Entry("belongs-to-old-key", REQUESTS, _INFO, _CURRENT,
          "A file beside a new key belongs to that key; one that belongs to the old key is taken away.",
          "Have a new one made for the new key."),
    _fixed("key-missing", REQUESTS, _WANTED,
           "There is a private key that can be used.",
           "Hand in the key too, or have one made."),
    _fixed("key-not-usable", REQUESTS, _WANTED,
           "A private key on the host is one that can be used as it is.",
           "Convert it first with sesam_pkcs8_convert; use RSA or EC to sign."),
    _fixed("key-not-proved", REQUESTS, _WANTED,
           "A key on the host is proved to be the same after its conversion.",
           "Nothing was written: convert the key on the controller, and report the line."),
    Entry("key-file-held-more", REQUESTS, _INFO, _AT_PLACE,
          "A file of a key holds nothing else; what stands beside the key is not written again.",
          "Look into the backup, if anything else was meant to stay."),
    _fixed("key-type-unknown", REQUESTS, _WANTED,
           "The key asked for is RSA with 2048 to 8192 bits, or EC on P-256, P-384 or P-521.",
           "Correct key_type, key_size or curve."),
    _fixed("openssl-failed", REQUESTS, _WANTED,
           "The openssl command of the host does what it is asked.",
           "Mend what it says, or have it done on the controller."),
    _fixed("openssl-slow", REQUESTS, _WANTED,
           "The openssl command of the host comes to an end in time.",
           "Look who made the file, and what it makes its passphrase cost; or have it done on the controller."),

    _fixed("path-missing", PLACE, ("wanted", "place"),
           "Every file that is to be written has a path.",
           "Give its absolute path."),
    _fixed("path-twice", PLACE, _AT_PLACE,
           "Every file has a path of its own.",
           "Give each a path of its own."),
    _fixed("path-not-absolute", PLACE, ("wanted", "place"),
           "A path on the host is absolute.",
           "Write the path from the root of the host."),
    _fixed("directory-missing", PLACE, _AT_PLACE,
           "The folder of a file that is to be written is there.",
           "Make the folder first."),
    _fixed("destination-unreadable", PLACE, _AT_PLACE,
           "A file that is to be replaced can be read, so that it can be kept.",
           "Move it away."),
    _fixed("placing-failed", PLACE, _AT_PLACE,
           "Files that belong together are put in place together, or none of them.",
           "Mend what the message names and run again."),
    _fixed("sesam-not-found", PLACE, ("place", "current"),
           "SEP sesam is installed; the message says where it was looked for.",
           "Set the option sesam_var (sesam_https_sesam_var) to the folder that holds ini/sm.ini."),
    _fixed("not-root", PLACE, _AT_PLACE,
           "The user has the rights that this needs.",
           "Run with become: true (--become)."),
    _fixed("directory-not-writable", PLACE, _AT_PLACE,
           "The folder of the pair can be written.",
           "Make the folder writable: is it mounted read-only, or immutable (lsattr)?"),
    Entry("disk-space", PLACE, _OBSTACLE, _AT_PLACE,
          "There is room for the new pair and a backup, and for rmi to log its start; a warning in an audit.",
          "Free at least 1 MiB, or what the message says."),
    Entry("file-immutable", PLACE, _OBSTACLE, _AT_PLACE,
          "No file to be replaced, nor its folder, is immutable or append-only (lsattr); a warning in an audit.",
          "Ask whoever set that, then take it away with chattr.", is_settable=False),
    Entry("log-unreadable", PLACE, _OBSTACLE, _AT_PLACE,
          "A log that is there can be read, as the proof of a start (log_check: required); a warning in an audit.",
          "Mend what the message says, or set log_file (sesam_https_log_file) to the log."),
    _fixed("different-filesystem", PLACE, _AT_PLACE,
           "The folder and its files are on one file system, so that a file is replaced at once.",
           "Remove the mount from the file, or move the folder."),
    _fixed("destination-is-link", PLACE, _AT_PLACE,
           "Where the pair goes there are regular files or none: no link, FIFO or device.",
           "Look who made it, and remove it or move it away."),
    Entry("sm-main-unusable", PLACE, _ERROR, _AT_PLACE,
          "sm_main is there, can be executed and belongs to root.",
          "Set the option sm_main (sesam_https_sm_main), or give the program back to root."),
    Entry("foreign-listener", PLACE, _ERROR, ("place", "current"),
          "The port is that of rmi and of no other program.",
          "Set the options port and address to those of this REST server, or end the other program."),
    Entry("shadowed", PLACE, _ERROR, _AT_PLACE,
          "No source comes before the default location, with a pair other than the wanted one.",
          "Remove -z and -k where rmi gets them and restart rmi; or keep the wanted pair in the files that they name."),
    Entry("not-seen", PLACE, _INFO, _AT_PLACE,
          "There are the rights to see everything that decides, and rmi runs, so that its command line can be seen.",
          "Run with become: true (--become); of a server that is stopped the command line cannot be seen."),
    _fixed("address-unknown", PLACE, _AT_PLACE,
           "The host knows the address that was given.",
           "Correct the option address; without it the address where rmi listens is taken."),
    _fixed("owner-unknown", PLACE, _AT_PLACE,
           "The host knows the owner and the group that were given.",
           "Correct the option owner or group."),
    _fixed("key-given-away", PLACE, _AT_PLACE,
           "A key that is converted goes to root or to its owner, or to whom owner names.",
           "Set the option owner to whoever shall have it."),
    _fixed("profile-unusable", PLACE, _AT_PLACE,
           "sesam2000.profile can be sourced, and root alone can write it and its folder.",
           "Give the profile to root, let nobody else write it, and correct it."),
    _fixed("python-without-ssl", PLACE, _AT_PLACE,
           "The Python that runs on the host can do TLS.",
           "Set ansible_python_interpreter to the system's own Python."),
    _fixed("python-missing", PLACE, _AT_PLACE,
           "The host has Python 3.6 or later where it is looked for, or where ansible_python_interpreter says.",
           "Set ansible_python_interpreter to the path of one; without it the usual places are tried."),
    _fixed("transport-impossible", PLACE, _AT_PLACE,
           "With transport: stdin, the connection and the become method pass standard input to a program on the host.",
           "Leave transport out (or auto), which takes an ordinary module then; or mend what the message names."),
    _fixed("host-windows", PLACE, _AT_PLACE,
           "The host is reached by a POSIX shell.",
           "This collection is for SEP sesam on Linux; leave Windows hosts out of the play."),
    _fixed("key-exposure", PLACE, _AT_PLACE,
           "Ansible neither writes the key to a disk nor prints it.",
           "Mend what the message names, or set allow_key_exposure: true."),
    _fixed("state-folder-unsafe", PLACE, _AT_PLACE,
           "The folder of lock, journal and backups is ours alone.",
           "Look who made it, then move it away; it is made anew with mode 0700."),
    _fixed("backup-impossible", PLACE, _AT_PLACE,
           "The old pair can be kept as a backup.",
           "Move away what the message names."),
    _fixed("level-unknown", PLACE, _AT_PLACE,
           "The levels that were set name findings of this page, and levels that there are.",
           "Correct the option levels (sesam_https_levels)."),

    _fixed("locked", RUN, _AT_PLACE,
           "No other run works on this host.",
           "Wait for it to end and run again, or raise lock_timeout (sesam_https_lock_timeout). The message names its "
           "process, which ps -fp shows on the host; one that hangs can be ended."),
    _fixed("journal-damaged", RUN, _CURRENT,
           "The journal of an interrupted replacement can be read.",
           "Look at the pair in place and at the backups beside the journal, then remove the journal."),
    _fixed("rehearsal-failed", RUN, _WANTED,
           "The pair works in a TLS handshake on the host, before anything is touched.",
           "Does the TLS library of the host know this kind of key?"),
    _fixed("host-error", RUN, _AT_PLACE,
           "The operating system of the host does what it is asked.",
           "Mend what it names and run again."),
    _fixed("answer-lost", RUN, _AT_PLACE,
           "The answer of the host came back whole. It is never asked twice by itself.",
           "Run the play again: it looks anew at what is there, and finishes or undoes what was left. If it fails each "
           "time in this way, look for what prints or ends programs on the host, or take the other transport."),
    _fixed("host-bug", RUN, _AT_PLACE,
           "The program on the host runs without a fault of its own.",
           "Run it again, it looks anew at what is there; and report the line."),
    Entry("log-line-missing", RUN, _WARNING, _CURRENT,
          "The log shows this start with this certificate (with log_check: warn).",
          "Look whether log_file is right; log_check: off ends this check."),
    Entry("state-not-kept", RUN, _WARNING, _AT_PLACE,
          "Journal and backups could be written and tidied up, and what is there afterwards could be seen.",
          "Mend what the message names and run again."),
    Entry("recovery-incomplete", RUN, _WARNING, _CURRENT,
          "What an interrupted run left could be undone.",
          "Nothing, if this run ends well."),
    Entry("process-context-changed", RUN, _WARNING, _CURRENT,
          "rmi runs after its restart as before: umask, signals, user, limits, environment.",
          "Restart rmi in the way in which it is started at boot."),

    Entry("half-pair", PRESENT, _ERROR, _CURRENT,
          "Certificate and key are both in place, or neither.",
          "Run the role with the certificate and its key: both files are placed together."),
    Entry("source-broken", PRESENT, _ERROR, _CURRENT,
          "The pair in place can work.",
          "Run the role with the certificate and its key: it places PKCS#8."),
    Entry("also-configured", PRESENT, _WARNING, _CURRENT,
          "Behind the source that comes first there is no other one, which would be used if the first failed.",
          "Remove what is not meant to be used: gv_ro_ssl in sm.ini, SESAM_SSL_CERT and SESAM_SSL_KEY, or the files."),
    Entry("served-name", PRESENT, _WARNING, _CURRENT,
          "A certificate that is served, though it should not be, is for the wanted names at least.",
          "Make the server serve the right one, as the state says; until then clients refuse it."),
    Entry("fallback-generated", PRESENT, _ERROR, _CURRENT,
          "rmi does not serve a certificate that it made itself.",
          "Restart rmi if the pair in place is good; else run the role with the certificate and its key."),
    Entry("unknown-certificate", PRESENT, _ERROR, _CURRENT,
          "The certificate served is in one of the sources.",
          "Look for -z and -k, gv_ro_ssl and SESAM_SSL_CERT on the host."),
    Entry("stale-process", PRESENT, _WARNING, _CURRENT,
          "rmi was started after its files were changed.",
          "Restart rmi: sesam_cert_replace does it when the files are right."),
    Entry("key-permissions", PRESENT, _ERROR, _CURRENT,
          "The key in place can be read by its owner alone.",
          "Run the role: it sets 0600. Who could read the key has it: consider a new one."),
    Entry("interrupted-replacement", PRESENT, _ERROR, _CURRENT,
          "No replacement was interrupted.",
          "Run the role or sesam_cert_replace: it undoes or finishes it first."),
    Entry("not-answering", PRESENT, _ERROR, _CURRENT,
          "The port answers with TLS.",
          "Look into sm_gui_server.log, then run sm_main stop rmi; sm_main start rmi."),
    Entry("plain-http", PRESENT, _ERROR, _CURRENT,
          "The port does not answer without TLS.",
          "Switch HTTPS on in the settings of the REST server."),
    Entry("served-chain", PRESENT, _WARNING, _CURRENT,
          "The port sends the chain of the file in place.",
          "If the file is newer than the process, restart rmi. A server may leave out the root."),
    Entry("served-chain-not-seen", PRESENT, _INFO, _CURRENT,
          "The chain that the port sends can be seen, which needs TLS 1.2.",
          "Nothing: the file in place is checked."),
)

CATALOGUE: t.Mapping[str, Entry] = {entry.id: entry for entry in _ENTRIES}


def finding(
    id: str, subject: Subject, message: str, *, level: Level | None = None, fix: str | None = None
) -> Finding:
    """A finding with the level and the fix of its entry, where none is given.

    :raises ValueError: the entry has no such level or subject.
    """
    entry = CATALOGUE[id]
    level = entry.levels[0] if level is None else level
    if level not in entry.levels or subject not in entry.subjects:
        raise ValueError(f"{id} has no level {level} for {subject}")
    # A certificate may have names and a library words of any length.
    return Finding(id, subject, level, brief(message, _LONGEST), entry.fix if fix is None else fix)


def apply_levels(findings: t.Iterable[Finding], levels: t.Mapping[str, str]) -> list[Finding]:
    """Findings with the levels that a user has set, and that C(check_levels) has let pass."""
    return [dataclasses.replace(found, level=t.cast(Level, levels.get(found.id, found.level))) for found in findings]


def check_levels(levels: t.Mapping[str, str]) -> None:
    """Refuse levels that name no finding, no level, or a finding without which nothing can go on.

    :raises Refused: C(level-unknown), once for each of them.
    """
    wrong = [_refusal(id, level) for id, level in levels.items()]
    if any(wrong):
        raise Refused(*filter(None, wrong))


def _refusal(id: str, level: str) -> Finding | None:
    if id not in CATALOGUE:
        near = difflib.get_close_matches(str(id), CATALOGUE, 1)
        return finding("level-unknown", "place", f"levels: there is no finding {str(id)!r}.",
                       fix=f"Did you mean {near[0]}?" if near else None)
    if level not in t.get_args(Level):
        return finding("level-unknown", "place", f"levels: {id}: {str(level)!r} is no level.",
                       fix=f"Set one of {', '.join(t.get_args(Level))}.")
    if not CATALOGUE[id].is_settable and level != "error":
        return finding("level-unknown", "place", f"levels: {id}: {level} is not possible, it stays an error.",
                       fix=f"Remove {id} from levels. To get rid of it: {CATALOGUE[id].fix}")
    return None
