import argparse
import random

import numpy as np
import torch
import torch.nn as nn


def get_parser():
    parser = argparse.ArgumentParser(description='Iterative MLP for long-term series forecasting')
    # data
    parser.add_argument('--seq_len', type=int, default=96, help='input sequence length')
    parser.add_argument('--pred_len', type=int, default=24, help='prediction sequence length')
    parser.add_argument('--enc_in', type=int, default=7, help='number of variates')
    # model
    parser.add_argument('--d_model', type=int, default=64)
    parser.add_argument('--d_ff', type=int, default=128)
    parser.add_argument('--iterations', type=int, default=5, help='how often the refine block is run')
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--use_norm', action='store_true', default=True, help='instance norm of the input')
    # optimization
    parser.add_argument('--learning_rate', type=float, default=1e-4)
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--seed', type=int, default=2021)
    return parser


class RefineBlock(nn.Module):
    """Mixes variates, then features."""

    def __init__(self, n_vars, d_model, d_ff, dropout):
        super(RefineBlock, self).__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.mix = nn.Linear(n_vars, n_vars)
        self.norm2 = nn.LayerNorm(d_model)
        self.ff = nn.Sequential(
            nn.Linear(d_model, d_ff),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(d_ff, d_model),
        )

    def forward(self, z):
        # z: [B, N, D]
        z = z + self.mix(self.norm1(z).transpose(1, 2)).transpose(1, 2)
        z = z + self.ff(self.norm2(z))
        return z


class Model(nn.Module):
    """
    Every variate is one token; the same block refines all of them several times.
    """

    def __init__(self, args):
        super(Model, self).__init__()
        self.seq_len = args.seq_len
        self.pred_len = args.pred_len
        self.use_norm = args.use_norm
        self.iterations = args.iterations
        self.embed = nn.Linear(args.seq_len, args.d_model)
        self.dropout = nn.Dropout(args.dropout)
        self.block = RefineBlock(args.enc_in, args.d_model, args.d_ff, args.dropout)
        self.projector = nn.Linear(args.d_model, args.pred_len)

    def forecast(self, x_enc):
        if self.use_norm:
            # Normalization from Non-stationary Transformer
            means = x_enc.mean(1, keepdim=True).detach()
            x_enc = x_enc - means
            stdev = torch.sqrt(torch.var(x_enc, dim=1, keepdim=True, unbiased=False) + 1e-5)
            x_enc = x_enc / stdev

        z = self.dropout(self.embed(x_enc.permute(0, 2, 1)))  # [B, N, D]
        for _ in range(self.iterations):
            z = self.block(z)
        dec_out = self.projector(z).permute(0, 2, 1)  # [B, pred_len, N]

        if self.use_norm:
            dec_out = dec_out * stdev[:, 0, :].unsqueeze(1).repeat(1, self.pred_len, 1)
            dec_out = dec_out + means[:, 0, :].unsqueeze(1).repeat(1, self.pred_len, 1)
        return dec_out

    def forward(self, x_enc):
        dec_out = self.forecast(x_enc)
        return dec_out[:, -self.pred_len:, :]  # [B, L, D]


def train(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    model = Model(args).float()
    criterion = nn.MSELoss()
    optim = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    t = torch.arange(4000).float()
    series = torch.stack([torch.sin(t / (10 + 3 * i)) for i in range(args.enc_in)], -1)
    for it in range(200):
        s = torch.randint(0, 4000 - args.seq_len - args.pred_len, (args.batch_size,))
        batch_x = torch.stack([series[i:i + args.seq_len] for i in s])
        batch_y = torch.stack([series[i + args.seq_len:i + args.seq_len + args.pred_len] for i in s])
        outputs = model(batch_x)
        loss = criterion(outputs, batch_y)
        optim.zero_grad()
        loss.backward()
        optim.step()
        if it % 50 == 0:
            print("\titers: {0} | loss: {1:.7f}".format(it, loss.item()))


if __name__ == '__main__':
    args = get_parser().parse_args()
    print('Args in experiment:')
    print(args)
    train(args)
