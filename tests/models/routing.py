"""Loops that only some tokens go through: routed by masks, by indices, by their router's score."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from parts import TURNS, D, Language, target
from torch import Tensor, nn
from torch.nn import functional as F

KEPT = 4


class Routed(Language):
    """Every turn a router scores all tokens; subclasses say how those chosen are moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(D, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(TURNS):
            h = self.turn(h)
        return self.read(h)

    def turn(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def scores(self, h: Tensor) -> Tensor:
        """(batch, length), from the normed state."""
        return self.router(F.rms_norm(h, (D,))).squeeze(-1)

    def moved(self, h: Tensor) -> Tensor:
        return h + self.block.mlp(F.rms_norm(h, (D,)))

    def read(self, h: Tensor) -> Tensor:
        return self.head(self.norm(h))


class Where(Routed):
    def turn(self, h: Tensor) -> Tensor:
        chosen = self.scores(h) > 0
        return torch.where(chosen.unsqueeze(-1), self.moved(h), h)


class Weighted(Routed):
    """The branch is weighed by the router's probability, so that the router is trained."""

    def turn(self, h: Tensor) -> Tensor:
        weight = torch.sigmoid(self.scores(h)).unsqueeze(-1)
        return h + (weight > 0.5) * weight * self.block.mlp(F.rms_norm(h, (D,)))


class BooleanIndex(Routed):
    """As many rows as there happen to be."""

    def turn(self, h: Tensor) -> Tensor:
        mask = self.scores(h) > 0
        h = h.clone()
        h[mask] = self.moved(h[mask])
        return h


class MaskedScatter(Routed):
    def turn(self, h: Tensor) -> Tensor:
        mask = (self.scores(h) > 0).unsqueeze(-1).expand_as(h)
        picked = h.masked_select(mask).view(-1, D)
        return h.masked_scatter(mask, self.moved(picked))


class Nonzero(Routed):
    def turn(self, h: Tensor) -> Tensor:
        flat = h.flatten(0, 1)
        rows = torch.nonzero(self.scores(h).flatten() > 0).squeeze(-1)
        return flat.index_copy(0, rows, self.moved(flat[rows])).view_as(h)


class TopK(Routed):
    """A fixed number of tokens is gathered, moved, and scattered back."""

    def turn(self, h: Tensor) -> Tensor:
        index = self.scores(h).topk(KEPT, dim=1).indices.unsqueeze(-1).expand(-1, -1, D)
        return h.scatter(1, index, self.moved(h.gather(1, index)))


class TopKAdded(Routed):
    """What the branch makes of the gathered tokens is added where they came from."""

    def turn(self, h: Tensor) -> Tensor:
        weight, rows = self.scores(h).topk(KEPT, dim=1)
        index = rows.unsqueeze(-1).expand(-1, -1, D)
        update = self.block.mlp(F.rms_norm(h.gather(1, index), (D,)))
        return h.scatter_add(1, index, torch.sigmoid(weight).unsqueeze(-1) * update)


class IndexAdd(Routed):
    """The same rows of all sequences, in place."""

    def turn(self, h: Tensor) -> Tensor:
        rows = self.scores(h).mean(0).topk(KEPT).indices
        update = self.block.mlp(F.rms_norm(h[:, rows], (D,)))
        h = h.clone()
        h.index_add_(1, rows, update)
        return h


class Sorted(Routed):
    """All tokens in the order of their scores; the first half moves on, then all go back."""

    def turn(self, h: Tensor) -> Tensor:
        order = self.scores(h).argsort(dim=1, descending=True)
        ordered = torch.take_along_dim(h, order.unsqueeze(-1), dim=1)
        first, rest = ordered.split(KEPT, dim=1)
        ordered = torch.cat((self.moved(first), rest), dim=1)
        return torch.take_along_dim(ordered, order.argsort(dim=1).unsqueeze(-1), dim=1)


class SortedNormed(Sorted):
    def moved(self, h: Tensor) -> Tensor:
        return F.rms_norm(h + self.block.mlp(h), (D,))


class AllNormed(TopK):
    """A norm on all tokens, chosen or not, at the end of every turn."""

    def turn(self, h: Tensor) -> Tensor:
        return F.rms_norm(super().turn(h), (D,))


class TopKRaw(TopK):
    def read(self, h: Tensor) -> Tensor:
        return self.head(h)


class TopKDoubled(TopK):
    """Chosen tokens are written to raw: they may grow by a factor at every turn."""

    def moved(self, h: Tensor) -> Tensor:
        return h + self.block.mlp(h)


class TopKDecayed(TopK):
    """All tokens decay, the chosen ones are written to."""

    def turn(self, h: Tensor) -> Tensor:
        index = self.scores(h).topk(KEPT, dim=1).indices.unsqueeze(-1).expand(-1, -1, D)
        update = self.block.mlp(F.rms_norm(h.gather(1, index), (D,)))
        return (0.5 * h).scatter_add(1, index, update)


class Funnel(Routed):
    """Of those chosen once, some are chosen again: fewer and fewer go on, all are read."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        rows = torch.arange(tokens.shape[1]).expand_as(tokens)
        for kept in (8, 6, 4, 2):
            inner = self.scores(h).gather(1, rows).topk(kept, dim=1).indices
            rows = rows.gather(1, inner)
            index = rows.unsqueeze(-1).expand(-1, -1, D)
            h = h.scatter(1, index, self.moved(h.gather(1, index)))
        return self.read(h)


class TokenDepth(Routed):
    """Each token is given its number of turns beforehand."""

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens)
        depth = self.router(h).squeeze(-1).sigmoid().mul(TURNS).ceil()
        for turn in range(TURNS):
            going = (depth > turn).unsqueeze(-1).to(h.dtype)
            h = going * self.moved(h) + (1 - going) * h
        return self.read(h)


class Experts(Routed):
    """Tokens are sent to one of three experts, a loop over experts in every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = nn.Linear(D, 3)
        self.experts = nn.ModuleList(nn.Linear(D, D) for _ in range(3))

    def turn(self, h: Tensor) -> Tensor:
        flat = h.flatten(0, 1)
        y = F.rms_norm(flat, (D,))
        weight, chosen = self.choice(y).softmax(-1).topk(2, dim=-1)
        out = torch.zeros_like(flat)
        for index, expert in enumerate(self.experts):
            rows, slot = torch.where(chosen == index)
            out.index_add_(0, rows, weight[rows, slot, None] * F.gelu(expert(y[rows])))
        return h + out.view_as(h)


class HardGumbel(Experts):
    """One expert for each token, drawn: a 1 in the place of the largest of noisy scores."""

    def turn(self, h: Tensor) -> Tensor:
        y = F.rms_norm(h, (D,))
        chosen = F.gumbel_softmax(self.choice(h), hard=True)
        return h + sum(chosen[..., i : i + 1] * e(y) for i, e in enumerate(self.experts))


def routed(transition: str, visibility: str, codes: str = "", **more: Any) -> Expect:
    """One state h; rows that are not chosen keep their length."""
    state = State(transition, visibility, name="h", line=more.pop("line", ""))
    return Expect((state,), codes, **more)


BLIND = routed("carried", "invariant", "SCL101")

EXPECT = {
    "where": BLIND,
    "weighted": BLIND,
    "boolean_index": BLIND,
    "masked_scatter": BLIND,
    "nonzero": BLIND,
    "top_k": BLIND,
    "top_k_added": BLIND,
    "index_add": BLIND,
    "sorted": BLIND,
    # Those that are not chosen keep their length: the norm is on the way of some alone.
    "sorted_normed": routed("carried", "invariant", "SCL101", maybe="SCL203"),
    "all_normed": routed("removed", "invariant", line="F.rms_norm(super()"),
    "top_k_raw": routed("carried", "visible"),
    "top_k_doubled": routed("expanding", "invariant", "SCL101 SCL201"),
    "top_k_decayed": routed("damped", "invariant", "SCL205", line="(0.5 * h).scatter_add"),
    "funnel": BLIND,
    "token_depth": routed("carried", "invariant", "SCL101", line="going * self.moved"),
    "experts": routed("carried", "invariant", "SCL101", line="return h + out"),
    "hard_gumbel": BLIND,
}


def scaleaudit_target_where() -> dict[str, Any]:
    return target(Where())


def scaleaudit_target_weighted() -> dict[str, Any]:
    return target(Weighted())


def scaleaudit_target_boolean_index() -> dict[str, Any]:
    return target(BooleanIndex())


def scaleaudit_target_masked_scatter() -> dict[str, Any]:
    return target(MaskedScatter())


def scaleaudit_target_nonzero() -> dict[str, Any]:
    return target(Nonzero())


def scaleaudit_target_top_k() -> dict[str, Any]:
    return target(TopK())


def scaleaudit_target_top_k_added() -> dict[str, Any]:
    return target(TopKAdded())


def scaleaudit_target_index_add() -> dict[str, Any]:
    return target(IndexAdd())


def scaleaudit_target_sorted() -> dict[str, Any]:
    return target(Sorted())


def scaleaudit_target_sorted_normed() -> dict[str, Any]:
    return target(SortedNormed())


def scaleaudit_target_all_normed() -> dict[str, Any]:
    return target(AllNormed())


def scaleaudit_target_top_k_raw() -> dict[str, Any]:
    return target(TopKRaw())


def scaleaudit_target_top_k_doubled() -> dict[str, Any]:
    return target(TopKDoubled())


def scaleaudit_target_top_k_decayed() -> dict[str, Any]:
    return target(TopKDecayed())


def scaleaudit_target_funnel() -> dict[str, Any]:
    return target(Funnel())


def scaleaudit_target_token_depth() -> dict[str, Any]:
    return target(TokenDepth())


def scaleaudit_target_experts() -> dict[str, Any]:
    return target(Experts())


def scaleaudit_target_hard_gumbel() -> dict[str, Any]:
    return target(HardGumbel())
