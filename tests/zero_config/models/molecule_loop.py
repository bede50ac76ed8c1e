"""Message passing on molecules whose tensors come from the data set's own graph objects."""
from __future__ import annotations

import torch
from torch import nn


class GraphReasoner(nn.Module):
    """``schema`` is the data set's description; ``featurizer`` turns raw atoms into indices.

    Both come out of the preprocessing pipeline, which needs the raw files.
    """

    def __init__(self, schema, featurizer, hidden: int = 64, steps: int = 6):
        super().__init__()
        self.featurizer = featurizer
        self.steps = steps
        self.atoms = nn.ModuleDict(
            {column.key: nn.Embedding(column.cardinality(), hidden) for column in schema.iter_columns("atom")}
        )
        self.bond = nn.Embedding(schema.bond_vocabulary().size, hidden)
        self.message = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.norm = nn.LayerNorm(hidden)
        self.readout = nn.Linear(hidden, len(schema.tasks))

    def forward(self, molecules):
        graph = self.featurizer.collate(molecules)
        h = sum(table(graph.atoms[key]) for key, table in self.atoms.items())
        source, target = graph.edge_index
        for _ in range(self.steps):
            incoming = self.message(torch.cat([self.norm(h)[source], self.bond(graph.bonds)], dim=-1))
            h = h.index_add(0, target, incoming)
        pooled = torch.zeros(graph.count, h.shape[-1], device=h.device).index_add(0, graph.membership, h)
        return self.readout(pooled)


def train_step(model, optimizer, molecules, targets):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(molecules), targets)
    loss.backward()
    optimizer.step()
    return loss.item()
