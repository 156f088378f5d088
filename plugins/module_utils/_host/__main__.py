# Copyright: (c) 2026, the sep.sesam contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the host code by hand: C(python3 -m _host resolve < parameters.json)."""

import json
import sys

from .answer import QUESTIONS, answer


def main() -> int:
    """Read the parameters from standard input, write the answer to standard output."""
    if sys.argv[1:] not in [[question] for question in QUESTIONS]:
        sys.stderr.write("usage: python3 -m _host %s < parameters.json\n" % "|".join(QUESTIONS))
        return 2
    result = answer(sys.argv[1], json.load(sys.stdin))
    json.dump(result, sys.stdout, sort_keys=True)
    sys.stdout.write("\n")
    return 1 if result["refused"] or result.get("failure") else 0


if __name__ == "__main__":
    sys.exit(main())  # pylint: disable=ansible-bad-function
