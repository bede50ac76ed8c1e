"""Masks that a program makes of its inputs: with one batch of data they may let everything through.

``torch.where(tokens != padding, new, h)`` is ``new`` alone where the example holds no padding. What
the analysis says holds for any data, so a mask that is the same everywhere is drawn instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from scaleaudit.certify.leaves import drawn_mask
from scaleaudit.certify.program import Machine, Value
from scaleaudit.domain.executable import Executable
from scaleaudit.domain.graph import NodeKind


class InputMasks:
    """Knows which values are truth values of the data alone, and draws those that say nothing."""

    def __init__(self, program: Executable, machine: Machine) -> None:
        kinds = {program.node_of[leaf.node]: leaf.kind for leaf in program.leaves}
        steady = {node for node, kind in kinds.items() if kind is not NodeKind.PARAMETER}
        data = {node for node, kind in kinds.items() if kind is NodeKind.INPUT}
        for node in machine.order:
            operands = set(node.all_input_nodes)
            if operands <= steady:
                steady.add(node)
                if not operands.isdisjoint(data):
                    data.add(node)
        self._data = data

    def drawn(self, node: fx.Node, value: Value, generator: torch.Generator, caution: int) -> Value:
        """Return a value, or what is drawn in the place of a mask that is the same everywhere."""
        if not isinstance(value, Tensor) or value.dtype is not torch.bool or node not in self._data:
            return value
        if value.numel() <= 1 or bool(value.any()) != bool(value.all()):
            return value
        return drawn_mask(tuple(value.shape), generator, caution)
