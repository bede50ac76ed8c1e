"""Equilibrium layers: the loop is a solver, often without gradient, its gradient a solver again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from expect import Expect, State
from parts import D, Language, Mlp, target
from torch import Tensor, nn
from torch.nn import functional as F

Function = Callable[[Tensor], Tensor]


def settled(f: Function, z: Tensor, turns: int = 6) -> Tensor:
    for _ in range(turns):
        z = f(z)
    return z


class Cell(nn.Module):
    """f(z, x), whose fixed point is sought: a residual branch behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return z + self.mlp(F.rms_norm(z, (D,)) + x)


class PostNorm(Cell):
    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return F.layer_norm(x + z + self.mlp(z), (D,))


class Tanh(Cell):
    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(self.mlp(z) + x)


class Relaxed(Cell):
    """Half of the way at every turn, from a candidate of any size."""

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return 0.5 * z + 0.5 * (self.mlp(F.rms_norm(z, (D,))) + x)


class Linear(Cell):
    """W z + U x, whose matrix nothing bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.w(z) + x


class Equilibrium(Language):
    """The solver runs without gradient, then one attached step; the readout is normed."""

    cell: type[Cell] = Cell

    def __init__(self) -> None:
        super().__init__()
        self.f = self.cell()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        with torch.no_grad():
            z = settled(lambda z: self.f(z, x), torch.zeros_like(x))
        return self.read(self.f(z, x))

    def read(self, z: Tensor) -> Tensor:
        return self.head(self.norm(z))


class EquilibriumPostNorm(Equilibrium):
    cell = PostNorm


class EquilibriumTanh(Equilibrium):
    cell = Tanh


class EquilibriumRelaxed(Equilibrium):
    cell = Relaxed


class EquilibriumLinear(Equilibrium):
    cell = Linear


class EquilibriumRaw(Equilibrium):
    def read(self, z: Tensor) -> Tensor:
        return self.head(z)


class Phantom(Equilibrium):
    """Several damped steps with gradient after those without."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        z = torch.zeros_like(x)
        with torch.no_grad():
            for _ in range(4):
                z = self.f(z, x)
        for _ in range(2):
            z = 0.2 * z + 0.8 * self.f(z, x)
        return self.read(z)


class Hooked(Equilibrium):
    """The gradient at the fixed point is itself a fixed point, found inside of a hook."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        with torch.no_grad():
            z = settled(lambda z: self.f(z, x), torch.zeros_like(x))
        z = self.f(z, x)
        z0 = z.clone().detach().requires_grad_()
        f0 = self.f(z0, x)

        def solve(grad: Tensor) -> Tensor:
            def back(y: Tensor) -> Tensor:
                return torch.autograd.grad(f0, z0, y, retain_graph=True)[0] / 4 + grad

            return settled(back, grad)

        if z.requires_grad:
            z.register_hook(solve)
        return self.read(z)


class HookedPostNorm(Hooked):
    cell = PostNorm


class FixedPoint(torch.autograd.Function):
    """Solve z = f(z, x) forwards and the adjoint equation backwards."""

    @staticmethod
    def forward(ctx: Any, f: Cell, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.f = f
        with torch.no_grad():
            z = torch.zeros_like(x)
            for _ in range(6):
                z = f(z, x)
        ctx.save_for_backward(z, x, *weights)
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        z, x, *weights = ctx.saved_tensors
        with torch.enable_grad():
            z, x = z.detach().requires_grad_(), x.detach().requires_grad_()
            out = ctx.f(z, x)
        (u,) = grads
        for _ in range(4):
            u = torch.autograd.grad(out, z, u, retain_graph=True)[0] / 4 + grads[0]
        return None, *torch.autograd.grad(out, (x, *weights), u, allow_unused=True)


class Implicit(Equilibrium):
    """The solver is a function with a backward of its own."""

    def forward(self, tokens: Tensor) -> Tensor:
        z = FixedPoint.apply(self.f, self.embed(tokens), *self.f.parameters())
        return self.read(z)


class ImplicitTanh(Implicit):
    cell = Tanh


class ImplicitRaw(Implicit):
    def read(self, z: Tensor) -> Tensor:
        return self.head(z)


class Anderson(Equilibrium):
    """The next guess mixes the last ones, by weights that sum to one and come from residuals."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        with torch.no_grad():
            z = self.solve(lambda z: self.f(z, x), torch.zeros_like(x))
        return self.read(self.f(z, x))

    def solve(self, f: Function, z: Tensor) -> Tensor:
        guesses, images = [z], [f(z)]
        for _ in range(5):
            z = self.mixed(guesses[-3:], images[-3:])
            guesses.append(z)
            images.append(f(z))
        return images[-1]

    def mixed(self, guesses: list[Tensor], images: list[Tensor]) -> Tensor:
        if len(images) == 1:
            return images[0]
        images_stacked = torch.stack(images, dim=1).flatten(2)
        residuals = images_stacked - torch.stack(guesses, dim=1).flatten(2)
        gram = residuals @ residuals.mT + 1e-4 * torch.eye(len(images))
        weights = torch.linalg.solve(gram, torch.ones(gram.shape[0], len(images), 1))
        weights = weights / weights.sum(1, keepdim=True)
        return (weights * images_stacked).sum(1).unflatten(-1, images[0].shape[1:])


