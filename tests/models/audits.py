"""Targets captured with every turn run, and with what repeats left out, with the same draws."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from zoo import Case, cases

from scaleaudit.api import analysed
from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import load_target
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.facts import LoopFacts, ScaleFacts
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse


@dataclass(frozen=True, slots=True)
class Audits:
    """One target captured with every turn run, and captured with what repeats left out."""

    whole: Captured
    economical: Captured

    @property
    def facts(self) -> ScaleFacts:
        """What is found of it, either way."""
        return alike(facts_of(self.whole), facts_of(self.economical))

    @property
    def spared(self) -> int:
        """How many nodes the analysis is spared."""
        return len(self.whole.graph.nodes) - len(self.economical.graph.nodes)


def alike(facts: ScaleFacts, others: ScaleFacts) -> ScaleFacts:
    """Return the facts, which must equal the others."""
    is_equal = others == facts  # facts are too long to be shown where they differ
    assert is_equal
    return facts


def derived(facts: ScaleFacts) -> ScaleFacts:
    """Return of the facts of an audit those that the analysis derives."""
    return replace(facts, certification=None, loops=tuple(map(_derived, facts.loops)))


def _derived(loop: LoopFacts) -> LoopFacts:
    states = (
        replace(
            state,
            picture=None,
            handover=None,
            readouts=tuple(replace(readout, norms=()) for readout in state.readouts),
        )
        for state in loop.states
    )
    return replace(loop, states=tuple(states))


@cache
def certified_facts(case: Case) -> ScaleFacts:
    """Audit a case of the zoo once for all that is asked of it, as users do."""
    economical = captured(case.path, case.function, whole=False)
    return analysed(economical, Certify.ANY)


def facts_as_if_all_was_run(case: Case) -> ScaleFacts:
    """Compare what an audit of a case finds with what is found where every turn is run."""
    whole = captured(case.path, case.function, whole=True)
    return alike(facts_of(whole), derived(certified_facts(case)))


def shared_out(*, first: bool) -> list[Any]:
    """The zoo: half of it as it is, a quarter with longer loops; the slow suite takes all of both.

    Args:
        first: Whether the first target of every two is meant, else the second of every four.
    """
    every, which = (2, 0) if first else (4, 1)
    parts = ((case, number % every == which) for number, case in enumerate(cases()))
    return [
        pytest.param(case, id=str(case), marks=() if mine else pytest.mark.slow)
        for case, mine in parts
    ]


def facts_of(captured: Captured) -> ScaleFacts:
    """Analyse a captured target."""
    return analyse(captured.graph, find_loops(captured.graph))


def audits_of(path: Path, name: str) -> Audits:
    """Capture a target both ways."""
    return Audits(captured(path, name, whole=True), captured(path, name, whole=False))


def captured(path: Path, name: str, *, whole: bool) -> Captured:
    """Build and capture a target, with the same draws every time."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the generator that models of the zoo draw from
    torch.manual_seed(0)
    return capture(load_target(path, name), whole=whole)
