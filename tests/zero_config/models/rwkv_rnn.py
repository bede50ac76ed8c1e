########################################################################################################
# A small RWKV-style language model in RNN mode: one token at a time, O(1) memory in the length
########################################################################################################
import types
import torch, math
import torch.nn as nn
from torch.nn import functional as F

args = types.SimpleNamespace()
args.vocab_size = 128
args.n_layer = 2
args.n_embd = 64
args.head_size = 16
args.ctx_len = 32


class TimeMix(nn.Module):
    def __init__(self, args, layer_id):
        super().__init__()
        self.n_head = args.n_embd // args.head_size
        self.head_size = args.head_size
        ratio = layer_id / max(args.n_layer - 1, 1)
        ddd = torch.arange(args.n_embd) / args.n_embd
        self.time_mix_k = nn.Parameter(torch.pow(ddd, 1 - ratio * 0.5))
        self.time_mix_v = nn.Parameter(torch.pow(ddd, 1 - ratio * 0.5) + 0.3 * ratio)
        self.time_mix_r = nn.Parameter(torch.pow(ddd, 0.5 * (1 - ratio * 0.5)))
        decay_speed = -6 + 5 * (torch.arange(args.n_embd) / (args.n_embd - 1)) ** (0.7 + 1.3 * ratio)
        self.time_decay = nn.Parameter(decay_speed.reshape(self.n_head, self.head_size))
        self.time_first = nn.Parameter(torch.zeros(self.n_head, self.head_size))
        self.receptance = nn.Linear(args.n_embd, args.n_embd, bias=False)
        self.key = nn.Linear(args.n_embd, args.n_embd, bias=False)
        self.value = nn.Linear(args.n_embd, args.n_embd, bias=False)
        self.output = nn.Linear(args.n_embd, args.n_embd, bias=False)
        self.ln_x = nn.GroupNorm(self.n_head, args.n_embd)

    def forward(self, x, x_prev, S):
        # x: (B, C)   S: (B, H, N, N)
        B, C = x.shape
        H, N = self.n_head, self.head_size
        xk = x * self.time_mix_k + x_prev * (1 - self.time_mix_k)
        xv = x * self.time_mix_v + x_prev * (1 - self.time_mix_v)
        xr = x * self.time_mix_r + x_prev * (1 - self.time_mix_r)
        r = self.receptance(xr).view(B, H, 1, N)
        k = self.key(xk).view(B, H, N, 1)
        v = self.value(xv).view(B, H, 1, N)
        w = torch.exp(-torch.exp(self.time_decay)).view(1, H, N, 1)
        u = self.time_first.view(1, H, N, 1)

        a = k @ v
        out = r @ (u * a + S)
        S = a + w * S
        out = self.ln_x(out.reshape(B, C))
        return self.output(out), x, S


class ChannelMix(nn.Module):
    def __init__(self, args, layer_id):
        super().__init__()
        self.time_mix = nn.Parameter(torch.ones(args.n_embd) * 0.5)
        self.key = nn.Linear(args.n_embd, 4 * args.n_embd, bias=False)
        self.value = nn.Linear(4 * args.n_embd, args.n_embd, bias=False)

    def forward(self, x, x_prev):
        xk = x * self.time_mix + x_prev * (1 - self.time_mix)
        k = torch.square(torch.relu(self.key(xk)))
        return self.value(k), x


class RWKV_RNN(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.args = args
        self.emb = nn.Embedding(args.vocab_size, args.n_embd)
        self.ln0 = nn.LayerNorm(args.n_embd)
        self.att = nn.ModuleList([TimeMix(args, i) for i in range(args.n_layer)])
        self.ffn = nn.ModuleList([ChannelMix(args, i) for i in range(args.n_layer)])
        self.ln1 = nn.ModuleList([nn.LayerNorm(args.n_embd) for _ in range(args.n_layer)])
        self.ln2 = nn.ModuleList([nn.LayerNorm(args.n_embd) for _ in range(args.n_layer)])
        self.ln_out = nn.LayerNorm(args.n_embd)
        self.head = nn.Linear(args.n_embd, args.vocab_size, bias=False)
        nn.init.uniform_(self.emb.weight, a=-1e-4, b=1e-4)

    def empty_state(self, batch):
        H, N, C = self.args.n_embd // self.args.head_size, self.args.head_size, self.args.n_embd
        dev = self.emb.weight.device
        return [dict(att=torch.zeros(batch, C, device=dev), ffn=torch.zeros(batch, C, device=dev),
                     S=torch.zeros(batch, H, N, N, device=dev)) for _ in range(self.args.n_layer)]

    def step(self, token, state):
        x = self.ln0(self.emb(token))
        for i in range(self.args.n_layer):
            s = state[i]
            dx, s["att"], s["S"] = self.att[i](self.ln1[i](x), s["att"], s["S"])
            x = x + dx
            dx, s["ffn"] = self.ffn[i](self.ln2[i](x), s["ffn"])
            x = x + dx
        return self.head(self.ln_out(x)), state

    def forward(self, tokens, targets=None, state=None):
        B, T = tokens.shape
        assert T <= self.args.ctx_len, "Cannot forward, because len(tokens) > ctx_len."
        if state is None:
            state = self.empty_state(B)
        out = []
        for t in range(T):
            logits, state = self.step(tokens[:, t], state)
            out.append(logits)
        logits = torch.stack(out, dim=1)
        if targets is None:
            return logits, state
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


if __name__ == "__main__":
    model = RWKV_RNN(args)
    x = torch.randint(args.vocab_size, (2, 17))
    loss = model(x[:, :-1], x[:, 1:])
    loss.backward()
    print(loss.item(), "expected about", math.log(args.vocab_size))
