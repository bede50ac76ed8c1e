"""How often each rule fires, in place of what it finds."""

from __future__ import annotations

import json
from collections import Counter

from scaleaudit.domain.report import Report
from scaleaudit.report.terminal import printable


def to_statistics(report: Report) -> str:
    """Write a line for every rule with findings, the most frequent first."""
    rows = _counted(report)
    if not rows:
        return ""
    numbers, codes = (max(len(str(row[i])) for row in rows) for i in (0, 1))
    lines = (f"{number:>{numbers}}  {code:<{codes}}  {name}" for number, code, name in rows)
    return "".join(f"{printable(line)}\n" for line in lines)


def to_json_statistics(report: Report) -> str:
    """Write the same as JSON."""
    rows = [{"code": code, "name": name, "count": n} for n, code, name in _counted(report)]
    return json.dumps(rows, indent=2) + "\n"


def _counted(report: Report) -> list[tuple[int, str, str]]:
    counts = Counter((f.code, f.name) for target in report.targets for f in target.findings)
    return sorted(((n, *key) for key, n in counts.items()), key=lambda row: (-row[0], row[1]))
