"""Hand-built facts and pages for the tests of the rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProbeOutcome,
    ProbeVerdict,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    StateProbe,
    Transition,
    Visibility,
)
from scaleaudit.domain.graph import Location
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.rules.engine import Evaluation, evaluate
from scaleaudit.rules.loader import load_rules
from scaleaudit.rules.rule import Rule

RULES = load_rules()
FILE = "model.py"


def at(line: int) -> Location:
    return Location(FILE, line)


def step(line: int, operator: str, degree: float | None = 0.0) -> ProofStep:
    return ProofStep(at(line), operator, degree, "a step")


def readout(visibility: str = "invariant", **changes: Any) -> Readout:
    given = Readout(
        name="logits",
        visibility=Visibility(visibility),
        degree=1.0 if visibility == "visible" else 0.0,
        supervised=True,
        turns=(4,),
        location=at(30),
        proof=(step(20, "aten.add.Tensor", 1.0), step(30, "aten.rms_norm.default")),
        up_to_eps=visibility == "invariant",
    )
    return replace(given, **changes)


def penalty(flaw: str | None = None, **changes: Any) -> Penalty:
    given = Penalty(
        name="mean",
        degree=2.0,
        location=at(40),
        flaw=None if flaw is None else PenaltyFlaw(flaw),
        proof=(step(40, "aten.pow.Tensor_Scalar", 2.0),),
    )
    return replace(given, **changes)


def opaque(line: int = 50, operator: str = "my.kernel.default") -> Opaque:
    return Opaque(operator, at(line), "no law is known for it")


def state(transition: str = "carried", visibility: str = "invariant", **changes: Any) -> StateFacts:
    """A state with one supervised readout of the same visibility."""
    given = StateFacts(
        name="h",
        shape=(2, 8, 16),
        dtype="float32",
        location=at(20),
        transition=Transition(transition),
        visibility=Visibility(visibility),
        readouts=(readout(visibility),),
        gain=Gain(1.0, 1.0, location=at(21)) if transition == "carried" else None,
        branch_degree=0.0,
        branch_location=at(22),
        transition_proof=(step(20, "aten.add.Tensor", 1.0),),
    )
    return replace(given, **changes)


def facts(*states: StateFacts, loss_found: bool = True, **coverage: Any) -> ScaleFacts:
    loop = LoopFacts("Model.forward", 4, at(19), states)
    return ScaleFacts((loop,), Coverage(operators=100, **coverage), loss_found)


def turned(given: ScaleFacts, turns_from: str) -> ScaleFacts:
    """The facts of loops whose turns come from elsewhere."""
    loops = (replace(loop, turns_from=TurnsFrom(turns_from)) for loop in given.loops)
    return replace(given, loops=tuple(loops))


def probed(given: ScaleFacts, verdict: str = "confirmed", **changes: Any) -> ScaleFacts:
    """The facts with a training run that says the same of every state."""
    measured = StateProbe("", "", ProbeVerdict(verdict), 0.001, 900.0, "a penalty", 30.0, 3.0)
    states = tuple(
        replace(measured, state=each.name, loop=loop.name, **changes)
        for loop in given.loops
        for each in loop.states
    )
    outcome = ProbeOutcome(ProbeVerdict(verdict), states, steps=100, seeds=3)
    return replace(turned(given, "argument"), probe=outcome)


def judge(*states: StateFacts, rules: tuple[Rule, ...] = RULES) -> Evaluation:
    return evaluate(rules, FILE, "scaleaudit_target", facts(*states))


def codes(evaluation: Evaluation) -> list[str]:
    return [finding.code for finding in evaluation.findings]


FRONT = """\
code: ACME101
name: a-rule
summary: What it is about.
severity: warning
status: stable
since: 0.1.0
scope: state
when: |
  state.active && state.blind
message: State `{state.name}` drifts.
location: state.location
references:
  - a page
"""

BODY = """\

# ACME101 a-rule

## What it does

Something.

## Why it is bad

Something.

## How it is decided

Something.

## Known limits

Something.

## Bad

```python
x = 1  # finding: ACME101
```

## Good

```python
x = 2
```

## References

- A page.
"""


def write_page(
    folder: Path, front: str = FRONT, body: str = BODY, name: str = "ACME101-a-rule.md"
) -> Path:
    path = folder / name
    path.write_text(f"---\n{front}---\n{body}", encoding="utf-8")
    return path


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)
