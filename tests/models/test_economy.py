"""What an audit spares itself changes nothing: all it finds is as if every turn had been run.

Models of the zoo are held to it beside what else is asked of them, in ``test_models``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from audits import audits_of

from scaleaudit.reference.config import CONDITIONS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "scaleaudit" / "reference" / "targets.py"
DEPTHS = ROOT / "benchmarks" / "targets.py"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


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
