"""Weights that are computed from parameters at every use, and what they do to a linear carry."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from expect import Expect, State, blind
from parts import TURNS, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize


class Carried(Language):
    """A linear recurrence in depth: the state passes a matrix, and the input is added."""

    def __init__(self, carry: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.carry = carry
        self.factor = factor

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.factor * self.carry(h) + source
        return self.head(self.norm(h))


class CarriedRawHead(Carried):
    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.factor * self.carry(h) + source
        return self.head(h)


class Branch(Language):
    """A pre-norm block whose matrix is computed at every use."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + F.silu(self.inner(F.rms_norm(h, (D,))))
        return self.head(self.norm(h))


class Contractive(Language):
    """A raw branch of a linear map with a gain below one, without an identity path."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = parametrizations.spectral_norm(nn.Linear(D, D))

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = source + 0.9 * self.inner(h)
        return self.head(self.norm(h))


class ContractiveNetwork(Language):
    """Two bounded matrices with a relu between them: a branch that shrinks what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.up = parametrizations.spectral_norm(nn.Linear(D, 2 * D))
        self.down = parametrizations.spectral_norm(nn.Linear(2 * D, D))

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = source + 0.9 * self.down(F.relu(self.up(h)))
        return self.head(self.norm(h))


class SkipBeside(Carried):
    """A skip beside a bounded matrix: their gains add up to more than one."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = h + self.factor * self.carry(h)
        return self.head(self.norm(h))


class GatedMix(Carried):
    """Gates pick elements and a matrix mixes them: the mix can be longer than either."""

    def __init__(self, carry: nn.Module) -> None:
        super().__init__(carry)
        self.gate = nn.Parameter(torch.zeros(D))

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            z = self.gate.sigmoid()
            h = z * h + (1 - z) * self.carry(h)
        return self.head(self.norm(h))


class Scaled(nn.Module):
    """A matrix times a constant below one: a parametrisation on top of another."""

    def forward(self, weight: Tensor) -> Tensor:
        return 0.9 * weight


class WrittenOut(Language):
    """Power iteration written by hand, with its vectors in buffers."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.weight = nn.Parameter(torch.randn(D, D) / D**0.5)
        self.register_buffer("u", F.normalize(torch.randn(D), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(D), dim=0))

    def bounded(self) -> Tensor:
        with torch.no_grad():
            for _ in range(5):
                self.v.copy_(F.normalize(self.weight.t() @ self.u, dim=0))
                self.u.copy_(F.normalize(self.weight @ self.v, dim=0))
        sigma = self.u.clone() @ (self.weight @ self.v.clone())
        return self.bound * self.weight / sigma

    def forward(self, tokens: Tensor) -> Tensor:
        source = h = self.embed(tokens)
        for _ in range(TURNS):
            h = F.linear(h, self.bounded()) + source
        return self.head(self.norm(h))


class Frobenius(WrittenOut):
    """Divided by its Frobenius norm, which is never below the spectral one."""

    def bounded(self) -> Tensor:
        return self.bound * self.weight / self.weight.norm()


class ExactNorm(WrittenOut):
    """Divided by its largest singular value, found exactly."""

    def bounded(self) -> Tensor:
        return self.bound * self.weight / torch.linalg.matrix_norm(self.weight, ord=2)


class NotItsOwn(WrittenOut):
    """Divided by the norm of another matrix: this bounds nothing."""

    def __init__(self, bound: float) -> None:
        super().__init__(bound)
        self.other = nn.Parameter(torch.randn(D, D) / D**0.5)

    def bounded(self) -> Tensor:
        return self.bound * self.weight / torch.linalg.matrix_norm(self.other, ord=2)


class Cayley(nn.Module):
    """The Cayley map of a skew matrix, which is orthogonal."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(D, D) / D**0.5)

    def forward(self, x: Tensor) -> Tensor:
        skew = self.raw - self.raw.t()
        eye = torch.eye(D)
        return x @ torch.linalg.solve(eye + skew, eye - skew)


def square() -> nn.Linear:
    return nn.Linear(D, D, bias=False)


def old_style(wrap: Any, linear: nn.Module) -> nn.Module:
    """Apply a parametrisation that torch keeps for old code, and warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wrap(linear)


def twice_parametrised() -> nn.Module:
    linear = parametrizations.spectral_norm(square())
    return parametrize.register_parametrization(linear, "weight", Scaled())


def untrivialised(way: str) -> nn.Module:
    return parametrizations.orthogonal(square(), orthogonal_map=way, use_trivialization=False)


DAMPED = Expect((State("damped", "invariant"),), "SCL205")
LINEAR = blind("linear", also="SCL202")

