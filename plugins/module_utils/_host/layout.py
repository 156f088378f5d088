# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a SEP sesam installation has its things.

C(/etc/sesam2000.ini) names sm.ini (C(SM_INI)) and the folder of sm_main (C(SM_BIN_SESAM)); C(<SESAM_VAR>)
is the parent of the folder that holds sm.ini. Every place can be given instead.
"""

import os
import stat
import typing as t

from . import files, sm_ini

CERTIFICATE_NAME = "sesam.https.crt"
PRIVATE_KEY_NAME = "sesam.https.key"
CSR_NAME = "sesam.https.csr"
STATE_FOLDER_NAME = ".sep-sesam"
LOG_NAME = "sm_gui_server.log"
# Environment variables that name a pair: the certificate, the private key.
PAIR_VARIABLES = ("SESAM_SSL_CERT", "SESAM_SSL_KEY")
USUAL_SM_MAIN = "/opt/sesam/bin/sesam/sm_main"


class NotInstalled(Exception):
    """No installation was found; the text says where it was looked for.

    C(is_hidden): one may be there, where there is no permission to look.
    """

    def __init__(self, reason: str, is_hidden: bool = False) -> None:
        super().__init__(reason)
        self.is_hidden = is_hidden


class Layout(t.NamedTuple):
    """Absolute places of one installation; C(log_files) in the order in which they are looked for.

    C(log_is_named): the user has named the log, and it may be wherever that leads to; else it is found in folders that
    may be somebody else's.
    C(gv_ro_ssl): the folder for a pair that sm.ini names, empty where it names none. C(sm_ini_unseen): why sm.ini
    cannot be read, empty where it can or does not exist.
    """

    sesam_var: str
    sm_main: str
    log_files: t.List[str]
    gv_ro_ssl: str = ""
    sm_ini_unseen: str = ""
    log_is_named: bool = False

    @property
    def ini_folder(self) -> str:
        return os.path.join(self.sesam_var, "ini")

    @property
    def ssl_folder(self) -> str:
        return os.path.join(self.ini_folder, "ssl")

    @property
    def certificate(self) -> str:
        return os.path.join(self.ssl_folder, CERTIFICATE_NAME)

    @property
    def private_key(self) -> str:
        return os.path.join(self.ssl_folder, PRIVATE_KEY_NAME)

    @property
    def state_folder(self) -> str:
        return os.path.join(self.ini_folder, STATE_FOLDER_NAME)

    @property
    def sm_ini(self) -> str:
        return os.path.join(self.ini_folder, "sm.ini")

    @property
    def profile(self) -> str:
        return os.path.join(self.ini_folder, "sesam2000.profile")

    def facts(self) -> dict:
        """The places as plain data."""
        return {"sesam_var": self.sesam_var, "sm_main": self.sm_main, "ssl_folder": self.ssl_folder,
                "certificate": self.certificate, "private_key": self.private_key,
                "log_files": self.log_files}


def find(parameters: dict) -> Layout:
    """Find the installation from C(sesam2000_ini), C(sesam_var), C(sm_main) and C(log_file), given or not.

    :raises NotInstalled: there is no C(<SESAM_VAR>)/ini.
    """
    for name in ("sesam2000_ini", "sesam_var", "sm_main", "log_file"):
        path = parameters.get(name)
        if path and not os.path.isabs(path):
            raise NotInstalled("the option %s has to be an absolute path, and is %s" % (name, path))
    registry = parameters["sesam2000_ini"]
    named, reason = _registry(registry)
    sesam_var = parameters.get("sesam_var")
    if sesam_var:
        source = "the option sesam_var"
    elif os.path.isabs(named.get("SM_INI", "")):
        sesam_var = os.path.dirname(os.path.dirname(os.path.normpath(named["SM_INI"])))
        source = "SM_INI in %s" % registry
    else:
        raise NotInstalled("%s: %s, and no sesam_var was given" % (registry, reason))
    _require_folder(os.path.join(sesam_var, "ini"), source)
    paths, unseen = _paths_in(os.path.join(sesam_var, "ini", "sm.ini"))
    return Layout(sesam_var, _sm_main(parameters, named), _log_files(parameters, sesam_var, paths.get("gv_rw_lgc")),
                  paths.get("gv_ro_ssl", ""), unseen, bool(parameters.get("log_file")))


def _paths_in(path: str) -> t.Tuple[t.Dict[str, str], str]:
    """The section of sm.ini that holds paths (spelt so), and why it cannot be read."""
    try:
        return sm_ini.read(path).get("PATHES", {}), ""
    except files.Unreadable as exc:
        return {}, "" if exc.status == "absent" else exc.reason


def _require_folder(path: str, source: str) -> None:
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return
    except PermissionError:
        raise NotInstalled("there is no permission to look at %s (from %s)" % (path, source), is_hidden=True) from None
    except OSError:
        pass
    raise NotInstalled("there is no folder %s (from %s)" % (path, source))


def _registry(path: str) -> t.Tuple[t.Dict[str, str], str]:
    try:
        return sm_ini.read_shell(path), "it has no line SM_INI= with an absolute path"
    except files.Unreadable as exc:
        return {}, exc.reason


def _sm_main(parameters: dict, named: t.Dict[str, str]) -> str:
    if parameters.get("sm_main"):
        return parameters["sm_main"]
    folder = named.get("SM_BIN_SESAM")
    return os.path.join(folder, "sm_main") if folder and os.path.isabs(folder) else USUAL_SM_MAIN


def _log_files(parameters: dict, sesam_var: str, configured: t.Optional[str]) -> t.List[str]:
    if parameters.get("log_file"):
        return [parameters["log_file"]]
    folders = [os.path.join(sesam_var, "log", "lgc"), os.path.join(sesam_var, "log")]
    if configured and os.path.isabs(configured):
        folders.insert(0, os.path.normpath(configured))
    unique = sorted(set(folders), key=folders.index)
    return [os.path.join(folder, LOG_NAME) for folder in unique]
