"""The terms of a loss, and their weights."""

from __future__ import annotations

from scaleaudit.domain.facts import PenaltyFlaw
from scaleaudit.domain.graph import Argument, Node, NodeKind, OpGraph, Ref, TensorMeta
from scaleaudit.domain.scale import Interval
from scaleaudit.scale import intervals
from scaleaudit.scale.terms import Term, terms_of

POSITIVE = Interval(0.0, low_open=True)


class Loss:
    """A loss under construction; ``state`` depends on a carried state, ``weight`` on none."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.states: set[int] = set()
        self.spans: dict[int, Interval | None] = {}

    def state(self) -> Ref:
        ref = self._leaf()
        self.states.add(ref.node)
        return ref

    def weight(self, span: Interval | None) -> Ref:
        ref = self._leaf()
        self.spans[ref.node] = span
        return ref

    def call(
        self, op: str, *operands: Argument, alpha: float | None = None, grad: bool = True,
        shape: tuple[int, ...] = (),
    ) -> Ref:  # fmt: skip
        arguments = [(f"a{i}", operand) for i, operand in enumerate(operands)]
        if alpha is not None:
            arguments.append(("alpha", alpha))
        node = Node(
            len(self.nodes),
            NodeKind.CALL,
            op,
            arguments=tuple(arguments),
            outputs=(TensorMeta(shape, "float32"),),
            grad=grad,
        )
        self.nodes.append(node)
        if any(ref.node in self.states for ref in node.refs()):
            self.states.add(node.id)
        return Ref(node.id)

    def terms(self, loss: Ref) -> tuple[Term, ...]:
        graph = OpGraph(tuple(self.nodes), loss)
        return terms_of(
            graph, loss, lambda ref: ref.node in self.states, lambda ref: self.spans.get(ref.node)
        )

    def weights(self, loss: Ref) -> dict[int, Interval]:
        return {term.value.node: term.weight for term in self.terms(loss)}

    def _leaf(self) -> Ref:
        meta = TensorMeta((), "float32")
        self.nodes.append(Node(len(self.nodes), NodeKind.INPUT, "leaf", outputs=(meta,)))
        return Ref(len(self.nodes) - 1)


def test_a_sum_has_its_summands_as_terms() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    total = loss.call("aten.add.Tensor", a, b)
    assert loss.weights(total) == {a.node: intervals.point(1), b.node: intervals.point(1)}


def test_a_factor_is_the_weight_of_its_term() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    scaled = loss.call("aten.mul.Tensor", b, 0.25)
    total = loss.call("aten.add.Tensor", a, scaled)
    assert loss.weights(total)[b.node] == intervals.point(0.25)


def test_alpha_is_a_factor_of_the_second_summand() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    total = loss.call("aten.add.Tensor", a, b, alpha=0.5)
    assert loss.weights(total)[b.node] == intervals.point(0.5)


def test_what_is_subtracted_has_a_negative_weight() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    total = loss.call("aten.sub.Tensor", a, b, alpha=2)
    assert loss.weights(total) == {a.node: intervals.point(1), b.node: intervals.point(-2)}


def test_rsub_subtracts_the_first_from_the_second() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    total = loss.call("aten.rsub.Tensor", a, b)
    assert loss.weights(total) == {a.node: intervals.point(-1), b.node: intervals.point(1)}


def test_negations_cancel() -> None:
    loss = Loss()
    a = loss.state()
    once = loss.call("aten.neg.default", a)
    twice = loss.call("aten.neg.default", once)
    assert loss.weights(once) == {a.node: intervals.point(-1)}
    assert loss.weights(twice) == {a.node: intervals.point(1)}


def test_a_learned_positive_factor_is_a_positive_weight() -> None:
    loss = Loss()
    a, w = loss.state(), loss.weight(POSITIVE)
    assert loss.weights(loss.call("aten.mul.Tensor", w, a)) == {a.node: POSITIVE}


def test_a_quotient_divides_the_weight() -> None:
    loss = Loss()
    a = loss.state()
    assert loss.weights(loss.call("aten.div.Tensor", a, 4.0)) == {a.node: intervals.point(0.25)}


def test_a_constant_over_a_term_is_a_term_of_its_own() -> None:
    loss = Loss()
    a = loss.state()
    quotient = loss.call("aten.div.Tensor", 1.0, a)
    assert loss.weights(quotient) == {quotient.node: intervals.point(1)}


def test_a_product_of_two_terms_is_one_term() -> None:
    loss = Loss()
    product = loss.call("aten.mul.Tensor", loss.state(), loss.state())
    assert set(loss.weights(product)) == {product.node}


def test_a_product_with_data_is_one_term() -> None:
    loss = Loss()
    product = loss.call("aten.mul.Tensor", loss.state(), loss.weight(None))
    assert set(loss.weights(product)) == {product.node}


def test_terms_that_no_state_reaches_are_left_out() -> None:
    loss = Loss()
    a, other = loss.state(), loss.weight(POSITIVE)
    assert set(loss.weights(loss.call("aten.add.Tensor", a, other))) == {a.node}


def test_a_mean_of_stacked_terms_is_taken_apart() -> None:
    loss = Loss()
    a, b = loss.state(), loss.state()
    stacked = loss.call("aten.stack.default", (a, b), shape=(2,))
    assert set(loss.weights(loss.call("aten.mean.default", stacked))) == {a.node, b.node}


def test_a_sum_of_states_inside_of_a_term_is_not_taken_apart() -> None:
    """h + e - h might cancel: only the linear forms tell."""
    loss = Loss()
    inner = loss.call("aten.sub.Tensor", loss.state(), loss.state(), shape=(2, 8))
    assert set(loss.weights(loss.call("aten.mean.default", inner))) == {inner.node}


def test_a_zero_weight_is_kept_with_its_term() -> None:
    loss = Loss()
    a = loss.state()
    assert loss.weights(loss.call("aten.mul.Tensor", a, 0.0)) == {a.node: intervals.point(0)}


def test_a_detached_term_says_so() -> None:
    loss = Loss()
    a = loss.state()
    (term,) = loss.terms(loss.call("aten.detach.default", a))
    assert (term.value, term.stopped) == (a, PenaltyFlaw.DETACHED)


def test_a_term_summed_without_gradient_says_so() -> None:
    loss = Loss()
    a = loss.state()
    (term,) = loss.terms(loss.call("aten.mul.Tensor", a, 0.1, grad=False))
    assert (term.value, term.stopped) == (a, PenaltyFlaw.NO_GRAD)


def test_a_term_met_on_two_ways_is_met_with_both_weights() -> None:
    loss = Loss()
    a = loss.state()
    total = loss.call("aten.sub.Tensor", loss.call("aten.mul.Tensor", a, 3.0), a)
    found = sorted(term.weight.low for term in loss.terms(total) if term.value == a)
    assert found == [-1, 3]
