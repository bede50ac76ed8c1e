"""Norms before a readout are undone however they are written."""

import pytest
import torch
from torch.nn import functional as F

from scaleaudit.bench import bench_of, built
from scaleaudit.domain.probing import ProbeRequest

SOURCE = """
import torch
from torch import nn
from torch.nn import functional as F

class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = nn.Linear(8, 8), nn.Linear(8, 1)
        self.layer, self.coda = nn.LayerNorm(8), nn.Linear(8, 8)
    def forward(self, x):
        h = x
        for _ in range(3):
            h = h + self.block(F.rms_norm(h, (8,)))
        READ
        return self.head(y)

def loss(model, x, wanted):
    return F.mse_loss(model(x), wanted)

def scaleaudit_target():
    args = torch.randn(9, 8), torch.randn(9, 1)
    return {"model": Loop(), "args": args[:1], "loss": loss, "loss_args": args}
"""

# The readout as it is written, and what is left of it where its norm is undone.
SPELLINGS = {
    "one operator": ("y = self.layer(h)", lambda h: h),
    "a product": ("y = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)", lambda h: h),
    "turned round": ("y = (h.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * h", lambda h: h),
    "a quotient": ("y = h / (h.norm(dim=-1, keepdim=True) + 1e-6)", lambda h: h),
    "a function": ("y = 3 * F.normalize(h, dim=-1)", lambda h: 3 * h),
    "centred": (
        "c = h - h.mean(-1, keepdim=True); y = c / (c.var(-1, keepdim=True) + 1e-5).sqrt()",
        lambda h: h - h.mean(-1, keepdim=True),
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_norm_is_undone(tmp_path, spelling):
    written, left = SPELLINGS[spelling]
    model, bench, feed = on_bench(tmp_path, written)
    h = after_the_loop(model, feed["x"])
    by_hand = F.mse_loss(model.head(left(h)), feed["wanted"])
    assert read_raw(bench, feed) == pytest.approx(float(by_hand.detach()), rel=1e-5)


def test_norms_of_a_branch_before_the_last_one_stay(tmp_path):
    model, bench, feed = on_bench(tmp_path, "y = self.layer(h + self.coda(F.rms_norm(h, (8,))))")
    h = after_the_loop(model, feed["x"])
    by_hand = F.mse_loss(model.head(h + model.coda(F.rms_norm(h, (8,)))), feed["wanted"])
    assert read_raw(bench, feed) == pytest.approx(float(by_hand.detach()), rel=1e-5)


def test_a_raw_readout_has_nothing_to_undo(tmp_path):
    assert on_bench(tmp_path, "y = h")[1].raw is None


def on_bench(folder, written):
    file = folder / "model.py"
    file.write_text(SOURCE.replace("READ", written))
    target = built(str(file), "scaleaudit_target")
    bench = bench_of(target, ProbeRequest(device="cpu"))
    return target.model, bench, {**bench.weights(0), **next(bench.stream.batches(0))}


def read_raw(bench, feed):
    with torch.no_grad():
        return float(bench.raw.run(feed)[0])


def after_the_loop(model, h):
    for _ in range(3):
        h = h + model.block(F.rms_norm(h, (8,)))
    return h
