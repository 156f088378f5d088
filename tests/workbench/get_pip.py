# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for the script that ansible-test downloads to get pip into a virtual environment.

It runs on every Python that ansible-test knows, 3.6 among them.
"""

import runpy
import subprocess
import sys

# In a process of its own: ensurepip turns the configuration of pip off in its environment.
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
packages = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install"] + packages
runpy.run_module("pip", run_name="__main__", alter_sys=True)
