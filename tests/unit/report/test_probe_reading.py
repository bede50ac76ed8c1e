"""Probes that are read back from JSON are those that were written."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass, replace

import pytest
from probed_reports import probed, with_probe

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import Carry, Depth, StateTrace, TrainingRun, Turn
from scaleaudit.errors import ConfigError
from scaleaudit.report.reading import from_json
from scaleaudit.report.structure import to_json

PENALTY = "a penalty on the carried state"


def _run(seed, fix):
    turns = tuple(tuple(Turn(k + s, 2.0 * k, 3.0 * k) for k in (1, 2)) for s in (0, 5, 9))
    depths = tuple(Depth(k, 1.5 * k, 2.0 / k) for k in (1, 2, 4, 8))
    states = (
        StateTrace("h", "Model.forward", turns, depths, Carry(0.5, 1e4, 0.25, 0.75)),
        StateTrace("c", "Model.forward", turns[:1]),
    )
    losses = tuple(3.0 - 0.1 * step for step in range(10))
    return TrainingRun(seed, fix, (0, 5, 9), losses, states, 1.25, 7 if fix else None)


def _diagnostics():
    losses = tuple(2.0 + factor / 1e4 for factor in SWEEP)
    state = StateDiagnostics(
        state="h",
        loop="Model.forward",
        turns=2,
        losses=losses,
        readouts=(ReadoutResponse(1, losses[::-1], None), ReadoutResponse(2, losses, 3e-2)),
        steps=(TurnStep(1, 10.0, None, None, None, 4.0), TurnStep(2, 20.0, 1.5, 0.1, 0.25, 8.0)),
        growth=PowerLaw(1.0, 0.015),
        turning=PowerLaw(-1.0, 0.5),
        radius=1.25,
        clamped=2.5,
    )
    left = StateDiagnostics("flags", "Model.forward", 2, reason="its values are not real numbers")
    return Diagnostics("trained.pt", 2.0, (state, left))


def whole():
    """An outcome of which no field is as it is where nobody gives it."""
    grown = StateProbe(
        state="h",
        loop="Model.forward",
        verdict=ProbeVerdict.CONFIRMED,
        response=2e-11,
        norm=1000.0,
        twin=PENALTY,
        twin_norm=25.0,
        deeper=3.25,
        ratios=(38.0, 42.0),
        deepers=(3.0, 3.5),
        steps=40,
        directions=0.0625,
    )
    unsure = StateProbe("c", "Model.forward", ProbeVerdict.INCONCLUSIVE, reason="seeds differ")
    return ProbeOutcome(
        ProbeVerdict.CONFIRMED,
        (grown, unsure),
        steps=10,
        seeds=2,
        diagnostics=_diagnostics(),
        reason="a reason",
        recipe=(("device", "cpu"), ("data", "made-up data (text)")),
        runs=tuple(_run(seed, fix) for seed in (0, 1) for fix in ("", PENALTY)),
        notes=("one", "two"),
        seconds=33.8,
    )


def _read(text):
    (target,) = from_json(text, "report.json").targets
    return target.facts.probe


def test_a_probe_is_read_as_it_was_written():
    assert _read(to_json(with_probe(whole()))) == whole()


def test_every_field_of_a_probe_is_tried():
    seen = {}
    _note(whole(), seen)
    assert {name for name, values in seen.items() if values <= {"", None, (), 0}} == set()


def _note(value, seen):
    """Note which values each field of each type has, those of types as being there."""
    if isinstance(value, tuple):
        for item in value:
            _note(item, seen)
    if not is_dataclass(value):
        return
    for field in fields(value):
        held = getattr(value, field.name)
        name = f"{type(value).__name__}.{field.name}"
        seen.setdefault(name, set()).add(
            held if isinstance(held, (str, int, float)) else bool(held) or None
        )
        _note(held, seen)


def test_nothing_of_a_probe_is_read_where_there_is_none():
    assert _read(to_json(with_probe(None))) is None


def test_numbers_that_are_none_are_read_as_that():
    text = to_json(probed())
    assert to_json(from_json(text, "report.json")) == text
    overflowed = _read(text).runs[2]
    assert math.isnan(overflowed.losses[-1])
    assert math.isnan(overflowed.states[0].turns[-1][-1].p95)


def test_losses_are_put_to_the_factors_that_they_were_measured_at():
    document = json.loads(to_json(with_probe(whole())))
    found = document["targets"][0]["probe"]["diagnostics"]
    found["factors"] = [16.0, *found["factors"][1:]]
    losses = _read(json.dumps(document)).diagnostics.states[0].losses
    assert math.isnan(losses[0])
    assert losses[1:] == whole().diagnostics.states[0].losses[1:]


def test_a_wrong_field_of_a_probe_is_named():
    document = json.loads(to_json(with_probe(whole())))
    document["targets"][0]["probe"]["runs"][1]["losses"][0] = "low"
    with pytest.raises(ConfigError, match=r"\$\.targets\[0\]\.probe\.runs\[1\]\.losses\[0\]"):
        from_json(json.dumps(document), "x.json")


def test_what_an_older_report_lacks_is_not_there():
    document = json.loads(to_json(with_probe(replace(whole(), diagnostics=None))))
    del document["targets"][0]["probe"]["diagnostics"]
    assert _read(json.dumps(document)) == replace(whole(), diagnostics=None)
