"""Toy DDPM on vectors with a weight-tied denoiser."""
import copy
import math

import torch
from torch import nn
import torch.nn.functional as F

DEFAULTS = {
    "data_dim": 32,
    "width": 128,
    "time_dim": 64,
    "n_steps": 1000,       # diffusion steps
    "n_repeat": 8,         # repetitions of the one residual block
    "schedule": "cosine",
}


def cosine_beta_schedule(timesteps, s=0.008):
    steps = timesteps + 1
    x = torch.linspace(0, timesteps, steps, dtype=torch.float64)
    alphas_cumprod = torch.cos(((x / timesteps) + s) / (1 + s) * math.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    betas = 1 - (alphas_cumprod[1:] / alphas_cumprod[:-1])
    return torch.clip(betas, 0, 0.999)


def timestep_embedding(t, dim, max_period=10000):
    half = dim // 2
    freqs = torch.exp(-math.log(max_period) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    args = t[:, None].float() * freqs[None]
    return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)


def modulate(x, shift, scale):
    return x * (1 + scale) + shift


class AdaBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        nn.init.zeros_(self.ada[-1].weight)
        nn.init.zeros_(self.ada[-1].bias)

    def forward(self, h, c):
        shift, scale, gate = self.ada(c).chunk(3, dim=-1)
        return h + gate * self.mlp(modulate(self.norm(h), shift, scale))


class Denoiser(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        cfg = {**DEFAULTS, **cfg}
        self.cfg = cfg
        w = cfg["width"]
        self.inp = nn.Linear(cfg["data_dim"], w)
        self.time_mlp = nn.Sequential(nn.Linear(cfg["time_dim"], w), nn.SiLU(), nn.Linear(w, w))
        self.block = AdaBlock(w)
        self.final_norm = nn.LayerNorm(w)
        self.out = nn.Linear(w, cfg["data_dim"])

        if cfg["schedule"] == "cosine":
            betas = cosine_beta_schedule(cfg["n_steps"])
        else:
            betas = torch.linspace(1e-4, 0.02, cfg["n_steps"], dtype=torch.float64)
        alphas_bar = torch.cumprod(1 - betas, 0)
        self.register_buffer("sqrt_ab", alphas_bar.sqrt().float())
        self.register_buffer("sqrt_1mab", (1 - alphas_bar).sqrt().float())

    def forward(self, x, t):
        c = self.time_mlp(timestep_embedding(t, self.cfg["time_dim"]))
        h = self.inp(x)
        for _ in range(self.cfg["n_repeat"]):
            h = self.block(h, c)
        return self.out(self.final_norm(h))

    def q_sample(self, x0, t, noise):
        return self.sqrt_ab[t][:, None] * x0 + self.sqrt_1mab[t][:, None] * noise


def p_losses(denoiser, x0):
    t = torch.randint(0, denoiser.cfg["n_steps"], (x0.shape[0],), device=x0.device)
    noise = torch.randn_like(x0)
    return F.mse_loss(denoiser(denoiser.q_sample(x0, t, noise), t), noise)


class EMA:
    def __init__(self, model, decay=0.999):
        self.shadow, self.decay = copy.deepcopy(model), decay

    @torch.no_grad()
    def update(self, model):
        for a, b in zip(self.shadow.parameters(), model.parameters()):
            a.lerp_(b, 1 - self.decay)


if __name__ == "__main__":
    net = Denoiser({"n_repeat": 8})
    ema = EMA(net)
    opt = torch.optim.AdamW(net.parameters(), lr=2e-4)
    for step in range(500):
        x0 = torch.randn(64, net.cfg["data_dim"]).sign()
        loss = p_losses(net, x0)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update(net)
        if step % 100 == 0:
            print(step, loss.item())
