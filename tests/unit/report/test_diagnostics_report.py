"""What was measured without training, in JSON and in words, from a hand-built outcome."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files

from jsonschema import Draft202012Validator
from probed_reports import with_probe

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict
from scaleaudit.report.diagnostics import diagnostics_lines
from scaleaudit.report.structure import to_json

LOSSES = tuple(2.0 + math.log10(factor) / 8 for factor in SWEEP)
MEASURED = StateDiagnostics(
    state="h\x1b[31m",
    loop="Model.forward",
    turns=2,
    losses=LOSSES,
    readouts=(ReadoutResponse(1, LOSSES, None), ReadoutResponse(2, LOSSES, 3e-2)),
    steps=tuple(TurnStep(k, 10.0 * k, None, 0.1 / k, 0.25, 4.0 * k) for k in range(1, 9)),
    growth=PowerLaw(1.0, 0.015),
    turning=None,
    radius=1.25,
    clamped=math.inf,
)
UNMEASURED = StateDiagnostics("flags", "Model.forward", 2, reason="its values are not real numbers")
FOUND = Diagnostics("trained.pt", 2.0, (MEASURED, UNMEASURED))
UNSEEN = replace(MEASURED, state="h", readouts=(), steps=())


def _written(found):
    probe = ProbeOutcome(ProbeVerdict.INCONCLUSIVE, diagnostics=found)
    return json.loads(to_json(with_probe(probe)))


def _closed(node):
    return {**node, "additionalProperties": False} if node.get("type") == "object" else node


def test_diagnostics_fit_the_schema_and_no_field_is_unknown_to_it():
    text = files("scaleaudit.report").joinpath("schema.json").read_text()
    strict = Draft202012Validator(json.loads(text, object_hook=_closed))
    strict.validate(_written(FOUND))
    strict.validate(_written(None))


def test_numbers_that_are_none_are_null():
    found = _written(FOUND)["targets"][0]["probe"]["diagnostics"]
    state = found["states"][0]
    assert (found["weights"], found["factors"]) == ("trained.pt", list(SWEEP))
    assert (state["clamped"], state["turning"], state["headroom"]) == (None, None, 65504 / 32)
    assert [readout["radial"] for readout in state["readouts"]] == [None, 0.03]
    assert [step["turn"] for step in state["steps"]] == list(range(1, 9))


def test_people_read_a_table(expect):
    unseen = Diagnostics("", 2.0, (UNSEEN,))
    lines = [*diagnostics_lines(FOUND), *diagnostics_lines(unseen)]
    assert max(map(len, lines)) <= 100
    expect("diagnostics", "".join(f"{line}\n" for line in lines))
