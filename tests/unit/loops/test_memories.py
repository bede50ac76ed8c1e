"""Recurrences without weights in their cycle: memories that are read as they are written."""

from __future__ import annotations

from loop_support import MATRIX, STATE, Program

from scaleaudit.loops.finder import find_loops


def written(program: Program, *, read: bool, steps: int = 4) -> None:
    """Add something to a memory at every step; read it there, or only in the end."""
    memory, x, w = program.input(*STATE), program.input(*STATE), program.weight(*MATRIX)
    write = program.call("aten.mm.default", x, w, offset=1)
    for _ in range(steps):
        memory = program.call(
            "aten.add.Tensor", memory, write, site="write", offset=10, name="memory"
        )
        if read:
            program.call("aten.tanh.default", memory, site="read", offset=20)


def test_a_memory_is_a_state() -> None:
    program = Program()
    written(program, read=True)
    (loop,) = find_loops(program.graph()).loops
    assert not loop.weights
    assert [state.name for state in loop.states] == ["memory"]
    assert loop.turns == 4


def test_a_sum_that_is_read_in_the_end_is_none() -> None:
    program = Program()
    written(program, read=False)
    assert not find_loops(program.graph()).loops


def test_a_sum_that_untied_layers_add_to_is_none() -> None:
    program = Program()
    h = program.input(*STATE)
    for layer in range(4):
        w = program.weight(*MATRIX)
        modules = ((f"layer {layer}", 1 + layer),)
        u = program.call("aten.mm.default", h, w, site="mm", offset=10, modules=modules)
        h = program.call("aten.add.Tensor", h, u, site="add", offset=20)
    assert not find_loops(program.graph()).loops
