"""Operators and gradients of the user's own: kernels, autograd functions, declared laws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Language, target
from torch import Tensor
from torch.nn import functional as F

from scaleaudit import law

Operator = Callable[[Tensor], Tensor]


def kernel(name: str, run: Operator) -> Any:
    """An operator whose inside nobody sees, with a gradient."""
    made = torch.library.custom_op(
        f"zoo::{name}", run, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    made.register_fake(torch.empty_like)

    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(run(x), x, gradient)
        return found

    made.register_autograd(  # torch passes them by these names
        backward, setup_context=lambda **given: given["ctx"].save_for_backward(*given["inputs"])
    )
    return made


def rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


squash = kernel("squash", lambda x: x / (1 + x.abs()))
fused_norm = law(degree=0)(kernel("fused_norm", rms))
fused_silu = law(like="aten.silu")(kernel("fused_silu", F.silu))
doubled = law(degree=1)(kernel("doubled", lambda x: 2 * x))


@law(degree=1)
def half_fused(x: Tensor) -> Tensor:
    """Made of an operator that nobody sees, so that the law is needed."""
    return x * squash(rms(x))


class HandWrittenNorm(torch.autograd.Function):
    """An RMSNorm with the backward that fused kernels have."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        r = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        ctx.save_for_backward(x, r)
        return x * r

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, r = ctx.saved_tensors
        y = x * r
        return r * (g - y * (g * y).mean(-1, keepdim=True))


class Recomputed(torch.autograd.Function):
    """Activations are computed again, by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.gelu(x.detach())

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad(F.gelu(x), x, g)
        return found


class Rounded(torch.autograd.Function):
    """Rounding that gradients go straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


class Passing(torch.autograd.Function):
    """The identity, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Operator) -> Tensor:
        ctx.change = change
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.change(g), None


class OutOfSight(torch.autograd.Function):
    """A forward in numpy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy() * 0.5)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 0.5 * g


def weakened(x: Tensor) -> Tensor:
    return Passing.apply(x, lambda g: 0.1 * g)


def clipped(x: Tensor) -> Tensor:
    return Passing.apply(x, lambda g: g.clamp(-1, 1))


def reversed_gradient(x: Tensor) -> Tensor:
    return Passing.apply(x, lambda g: -g)


class Read(Language):
    """The state is read through an operator, and by a norm where that is asked for."""

    def __init__(self, operator: Operator, *, normed: bool = False) -> None:
        super().__init__()
        self.operator, self.normed = operator, normed

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        h = self.operator(h)
        return self.head(self.norm(h) if self.normed else h)


class Aside(Language):
    """What an operator makes of the state reaches no loss."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.block(h)
        self.seen = squash(h)
        return self.head(h)


UNKNOWN = Expect((State("carried", "unknown"),), "SCL902", verdict="unknown", carries=())
EXPECT = {
    "kernel": UNKNOWN,
    "kernel_aside": safe("carried", "visible"),
    "declared_norm": blind(),
    "declared_silu": safe("carried", "visible"),
    "declared_linear": safe("carried", "visible"),
    "declared_linear_normed": blind(),
    "declared_function": safe("carried", "visible"),
    "written_norm": blind(),
    "recomputed": safe("carried", "visible"),
    "recomputed_normed": blind("carried", "asymptotic"),
    "rounded": safe("carried", "visible"),
    "rounded_normed": Expect((State("carried", "invariant|asymptotic"),), "SCL101", carries=()),
    "weakened": safe("carried", "visible"),
    "weakened_normed": blind(),
    "clipped": safe("carried", "visible"),
    "reversed": UNKNOWN,
    "out_of_sight": UNKNOWN,
}


def scaleaudit_target_kernel() -> dict[str, Any]:
    return target(Read(squash))


def scaleaudit_target_kernel_aside() -> dict[str, Any]:
    return target(Aside())


def scaleaudit_target_declared_norm() -> dict[str, Any]:
    return target(Read(fused_norm))


def scaleaudit_target_declared_silu() -> dict[str, Any]:
    return target(Read(fused_silu))


def scaleaudit_target_declared_linear() -> dict[str, Any]:
    return target(Read(doubled))


def scaleaudit_target_declared_linear_normed() -> dict[str, Any]:
    return target(Read(doubled, normed=True))


def scaleaudit_target_declared_function() -> dict[str, Any]:
    return target(Read(half_fused))


def scaleaudit_target_written_norm() -> dict[str, Any]:
    return target(Read(HandWrittenNorm.apply))


def scaleaudit_target_recomputed() -> dict[str, Any]:
    return target(Read(Recomputed.apply))


def scaleaudit_target_recomputed_normed() -> dict[str, Any]:
    return target(Read(Recomputed.apply, normed=True))


def scaleaudit_target_rounded() -> dict[str, Any]:
    return target(Read(Rounded.apply))


def scaleaudit_target_rounded_normed() -> dict[str, Any]:
    return target(Read(Rounded.apply, normed=True))


def scaleaudit_target_weakened() -> dict[str, Any]:
    return target(Read(weakened))


def scaleaudit_target_weakened_normed() -> dict[str, Any]:
    return target(Read(weakened, normed=True))


def scaleaudit_target_clipped() -> dict[str, Any]:
    return target(Read(clipped))


def scaleaudit_target_reversed() -> dict[str, Any]:
    return target(Read(reversed_gradient))


def scaleaudit_target_out_of_sight() -> dict[str, Any]:
    return target(Read(OutOfSight.apply))
