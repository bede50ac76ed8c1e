"""What is a loop, how often it turns, and which states it carries."""

from __future__ import annotations

import pytest
from loop_support import MATRIX, STATE, WIDTH, Program, block, loops_of, norm, only_loop
from test_sites import over_time

from scaleaudit.domain.graph import Ref


def looped(turns: int, *, name: str = "") -> tuple[Program, list[Ref]]:
    """Run one block several times; returns the value after every turn."""
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for _ in range(turns):
        h = block(program, h, w, name=name)
        made.append(h)
    return program, made


# What is a loop.


@pytest.mark.parametrize("turns", [2, 3, 6])
def test_a_block_that_feeds_itself_is_a_loop(turns: int) -> None:
    program, made = looped(turns)
    loop = only_loop(program)
    (state,) = loop.states
    assert loop.turns == turns
    assert state.boundary == tuple(made)
    assert state.initial == Ref(0)


def test_a_block_that_runs_once_is_no_loop() -> None:
    assert loops_of(looped(1)[0]) == ()


def test_an_untied_stack_is_no_loop() -> None:
    program = Program()
    h = program.input(*STATE)
    for layer in range(4):
        h = block(program, h, program.weight(*MATRIX), modules=((f"layers.{layer}", layer),))
    assert loops_of(program) == ()


def test_a_norm_shared_by_untied_layers_is_no_loop() -> None:
    program = Program()
    h, gain = program.input(*STATE), program.weight(WIDTH)
    for layer in range(4):
        h = norm(program, h, gain, offset=10)
        h = block(program, h, program.weight(*MATRIX), modules=((f"layers.{layer}", layer + 5),))
    assert loops_of(program) == ()


def test_a_block_shared_between_untied_layers_is_no_loop() -> None:
    program = Program()
    h, shared = program.input(*STATE), program.weight(*MATRIX)
    for layer in range(4):
        h = block(program, h, shared)
        h = program.call("aten.mm.default", h, program.weight(*MATRIX), site="own", offset=20)
        h = program.call(
            "aten.mm.default", h, program.weight(*MATRIX), site="too", offset=30 + layer
        )
    assert loops_of(program) == ()


def test_a_loop_with_an_adapter_of_its_own_in_every_turn_is_a_loop() -> None:
    program = Program()
    h, shared = program.input(*STATE), program.weight(*MATRIX)
    for _ in range(4):
        h = block(program, h, shared)
        scale = program.weight(WIDTH)
        h = program.call("aten.mul.Tensor", h, scale, site="adapter", offset=20, name="h")
    loop = only_loop(program)
    assert loop.turns == 4
    assert [state.name for state in loop.states] == ["h"]


def test_one_block_on_two_towers_is_two_loops() -> None:
    program = Program()
    w, last = program.weight(*MATRIX), []
    for _ in range(2):
        h = program.input(*STATE)
        for _ in range(3):
            h = block(program, h, w)
        last.append(h)
    both = program.call("aten.add.Tensor", *last, offset=90)
    assert [loop.turns for loop in loops_of(program, both)] == [3, 3]


def test_a_stage_that_feeds_an_estimate_alone_does_not_hide_the_loop() -> None:
    """Three uses of the weights a step, the last of which no later step reads."""
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    for _ in range(3):
        for _ in range(2):
            h = block(program, h, w)
        estimate = block(program, h, w)
    both = program.call("aten.add.Tensor", h, estimate, offset=90)
    (loop,) = loops_of(program, both)
    assert loop.turns == 7


def in_depth_and_time(depth: int) -> tuple[Program, Ref]:
    """A loop in depth for one token after the other, each turn reading the last token's turn."""
    program = Program()
    w, cached = program.weight(*MATRIX), [program.input(*STATE)] * depth
    for _ in range(3):
        h = program.input(*STATE)
        for turn in range(depth):
            h = cached[turn] = program.call(
                "aten.add.Tensor",
                block(program, h, w),
                cached[turn],
                site="read",
                offset=5,
            )
    return program, h


@pytest.mark.parametrize("depth", [2, 4])
def test_a_loop_in_depth_that_every_token_starts_anew_is_a_loop(depth: int) -> None:
    program, last = in_depth_and_time(depth)
    (loop,) = loops_of(program, last)
    assert loop.turns == depth


def test_a_weight_used_twice_around_untied_layers_is_no_loop_in_any_call() -> None:
    """A router before and behind a layer, in a program that is run again and again."""
    program = Program()
    router, layers = program.weight(WIDTH, 1), [program.weight(*MATRIX) for _ in range(3)]
    for _ in range(4):
        h = program.input(*STATE)
        for place, layer in enumerate(layers):
            h = around(program, h, router, layer, place)
    assert loops_of(program, h) == ()


def around(program: Program, h: Ref, router: Ref, layer: Ref, place: int) -> Ref:
    """A layer between two uses of one small weight."""
    for half in ("before", "behind"):
        share = program.call(
            "aten.mm.default", h, router, site="route", offset=10 * place, shape=(2, 1)
        )
        h = program.call("aten.mul.Tensor", h, share, site=half, offset=10 * place)
        if half == "before":
            h = program.call("aten.mm.default", h, layer, site="layer", offset=10 * place)
    return h


def test_one_block_used_once_on_each_of_two_towers_is_no_loop() -> None:
    program = Program()
    w = program.weight(*MATRIX)
    towers = [block(program, program.input(*STATE), w) for _ in range(2)]
    both = program.call("aten.add.Tensor", *towers, offset=90)
    assert loops_of(program, both) == ()


