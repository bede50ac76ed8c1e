from typing import Tuple, List, Dict, Optional
from dataclasses import dataclass, field
import math

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class HRMInnerCarry:
    z_H: torch.Tensor
    z_L: torch.Tensor


@dataclass
class HRMCarry:
    inner_carry: HRMInnerCarry
    steps: torch.Tensor
    halted: torch.Tensor
    current_data: Dict[str, torch.Tensor]


@dataclass
class HRMConfig:
    batch_size: int = 4
    seq_len: int = 16
    vocab_size: int = 12
    H_cycles: int = 2
    L_cycles: int = 2
    H_layers: int = 1
    L_layers: int = 1
    hidden_size: int = 64
    expansion: float = 2.0
    num_heads: int = 4
    rms_norm_eps: float = 1e-5
    # Halting Q-learning config
    halt_max_steps: int = 8
    halt_exploration_prob: float = 0.1


def trunc_normal_init_(tensor: torch.Tensor, std: float = 1.0):
    # JAX-like truncated normal; PyTorch's own is not mathematically correct about the std
    with torch.no_grad():
        tensor.normal_(0.0, std).clamp_(-2 * std, 2 * std)
    return tensor


def rms_norm(hidden_states: torch.Tensor, variance_epsilon: float) -> torch.Tensor:
    input_dtype = hidden_states.dtype
    hidden_states = hidden_states.to(torch.float32)
    variance = hidden_states.square().mean(-1, keepdim=True)
    hidden_states = hidden_states * torch.rsqrt(variance + variance_epsilon)
    return hidden_states.to(input_dtype)


class Attention(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, hidden_states):
        batch_size, seq_len, width = hidden_states.shape
        q, k, v = self.qkv_proj(hidden_states).view(
            batch_size, seq_len, 3, self.num_heads, width // self.num_heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.o_proj(out.transpose(1, 2).reshape(batch_size, seq_len, width))


class HRMBlock(nn.Module):
    def __init__(self, config: HRMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config.hidden_size, config.num_heads)
        inter = int(config.expansion * config.hidden_size)
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * inter, bias=False)
        self.down_proj = nn.Linear(inter, config.hidden_size, bias=False)
        self.norm_eps = config.rms_norm_eps

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        # Post Norm
        hidden_states = rms_norm(hidden_states + self.self_attn(hidden_states), variance_epsilon=self.norm_eps)
        gate, up = self.gate_up_proj(hidden_states).chunk(2, dim=-1)
        return rms_norm(hidden_states + self.down_proj(F.silu(gate) * up), variance_epsilon=self.norm_eps)


class HRMReasoningModule(nn.Module):
    def __init__(self, layers: List[HRMBlock]):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, hidden_states: torch.Tensor, input_injection: torch.Tensor) -> torch.Tensor:
        # Input injection (add)
        hidden_states = hidden_states + input_injection
        for layer in self.layers:
            hidden_states = layer(hidden_states=hidden_states)
        return hidden_states


