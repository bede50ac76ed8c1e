"""Mixtures of experts inside the loop: what their routers see, and the losses that routers bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from expect import Expect, State, blind, safe
from parts import TURNS, Attention, D, Language, Mlp, cross_entropy, target
from torch import Tensor, nn
from torch.nn import functional as F

EXPERTS, CHOSEN = 4, 2


@dataclass
class Routing:
    """What a router decided for tokens laid end to end."""

    logits: Tensor  # (tokens, experts)
    probabilities: Tensor
    chosen: Tensor  # (tokens, CHOSEN), numbers of experts
    weights: Tensor


class Router(nn.Module):
    """The best experts of every token, by a softmax over all; weights of those chosen add up to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(D, EXPERTS, bias=False)

    def forward(self, x: Tensor) -> Routing:
        logits = self.gate(x)
        probabilities = logits.softmax(dim=-1, dtype=torch.get_default_dtype())
        weights, chosen = probabilities.topk(CHOSEN, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        return Routing(logits, probabilities, chosen, weights)


class Experts(nn.Module):
    """Experts that are called one by one, each with the tokens that were sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Mlp() for _ in range(EXPERTS))

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        y = torch.zeros_like(x)
        mask = F.one_hot(routing.chosen, EXPERTS).permute(2, 1, 0)  # (experts, CHOSEN, tokens)
        for number, expert in enumerate(self.experts):
            slot, rows = torch.where(mask[number])
            y.index_add_(0, rows, routing.weights[rows, slot, None] * expert(x[rows]))
        return y


class StackedExperts(nn.Module):
    """All experts on all tokens, in one product; what was not chosen weighs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(EXPERTS, D, D) / D**0.5)
        self.down = nn.Parameter(torch.randn(EXPERTS, D, D) / D**0.5)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        weights = torch.zeros_like(routing.probabilities)
        weights = weights.scatter(1, routing.chosen, routing.weights)
        y = F.silu(torch.einsum("td,edf->tef", x, self.up))
        return torch.einsum("tef,efd,te->td", y, self.down, weights)


class Mixture(nn.Module):
    """Attention and a mixture; router and experts each see the stream normed, or as it is."""

    def __init__(self, experts: nn.Module, raw: str = "", *, between: bool = False) -> None:
        super().__init__()
        self.attention, self.router, self.experts = Attention(), Router(), experts
        self.before, self.norm = nn.RMSNorm(D), nn.RMSNorm(D)
        self.raw = raw
        self.after = nn.RMSNorm(D) if between else nn.Identity()

    def forward(self, h: Tensor) -> tuple[Tensor, Routing]:
        h = h + self.attention(self.before(h))
        flat = h.flatten(0, 1)
        normed = self.norm(flat)
        routing = self.router(flat if self.raw == "router" else normed)
        y = self.experts(flat if self.raw == "experts" else normed, routing)
        return self.after(h + y.view_as(h)), routing


class LoopedMixture(Language):
    """One mixture layer in a loop; the routing of every turn is handed over for the losses."""

    def __init__(self, layer: Mixture, *, final: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.final = nn.RMSNorm(D) if final else nn.Identity()

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[Routing]]:
        h = self.embed(tokens)
        routings = []
        for _ in range(TURNS):
            h, routing = self.layer(h)
            routings.append(routing)
        return self.head(self.final(h)), routings


def balance_loss(routing: Routing) -> Tensor:
    """The share of tokens an expert gets times its mean probability, summed over experts."""
    share = F.one_hot(routing.chosen, EXPERTS).to(routing.probabilities.dtype).mean((0, 1))
    return EXPERTS * (share * routing.probabilities.mean(0)).sum()


def entropy_loss(routing: Routing) -> Tensor:
    """Certain of every token, and of no expert over all of them."""
    p = routing.probabilities
    return entropy(p).mean() - entropy(p.mean(0))


def entropy(p: Tensor) -> Tensor:
    return -(p * (p + 1e-9).log()).sum(-1)


def z_loss(routing: Routing) -> Tensor:
    """Keeps the logits of the router small."""
    return routing.logits.logsumexp(dim=-1).square().mean()


def judged(*auxiliary: Any) -> Any:
    """Cross-entropy, and the mean over turns of every auxiliary loss."""

    def loss(model: LoopedMixture, tokens: Tensor, targets: Tensor) -> Tensor:
        logits, routings = model(tokens)
        terms = [each(routing) for each in auxiliary for routing in routings]
        return cross_entropy(logits, targets) + 0.01 * torch.stack(terms).mean()

    return loss


ALL = judged(balance_loss, entropy_loss, z_loss)
# The tokens' mean probabilities flatten as the logits grow.
FLAT = Expect((State("carried", "saturating"),), "SCL102")

# Beside a long state the attention's part fades, which the router sees with it.
FADING = blind(visibility="asymptotic")

EXPECT = {
    "normed": FADING,
    "raw_head": safe("carried", "visible"),
    "between": safe("removed", "asymptotic"),
    "raw_router_balance": FLAT,
    "raw_router_entropy": FLAT,
    # The logits are as long as the state; a z-loss keeps both short.
    "raw_router_all": Expect((State("carried", "visible"),)),
    "raw_experts": blind("expanding", "asymptotic", "SCL201"),
}


def scaleaudit_target_normed() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts())), ALL)


def scaleaudit_target_raw_head() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts()), final=False), ALL)


def scaleaudit_target_between() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts(), between=True)), ALL)


def scaleaudit_target_raw_router_balance() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts(), "router")), judged(balance_loss))


def scaleaudit_target_raw_router_entropy() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(StackedExperts(), "router")), judged(entropy_loss))


def scaleaudit_target_raw_router_all() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts(), "router")), ALL)


def scaleaudit_target_raw_experts() -> dict[str, Any]:
    return target(LoopedMixture(Mixture(Experts(), "experts")), judged(balance_loss))
