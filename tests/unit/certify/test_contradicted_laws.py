"""Declared laws against the operators themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import Target
from scaleaudit.certify.declared import contradicted
from scaleaudit.domain import laws
from scaleaudit.domain.laws import DeclaredLaw


def norm(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True) * w


@pytest.fixture(scope="module")
def operator():
    made = torch.library.custom_op(
        "contradicted::f", norm, mutates_args=(), schema="(Tensor x, Tensor w) -> Tensor"
    )
    made.register_fake(lambda x, w: torch.empty_like(x))
    return made


class Uses(torch.nn.Module):
    def __init__(self, run) -> None:
        super().__init__()
        self.run = run
        self.weight = torch.nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(x, self.weight)


@pytest.fixture
def told(operator):
    def tell(**said: object) -> str:
        law = DeclaredLaw("contradicted.f", "here", path="model.py", line=7, **said)
        laws.declare_all([law])
        args = (torch.randn(3, 4),)
        parts = Path("model.py"), "uses", Uses(operator), args, {}, None, (), None, None
        target = Target(*parts, rebuild=lambda *, fake: target)
        found, reasons = contradicted(capture(target))
        laws.declarations.pop()
        assert not reasons
        assert all(str(each.location) == "model.py:7" for each in found)
        return found[0].measured if found else ""

    return tell


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"degree": 0}, ""),
        ({"degree": 0, "bounded": (-9.0, 9.0)}, ""),
        ({"degrees": (("x", 0.0), ("w", 1.0))}, ""),
        ({"degree": 1}, "not like a^1"),
        ({"degrees": (("x", 1.0), ("w", 0.0))}, "with x scaled"),
        ({"degrees": (("x", 0.0), ("w", 2.0))}, "with w scaled"),
        ({"degree": 0, "bounded": (-0.01, 0.01)}, "the result reaches"),
        ({"bounded": (-9.0, 9.0)}, "declare degree = 0"),
    ],
)
def test_what_contradicts_a_declaration_is_told_at_its_line(told, said, expected):
    found = told(**said)
    assert expected in found
    assert bool(found) == bool(expected)
