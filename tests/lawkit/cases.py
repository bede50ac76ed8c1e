"""Direct cases of every law: one operator, on operands of every kind."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from lawkit.agreement import Judgement, judge_value
from lawkit.expressions import compare_gradients, gradients
from lawkit.inferring import infer
from lawkit.operands import KINDS, SECOND
from lawkit.operations import law_key, operations
from lawkit.programs import Program, Samples
from lawkit.sharpness import dullness
from lawkit.table import Operation
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Scale
from scaleaudit.scale.interpreter import View
from scaleaudit.scale.laws.table import Law


@dataclass(frozen=True)
class Case:
    """One call of one operator, measured once and judged under any laws."""

    operation: Operation
    kinds: tuple[str, ...]
    program: Program
    result: Ref

    def __str__(self) -> str:
        return f"{self.operation.op} of {' and '.join(self.kinds)}"

    @cached_property
    def samples(self) -> Samples:
        """The measured elements of the result."""
        return self.program.samples((self.result,))[self.result]

    def scale(self) -> Scale:
        """What the laws infer, as they stand."""
        return self._scale

    @cached_property
    def _scale(self) -> Scale:
        return infer(self.program)[self.result]

    def judge(self, laws: Mapping[str, Law] | None = None) -> Judgement:
        """Hold what the laws infer against the numbers."""
        scale = infer(self.program, laws=laws)[self.result]
        judgement = judge_value(scale, self.samples)
        if judgement.complaints or self.operation.loose or judgement.discarded:
            return judgement
        rough = self.operation.rough
        return Judgement(dullness(scale, self.samples, self.kinds, rough=rough))

    @cached_property
    def _gradients(self) -> list[torch.Tensor | None]:
        return gradients(self.program, self.result)

    def gradient_complaints(self, laws: Mapping[str, Law] | None = None) -> list[str]:
        """Hold the gradient path, and the positions read, against autograd."""
        value = infer(self.program, laws=laws)[self.result]
        path = infer(self.program, View.GRADIENT, laws)[self.result]
        return compare_gradients(value, path, self._gradients)


def cases_of(operation: Operation) -> Iterator[Case]:
    """Call an operation on operands of every kind that it can take."""
    pairs: list[tuple[str, ...]] = [(k,) for k in KINDS]
    if operation.arity > 1:
        pairs = [(k, s) for k in KINDS for s in SECOND]
    for kinds in pairs:
        program = Program(zlib.crc32(f"{operation.op} {kinds}".encode()))
        operands = [KINDS[kind](program) for kind in kinds]
        yield Case(operation, kinds, program, operation.apply(program, *operands))


def operations_of(law: str) -> list[Operation]:
    """Return the calls that a law answers for."""
    return [operation for operation in operations() if law_key(operation.op) == law]
