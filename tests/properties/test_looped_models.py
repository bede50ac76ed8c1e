"""Random small looped models: what the audit infers agrees with what is measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from looped.comparing import Comparison, compare
from looped.draws import CHOICES, PLAIN, Draw, settled
from looped.measuring import DiscardedError

torch.set_num_threads(1)

EXAMPLES = 260
MANY_EXAMPLES = 5_000
MOST_DISCARDED = 1 / 20
"""Share of the draws that may tell nothing."""

draws = st.fixed_dictionaries(
    {name: st.sampled_from(options) for name, options in CHOICES.items()}
    | {"seed": st.integers(0, 2**31)}
).map(settled)


@dataclass
class Mix:
    """The classes that a run of draws met."""

    met: dict[str, Counter[str]] = field(default_factory=dict)
    discarded: Counter[str] = field(default_factory=Counter)
    judged: int = 0

    def count(self, found: Comparison) -> None:
        self.judged += 1
        for what in ("transition", "visibility", "penalty"):
            self.met.setdefault(what, Counter())[getattr(found, what)] += 1

    def show(self) -> None:
        lost = sum(self.discarded.values())
        print(f"\n{self.judged} looped models judged, {lost} discarded {dict(self.discarded)}")
        for what, classes in self.met.items():
            print(f"  {what}: " + ", ".join(f"{n} {kind}" for kind, n in classes.most_common()))


def judge(draw: Draw, mix: Mix) -> None:
    try:
        found = compare(draw)
    except DiscardedError as error:
        mix.discarded[str(error)] += 1
        return
    mix.count(found)
    assert not found.complaints, "\n".join(found.complaints)


def run(mix: Mix, examples: int, *, fixed: bool) -> None:
    """Judge random models and demand that few say nothing."""

    # A draw is small already, and shrinking it would take minutes.
    @settings(
        max_examples=examples,
        derandomize=fixed,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
    )
    @given(draws)
    def judged(draw: Draw) -> None:
        judge(draw, mix)

    judged()
    lost = sum(mix.discarded.values())
    assert mix.judged >= 0.9 * examples
    assert lost < MOST_DISCARDED * (mix.judged + lost), mix.discarded


def test_audit_of_random_looped_models_agrees_with_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mix = Mix()
    run(mix, EXAMPLES, fixed=True)
    with capsys.disabled():
        mix.show()
    assert len(mix.met["transition"]) == 6, "a transition was never met"
    assert len(mix.met["visibility"]) == 4, "a visibility was never met"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_audit_of_many_more_random_looped_models_agrees_with_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mix = Mix()
    run(mix, MANY_EXAMPLES, fixed=False)
    with capsys.disabled():
        mix.show()


FORMER_FAULTS = {
    "norm of few channels behind raw gates": replace(
        PLAIN, keep="gated", write="tanh", after="norm between"
    ),
    "norm of a few channels of a relu": replace(PLAIN, combine="relu", after="norm between"),
    "norm behind exp(-softplus) of the raw state": replace(
        PLAIN, keep="gated", gate="raw exp softplus", after="norm between", width=32
    ),
    "table of steps and a norm at every second turn": replace(
        PLAIN, after="norm every second", inject="step embedding"
    ),
    "mix with a candidate that a norm bounds": replace(
        PLAIN, combine="convex", gate="parameter", write="unit", norm="plain rms"
    ),
}


@pytest.mark.parametrize("name", FORMER_FAULTS)
def test_a_former_fault_of_the_audit_is_gone(name: str) -> None:
    found = compare(FORMER_FAULTS[name])
    assert not found.complaints, "\n".join(found.complaints)