class HRM_Inner(nn.Module):
    def __init__(self, config: HRMConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_scale = math.sqrt(config.hidden_size)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_pos = nn.Embedding(config.seq_len, config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.q_head = nn.Linear(config.hidden_size, 2, bias=True)
        self.H_level = HRMReasoningModule([HRMBlock(config) for _ in range(config.H_layers)])
        self.L_level = HRMReasoningModule([HRMBlock(config) for _ in range(config.L_layers)])
        self.register_buffer("H_init", trunc_normal_init_(torch.empty(config.hidden_size)))
        self.register_buffer("L_init", trunc_normal_init_(torch.empty(config.hidden_size)))
        # Q head special init: (almost) zero for faster learning during bootstrapping
        with torch.no_grad():
            self.q_head.weight.zero_()
            self.q_head.bias.fill_(-5)

    def empty_carry(self, batch_size: int):
        shape = (batch_size, self.config.seq_len, self.config.hidden_size)
        device = self.H_init.device
        return HRMInnerCarry(z_H=torch.empty(shape, device=device), z_L=torch.empty(shape, device=device))

    def reset_carry(self, reset_flag: torch.Tensor, carry: HRMInnerCarry):
        return HRMInnerCarry(
            z_H=torch.where(reset_flag.view(-1, 1, 1), self.H_init, carry.z_H),
            z_L=torch.where(reset_flag.view(-1, 1, 1), self.L_init, carry.z_L),
        )

    def forward(self, carry: HRMInnerCarry, batch: Dict[str, torch.Tensor]):
        pos = self.embed_pos.weight
        input_embeddings = self.embed_scale * 0.707106781 * (self.embed_tokens(batch["inputs"]) + pos)

        # Forward iterations
        with torch.no_grad():
            z_H, z_L = carry.z_H, carry.z_L
            for _H_step in range(self.config.H_cycles):
                for _L_step in range(self.config.L_cycles):
                    if not ((_H_step == self.config.H_cycles - 1) and (_L_step == self.config.L_cycles - 1)):
                        z_L = self.L_level(z_L, z_H + input_embeddings)
                if not (_H_step == self.config.H_cycles - 1):
                    z_H = self.H_level(z_H, z_L)
        assert not z_H.requires_grad and not z_L.requires_grad

        # 1-step grad
        z_L = self.L_level(z_L, z_H + input_embeddings)
        z_H = self.H_level(z_H, z_L)

        new_carry = HRMInnerCarry(z_H=z_H.detach(), z_L=z_L.detach())  # New carry no grad
        output = self.lm_head(z_H)
        q_logits = self.q_head(z_H[:, 0]).to(torch.float32)
        return new_carry, output, (q_logits[..., 0], q_logits[..., 1])


class HierarchicalReasoningModel(nn.Module):
    """ACT wrapper."""

    def __init__(self, config: HRMConfig):
        super().__init__()
        self.config = config
        self.inner = HRM_Inner(config)

    def initial_carry(self, batch: Dict[str, torch.Tensor]):
        batch_size = batch["inputs"].shape[0]
        device = batch["inputs"].device
        return HRMCarry(
            # Empty is expected, it will be reseted in first pass as all sequences are halted.
            inner_carry=self.inner.empty_carry(batch_size),
            steps=torch.zeros((batch_size,), dtype=torch.int32, device=device),
            halted=torch.ones((batch_size,), dtype=torch.bool, device=device),  # Default to halted
            current_data={k: torch.empty_like(v) for k, v in batch.items()},
        )

    def forward(self, carry: HRMCarry, batch: Dict[str, torch.Tensor]) -> Tuple[HRMCarry, Dict[str, torch.Tensor]]:
        # Update data, carry (removing halted sequences)
        new_inner_carry = self.inner.reset_carry(carry.halted, carry.inner_carry)
        new_steps = torch.where(carry.halted, 0, carry.steps)
        new_current_data = {
            k: torch.where(carry.halted.view((-1,) + (1,) * (batch[k].ndim - 1)), batch[k], v)
            for k, v in carry.current_data.items()
        }
        new_inner_carry, logits, (q_halt_logits, q_continue_logits) = self.inner(new_inner_carry, new_current_data)
        outputs = {"logits": logits, "q_halt_logits": q_halt_logits, "q_continue_logits": q_continue_logits}

        with torch.no_grad():
            new_steps = new_steps + 1
            halted = new_steps >= self.config.halt_max_steps
            if self.training and (self.config.halt_max_steps > 1):
                halted = halted | (q_halt_logits > q_continue_logits)
                min_halt_steps = (torch.rand_like(q_halt_logits) < self.config.halt_exploration_prob) * torch.randint_like(
                    new_steps, low=2, high=self.config.halt_max_steps + 1)
                halted = halted & (new_steps >= min_halt_steps)
        return HRMCarry(new_inner_carry, new_steps, halted, new_current_data), outputs


if __name__ == "__main__":
    cfg = HRMConfig()
    model = HierarchicalReasoningModel(cfg)
    optim = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95))
    inputs = torch.randint(0, cfg.vocab_size, (cfg.batch_size, cfg.seq_len))
    batch = {"inputs": inputs, "labels": inputs.flip(1)}
    carry = model.initial_carry(batch)
    for step in range(50):
        carry, outputs = model(carry=carry, batch=batch)
        labels = carry.current_data["labels"]
        lm_loss = F.cross_entropy(outputs["logits"].flatten(0, 1), labels.flatten())
        with torch.no_grad():
            correct = (outputs["logits"].argmax(-1) == labels).all(-1)
        q_loss = F.binary_cross_entropy_with_logits(outputs["q_halt_logits"], correct.float())
        (lm_loss + 0.5 * q_loss).backward()
        optim.step()
        optim.zero_grad()
        print(step, lm_loss.item(), q_loss.item())
