"""
Reads a sentence pair several times over and predicts after every pass.

A value head estimates, from the pooled reading state, whether another pass is worth it. It is fitted
afterwards in a separate stage (see the paper's appendix), so only the classifier is trained here.
"""
import logging
from collections import namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F

log = logging.getLogger("adaptive_reader")

VOCAB = 500
N_CLASSES = 3
Reading = namedtuple("Reading", ["logits", "values"])


def mean_pool(h, pad):
    keep = (~pad).unsqueeze(-1).to(h.dtype)
    return (h * keep).sum(1) / keep.sum(1).clamp(min=1)


class ReadingPass(nn.Module):
    def __init__(self, d, n_heads):
        super().__init__()
        self.ln_a, self.ln_b = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.MultiheadAttention(d, n_heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d))

    def forward(self, h, pad):
        a = self.ln_a(h)
        h = h + self.attn(a, a, a, key_padding_mask=pad, need_weights=False)[0]
        return h + self.ff(self.ln_b(h))


class AdaptiveReader(nn.Module):
    def __init__(self, d=64, n_heads=4, passes=5, max_len=40):
        super().__init__()
        self.passes = passes
        self.word = nn.Embedding(VOCAB, d, padding_idx=0)
        self.place = nn.Embedding(max_len, d)
        self.reading_pass = ReadingPass(d, n_heads)
        self.ln = nn.LayerNorm(d)
        self.cls = nn.Linear(d, N_CLASSES)
        self.value = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, x):
        pad = x.eq(0)
        h = self.word(x) + self.place(torch.arange(x.shape[1], device=x.device))
        logits, values = [], []
        for _ in range(self.passes):
            h = self.reading_pass(h, pad)
            pooled = mean_pool(h, pad)
            logits.append(self.cls(self.ln(pooled)))
            values.append(self.value(pooled).squeeze(-1))
        return Reading(torch.stack(logits), torch.stack(values))  # (passes, B, classes), (passes, B)

    @torch.no_grad()
    def predict(self, x, threshold=0.0):
        reading = self(x)
        stop = (reading.values < threshold).int().argmax(0)
        return reading.logits[stop, torch.arange(x.shape[0])].argmax(-1)


def compute_loss(model, x, y):
    """Every pass has to classify; the values are left to the second stage."""
    reading = model(x)
    per_pass = [F.cross_entropy(step, y) for step in reading.logits]
    weights = torch.linspace(0.5, 1.0, len(per_pass))
    return sum(w * l for w, l in zip(weights, per_pass)) / weights.sum()


def make_batch(n, length=24):
    x = torch.randint(1, VOCAB, (n, length))
    lengths = torch.randint(length // 2, length + 1, (n,))
    x[torch.arange(length)[None] >= lengths[:, None]] = 0
    return x, (x % N_CLASSES).sum(1) % N_CLASSES


def main():
    logging.basicConfig(level=logging.INFO)
    model = AdaptiveReader()
    opt = torch.optim.Adam(model.parameters(), lr=3e-4)
    for step in range(100):
        x, y = make_batch(32)
        loss = compute_loss(model, x, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 20 == 0:
            log.info("step %d loss %.4f", step, loss.item())


if __name__ == "__main__":
    main()
