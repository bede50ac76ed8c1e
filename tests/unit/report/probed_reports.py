"""Reports of hand-built probes."""

from __future__ import annotations

from dataclasses import replace

from reports import blind

from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import NOT_MEASURED, Carry, Depth, StateTrace, TrainingRun, Turn


def run(fix, norms, losses, overflowed=None):
    turns = tuple((Turn(1.0, 1.0, 1.0), Turn(norm, 1.5 * norm, 2 * norm)) for norm in norms)
    depths = tuple(Depth(k, norms[-1] * k / 2, losses[-1] + k / 100) for k in (1, 2, 4, 8))
    carry = NOT_MEASURED if fix else Carry(1.00000002, 1e4)
    trace = StateTrace("h", "Model.forward", turns, depths, carry)
    measured = tuple(range(0, 10 * len(norms), 10))
    return TrainingRun(0, fix, measured, losses, (trace,), 1.25, overflowed)


def probed():
    """A report of a target that training confirmed."""
    state = StateProbe(
        state="h",
        loop="Model.forward",
        verdict=ProbeVerdict.CONFIRMED,
        response=2e-11,
        norm=1000.0,
        twin="a penalty on the carried state",
        twin_norm=25.0,
        deeper=3.25,
        ratios=(38.0, 42.0),
        deepers=(3.0, 3.5),
    )
    outcome = ProbeOutcome(
        ProbeVerdict.CONFIRMED,
        (state,),
        steps=100,
        seeds=2,
        recipe=(("device", "cpu"), ("data", "made-up data (text)")),
        runs=(
            run("", (14.0, 242.0, 719.0, 1000.0), (3.0, 2.4)),
            run("a penalty on the carried state", (14.0, 172.0, 55.0, 25.0), (3.0, 2.5)),
            run("a norm between turns", (8.0, 8.0, 8.0, float("nan")), (3.0, float("nan")), 31),
        ),
        notes=("a note with \x1b[31mpaint",),
        seconds=33.8,
    )
    return with_probe(outcome)


def settled():
    """A report of a target of which 100 steps left open what 400 confirmed."""
    (target,) = probed().targets
    outcome = target.facts.probe
    penalty = "a penalty on the carried state"
    state = replace(
        outcome.states[0], norm=5e3, twin_norm=50.0, ratios=(100.0,), deepers=(3.5,), steps=400
    )
    first = tuple(replace(run, losses=(3.0, *(2.4,) * 99)) for run in outcome.runs[:2])
    normed = run("a norm between turns", (8.0, 8.0), (3.0, *(2.6,) * 99))
    longer = (
        run("", (14.0, 5e3), (3.0, *(2.0,) * 399)),
        run(penalty, (14.0, 50.0), (3.0, *(2.1,) * 399)),
    )
    runs = (*first, *(replace(each, seed=1) for each in first), normed, *longer)
    return with_probe(replace(outcome, states=(state,), runs=runs))


def with_probe(outcome):
    """The report of a blind target with a probe of it."""
    report = blind()
    (target,) = report.targets
    facts = replace(target.facts, probe=outcome)
    return replace(report, targets=(replace(target, facts=facts),))
