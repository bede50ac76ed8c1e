"""Infer the scales of a program's values, as the audit does with a captured one."""

from __future__ import annotations

from collections.abc import Mapping

from lawkit.programs import Program
from scaleaudit.domain.graph import Ref
from scaleaudit.scale.analysis import free_input
from scaleaudit.scale.interpreter import Interpreter, ScaleTable, View
from scaleaudit.scale.laws import all_laws
from scaleaudit.scale.laws.table import Law


def infer(
    program: Program, view: View = View.VALUE, laws: Mapping[str, Law] | None = None
) -> ScaleTable:
    """Run one pass with every state of the program scaled together."""
    graph = program.graph()
    interpreter = Interpreter(graph, laws or all_laws())
    seeds: dict[Ref, object] = {
        ref: free_input(graph, ref, index) for index, ref in enumerate(program.states)
    }
    return interpreter.run(seeds, view)  # type: ignore[arg-type]
