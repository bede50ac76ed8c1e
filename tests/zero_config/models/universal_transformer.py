"""Universal Transformer encoder with adaptive computation time, for sequence labelling.

Dehghani et al., https://arxiv.org/abs/1807.03819; Graves, https://arxiv.org/abs/1603.08983
"""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def _gen_timing_signal(length, channels, min_timescale=1.0, max_timescale=1.0e4):
    """Sinusoids as in tensor2tensor."""
    position = np.arange(length)
    num_timescales = channels // 2
    log_timescale_increment = math.log(float(max_timescale) / float(min_timescale)) / (float(num_timescales) - 1)
    inv_timescales = min_timescale * np.exp(np.arange(num_timescales).astype(np.float64) * -log_timescale_increment)
    scaled_time = np.expand_dims(position, 1) * np.expand_dims(inv_timescales, 0)
    signal = np.concatenate([np.sin(scaled_time), np.cos(scaled_time)], axis=1)
    return torch.from_numpy(signal.reshape([1, length, channels])).float()


class EncoderLayer(nn.Module):
    def __init__(self, hidden_size, num_heads, filter_size, dropout=0.0):
        super(EncoderLayer, self).__init__()
        self.layer_norm_mha = nn.LayerNorm(hidden_size)
        self.multi_head_attention = nn.MultiheadAttention(hidden_size, num_heads, dropout=dropout, batch_first=True)
        self.layer_norm_ffn = nn.LayerNorm(hidden_size)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden_size, filter_size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(filter_size, hidden_size))

    def forward(self, inputs):
        x = inputs
        x_norm = self.layer_norm_mha(x)
        y, _ = self.multi_head_attention(x_norm, x_norm, x_norm)
        x = x + y
        x = x + self.feed_forward(self.layer_norm_ffn(x))
        return x


class ACT(nn.Module):
    """Halts every position by itself; gives back the halting-weighted mean of its states."""

    def __init__(self, hidden_size, threshold=0.99):
        super(ACT, self).__init__()
        self.p = nn.Linear(hidden_size, 1)
        self.p.bias.data.fill_(1)
        self.threshold = threshold

    def forward(self, state, fn, time_enc, pos_enc, max_hop):
        halting_probability = torch.zeros(state.shape[0], state.shape[1], device=state.device)
        remainders = torch.zeros_like(halting_probability)
        n_updates = torch.zeros_like(halting_probability)
        previous_state = torch.zeros_like(state)
        step = 0
        while ((halting_probability < self.threshold) & (n_updates < max_hop)).byte().any():
            state = state + time_enc[:, :state.shape[1], :].type_as(state.data)
            state = state + pos_enc[:, step, :].unsqueeze(1).repeat(1, state.shape[1], 1).type_as(state.data)

            p = torch.sigmoid(self.p(state)).squeeze(-1)
            still_running = (halting_probability < 1.0).float()
            new_halted = (halting_probability + p * still_running > self.threshold).float() * still_running
            still_running = (halting_probability + p * still_running <= self.threshold).float() * still_running
            halting_probability = halting_probability + p * still_running
            remainders = remainders + new_halted * (1 - halting_probability)
            halting_probability = halting_probability + new_halted * remainders
            n_updates = n_updates + still_running + new_halted
            update_weights = p * still_running + new_halted * remainders

            state = fn(state)
            previous_state = (state * update_weights.unsqueeze(-1)) + (previous_state * (1 - update_weights.unsqueeze(-1)))
            step += 1
        return previous_state, (remainders, n_updates)


class UniversalTransformer(nn.Module):
    def __init__(self, vocab_size=40, num_labels=10, hidden_size=64, num_heads=4, filter_size=128,
                 max_length=64, max_hops=6, act_loss_weight=0.001, dropout=0.0):
        super(UniversalTransformer, self).__init__()
        self.emb = nn.Embedding(vocab_size, hidden_size)
        self.register_buffer("timing_signal", _gen_timing_signal(max_length, hidden_size))
        self.register_buffer("position_signal", _gen_timing_signal(max_hops, hidden_size))
        self.num_layers = max_hops
        self.enc = EncoderLayer(hidden_size, num_heads, filter_size, dropout)
        self.act_fn = ACT(hidden_size)
        self.layer_norm = nn.LayerNorm(hidden_size)
        self.classifier = nn.Linear(hidden_size, num_labels)
        self.act_loss_weight = act_loss_weight

    def forward(self, tokens, labels=None):
        x = self.emb(tokens)
        x, (remainders, n_updates) = self.act_fn(x, self.enc, self.timing_signal, self.position_signal, self.num_layers)
        logits = self.classifier(self.layer_norm(x))
        if labels is None:
            return logits
        ponder = (remainders + n_updates).mean()
        loss = F.cross_entropy(logits.transpose(1, 2), labels) + self.act_loss_weight * ponder
        return logits, loss
