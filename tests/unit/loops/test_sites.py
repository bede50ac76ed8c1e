"""Which operators are the same code with the same weights."""

from __future__ import annotations

from loop_support import MATRIX, STATE, WIDTH, Program, block

from scaleaudit.domain.graph import Ref
from scaleaudit.loops.sites import Sites, find_sites
from scaleaudit.loops.steps import step_likes


def sites_of(program: Program) -> Sites:
    return find_sites(program.graph())


def test_weights_are_tied_by_identity_whatever_module_uses_them() -> None:
    program = Program()
    h = program.input(*STATE)
    first = block(program, h, program.weight(*MATRIX, identity=7), modules=(("blocks.0", 1),))
    w = program.weight(*MATRIX, identity=7)
    second = block(program, first, w, modules=(("blocks.1", 2),))
    sites = sites_of(program)
    assert sites.key[first.node] == sites.key[second.node]
    assert sites.key[first.node - 1] == sites.key[second.node - 1]


def test_the_same_code_with_other_weights_is_another_class() -> None:
    program = Program()
    h = program.input(*STATE)
    first = block(program, h, program.weight(*MATRIX), modules=(("blocks.0", 1),))
    second = block(program, first, program.weight(*MATRIX), modules=(("blocks.1", 2),))
    sites = sites_of(program)
    assert sites.key[first.node] != sites.key[second.node]


def sliced(program: Program, h: Ref, stack: Ref, index: int) -> Ref:
    w = program.call("aten.select.int", stack, 0, index, site="select", shape=MATRIX)
    return program.call("aten.mm.default", h, w, site="mm")


def test_slices_of_stacked_weights_are_weights_of_their_own() -> None:
    program = Program()
    h, stack = program.input(*STATE), program.weight(3, *MATRIX)
    first = sliced(program, h, stack, 0)
    second = sliced(program, first, stack, 1)
    again = sliced(program, second, stack, 0)
    sites = sites_of(program)
    assert sites.weights[first.node] != sites.weights[second.node]
    assert sites.key[first.node] == sites.key[again.node] != sites.key[second.node]


def test_a_view_of_a_whole_weight_is_that_weight() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX, identity=7)
    turned = program.call("aten.t.default", w, shape=MATRIX)
    used = program.call("aten.mm.default", h, turned)
    sites = sites_of(program)
    assert sites.weights[used.node] == {7}
    assert sites.key[turned.node] is None


def test_a_weight_made_of_two_parameters_is_made_of_both() -> None:
    program = Program()
    h = program.input(*STATE)
    g, v = program.weight(WIDTH, 1, identity=7), program.weight(*MATRIX, identity=8)
    w = program.call("aten.mul.Tensor", g, v, shape=MATRIX)
    used = program.call("aten.mm.default", h, w)
    assert sites_of(program).weights[used.node] == {7, 8}


def corrected(program: Program, h: Ref, base: Ref, rank: int) -> Ref:
    """Use a shared matrix after adding to it the product of two others, made for this use."""
    down, up = program.weight(WIDTH, rank), program.weight(rank, WIDTH)
    delta = program.call("aten.mm.default", down, up, site="delta", shape=MATRIX)
    w = program.call("aten.add.Tensor", base, delta, site="add", shape=MATRIX)
    return program.call("aten.mm.default", h, w, site="mm")


def test_a_matrix_with_a_small_correction_per_turn_is_tied() -> None:
    program = Program()
    h, base = program.input(*STATE), program.weight(*MATRIX, identity=7)
    first = corrected(program, h, base, 1)
    second = corrected(program, first, base, 1)
    sites = sites_of(program)
    assert sites.weights[first.node] == sites.weights[second.node] == {7}
    assert sites.key[first.node] == sites.key[second.node]


def test_a_matrix_with_a_correction_of_its_own_size_per_turn_is_not_tied() -> None:
    program = Program()
    h, base = program.input(*STATE), program.weight(*MATRIX, identity=7)
    first = corrected(program, h, base, WIDTH)
    second = corrected(program, first, base, WIDTH)
    sites = sites_of(program)
    assert sites.weights[first.node] != sites.weights[second.node]
    assert sites.key[first.node] != sites.key[second.node]


