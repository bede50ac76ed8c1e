"""One pass, run: the states cut and scaled by every factor, side by side, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from scaleaudit.certify import answers
from scaleaudit.certify.answers import Slopes
from scaleaudit.certify.program import (
    Env,
    Jitter,
    Machine,
    Unmeasured,
    Value,
    elements,
    first_line,
)
from scaleaudit.certify.reach import Reach
from scaleaudit.certify.thresholds import FACTORS, NOISE
from scaleaudit.certify.values import TELLS_NOTHING, Judgement, Samples, judge_value
from scaleaudit.domain.claims import PassClaims, TermClaim
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Scale

Key = tuple[str, Ref]
# What capture puts behind an autograd function whose backward is not that of its forward.
CUSTOM_GRADIENT = "scaleaudit.custom_gradient"


@dataclass(slots=True)
class Findings:
    """What a run says of a pass.

    Attributes:
        complaints: What disagrees, by kind and value: the claim and the numbers.
        compared: What told something.
        untold: What told nothing.
        unmeasured: Why values could not be computed.
    """

    complaints: dict[Key, tuple[str, str]] = field(default_factory=dict)
    compared: set[Key] = field(default_factory=set)
    untold: set[Key] = field(default_factory=set)
    unmeasured: dict[str, None] = field(default_factory=dict)


class _Layer(dict[fx.Node, Value]):
    """The values of one factor over those that no state reaches."""

    def __init__(self, base: Mapping[fx.Node, Value]) -> None:
        super().__init__()
        self._base = base

    def __missing__(self, node: fx.Node) -> Value:
        return self._base[node]


class Scaled:
    """A run of a pass."""

    def __init__(
        self,
        machine: Machine,
        base: Env,
        claims: PassClaims,
        states: dict[Ref, Tensor],
        on_node: Callable[[], None],
    ) -> None:
        self._machine, self._base, self._claims = machine, base, claims
        self._states, self._on_node = states, on_node
        self._cut = {node: ref for ref in states for node in machine.holders(ref)}
        self._lower = all(_is_scalable(states[ref]) for ref in claims.scaled)
        self._loss = machine.program.graph.loss
        self.found = Findings()
        self._listens = bool(claims.terms) and self._loss is not None and self._is_differentiable()
        self._way: list[fx.Node] = []

    def examine(self, *, noisy: bool) -> Findings:
        """Run and compare.

        Args:
            noisy: Whether to measure what rounding does, at twice the cost.
        """
        layers = [self._layer(factor) for factor in FACTORS]
        jitter = Jitter(1) if noisy else None
        shadows = [self._layer(factor) for factor in FACTORS] if noisy else []
        order, last_use = self._dirty()
        claims = self._claims_by_node()
        reach = Reach(self._base, {*order, *self._cut})
        with torch.set_grad_enabled(self._listens):
            for node in order:
                self._on_node()
                values = [self._machine.run(node, layer) for layer in layers]
                with torch.no_grad():
                    twins = [self._machine.run(node, shadow, jitter) for shadow in shadows]
                told, short = claims.get(node, []), False
                gaps = reach.is_behind_gaps(node)
                for ref, scale in told:
                    short |= self._compare(ref, node, scale, values, twins, gaps=gaps).short
                if node not in self._cut:
                    reach.note(node, values, [scale for _, scale in told], short=short)
                    for layer, value in zip((*layers, *shadows), (*values, *twins), strict=True):
                        layer[node] = value
                else:
                    self._turns(self._cut[node], layers, values)
                for done in last_use.get(node, ()):
                    for layer in (*layers, *shadows):
                        layer.pop(done, None)
            if self._listens:
                self._terms(layers)
        return self.found

    def _is_differentiable(self) -> bool:
        """Whether gradients flow as the operators that were recorded have it."""
        graph = self._machine.program.graph
        own = next((n for n in graph.nodes if n.base_op == CUSTOM_GRADIENT), None)
        if own is not None:
            at = f" at {own.location}" if own.location else ""
            reason = f"gradients: an autograd function{at} has a backward of its own"
            self.found.unmeasured[reason] = None
        return own is None

    def _layer(self, factor: float) -> _Layer:
        layer = _Layer(self._base)
        scaled, heard = set(self._claims.scaled), set(self._claims.heard)
        for node, ref in self._cut.items():
            state = self._states[ref]
            if ref in scaled and _is_scalable(state):
                state = state * (factor if is_differentiable(state) else int(factor))
            if self._listens and ref in heard and is_differentiable(state):
                state = state.detach().requires_grad_()
            layer[node] = state
        return layer

    def _dirty(self) -> tuple[list[fx.Node], dict[fx.Node, list[fx.Node]]]:
        """The nodes that states reach, in order, and after which of them a value is used no more."""
        reached = set(self._cut)
        order: list[fx.Node] = []
        for node in self._machine.order:
            if not reached.isdisjoint(node.all_input_nodes):
                reached.add(node)
                order.append(node)
        last: dict[fx.Node, fx.Node] = {}
        for node in order:
            for operand in node.all_input_nodes:
                last[operand] = node
        kept = {*self._cut, *self._kept_for_terms(order)}
        uses: dict[fx.Node, list[fx.Node]] = {}
        for operand, node in last.items():
            if operand in reached and operand not in kept:
                uses.setdefault(node, []).append(operand)
        return order, uses

    def _kept_for_terms(self, order: list[fx.Node]) -> set[fx.Node]:
        """What the way from the terms to the loss needs, which is run again."""
        if not self._listens:
            return set()
        assert self._loss is not None
        terms = {self._machine.node(claim.value) for claim in self._claims.terms}
        end = self._machine.node(self._loss)
        behind = set(terms)
        for node in order:
            if not behind.isdisjoint(node.all_input_nodes):
                behind.add(node)
        needed = {end}
        for node in reversed(order):
            if node in needed and node in behind and node not in terms:
                needed.update(node.all_input_nodes)
        self._way = [n for n in order if n in needed and n in behind and n not in terms]
        return needed | terms

    def _claims_by_node(self) -> dict[fx.Node, list[tuple[Ref, Scale]]]:
        found: dict[fx.Node, list[tuple[Ref, Scale]]] = {}
        for table in (self._claims.values, self._claims.inflow):
            for ref, scale in table.items():
                node = self._machine.holder(ref)
                if node is not None and not scale.opaque:
                    found.setdefault(node, []).append((ref, scale))
        return found

    def _compare(
        self,
        ref: Ref,
        node: fx.Node,
        scale: Scale,
        values: list[Value],
        twins: list[Value],
        *,
        gaps: bool,
    ) -> Judgement:
        key = ("value", ref)
        missing = next((v for v in values if type(v) is Unmeasured), None)
        if missing is not None:
            self.found.unmeasured[missing.reason] = None
            return TELLS_NOTHING
        rows = [elements(value) for value in values]
        sampled = _stacked(rows)
        if sampled is None:
            self.found.untold.add(key)
            return TELLS_NOTHING
        noise, rough = self._noise(sampled, twins), node in self._machine.rough
        judged = judge_value(scale, Samples(sampled, noise, rough, self._lower, gaps))
        self._note(key, judged, "")
        return judged

    @staticmethod
    def _noise(sampled: Tensor, twins: list[Value]) -> Tensor | None:
        if not twins:
            return None
        shaken = _stacked([elements(twin) for twin in twins])
        if shaken is None or shaken.shape != sampled.shape:
            return None
        return NOISE * (sampled - shaken).abs().nan_to_num(nan=0.0, posinf=0.0)

    def _note(self, key: Key, judged: Judgement, claim: str) -> None:
        if not judged.telling:
            self.found.untold.add(key)
            return
        self.found.compared.add(key)
        if judged.complaint:
            self.found.complaints[key] = (claim, judged.complaint)

    def _turns(self, made: Ref, layers: list[_Layer], values: list[Value]) -> None:
        for turn in self._claims.turns:
            if turn.made != made or not all(isinstance(value, Tensor) for value in values):
                continue
            node = self._machine.node(turn.entered)
            entered = [answers.length(layer[node]) for layer in layers]
            complaint = answers.judge_turn(turn, entered, [answers.length(v) for v in values])
            self._note(("turn", made), Judgement(complaint), answers.claimed_turn(turn))

    # Along gradients.

    def _terms(self, layers: list[_Layer]) -> None:
        assert self._loss is not None
        nodes = [self._machine.node(claim.value) for claim in self._claims.terms]
        end = self._machine.node(self._loss)
        missing = [v for node in (end, *nodes) if type(v := layers[0][node]) is Unmeasured]
        if missing:
            self.found.unmeasured[missing[0].reason] = None
            return
        try:
            rows = [self._slopes(layer, end, nodes) for layer in layers]
        except Exception as error:  # noqa: BLE001 - a user's own backward may raise anything
            self.found.unmeasured[f"the loss could not be differentiated: {first_line(error)}"] = (
                None
            )
            return
        total = _transposed([row[0] for row in rows])
        parts = [_transposed([row[i + 1] for row in rows]) for i in range(len(nodes))]
        for claim, slopes in zip(self._claims.terms, parts, strict=True):
            self._judge_term(claim, slopes)
        once = list(dict(zip(nodes, parts, strict=True)).values())
        if self._claims.complete and all(each.finite for each in (total, *once)):
            told = answers.total_is_told(total, once)
            complaint = (
                ""
                if told
                else f"they have a slope of {sum(p.slopes[-1] for p in once):.3g}, the loss of {total.slopes[-1]:.3g}"
            )
            self._note(
                ("loss", self._loss), Judgement(complaint), "these are all terms of the loss"
            )

    def _judge_term(self, claim: TermClaim, slopes: Slopes) -> None:
        told = slopes.finite and any(slopes.sizes)
        complaint = answers.judge_term(claim, slopes) if told and self._lower else ""
        judged = Judgement(complaint) if told else Judgement(telling=False)
        self._note(("term", claim.value), judged, answers.claimed(claim))

    def _slopes(self, layer: _Layer, end: fx.Node, nodes: list[fx.Node]) -> list[_Point]:
        """Answer of the loss, then of every term as it weighs in the loss."""
        loss = layer[end]
        cut: list[Tensor] = [layer[node] for node in self._cut]
        seeds = [seed for seed in cut if seed.requires_grad]
        found = [_Point(_along(loss, None, seeds), loss)]
        weights = self._weights(layer, end, nodes)
        for node in nodes:
            term, weight = layer[node], weights.get(node)
            slope = 0.0 if weight is None else _along(term, weight, seeds)
            found.append(_Point(slope, term if weight is None else weight * term))
        return found

    def _weights(self, layer: _Layer, end: fx.Node, nodes: list[fx.Node]) -> dict[fx.Node, Tensor]:
        """Derivatives of the loss by each term by itself: terms may be made of other terms.

        The way from the terms to the loss is run again, with the terms as its inputs.
        """
        again = _Layer(layer)
        for node in nodes:
            term = layer[node]
            if isinstance(term, Tensor) and term.requires_grad:
                again[node] = term.detach().requires_grad_()
        for node in self._way:
            again[node] = self._machine.run(node, again)
        free = [node for node in dict.fromkeys(nodes) if node in again]
        loss = again[end]
        if not free or not loss.requires_grad:
            return {}
        weights = torch.autograd.grad(loss, [again[node] for node in free], allow_unused=True)
        reached: list[tuple[fx.Node, Tensor | None]] = list(zip(free, weights, strict=True))
        return {node: weight for node, weight in reached if weight is not None}


class _Point:
    """A term at one factor: its slope, its size, its value."""

    def __init__(self, slope: float, weighed: Tensor) -> None:
        value = weighed.detach()
        self.slope, self.size = slope, float(value.abs().sum())
        self.value = float(torch.real(value).sum())


def _stacked(rows: list[Tensor | None]) -> Tensor | None:
    """One row a factor; None where the values have no elements, or not as many at each."""
    known = [row for row in rows if row is not None]
    same = len({row.shape for row in known}) == 1
    return torch.stack(known) if same and len(known) == len(rows) else None


def _along(end: Tensor, weight: Tensor | None, seeds: list[Tensor]) -> float:
    """Derivative by the logarithm of the factor that all seeds have in common."""
    if not (end.requires_grad and seeds):
        return 0.0
    found = torch.autograd.grad(
        end, seeds, grad_outputs=weight, retain_graph=True, allow_unused=True
    )
    pairs: list[tuple[Tensor, Tensor | None]] = list(zip(seeds, found, strict=True))
    parts = [torch.real(x.detach() * g.conj()).sum() for x, g in pairs if g is not None]
    return sum(map(float, parts))


def _transposed(points: list[_Point]) -> Slopes:
    return Slopes(
        tuple(point.slope for point in points),
        tuple(point.size for point in points),
        tuple(point.value for point in points),
    )


def _is_scalable(state: Tensor) -> bool:
    return state.dtype is not torch.bool


def is_differentiable(state: Tensor) -> bool:
    """Whether a state is a tensor of real or complex numbers."""
    return state.is_floating_point() or state.is_complex()
