"""Put a looped refinement head onto a pretrained encoder, whose shape is whatever the file says."""
import json
import os

import torch
import torch.nn as nn
import torch.nn.functional as F


class PretrainedEncoder(nn.Module):
    def __init__(self, checkpoint_dir):
        super().__init__()
        with open(os.path.join(checkpoint_dir, "config.json")) as f:
            self.hparams = json.load(f)
        weights = torch.load(os.path.join(checkpoint_dir, "encoder.pt"), map_location="cpu", weights_only=True)
        vocab, dim = weights["embed.weight"].shape
        self.embed = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(dim, self.hparams["heads"], batch_first=True, norm_first=True)
             for _ in range(self.hparams["layers"])])
        self.load_state_dict(weights)
        self.dim = dim

    def forward(self, tokens):
        h = self.embed(tokens)
        for layer in self.layers:
            h = layer(h)
        return h


class RefinementModel(nn.Module):
    def __init__(self, checkpoint_dir, num_labels=2, refine_steps=4):
        super().__init__()
        self.encoder = PretrainedEncoder(checkpoint_dir)
        for p in self.encoder.parameters():
            p.requires_grad_(False)
        dim = self.encoder.dim
        self.refine = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.refine_steps = refine_steps
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, num_labels)

    def forward(self, tokens, labels=None):
        h = self.encoder(tokens)
        for _ in range(self.refine_steps):
            h = h + self.refine(h)
        logits = self.classifier(self.norm(h[:, 0]))
        loss = F.cross_entropy(logits, labels) if labels is not None else None
        return logits, loss