def test_a_loop_without_gradient_is_none_in_a_program_that_trains() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    for _ in range(3):
        h = block(program, h, w, grad=False)
    assert loops_of(program) == ()


def test_turns_without_gradient_are_turns_where_a_later_one_has_it() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    for turn in range(4):
        h = block(program, h, w, grad=turn == 3)
    assert only_loop(program).turns == 4


def test_the_weights_of_a_loop_are_the_tied_ones() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX, identity=7)
    for _ in range(3):
        h = block(program, h, w)
    program.call("aten.mm.default", h, program.weight(*MATRIX, identity=8), offset=50)
    assert only_loop(program).weights == {7}


# Where turns begin and end.


def test_a_loop_written_out_by_hand_turns_as_often_as_it_is_written() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for line in range(3):
        h = block(program, h, w, offset=10 * line)
        made.append(h)
    loop = only_loop(program)
    assert loop.turns == 3
    assert loop.states[0].boundary == tuple(made)


def test_a_turn_begins_where_the_code_goes_back() -> None:
    """What stands before the block in the loop's body belongs to the turn that it opens."""
    program = Program()
    x, w = program.input(*STATE), program.weight(*MATRIX)
    h, made = x, []
    for _ in range(3):
        injected = program.call("aten.add.Tensor", h, x, site="inject", offset=10)
        h = block(program, injected, w, offset=20)
        made.append(h)
    loop = only_loop(program)
    assert loop.states[0].boundary == tuple(made)
    assert loop.states[0].initial == x


def test_what_follows_the_block_in_the_body_ends_the_turn() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for _ in range(3):
        h = block(program, h, w, offset=20)
        h = program.call("aten.tanh.default", h, site="squash", offset=30)
        made.append(h)
    assert only_loop(program).states[0].boundary == tuple(made)


def test_a_norm_shared_with_the_readout_is_not_in_the_last_turn() -> None:
    program = Program()
    h, w, gain = program.input(*STATE), program.weight(*MATRIX), program.weight(WIDTH)
    for _ in range(3):
        u = norm(program, h, gain, offset=10)
        u = program.call("aten.mm.default", u, w, site="mm", offset=20)
        h = program.call("aten.add.Tensor", h, u, site="add", offset=30)
    readout = norm(program, h, gain, offset=50)
    loop = only_loop(program)
    assert loop.turns == 3
    assert loop.states[0].boundary[-1] == h
    assert readout.node not in loop.body


def test_a_norm_shared_with_an_exit_of_every_turn_does_not_count_turns() -> None:
    program = Program()
    h, w, gain = program.input(*STATE), program.weight(*MATRIX), program.weight(WIDTH)
    exits = []
    for _ in range(3):
        u = norm(program, h, gain, offset=10)
        u = program.call("aten.mm.default", u, w, site="mm", offset=20)
        h = program.call("aten.add.Tensor", h, u, site="add", offset=30)
        exits.append(norm(program, h, gain, offset=40))
    program.call("aten.stack.default", tuple(exits), offset=60, shape=(3, *STATE))
    loop = only_loop(program)
    assert loop.turns == 3
    assert len(loop.states[0].boundary) == 3


def test_steps_within_one_call_are_turns() -> None:
    loop = only_loop(over_time(4))
    assert loop.turns == 4
    assert [state.name for state in loop.states] == ["h"]


# Carried states.


def test_a_state_is_called_as_the_variable_that_holds_it() -> None:
    assert only_loop(looped(3, name="latent")[0]).states[0].name == "latent"


def test_a_state_that_no_variable_holds_is_called_by_its_module() -> None:
    assert only_loop(looped(3)[0]).states[0].name == "block"


def test_a_sum_over_the_turns_is_no_state() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    total = program.input(*STATE)
    for _ in range(3):
        h = block(program, h, w, offset=10, name="h")
        total = program.call("aten.add.Tensor", total, h, site="sum", offset=30, name="total")
    assert [state.name for state in only_loop(program).states] == ["h"]


def test_a_counter_is_no_state() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    step = program.input(dtype="int64")
    for _ in range(3):
        step = program.call(
            "aten.add.Tensor", step, 1, site="count", offset=5, shape=(), dtype="int64", name="step"
        )
        shifted = program.call("aten.add.Tensor", h, step, site="shift", offset=6)
        h = block(program, shifted, w, offset=10, name="h")
    loop = only_loop(program, h)
    assert [state.name for state in loop.states] == ["h"]


def test_two_values_that_cross_are_two_states() -> None:
    program = Program()
    h, c, w = program.input(*STATE), program.input(*STATE), program.weight(*MATRIX)
    for _ in range(3):
        both = program.call("aten.add.Tensor", h, c, site="both", offset=10)
        u = program.call("aten.mm.default", both, w, site="mm", offset=20)
        c = program.call("aten.add.Tensor", c, u, site="memory", offset=30, name="c")
        h = program.call("aten.tanh.default", c, site="output", offset=40, name="h")
    loop = only_loop(program)
    assert sorted(state.name for state in loop.states) == ["c", "h"]
    assert all(len(state.boundary) == 3 for state in loop.states)


def test_a_state_that_is_detached_between_turns_crosses_before_it_is() -> None:
    program = Program()
    h, w = program.input(*STATE), program.weight(*MATRIX)
    made = []
    for _ in range(3):
        h = block(program, h, w, offset=10)
        made.append(h)
        h = program.call("aten.detach.default", h, site="detach", offset=20)
    assert only_loop(program).states[0].boundary == tuple(made)
