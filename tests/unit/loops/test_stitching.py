"""Code that is written twice: one body where it feeds the same weights, one after the other."""

from __future__ import annotations

from loop_support import MATRIX, STATE, Program, only_loop

from scaleaudit.loops.finder import find_loops
from scaleaudit.loops.sites import find_sites

BLOCK = (("block", 1),)


def turn(program: Program, h, w, *, site: str, offset: int):
    """h + tanh(h) @ w, the product in a module and the rest on lines of the loop's own."""
    u = program.call("aten.tanh.default", h, site=f"{site}.squash", offset=offset)
    u = program.call("aten.mm.default", u, w, site="mm", offset=offset + 1, modules=BLOCK)
    return program.call("aten.add.Tensor", h, u, site=f"{site}.add", offset=offset + 2, name="h")


def test_the_last_cycle_written_out_behind_the_loop_is_a_turn_of_it() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for _ in range(3):
        h = turn(program, h, w, site="loop", offset=10)
        made.append(h)
    made.append(turn(program, h, w, site="behind", offset=40))
    (state,) = only_loop(program).states
    assert state.boundary == tuple(made)


def test_turns_written_one_below_the_other_are_one_body() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for line in range(4):
        u = program.call("aten.mm.default", h, w, site="mm", offset=10 * line, modules=BLOCK)
        h = program.call("aten.add.Tensor", h, u, site=f"line {line}", offset=10 * line + 1)
        made.append(h)
    (state,) = only_loop(program).states
    assert state.boundary == tuple(made)


def test_layers_of_other_weights_behind_a_loop_are_another_body() -> None:
    program = Program()
    h, w, v = program.input(*STATE), program.weight(*MATRIX), program.weight(*MATRIX)
    for weight, offset in ((w, 10), (w, 10), (w, 10), (v, 40), (v, 40), (v, 40)):
        h = turn(program, h, weight, site=f"at {offset}", offset=offset)
    assert len(find_loops(program.graph()).loops) == 2


def test_an_outer_skip_that_adds_once_more_is_no_turn() -> None:
    program = Program()
    first, w = program.input(*STATE), program.weight(*MATRIX)
    h = first
    for _ in range(3):
        h = turn(program, h, w, site="loop", offset=10)
    out = program.call("aten.add.Tensor", h, first, site="skip", offset=50)
    graph = program.graph()
    keys = find_sites(graph).key
    assert keys[out.node] != keys[h.node]
