"""The traces of a probe as JSON lines, for whoever wants to plot or compare them."""

from __future__ import annotations

import json
import re
from pathlib import PurePath

from scaleaudit.domain.report import TargetReport
from scaleaudit.report.encoding import Json
from scaleaudit.report.probing import probe_document
from scaleaudit.traces import run_line


def to_json_lines(target: TargetReport) -> str:
    """Write a line for the outcome and one for every run; each says which target it is of."""
    assert target.facts is not None
    found = target.facts.probe
    assert found is not None
    whole = probe_document(found)
    assert isinstance(whole, dict)
    outcome: dict[str, Json] = {"path": target.path, "target": target.name, "kind": "outcome"}
    outcome |= {key: value for key, value in whole.items() if key != "runs"}
    runs = (run_line(target.path, target.name, run) for run in found.runs)
    return "".join((f"{json.dumps(outcome)}\n", *runs))


def file_name(target: TargetReport, taken: set[str]) -> str:
    """Return a name for the file of a target that no other one has, and take it."""
    plain = re.sub(r"[^\w.-]+", "-", f"{PurePath(target.path).stem}-{target.name}").strip("-.")
    name, number = f"{plain}.jsonl", 2
    while name in taken:
        name, number = f"{plain}-{number}.jsonl", number + 1
    taken.add(name)
    return name
