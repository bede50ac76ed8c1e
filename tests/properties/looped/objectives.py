"""Losses and penalties of a random looped model."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from looped.decoding import SCORES

LAMBDA = 0.01


def decoding_loss(kind: str, scores: Tensor, targets: Tensor) -> Tensor:
    """The loss of scores; targets are classes (batch, length)."""
    targets = targets[:, : scores.shape[1]]
    flat, classes = scores.flatten(0, 1), targets.flatten()
    goals = F.one_hot(targets, SCORES).to(scores.dtype)
    match kind:
        case "smoothed":
            return F.cross_entropy(flat, classes, label_smoothing=0.1)
        case "weighted":
            return F.cross_entropy(flat, classes, weight=torch.linspace(1, 2, SCORES).to(flat))
        case "ignoring":
            return F.cross_entropy(flat, classes, ignore_index=0)
        case "summed":
            return F.cross_entropy(flat, classes, reduction="sum") / classes.numel()
        case "likelihood":
            return F.nll_loss(flat.log_softmax(dim=-1), classes)
        case "squared error":
            return F.mse_loss(scores, goals)
        case "binary":
            return F.binary_cross_entropy_with_logits(scores, goals)
        case "smooth l1":
            return F.smooth_l1_loss(scores, goals)
        case "absolute":
            return (scores - goals).abs().mean()
    return F.cross_entropy(flat, classes)


def penalty_term(kind: str, states: list[Tensor], e: Tensor, weight: Tensor) -> Tensor:
    """The penalty with its weight; ``weight`` is a parameter."""
    last = states[-1]
    match kind:
        case "mean square":
            return LAMBDA * torch.stack([h.pow(2).mean() for h in states]).mean()
        case "last square":
            return last.square().mean().mul(LAMBDA)
        case "norm":
            return LAMBDA * last.norm(dim=-1).mean()
        case "log norm":
            return LAMBDA * sum(h.norm(dim=-1).log().mean() for h in states)
        case "log one plus square":
            return LAMBDA * torch.log1p(last.square()).mean()
        case "updates":
            pairs = pairwise(states)
            return LAMBDA * sum((after - before).square().mean() for before, after in pairs)
        case "hinge":
            return LAMBDA * F.relu(last.norm(dim=-1) - 10).mean()
        case "learned weight":
            return F.softplus(weight) * last.square().mean()
        case "detached":
            return LAMBDA * last.detach().square().mean()
        case "no grad":
            with torch.no_grad():
                size = last.square().mean()
            return LAMBDA * size
        case "negative":
            return -LAMBDA * last.norm(dim=-1).mean()
        case "zero weight":
            return 0.0 * last.square().mean()
        case "normed copy":
            return LAMBDA * (F.normalize(last, dim=-1) * 3).square().mean()
        case "consistency":
            return LAMBDA * F.mse_loss(F.normalize(last, dim=-1), F.normalize(states[-2], dim=-1))
        case "saturating":
            return LAMBDA * torch.tanh(last.norm(dim=-1) / 10).mean()
        case "embedding":
            return LAMBDA * e.square().mean()
    raise AssertionError(kind)