EXPECT = {
    "spectral_damped": DAMPED,
    "spectral_damped_old_style": DAMPED,
    "spectral_damped_twice_parametrised": DAMPED,
    "spectral_damped_after_bias": DAMPED,
    "spectral_damped_raw_head": Expect((State("damped", "visible"),)),
    "spectral_damped_by_hand": DAMPED,
    "frobenius_damped": DAMPED,
    "exact_norm_damped": DAMPED,
    # A spectral norm of 1 bounds the gain, and reaches it.
    "spectral_alone": blind(),
    "spectral_times_two": LINEAR,
    "skip_beside_spectral": blind("expanding", also="SCL201"),
    "gated_mix_with_spectral": Expect(
        (State("linear|expanding", "invariant"),), "SCL101", "SCL201 SCL202"
    ),
    "contractive_network": DAMPED,
    # In eval mode nothing iterates, and nothing says that the vectors fit the matrix.
    "spectral_damped_in_eval": LINEAR,
    "norm_of_another": LINEAR,
    "weight_norm_carry": LINEAR,
    "weight_norm_carry_old_style": LINEAR,
    # By default torch keeps a factor in a buffer, and no code says that it is orthogonal.
    "orthogonal_carry": Expect((State("carried|linear", "invariant"),), "SCL101", "SCL202"),
    "orthogonal_exponential_carry": blind(),
    "orthogonal_cayley_carry": blind(),
    "orthogonal_damped": DAMPED,
    "cayley_by_hand_carry": blind(),
    "weight_norm_branch": blind(),
    "weight_norm_branch_old_style": blind(),
    "spectral_branch_old_style": blind(),
    "orthogonal_cayley_branch": blind(),
}


def scaleaudit_target_spectral_damped() -> dict[str, Any]:
    return target(Carried(parametrizations.spectral_norm(square()), 0.95))


def scaleaudit_target_spectral_damped_old_style() -> dict[str, Any]:
    return target(Carried(old_style(nn.utils.spectral_norm, square()), 0.95))


def scaleaudit_target_spectral_damped_twice_parametrised() -> dict[str, Any]:
    return target(Carried(twice_parametrised()))


def scaleaudit_target_spectral_damped_after_bias() -> dict[str, Any]:
    return target(Contractive())


def scaleaudit_target_spectral_damped_raw_head() -> dict[str, Any]:
    return target(CarriedRawHead(parametrizations.spectral_norm(square()), 0.95))


def scaleaudit_target_spectral_damped_by_hand() -> dict[str, Any]:
    return target(WrittenOut(0.9))


def scaleaudit_target_frobenius_damped() -> dict[str, Any]:
    return target(Frobenius(0.9))


def scaleaudit_target_exact_norm_damped() -> dict[str, Any]:
    return target(ExactNorm(0.9))


def scaleaudit_target_spectral_alone() -> dict[str, Any]:
    return target(Carried(parametrizations.spectral_norm(square())))


def scaleaudit_target_spectral_times_two() -> dict[str, Any]:
    return target(Carried(parametrizations.spectral_norm(square()), 2.0))


def scaleaudit_target_norm_of_another() -> dict[str, Any]:
    return target(NotItsOwn(0.9))


def scaleaudit_target_weight_norm_carry() -> dict[str, Any]:
    return target(Carried(parametrizations.weight_norm(square())))


def scaleaudit_target_weight_norm_carry_old_style() -> dict[str, Any]:
    return target(Carried(old_style(nn.utils.weight_norm, square())))


def scaleaudit_target_skip_beside_spectral() -> dict[str, Any]:
    return target(SkipBeside(parametrizations.spectral_norm(square()), 0.5))


def scaleaudit_target_gated_mix_with_spectral() -> dict[str, Any]:
    return target(GatedMix(parametrizations.spectral_norm(square())))


def scaleaudit_target_contractive_network() -> dict[str, Any]:
    return target(ContractiveNetwork())


def scaleaudit_target_spectral_damped_in_eval() -> dict[str, Any]:
    return target(Carried(parametrizations.spectral_norm(square()), 0.95).eval())


def scaleaudit_target_orthogonal_carry() -> dict[str, Any]:
    return target(Carried(parametrizations.orthogonal(square())))


def scaleaudit_target_orthogonal_exponential_carry() -> dict[str, Any]:
    return target(Carried(untrivialised("matrix_exp")))


def scaleaudit_target_orthogonal_cayley_carry() -> dict[str, Any]:
    return target(Carried(untrivialised("cayley")))


def scaleaudit_target_orthogonal_damped() -> dict[str, Any]:
    return target(Carried(untrivialised("matrix_exp"), 0.9))


def scaleaudit_target_cayley_by_hand_carry() -> dict[str, Any]:
    return target(Carried(Cayley()))


def scaleaudit_target_weight_norm_branch() -> dict[str, Any]:
    return target(Branch(parametrizations.weight_norm(square())))


def scaleaudit_target_weight_norm_branch_old_style() -> dict[str, Any]:
    return target(Branch(old_style(nn.utils.weight_norm, square())))


def scaleaudit_target_spectral_branch_old_style() -> dict[str, Any]:
    return target(Branch(old_style(nn.utils.spectral_norm, square())))


def scaleaudit_target_orthogonal_cayley_branch() -> dict[str, Any]:
    return target(Branch(parametrizations.orthogonal(square(), orthogonal_map="cayley")))
