"""What an audit spares itself changes nothing: all it finds is as if every turn had been run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from zoo import Case, cases

from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import load_target
from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.loops.finder import find_loops
from scaleaudit.reference.config import CONDITIONS
from scaleaudit.scale.analysis import analyse

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "scaleaudit" / "reference" / "targets.py"
DEPTHS = ROOT / "benchmarks" / "targets.py"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@dataclass(frozen=True, slots=True)
class Audits:
    """One target captured with every turn run, and captured with what repeats left out."""

    whole: Captured
    economical: Captured

    @property
    def facts(self) -> ScaleFacts:
        """What is found of it, either way."""
        facts, others = (facts_of(each) for each in (self.whole, self.economical))
        is_equal = others == facts  # facts are too long to be shown where they differ
        assert is_equal
        return facts

    @property
    def spared(self) -> int:
        """How many nodes the analysis is spared."""
        return len(self.whole.graph.nodes) - len(self.economical.graph.nodes)


def shared_out(*, first: bool) -> list[Any]:
    """The zoo: one half of it as it is, the other with longer loops; the slow suite takes both.

    Args:
        first: Whether the first target of every two is meant.
    """
    halves = ((case, (number % 2 == 0) == first) for number, case in enumerate(cases()))
    return [
        pytest.param(case, id=str(case), marks=() if mine else pytest.mark.slow)
        for case, mine in halves
    ]


def facts_of(captured: Captured) -> ScaleFacts:
    return analyse(captured.graph, find_loops(captured.graph))


def audits_of(path: Path, name: str) -> Audits:
    return Audits(captured(path, name, whole=True), captured(path, name, whole=False))


def captured(path: Path, name: str, *, whole: bool) -> Captured:
    """Build and capture a target, with the same draws every time."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the generator that models of the zoo draw from
    torch.manual_seed(0)
    return capture(load_target(path, name), whole=whole)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", shared_out(first=True))
def test_model_of_the_zoo_is_judged_as_if_all_was_run(case: Case) -> None:
    assert audits_of(case.path, case.function).facts


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_judged_as_if_all_was_run(path: Path) -> None:
    assert audits_of(path, "scaleaudit_target").facts


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition_is_judged_as_if_all_was_run(condition: str) -> None:
    assert audits_of(REFERENCE, f"scaleaudit_target_{condition}_tiny").facts.loops


@pytest.mark.parametrize("name", ["per_loop_rmsnorm_44m", "terminal_raw_129m"])
def test_large_reference_is_judged_as_if_all_was_run(name: str) -> None:
    assert audits_of(REFERENCE, f"scaleaudit_target_{name}").facts.loops


def test_a_deep_reference_keeps_few_of_its_turns_and_counts_all() -> None:
    audits = audits_of(DEPTHS, "scaleaudit_target_tiny_turns_64")
    (loop,) = audits.facts.loops
    assert loop.turns == 64
    assert 10 * len(audits.economical.graph.nodes) < len(audits.whole.graph.nodes)