def test_a_product_with_a_bias_per_turn_is_tied() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX, identity=7)
    for _ in range(2):
        h = program.call("aten.addmm.default", program.weight(WIDTH), h, w, site="addmm")
    sites = sites_of(program)
    assert sites.key[h.node] == sites.key[h.node - 2]
    assert sites.weights[h.node] == {7}


def learning(turns: int, *, resets: bool = False) -> tuple[Program, list[int]]:
    """A weight that every turn reads and writes, as test-time training does."""
    program = Program()
    h, start = program.input(*STATE), program.weight(*MATRIX, identity=7)
    fast, reads = start, []
    for turn in range(turns):
        fast = start if resets and turn == turns - 1 else fast
        h = program.call("aten.mm.default", h, fast, site="read")
        reads.append(h.node)
        fast = program.call("aten.addmm.default", fast, h, h, site="write", shape=MATRIX)
    return program, reads


def test_a_state_that_starts_as_a_parameter_uses_none() -> None:
    program, reads = learning(4)
    sites = sites_of(program)
    assert len({sites.key[read] for read in reads}) == 1
    assert not any(sites.weights[read] for read in reads)


def test_a_parameter_that_is_read_again_is_used() -> None:
    program, (first, *_, last) = learning(4, resets=True)
    sites = sites_of(program)
    assert sites.weights[first] == sites.weights[last] == {7}


def test_one_more_call_of_the_same_code_makes_no_start_of_a_weight() -> None:
    program, (first, _) = learning(2)
    assert sites_of(program).weights[first] == {7}


def test_a_submodule_without_weights_belongs_to_the_module_around_it() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for index in range(2):
        path, inside = f"blocks.{index}", program.running()
        outer = ((path, 1 + index),)
        u = program.call("aten.mm.default", h, w, site="mm", inside=inside, modules=outer)
        inner = (*outer, (f"{path}.act", 10 + index))
        h = program.call("aten.relu.default", u, site="relu", inside=inside, modules=inner)
        made.append(h.node)
    sites = sites_of(program)
    assert sites.key[made[0]] == sites.key[made[1]]


def test_two_submodules_of_one_block_are_two_classes() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    u = program.call("aten.mm.default", h, w, site="mm", modules=(("block", 1),))
    made = []
    for name in ("first", "second"):
        modules = (("block", 1), (f"block.{name}", len(name)))
        u = program.call("aten.relu.default", u, site="relu", modules=modules)
        made.append(u.node)
    sites = sites_of(program)
    assert sites.key[made[0]] != sites.key[made[1]]


def over_time(steps: int) -> Program:
    """All steps of a recurrence within one operator call of the user's."""
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    for step in range(steps):
        u = program.call("aten.mm.default", h, w, site=f"rnn {2 * step}", offset=5)
        h = program.call("aten.tanh.default", u, site=f"rnn {2 * step + 1}", offset=5, name="h")
    return program


def test_steps_within_one_call_are_like_the_first() -> None:
    program = over_time(4)
    graph = program.graph()
    models = step_likes(graph, find_sites(graph).weights)
    assert {node: models[node].first for node in (2, 4, 6, 8)} == dict.fromkeys((2, 4, 6, 8), 2)
    assert {node: models[node].first for node in (3, 5, 7, 9)} == dict.fromkeys((3, 5, 7, 9), 3)


def test_operators_on_lines_of_their_own_are_no_steps() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    for line in range(3):
        h = program.call("aten.mm.default", h, w, offset=line)
    graph = program.graph()
    assert step_likes(graph, find_sites(graph).weights) == {}


def test_a_tensor_of_the_same_shape_reads_no_value() -> None:
    program = Program()
    h = program.input(*STATE)
    first = block(program, h, program.weight(*MATRIX, identity=7))
    zeros = program.call("aten.zeros_like.default", first, shape=STATE)
    filled = program.call("aten.new_full.default", first, STATE, 1.0, shape=STATE)
    copied = program.call("aten.clone.default", first, shape=STATE)
    reads = sites_of(program).reads
    assert reads[zeros.node] == reads[filled.node] == ()
    assert reads[copied.node] == (first,)
