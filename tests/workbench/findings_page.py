# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page that lists every finding, made from the catalogue of the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.sep.sesam.plugins.plugin_utils._catalogue import CATALOGUE, SECTIONS, Entry

_INTRODUCTION = """# Findings

This page is made from the code by `make docs`.

A finding says what was seen, what was wanted and what mends it. Modules return them as a list, `findings`; look an id
up here.

| about | means | an error there |
|---|---|---|
| wanted | the certificate and the key that were handed in | stops the replacement before `rmi` is touched |
| place | where they go: the host, its folders, the other settings | stops it too |
| current | what is there now | is the reason for a replacement and never stops one |

A `warning` wants somebody's time before long, and Ansible prints it; an `info` is in the results. The column *how it
should be* tells the good case, and where there are two levels, when the second one is meant.

## Set a level

```yaml
sesam_https_levels:
  key-reused: error        # a new key with every certificate
  root-included: info
  chain-incomplete: error
```

The option `levels` of `sesam_cert_replace` and `sesam_cert_resolve` is the same. A level that is set holds for every
case of its id. *fixed*: nothing can go on without it, so its level stays as it is.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(_section(title) for title in SECTIONS)])


def _section(title: str) -> str:
    rows = [_row(entry) for entry in CATALOGUE.values() if entry.section == title]
    head = ["| id | level | about | how it should be | what to do |", "|---|---|---|---|---|"]
    return "\n".join([f"## {title}", "", *head, *rows, ""])


def _row(entry: Entry) -> str:
    levels = ", ".join(entry.levels) + ("" if entry.is_settable else " (*fixed*)")
    return _cells(f"`{entry.id}`", levels, ", ".join(entry.subjects), entry.check, entry.fix)


def _cells(*texts: t.Any) -> str:
    return f"| {' | '.join(str(text).replace('|', '&#124;') for text in texts)} |"
