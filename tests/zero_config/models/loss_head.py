"""Looped reasoner and the loss head that is wrapped around it for training."""
from typing import Any, Dict, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import nn

IGNORE_LABEL_ID = -100


def log_stablemax(x, dim=-1):
    s = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
    return torch.log(s / torch.sum(s, dim=dim, keepdim=True))


def stablemax_cross_entropy(logits, labels, ignore_index: int = -100):
    logprobs = log_stablemax(logits.to(torch.float64), dim=-1)
    valid_mask = labels != ignore_index
    transformed_labels = torch.where(valid_mask, labels, 0)
    prediction = torch.gather(logprobs, index=transformed_labels.to(torch.long).unsqueeze(-1), dim=-1).squeeze(-1)
    return -torch.where(valid_mask, prediction, 0)


def softmax_cross_entropy(logits, labels, ignore_index: int = -100):
    return F.cross_entropy(
        logits.to(torch.float32).flatten(0, 1), labels.to(torch.long).flatten(),
        ignore_index=ignore_index, reduction="none").view(labels.shape)


class Mixer(nn.Module):
    def __init__(self, seq_len: int, dim: int):
        super().__init__()
        self.norm_t = nn.RMSNorm(dim)
        self.tokens = nn.Linear(seq_len, seq_len)
        self.norm_c = nn.RMSNorm(dim)
        self.channels = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, h):
        h = h + self.tokens(self.norm_t(h).transpose(1, 2)).transpose(1, 2)
        return h + self.channels(self.norm_c(h))


class LoopedReasoner(nn.Module):
    def __init__(self, vocab_size: int = 11, seq_len: int = 24, dim: int = 48, loops: int = 6):
        super().__init__()
        self.loops = loops
        self.embed = nn.Embedding(vocab_size, dim)
        self.pos = nn.Parameter(torch.zeros(1, seq_len, dim))
        self.block = Mixer(seq_len, dim)
        self.norm = nn.RMSNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, inputs) -> Tuple[torch.Tensor, Sequence[torch.Tensor]]:
        h = self.embed(inputs) + self.pos
        trajectory = []
        for _ in range(self.loops):
            h = self.block(h)
            trajectory.append(h)
        return self.head(self.norm(h)), trajectory


class ReasonerLossHead(nn.Module):
    def __init__(self, model: nn.Module, loss_type: str = "softmax_cross_entropy", activation_penalty: float = 1e-3):
        super().__init__()
        self.model = model
        self.loss_fn = globals()[loss_type]
        self.activation_penalty = activation_penalty

    def forward(self, inputs, labels) -> Tuple[torch.Tensor, Dict[str, Any]]:
        logits, trajectory = self.model(inputs)

        with torch.no_grad():
            mask = labels != IGNORE_LABEL_ID
            is_correct = mask & (torch.argmax(logits, dim=-1) == labels)
            metrics = {
                "count": mask.any(-1).sum(),
                "accuracy": is_correct.sum() / mask.sum().clamp(min=1),
                "exact_accuracy": (is_correct.sum(-1) == mask.sum(-1)).sum(),
            }

        loss_counts = (labels != IGNORE_LABEL_ID).sum(-1, keepdim=True).clamp(min=1)
        lm_loss = (self.loss_fn(logits, labels, ignore_index=IGNORE_LABEL_ID) / loss_counts).sum(-1).mean()
        act_loss = sum(h.pow(2).mean() for h in trajectory) / len(trajectory)
        metrics.update(lm_loss=lm_loss.detach(), act_loss=act_loss.detach())
        return lm_loss + self.activation_penalty * act_loss, metrics


if __name__ == "__main__":
    net = ReasonerLossHead(LoopedReasoner())
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for it in range(100):
        inputs = torch.randint(0, 11, (16, 24))
        loss, metrics = net(inputs, inputs.flip(-1))
        loss.backward()
        opt.step()
        opt.zero_grad()
        if it % 20 == 0:
            print(it, loss.item(), {k: round(v.item(), 4) for k, v in metrics.items()})
