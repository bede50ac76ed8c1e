"""In-place operators have defaults that their functional forms lack."""

from __future__ import annotations

import torch
from capture_support import captured
from torch import Tensor, nn
from torch.nn import functional as F


class Dropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


def test_half_dropout_keeps_half():
    """bernoulli_ is called without its probability where that is one half."""
    graph = captured(Dropped(), torch.ones(4)).graph
    (mask,) = [node for node in graph.nodes if node.base_op == "aten.bernoulli"]
    assert dict(mask.arguments)["p"] == 0.5
