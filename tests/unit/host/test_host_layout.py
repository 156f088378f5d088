# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an installation has its things."""

from __future__ import annotations

import os
import shlex
import typing as t
from pathlib import Path

import pytest
from ansible_collections.sep.sesam.plugins.module_utils._host import layout


def find(installation: Path, **parameters: t.Any) -> layout.Layout:
    return layout.find({"sesam2000_ini": str(installation / "sesam2000.ini"), **parameters})


def test_everything_is_found_from_sesam2000_ini(installation: Path) -> None:
    var = str(installation / "var")
    found = find(installation, sesam_var=None, sm_main=None, log_file=None)
    assert found.sesam_var == var
    assert found.sm_main == f"{installation}/bin/sm_main"
    assert found.certificate == f"{var}/ini/ssl/sesam.https.crt"
    assert found.private_key == f"{var}/ini/ssl/sesam.https.key"
    assert found.state_folder == f"{var}/ini/.sep-sesam"
    assert found.profile == f"{var}/ini/sesam2000.profile"
    assert found.log_files == [f"{var}/log/lgc/sm_gui_server.log", f"{var}/log/sm_gui_server.log"]


def test_values_of_a_shell_file(installation: Path) -> None:
    (installation / "sesam2000.ini").write_text(f'# SEP\nexport SM_INI="{installation}/var/ini/sm.ini"\r\n')
    assert find(installation).sesam_var == str(installation / "var")
    assert find(installation).sm_main == layout.USUAL_SM_MAIN


def test_folder_of_programs_that_is_not_absolute_does_not_count(installation: Path) -> None:
    (installation / "sesam2000.ini").write_text(f"SM_INI={installation}/var/ini/sm.ini\nSM_BIN_SESAM=-bin\n")
    assert find(installation).sm_main == layout.USUAL_SM_MAIN


def test_every_place_can_be_given(installation: Path) -> None:
    (installation / "elsewhere/ini").mkdir(parents=True)
    found = find(installation, sesam_var=f"{installation}/elsewhere", sm_main="/x/sm_main", log_file="/x/log")
    assert found[:3] == (f"{installation}/elsewhere", "/x/sm_main", ["/x/log"])


def test_log_that_the_user_names_is_known_as_such(installation: Path) -> None:
    assert find(installation, log_file="/x/log").log_is_named
    assert not find(installation, log_file=None).log_is_named


def test_sesam_var_is_enough(installation: Path) -> None:
    found = layout.find({"sesam2000_ini": "/nowhere/sesam2000.ini", "sesam_var": str(installation / "var")})
    assert found.sm_main == layout.USUAL_SM_MAIN


@pytest.mark.parametrize(("content", "told"), [
    (None, "it does not exist"),
    ("SM_BIN_SESAM=/x\n", "it has no line SM_INI="),
    ("SM_INI=\n", "it has no line SM_INI="),
    ("SM_INI=/nowhere/ini/sm.ini\n", "there is no folder /nowhere/ini (from SM_INI in "),
])
def test_not_installed_says_where_it_was_looked_for(installation: Path, content: str | None, told: str) -> None:
    (installation / "sesam2000.ini").unlink()
    if content is not None:
        (installation / "sesam2000.ini").write_text(content)
    with pytest.raises(layout.NotInstalled) as raised:
        find(installation)
    assert told in str(raised.value)
    assert "sesam2000.ini" in str(raised.value)


def test_wrong_sesam_var_is_named(installation: Path) -> None:
    with pytest.raises(layout.NotInstalled, match=r"/nowhere/ini \(from the option sesam_var\)"):
        find(installation, sesam_var="/nowhere")


@pytest.mark.parametrize("option", ["sesam2000_ini", "sesam_var", "sm_main", "log_file"])
@pytest.mark.parametrize("path", ["-rf", "bin/sm_main", "~/x", "$(id)"])
def test_path_that_is_not_absolute_is_none(installation: Path, option: str, path: str) -> None:
    """So none is taken for an option of a command, and none is looked for on PATH."""
    with pytest.raises(layout.NotInstalled) as raised:
        find(installation, **{option: path})
    assert str(raised.value) == f"the option {option} has to be an absolute path, and is {path}"


def test_a_fifo_for_sesam2000_ini_does_not_hang(installation: Path) -> None:
    (installation / "sesam2000.ini").unlink()
    os.mkfifo(installation / "sesam2000.ini")
    with pytest.raises(layout.NotInstalled, match="a FIFO"):
        find(installation)


@pytest.mark.parametrize(("settings", "first"), [
    ("[PATHES]\ngv_rw_lgc=/logs/\n", "/logs"), ("[PATHES]\ngv_rw_lgc=\n", None), ("[UI]\ngv_rw_lgc=/logs/\n", None),
    ("[PATHES]\ngv_rw_lgc=-logs\n", None),
    (None, None),
])
def test_folder_of_the_log(installation: Path, settings: str | None, first: str | None) -> None:
    sm_ini = installation / "var/ini/sm.ini"
    sm_ini.unlink()
    if settings:
        sm_ini.write_text(settings)
    folders = [first] if first else []
    folders += [f"{installation}/var/log/lgc", f"{installation}/var/log"]
    assert find(installation).log_files == [f"{folder}/sm_gui_server.log" for folder in folders]


def test_missing_rights_are_not_taken_for_a_missing_installation(
    installation: Path, as_nobody: t.Callable[[t.Callable[[], object]], str]
) -> None:
    """The repair of the one is --become, that of the other is to install the product."""
    (installation / "var").chmod(0o700)

    def is_hidden() -> bool:
        try:
            find(installation)
        except layout.NotInstalled as exc:
            return exc.is_hidden
        return False

    assert as_nobody(is_hidden) == "True"


def test_sesam2000_ini_is_unquoted_as_a_shell_does(installation: Path) -> None:
    """It can be sourced, so whoever writes it quotes for a shell."""
    with_quote = installation / "it's"
    (with_quote / "ini").mkdir(parents=True)
    (installation / "sesam2000.ini").write_text(f"SM_INI={shlex.quote(str(with_quote / 'ini' / 'sm.ini'))}\n")
    assert find(installation).sesam_var == str(with_quote)
