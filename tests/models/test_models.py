"""The audit against the zoo: loops, states, penalties and rules of every model are as expected."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

import pytest
import torch
from audits import certified_facts, facts_as_if_all_was_run, shared_out
from expect import Expect, State
from zoo import Case, cases

from scaleaudit.domain.facts import Certification, Outcome, ScaleFacts, StateFacts
from scaleaudit.domain.graph import Location
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

RULES = load_rules()
FLOATS = ("float64", "float32", "bfloat16", "float16", "complex64")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_audit_says_what_the_theory_says(case: Case) -> None:
    facts = certified_facts(case)
    judged = evaluate(RULES, str(case.path), case.function, facts)
    complaints = [
        *loop_complaints(case.expect, facts),
        *state_complaints(case.expect, floating_states(facts)),
        *code_complaints(case.expect, {finding.code for finding in judged.findings}),
        *verdict_complaints(case.expect, judged.verdict.value),
        *certification_complaints(facts.certification),
    ]
    assert not complaints, "\n".join([*complaints, *judged.undecided])


@pytest.mark.parametrize("case", shared_out(first=True))
def test_model_is_judged_as_if_all_was_run(case: Case) -> None:
    assert facts_as_if_all_was_run(case)


def floating_states(facts: ScaleFacts) -> tuple[StateFacts, ...]:
    """Return all states that have a scale: masks and counters have none."""
    states = (state for loop in facts.loops for state in loop.states)
    return tuple(state for state in states if state.dtype in FLOATS)


def loop_complaints(expect: Expect, facts: ScaleFacts) -> Iterator[str]:
    if len(facts.loops) not in expect.loops:
        yield f"{len(facts.loops)} loops, expected {expect.loops}"
    turns = {loop.turns for loop in facts.loops}
    if expect.turns and not turns <= set(expect.turns):
        yield f"{sorted(turns)} turns, expected {expect.turns}"


def state_complaints(expect: Expect, found: tuple[StateFacts, ...]) -> Iterator[str]:
    """Pair every state with an expectation that it meets, each used once unless alike."""
    if 0 in expect.loops and not found:
        return
    open_ones, met = list(expect.states), set()
    for state in found:
        fitting = [each for each in open_ones if meets(state, each)]
        met.update(fitting if expect.alike else fitting[:1])
        if not fitting:
            yield f"unexpected state: {described(state)}"
        elif not expect.alike:
            open_ones.remove(fitting[0])
    missing = set(expect.states) - met if expect.alike else open_ones
    yield from (f"missing state: {each}" for each in missing if not each.optional)


def meets(state: StateFacts, expected: State) -> bool:
    effective = sum(penalty.effective for penalty in state.penalties)
    flaws = {penalty.flaw.value for penalty in state.penalties if penalty.flaw}
    return (
        state.transition.value in expected.transition.split("|")
        and state.visibility.value in expected.visibility.split("|")
        and expected.effective in (None, effective)
        and set(expected.flaws) == flaws
        and (not expected.name or state.name in expected.name.split("|"))
        and stands_at(expected.line, [state.location])
        and stands_at(expected.proof, steps_of(state))
    )


def steps_of(state: StateFacts) -> list[Location | None]:
    """Return where the steps of all proofs of a state stand."""
    readings = (step for readout in state.readouts for step in readout.proof)
    return [step.location for step in (*state.transition_proof, *readings)]


def stands_at(texts: str, locations: list[Location | None]) -> bool:
    """Whether one of the texts, separated by bars, is in the source at one of the locations."""
    lines = [linecache.getline(each.path, each.line) for each in locations if each]
    return not texts or any(text in line for text in texts.split("|") for line in lines)


def described(state: StateFacts) -> str:
    penalties = [
        "effective" if penalty.flaw is None else penalty.flaw.value for penalty in state.penalties
    ]
    opaque = [f"{each.operator}: {each.reason}" for each in state.opaque]
    return (
        f"{state.name}: {state.transition.value}, {state.visibility.value}, gain {state.gain}, "
        f"branch {state.branch_degree}, penalties {penalties}, opaque {opaque}, "
        f"at {line_of(state.location)}"
    )


def line_of(location: Location | None) -> str:
    return linecache.getline(location.path, location.line).strip() if location else "no line"


def code_complaints(expect: Expect, fired: set[str]) -> Iterator[str]:
    wanted, allowed = set(expect.codes.split()), set(expect.maybe.split())
    if missing := wanted - fired:
        yield f"silent: {sorted(missing)}"
    if surplus := fired - wanted - allowed:
        yield f"fired: {sorted(surplus)}"


def verdict_complaints(expect: Expect, verdict: str) -> Iterator[str]:
    if verdict not in admitted_verdicts(expect):
        yield f"verdict {verdict}, expected {admitted_verdicts(expect)}"


def certification_complaints(found: Certification | None) -> Iterator[str]:
    """What numbers contradict, or could not be held against; own gradients are their author's."""
    if found is None or found.outcome is Outcome.CERTIFIED:
        return
    yield from (f"{d.location}: {d.claim}, but {d.measured}" for d in found.disagreements)
    yield from (reason for reason in found.reasons if not reason.startswith("gradients: "))


def admitted_verdicts(expect: Expect) -> set[str]:
    """Return the verdicts that follow from the rules expected to fire."""
    if expect.verdict:
        return set(expect.verdict.split("|"))
    if "SCL101" in expect.codes:
        return {"fail"}
    if expect.codes:
        return {"warn"}
    return {"pass", "warn", "fail"} if expect.maybe else {"pass"}
