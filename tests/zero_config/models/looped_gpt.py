# Looped transformer: one stack of layers, applied n_loop times.
# "Looped Transformers are Better at Learning Learning Algorithms" style training of iterates.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Config:
    vocab_size = 96
    max_len = 64
    dim = 64
    heads = 4
    layers_per_loop = 2
    n_loop = 6
    ffn_mult = 4
    use_rope = True


def precompute_freqs(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    t = torch.arange(end)
    freqs = torch.outer(t, freqs).float()
    return torch.cos(freqs), torch.sin(freqs)


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        dtype = x.dtype
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x.to(dtype) * self.weight


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.heads = cfg.heads
        self.head_dim = cfg.dim // cfg.heads
        self.wq = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wk = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wv = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wo = nn.Linear(cfg.dim, cfg.dim, bias=False)
        cos, sin = precompute_freqs(self.head_dim, cfg.max_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.use_rope = cfg.use_rope

    def forward(self, x):
        bsz, seqlen, _ = x.shape
        q = self.wq(x).view(bsz, seqlen, self.heads, self.head_dim).transpose(1, 2)
        k = self.wk(x).view(bsz, seqlen, self.heads, self.head_dim).transpose(1, 2)
        v = self.wv(x).view(bsz, seqlen, self.heads, self.head_dim).transpose(1, 2)
        if self.use_rope:
            q = apply_rope(q, self.cos[:seqlen], self.sin[:seqlen])
            k = apply_rope(k, self.cos[:seqlen], self.sin[:seqlen])
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(out.transpose(1, 2).reshape(bsz, seqlen, -1))


class SwiGLU(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        hidden = int(2 * cfg.ffn_mult * cfg.dim / 3)
        self.w1 = nn.Linear(cfg.dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, cfg.dim, bias=False)
        self.w3 = nn.Linear(cfg.dim, hidden, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.attn = Attention(cfg)
        self.ffn = SwiGLU(cfg)
        self.norm_attn = RMSNorm(cfg.dim)
        self.norm_ffn = RMSNorm(cfg.dim)

    def forward(self, x):
        h = x + self.attn(self.norm_attn(x))
        return h + self.ffn(self.norm_ffn(h))


class LoopedTransformer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.tok = nn.Embedding(cfg.vocab_size, cfg.dim)
        self.layers = nn.ModuleList([Layer(cfg) for _ in range(cfg.layers_per_loop)])
        self.norm = RMSNorm(cfg.dim)
        self.head = nn.Linear(cfg.dim, cfg.vocab_size, bias=False)
        self.loop_embed = nn.Parameter(torch.randn(cfg.n_loop, cfg.dim) * 0.02)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, tokens, targets=None, n_loop=None):
        n_loop = n_loop or self.cfg.n_loop
        x = self.tok(tokens)
        for i in range(n_loop):
            x = x + self.loop_embed[i]
            for layer in self.layers:
                x = layer(x)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        return logits, loss

    @torch.inference_mode()
    def generate(self, tokens, steps):
        for _ in range(steps):
            nxt = self(tokens[:, -self.cfg.max_len:])[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, nxt], 1)
        return tokens
