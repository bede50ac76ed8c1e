"""Every fact about the zoo, the examples and the reference models is held against numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from zoo import cases

from scaleaudit.api import audit_facts
from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import load_target
from scaleaudit.certify.certifying import certify
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.facts import Certification, Outcome
from scaleaudit.loops.finder import find_loops
from scaleaudit.reference.config import CONDITIONS
from scaleaudit.scale.analysis import analyse_and_claim

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
REFERENCE = ROOT / "scaleaudit" / "reference" / "targets.py"
SEEDS = range(1, 9)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def complaints(found: Certification | None) -> list[str]:
    if found is None or found.outcome is Outcome.CERTIFIED:
        return []
    told = [f"{d.location}: {d.claim}, but {d.measured}" for d in found.disagreements]
    return told or [reason for reason in found.reasons if not reason.startswith("gradients: ")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_facts_about_an_example_are_certified(path: Path) -> None:
    facts = audit_facts(str(path), "scaleaudit_target", certify=Certify.ANY)
    assert facts.certification is None or facts.certification.outcome is Outcome.CERTIFIED
    assert (facts.certification is not None) == bool(facts.loops)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_facts_about_a_reference_model_are_certified(condition: str) -> None:
    name = f"scaleaudit_target_{condition}_tiny"
    facts = audit_facts(str(REFERENCE), name, certify=Certify.ANY)
    assert facts.certification is not None
    assert facts.certification.outcome is Outcome.CERTIFIED


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=str)
def test_facts_about_a_model_are_certified_with_many_draws(case) -> None:
    program = capture(load_target(case.path, case.function))
    claims = analyse_and_claim(program.graph, find_loops(program.graph))[1]
    for seed in SEEDS:
        assert complaints(certify(program, claims, seconds=60, seed=1000 * seed)) == []
