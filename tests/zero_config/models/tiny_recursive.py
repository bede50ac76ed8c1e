"""Tiny recursive network for Sudoku-like puzzles: y <- f(y, z), z <- g(x, y, z), one small net."""

import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class MixerBlock(nn.Module):
    def __init__(self, cells, dim):
        super().__init__()
        self.norm1 = nn.RMSNorm(dim)
        self.token_mix = nn.Sequential(nn.Linear(cells, cells), nn.SiLU(), nn.Linear(cells, cells))
        self.norm2 = nn.RMSNorm(dim)
        self.channel_mix = nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.token_mix(self.norm1(x).mT).mT
        return x + self.channel_mix(self.norm2(x))


class TinyRecursiveNet(nn.Module):
    def __init__(self, num_digits, cells, dim, n_inner, n_outer, depth):
        super().__init__()
        self.n_inner = n_inner
        self.n_outer = n_outer
        self.embed = nn.Embedding(num_digits, dim)
        self.pos = nn.Parameter(0.02 * torch.randn(cells, dim))
        self.y0 = nn.Parameter(torch.randn(dim))
        self.z0 = nn.Parameter(torch.randn(dim))
        self.net = nn.Sequential(*[MixerBlock(cells, dim) for _ in range(depth)])
        self.out_norm = nn.RMSNorm(dim)
        self.out = nn.Linear(dim, num_digits)

    def latent_recursion(self, x, y, z):
        for _ in range(self.n_inner):
            z = self.net(x + y + z)
        y = self.net(y + z)
        return y, z

    def forward(self, puzzle, solution=None):
        x = self.embed(puzzle) + self.pos
        y, z = self.y0.expand_as(x), self.z0.expand_as(x)
        for _ in range(self.n_outer):
            y, z = self.latent_recursion(x, y, z)
        logits = self.out(self.out_norm(y))
        if solution is None:
            return logits
        loss = F.cross_entropy(logits.flatten(0, 1), solution.flatten())
        return logits, loss


if __name__ == "__main__":
    torch.manual_seed(0)
    cells, digits = 16, 5  # 4 x 4, 0 is an empty cell
    model = TinyRecursiveNet(num_digits=digits, cells=cells, dim=48, n_inner=3, n_outer=3, depth=2)
    opt = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)
    base = torch.tensor([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]]).flatten()
    start = time.time()
    for step in range(200):
        perm = torch.stack([torch.randperm(4) + 1 for _ in range(32)])
        solution = torch.gather(perm, 1, (base - 1).expand(32, -1))
        puzzle = solution.masked_fill(torch.rand(32, cells) < 0.5, 0)
        logits, loss = model(puzzle, solution)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 50 == 0:
            acc = (logits.argmax(-1) == solution).float().mean()
            print(f"{step:4d} loss {loss.item():.4f} acc {acc.item():.3f} ({time.time() - start:.1f}s)")
