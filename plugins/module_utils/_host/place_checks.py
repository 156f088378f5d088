# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Can the pair be put in place here, and can rmi be stopped and started? Asked before anything is touched."""

import os
import stat
import time
import typing as t

from . import files, gather, layout, lookup, processes, refusal


def find_installation(parameters: dict) -> layout.Layout:
    """Find the installation, or refuse and say what helps."""
    try:
        return layout.find(parameters)
    except layout.NotInstalled as exc:
        if exc.is_hidden:
            raise refusal.Refused("not-root", "SEP sesam was not found: %s." % exc,
                                  "Run with become: true (--become).") from exc
        raise refusal.Refused("sesam-not-found", "SEP sesam was not found: %s." % exc,
                              "Set the option sesam_var to the folder that holds ini/sm.ini.") from exc


def check_validity(parameters: dict) -> None:
    """Refuse a certificate that is not valid by the clock of this host (RFC 5280, 4.1.2.5)."""
    now = time.time()
    if now > parameters["not_after"]:
        raise refusal.Refused(
            "expired", "The certificate ended on %s; the clock of this host says %s." % (
                _utc(parameters["not_after"]), _utc(now)),
            "Hand in a certificate that is valid now, or correct the clock of the host.", subject="wanted")
    if now < parameters["not_before"]:
        raise refusal.Refused(
            "not-yet-valid", "The certificate begins on %s; the clock of this host says %s." % (
                _utc(parameters["not_before"]), _utc(now)),
            "Wait until it begins, or correct the clock of the host.", subject="wanted")


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def check_sm_main(path: str) -> None:
    """Refuse an sm_main that cannot be run."""
    fix = "Set the option sm_main to the right path, or mend the file."
    try:
        status = os.stat(path)
    except OSError as exc:
        message = "sm_main cannot be used: %s: %s." % (path, exc.strerror)
        raise refusal.Refused("sm-main-unusable", message, fix) from exc
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.X_OK):
        raise refusal.Refused("sm-main-unusable", "sm_main is no program that can be executed: %s." % path, fix)


def check_sm_main_owner(path: str) -> None:
    """Refuse an sm_main that somebody else could have written."""
    status = os.stat(path)
    if not files.may_only_we_write(status):
        raise refusal.Refused(
            "sm-main-unusable", "sm_main is not run as it is: %s belongs to uid %d and has mode %04o." % (
                path, status.st_uid, stat.S_IMODE(status.st_mode)),
            "Give it to root and let nobody else write it.")


def check_rights(places: layout.Layout) -> None:
    """Refuse where we may not write."""
    folder = places.ssl_folder if os.path.lexists(places.ssl_folder) else places.ini_folder
    _check_kind(folder, stat.S_ISDIR)
    for path in (folder, places.ini_folder):
        _check_writable(path)


def check_files(places: layout.Layout) -> None:
    """Refuse files that cannot be exchanged safely."""
    for path in (places.certificate, places.private_key):
        _check_file(path)


def check_destination(path: str) -> None:
    """Refuse a path where a file cannot be exchanged safely; its folder has to be there."""
    if not os.path.isabs(path):
        raise refusal.Refused("path-not-absolute", "The path of a file that is to be written is not absolute.",
                              "Write the path from the root of the host.")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise refusal.Refused("directory-missing", "There is no folder %s (or no permission to look at it)." % folder,
                              "Make the folder first.")
    _check_file(path)
    _check_writable(folder)
    try:
        os.close(files.open_folder(folder))
    except NotADirectoryError:
        raise refusal.Refused(
            "destination-is-link", "%s is a symbolic link that others than root may have put there, and nothing is "
            "written through it." % folder, "Name the folder that it leads to.") from None


def _check_writable(folder: str) -> None:
    if os.access(folder, os.W_OK | os.X_OK):
        return
    if os.geteuid() != 0:
        raise refusal.Refused("not-root", "User %d may not write to %s." % (os.geteuid(), folder),
                              "Run with become: true (--become).")
    raise refusal.Refused("directory-not-writable", "root may not write to %s." % folder,
                          "Make the folder writable: is it mounted read-only, or immutable (lsattr)?")


def _check_file(path: str) -> None:
    _check_kind(path, stat.S_ISREG)
    # What is staged beside it can replace no file that is mounted over its place, as containers have them.
    if os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) in processes.mount_points():
        raise refusal.Refused("different-filesystem", "%s is mounted there by itself, and cannot be replaced." % path,
                              "Mount the folder that holds it, and not the file.")


def check_not_hidden(sources: t.List[dict]) -> None:
    """Refuse to place a pair that the server would never read."""
    hides = lookup.before_default_location(sources)
    if hides is None:
        return
    raise refusal.Refused(
        "shadowed", "The pair would never be read: %s comes first, with %s." % (
            hides["set_in"], hides["certificate"] or hides["private_key"]),
        "Remove -z and -k where rmi gets them, restart rmi, and run this again; or replace those files.")


def check_rmi(rmi: gather.Rmi, pid: t.Optional[int]) -> None:
    """Refuse to stop rmi when whoever listens is somebody else, or rmi listens elsewhere.

    :param pid: that of rmi as sm_main status shows it; where it shows none, only who is known to be another is refused.
    """
    family = processes.family(pid) if pid is not None else set()
    listeners = rmi.rest_port.listeners()
    owners = {processes.owner(listener) for listener in listeners} - {None}
    strangers = owners & {rmi.foreign} if pid is None else owners - family
    if strangers:
        raise refusal.Refused(
            "foreign-listener", "Port %d is not that of rmi alone: process %s listens there, and rmi %s." % (
                rmi.port, ", ".join(map(str, sorted(strangers))),
                "does not run" if pid is None else "is process %d" % pid),
            "Set the options port and address to those of this REST server, or end the other program.")
    elsewhere = [] if listeners else processes.listening_ports(family)
    if elsewhere:
        raise refusal.Refused(
            "foreign-listener", "rmi is process %d and listens on %s, and not on %s port %d." % (
                pid, ", ".join("%s port %d" % place for place in elsewhere), rmi.address or "any address", rmi.port),
            "Set the options port and address to those of this REST server.")


def _check_kind(path: str, expected: object) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    except PermissionError:
        raise refusal.Refused("not-root", "User %d may not look at %s." % (os.geteuid(), path),
                              "Run with become: true (--become).") from None
    if not expected(status.st_mode):
        raise refusal.Refused("destination-is-link", "%s is %s, and is not replaced." % (
            path, files.kind(status.st_mode)), "Look who made it, and remove it or move it away.")
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise refusal.Refused("destination-is-link", "%s has %d names (hard links), and is not replaced." % (
            path, status.st_nlink), "Look for the other name (find -samefile), and remove one of them.")