class AndersonTanh(Anderson):
    cell = Tanh


class Monitored(Equilibrium):
    """Solves until the residual is small, and keeps the best guess that it met."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        with torch.no_grad():
            z = best = torch.zeros_like(x)
            least = torch.tensor(float("inf"))
            for _ in range(5):
                after = self.f(z, x)
                residual = (after - z).norm()
                best = torch.where(residual < least, z, best)
                least = torch.minimum(residual, least)
                z = after
                if residual < 1e-3:
                    break
        return self.read(self.f(z, x) + 0 * best)


def solved(
    transition: str, visibility: str, codes: str = "", line: str = "", **more: Any
) -> Expect:
    """One state z, whose turns without gradient are turns all the same."""
    state = State(transition, visibility, name=more.pop("name", "z"), line=line)
    return Expect((state,), codes, **{"turns": (), "carries": (), **more})


BLIND = solved("carried", "invariant", "SCL101", "return z + self.mlp")
# Of a mix of guesses nothing is known but that it may be as long as they are.
MIXED: dict[str, Any] = {"maybe": "SCL101 SCL902", "alike": True, "name": ""}

EXPECT = {
    "one_attached_step": BLIND,
    "post_norm": solved("removed", "invariant", "", "return F.layer_norm(x + z"),
    "tanh": solved("bounded", "invariant", "", "return torch.tanh(self.mlp(z)"),
    "relaxed": solved("damped", "invariant", "SCL205", "return 0.5 * z"),
    "linear": solved("linear", "invariant", "SCL101 SCL202", "return self.w(z) + x"),
    "raw": solved("carried", "visible", "", "return z + self.mlp"),
    # 0.2 + 0.8 is all of it.
    "phantom": solved(
        "carried", "invariant", "SCL101", "z + self.mlp|0.2 * z", loops=(1, 2), alike=True
    ),
    "hooked": BLIND,
    "hooked_post_norm": solved("removed", "invariant", "", "return F.layer_norm(x + z"),
    "implicit": BLIND,
    "implicit_tanh": solved("bounded", "invariant", "", "return torch.tanh(self.mlp(z)"),
    "implicit_raw": solved("carried", "visible", "", "return z + self.mlp"),
    # Open: active by any name, and an honest unknown where the solver is not understood.
    "anderson": solved(
        "carried|linear|expanding|unknown", "invariant", verdict="fail|unknown", **MIXED
    ),
    "anderson_tanh": solved(
        "bounded|carried|linear|expanding|unknown", "invariant", verdict="pass|unknown", **MIXED
    ),
    "monitored": solved("carried", "invariant", "SCL101", "z + self.mlp", name="z|after"),
}


def scaleaudit_target_one_attached_step() -> dict[str, Any]:
    return target(Equilibrium())


def scaleaudit_target_post_norm() -> dict[str, Any]:
    return target(EquilibriumPostNorm())


def scaleaudit_target_tanh() -> dict[str, Any]:
    return target(EquilibriumTanh())


def scaleaudit_target_relaxed() -> dict[str, Any]:
    return target(EquilibriumRelaxed())


def scaleaudit_target_linear() -> dict[str, Any]:
    return target(EquilibriumLinear())


def scaleaudit_target_raw() -> dict[str, Any]:
    return target(EquilibriumRaw())


def scaleaudit_target_phantom() -> dict[str, Any]:
    return target(Phantom())


def scaleaudit_target_hooked() -> dict[str, Any]:
    return target(Hooked())


def scaleaudit_target_hooked_post_norm() -> dict[str, Any]:
    return target(HookedPostNorm())


def scaleaudit_target_implicit() -> dict[str, Any]:
    return target(Implicit())


def scaleaudit_target_implicit_tanh() -> dict[str, Any]:
    return target(ImplicitTanh())


def scaleaudit_target_implicit_raw() -> dict[str, Any]:
    return target(ImplicitRaw())


def scaleaudit_target_anderson() -> dict[str, Any]:
    return target(Anderson())


def scaleaudit_target_anderson_tanh() -> dict[str, Any]:
    return target(AndersonTanh())


def scaleaudit_target_monitored() -> dict[str, Any]:
    return target(Monitored())
