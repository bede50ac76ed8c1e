"""Certification: the claims of an analysis, held against the captured program in float64."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from scaleaudit.certify import extent
from scaleaudit.certify.declared import contradicted
from scaleaudit.certify.iteration import set_kept_vectors
from scaleaudit.certify.leaves import free_state, leaf_value
from scaleaudit.certify.masks import InputMasks
from scaleaudit.certify.program import Env, Machine, Unmeasured
from scaleaudit.certify.runs import Findings, Key, Scaled
from scaleaudit.certify.thresholds import DRAWS
from scaleaudit.certify.values import named
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.claims import LoopClaims, PassClaims
from scaleaudit.domain.executable import Executable
from scaleaudit.domain.facts import Certification, Disagreement, Outcome
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.reads import OUT_OF_TIME

# How many disagreements are told of, and how many reasons for what was not measured.
_MOST_TOLD = 5


class _OutOfTimeError(Exception):
    """The time for certification is over."""


def certify(
    program: Executable, claims: Sequence[LoopClaims], *, seconds: float, seed: int = 0
) -> Certification | None:
    """Hold every claim against numbers; None where nothing is claimed.

    A disagreement is one that every one of several draws of weights and states shows.

    Args:
        seconds: How long it may take.
        seed: Of the first draw.
    """
    if not claims:
        return None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what is small gains nothing from more, and waits for them
    with torch.random.fork_rng(devices=[]):
        try:
            return _Certifier(program, claims, time.monotonic() + seconds, seed).run()
        finally:
            torch.set_num_threads(threads)


def certify_if_fit(
    program: Executable, claims: Sequence[LoopClaims], which: Certify, seconds: float, room: int
) -> Certification | None:
    """Certify a program that is small enough for what was asked; None where it was not asked for.

    Args:
        seconds: How long it may take.
        room: How many bytes it may take.
    """
    graph = program.graph
    if which is Certify.NEVER or not claims:
        return None
    if which is Certify.SMALL and extent.seconds(graph, claims) > extent.SMALL:
        return None
    needed = extent.memory(graph)
    if needed > room:
        if which is Certify.SMALL:
            return None
        reason = f"it would take {needed / 2**30:.1f} GiB of memory"
        return Certification(Outcome.NOT_CERTIFIED, reasons=(reason,))
    return certify(program, claims, seconds=seconds)


class _Certifier:
    """The certification of one program."""

    def __init__(
        self, program: Executable, claims: Sequence[LoopClaims], end: float, seed: int
    ) -> None:
        self._program, self._claims, self._end, self._seed = program, claims, end, seed
        self._machine = Machine(program)
        self._masks = InputMasks(program, self._machine)
        self._draws: dict[int, Env | str] = {}

    def run(self) -> Certification:
        compared, untold = 0, 0
        reasons: dict[str, None] = {}
        disagreements: list[Disagreement] = []
        declared, unmeasured = contradicted(self._program, self._seed)
        disagreements += declared
        reasons.update(dict.fromkeys(unmeasured))
        try:
            for loop in self._claims:
                for claims in loop.passes:
                    found, confirmed = self._pass(claims, reasons)
                    compared += len(found.compared)
                    untold += len(found.untold)
                    reasons.update(found.unmeasured)
                    disagreements += self._told(claims, confirmed)
        except _OutOfTimeError:
            reasons["it took too long"] = None
        outcome = Outcome.NOT_CERTIFIED if reasons or not compared else Outcome.CERTIFIED
        if disagreements:
            outcome = Outcome.REFUTED
        return Certification(
            outcome,
            compared,
            untold,
            tuple(reasons)[:_MOST_TOLD],
            tuple(dict.fromkeys(disagreements))[:_MOST_TOLD],
        )

    def _pass(
        self, claims: PassClaims, reasons: dict[str, None]
    ) -> tuple[Findings, dict[Key, tuple[str, str]]]:
        """Run a pass once, and again with other draws where anything disagrees."""
        first = self._examine(claims, 0, noisy=False)
        if isinstance(first, str):
            reasons[first] = None
            return Findings(), {}
        confirmed = dict(first.complaints)
        for draw in range(DRAWS):
            if not confirmed:
                break
            again = self._examine(claims, draw, noisy=True)
            if not isinstance(again, str):
                confirmed = {
                    key: again.complaints[key] for key in confirmed if key in again.complaints
                }
        return first, confirmed

    def _examine(self, claims: PassClaims, draw: int, *, noisy: bool) -> Findings | str:
        base = self._base(draw)
        if isinstance(base, str):
            return base
        generator = torch.Generator().manual_seed(self._seed + 1000 * draw + 1)
        states: dict[Ref, Tensor] = {}
        for ref in (*claims.scaled, *claims.held):
            crossing = self._machine.value(ref, base)
            if not isinstance(crossing, Tensor):
                crossing = torch.as_tensor(crossing)
            states[ref] = free_state(crossing, generator)
        return Scaled(self._machine, base, claims, states, self._watch).examine(noisy=noisy)

    def _watch(self) -> None:
        if time.monotonic() > self._end:
            sys.audit(OUT_OF_TIME)
            raise _OutOfTimeError

    def _base(self, draw: int) -> Env | str:
        """Run the whole program once on random weights; a text says why that did not do."""
        if draw not in self._draws:
            tried = [self._attempt(draw, caution) for caution in range(1)]
            for caution in range(1, 3):
                if isinstance(tried[-1], str):
                    tried.append(self._attempt(draw, caution))
            self._draws[draw] = tried[-1] if isinstance(tried[-1], dict) else tried[0]
        return self._draws[draw]

    def _attempt(self, draw: int, caution: int) -> Env | str:
        generator = torch.Generator().manual_seed(self._seed + 1000 * draw)
        env: Env = {}
        for leaf in self._program.leaves:
            node = self._program.node_of[leaf.node]
            env[node] = leaf_value(self._program, leaf, generator, caution, positive=draw % 2 == 1)
        self._fill(env, draw, caution)
        if set_kept_vectors(self._program, self._machine, env):
            self._fill(env, draw, caution)
        for loop in self._claims:
            for claims in loop.passes:
                for ref in (*claims.scaled, *claims.held):
                    value = self._machine.value(ref, env)
                    if type(value) is Unmeasured:
                        return value.reason
        return env

    def _fill(self, env: Env, draw: int, caution: int) -> None:
        """Run the program on its leaves."""
        generator = torch.Generator().manual_seed(self._seed + 1000 * draw + 2)
        with torch.no_grad():
            for node in self._machine.order:
                self._watch()
                value = self._machine.run(node, env)
                env[node] = self._masks.drawn(node, value, generator, caution)

    def _told(
        self, claims: PassClaims, confirmed: dict[Key, tuple[str, str]]
    ) -> list[Disagreement]:
        """Tell of the disagreements that no other one explains: those that come first."""
        graph = self._program.graph
        explained = self._behind_others(claims, confirmed)
        told = []
        for (kind, ref), (claim, measured) in confirmed.items():
            if ref.node in explained:
                continue
            node = graph[ref.node]
            scale = claims.inflow.get(ref) or claims.values.get(ref)
            said = claim
            if kind == "value" and scale is not None:
                said = f"the output of `{node.op}` is {named(scale.growth)}"
            told.append(Disagreement(node.op, node.location, said, measured))
        return told

    def _behind_others(self, claims: PassClaims, confirmed: dict[Key, tuple[str, str]]) -> set[int]:
        """The nodes that are computed from a value that already disagrees."""
        wrong = {ref.node for kind, ref in confirmed if kind == "value"}
        cut = {ref.node for ref in claims.inflow}
        behind: set[int] = set()
        for node in self._program.graph.nodes:
            operands = {ref.node for ref in node.operands} - cut
            if operands & (behind | wrong):
                behind.add(node.id)
        return behind
