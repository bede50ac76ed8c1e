"""Random expressions of all operators: what is inferred agrees with what is measured."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lawkit.expressions import TALLY, Step, build, common_operations, judge_expression

from scaleaudit.scale.interpreter import ScaleTable

EXAMPLES = 1500
MOST_DISCARDED = 1 / 20

steps = st.lists(
    st.builds(
        Step,
        operation=st.integers(0, len(common_operations()) - 1),
        first=st.sampled_from([0, 0, 0, 0, 1, 2]),
        second=st.integers(0, 3),
        recorded=st.sampled_from([True] * 15 + [False]),
    ),
    min_size=1,
    max_size=6,
)


@given(seed=st.integers(0, 2**31), drawn=steps)
@settings(max_examples=EXAMPLES)
def test_inferred_scales_agree_with_numbers(seed: int, drawn: list[Step]) -> None:
    check(seed, drawn)


@pytest.mark.slow
@given(seed=st.integers(0, 2**31), drawn=steps)
@settings(max_examples=40_000, derandomize=False)
def test_inferred_scales_agree_with_numbers_in_many_more_draws(
    seed: int, drawn: list[Step]
) -> None:
    check(seed, drawn)


def test_few_draws_are_discarded() -> None:
    assert TALLY.draws >= 1000
    assert sum(TALLY.discarded.values()) < MOST_DISCARDED * TALLY.draws, TALLY.discarded


def check(seed: int, drawn: list[Step]) -> None:
    """Build an expression and demand that nothing disagrees."""
    program, results = build(seed, drawn)
    judged = judge_expression(program, results)
    table = _table(program)
    last = next(j for ref, j in reversed(judged) if ref == results[-1])
    first_verdict = judged[len(results) - 1][1]
    TALLY.count(table[results[-1]], first_verdict.discarded)
    event(first_verdict.discarded or "judged")
    complaints = [
        f"{program.nodes[ref.node].op}: {complaint}"
        for ref, judgement in judged
        for complaint in judgement.complaints
    ]
    assert not complaints, "\n".join([*complaints, *_listing(program)])
    assert last is not None


def _table(program: object) -> ScaleTable:
    from lawkit.inferring import infer

    return infer(program)  # type: ignore[arg-type]


def _listing(program: object) -> list[str]:
    return [
        f"  {node.id}: {node.op}({', '.join(f'{k}={v}' for k, v in node.arguments)})"
        for node in program.nodes  # type: ignore[attr-defined]
    ]
