from __future__ import annotations
def rows(folder): return []
