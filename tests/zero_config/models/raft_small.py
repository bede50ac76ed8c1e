"""A small RAFT: recurrent all-pairs field transforms for optical flow (Teed and Deng, 2020)."""
import torch
import torch.nn as nn
import torch.nn.functional as F

MAX_FLOW = 400


def coords_grid(batch, ht, wd, device):
    coords = torch.meshgrid(torch.arange(ht, device=device), torch.arange(wd, device=device), indexing="ij")
    coords = torch.stack(coords[::-1], dim=0).float()
    return coords[None].repeat(batch, 1, 1, 1)


def bilinear_sampler(img, coords):
    """ Wrapper for grid_sample, uses pixel coordinates """
    H, W = img.shape[-2:]
    xgrid, ygrid = coords.split([1, 1], dim=-1)
    xgrid = 2 * xgrid / (W - 1) - 1
    ygrid = 2 * ygrid / (H - 1) - 1
    grid = torch.cat([xgrid, ygrid], dim=-1)
    return F.grid_sample(img, grid, align_corners=True)


class CorrBlock:
    def __init__(self, fmap1, fmap2, num_levels=2, radius=2):
        self.num_levels = num_levels
        self.radius = radius
        self.corr_pyramid = []
        batch, dim, ht, wd = fmap1.shape
        corr = torch.matmul(fmap1.view(batch, dim, ht * wd).transpose(1, 2), fmap2.view(batch, dim, ht * wd))
        corr = corr / dim ** 0.5
        corr = corr.reshape(batch * ht * wd, 1, ht, wd)
        self.corr_pyramid.append(corr)
        for i in range(self.num_levels - 1):
            corr = F.avg_pool2d(corr, 2, stride=2)
            self.corr_pyramid.append(corr)

    def __call__(self, coords):
        r = self.radius
        coords = coords.permute(0, 2, 3, 1)
        batch, h1, w1, _ = coords.shape
        out_pyramid = []
        for i in range(self.num_levels):
            d = torch.linspace(-r, r, 2 * r + 1, device=coords.device)
            delta = torch.stack(torch.meshgrid(d, d, indexing="ij"), axis=-1)
            centroid_lvl = coords.reshape(batch * h1 * w1, 1, 1, 2) / 2 ** i
            coords_lvl = centroid_lvl + delta.view(1, 2 * r + 1, 2 * r + 1, 2)
            corr = bilinear_sampler(self.corr_pyramid[i], coords_lvl)
            out_pyramid.append(corr.view(batch, h1, w1, -1))
        return torch.cat(out_pyramid, dim=-1).permute(0, 3, 1, 2).contiguous().float()


class ConvGRU(nn.Module):
    def __init__(self, hidden_dim, input_dim):
        super().__init__()
        self.convz = nn.Conv2d(hidden_dim + input_dim, hidden_dim, 3, padding=1)
        self.convr = nn.Conv2d(hidden_dim + input_dim, hidden_dim, 3, padding=1)
        self.convq = nn.Conv2d(hidden_dim + input_dim, hidden_dim, 3, padding=1)

    def forward(self, h, x):
        hx = torch.cat([h, x], dim=1)
        z = torch.sigmoid(self.convz(hx))
        r = torch.sigmoid(self.convr(hx))
        q = torch.tanh(self.convq(torch.cat([r * h, x], dim=1)))
        return (1 - z) * h + z * q


class UpdateBlock(nn.Module):
    def __init__(self, hidden_dim, context_dim, corr_planes):
        super().__init__()
        self.convc = nn.Conv2d(corr_planes, 48, 1)
        self.convf = nn.Conv2d(2, 16, 3, padding=1)
        self.gru = ConvGRU(hidden_dim, 64 + 2 + context_dim)
        self.flow_head = nn.Sequential(
            nn.Conv2d(hidden_dim, 64, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(64, 2, 3, padding=1))

    def forward(self, net, inp, corr, flow):
        cor = F.relu(self.convc(corr))
        flo = F.relu(self.convf(flow))
        motion = torch.cat([cor, flo, flow], dim=1)
        net = self.gru(net, torch.cat([inp, motion], dim=1))
        return net, self.flow_head(net)


def encoder(out_dim, norm):
    return nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=2, padding=3), norm(32), nn.ReLU(inplace=True),
        nn.Conv2d(32, 48, 3, stride=2, padding=1), norm(48), nn.ReLU(inplace=True),
        nn.Conv2d(48, 64, 3, stride=2, padding=1), norm(64), nn.ReLU(inplace=True),
        nn.Conv2d(64, out_dim, 1),
    )


class RAFT(nn.Module):
    def __init__(self, hidden_dim=32, context_dim=32, iters=6):
        super().__init__()
        self.hidden_dim, self.context_dim, self.iters = hidden_dim, context_dim, iters
        self.fnet = encoder(64, nn.InstanceNorm2d)
        self.cnet = encoder(hidden_dim + context_dim, nn.BatchNorm2d)
        self.update_block = UpdateBlock(hidden_dim, context_dim, corr_planes=2 * 25)

    def initialize_flow(self, img):
        """ Flow is represented as difference between two coordinate grids flow = coords1 - coords0"""
        N, C, H, W = img.shape
        coords0 = coords_grid(N, H // 8, W // 8, device=img.device)
        coords1 = coords_grid(N, H // 8, W // 8, device=img.device)
        return coords0, coords1

    def forward(self, image1, image2, flow_init=None):
        """ Estimate optical flow between a pair of frames, values in [0, 255] """
        image1 = (2 * (image1 / 255.0) - 1.0).contiguous()
        image2 = (2 * (image2 / 255.0) - 1.0).contiguous()
        fmap1, fmap2 = self.fnet(torch.cat([image1, image2], dim=0)).chunk(2, dim=0)
        corr_fn = CorrBlock(fmap1.float(), fmap2.float())
        net, inp = torch.split(self.cnet(image1), [self.hidden_dim, self.context_dim], dim=1)
        net, inp = torch.tanh(net), torch.relu(inp)

        coords0, coords1 = self.initialize_flow(image1)
        if flow_init is not None:
            coords1 = coords1 + flow_init

        flow_predictions = []
        for itr in range(self.iters):
            coords1 = coords1.detach()
            corr = corr_fn(coords1)  # index correlation volume
            flow = coords1 - coords0
            net, delta_flow = self.update_block(net, inp, corr, flow)
            # F(t+1) = F(t) + \Delta(t)
            coords1 = coords1 + delta_flow
            flow_up = 8 * F.interpolate(coords1 - coords0, scale_factor=8, mode="bilinear", align_corners=True)
            flow_predictions.append(flow_up)
        return flow_predictions


def sequence_loss(flow_preds, flow_gt, valid, gamma=0.8, max_flow=MAX_FLOW):
    """ Loss function defined over sequence of flow predictions """
    n_predictions = len(flow_preds)
    flow_loss = 0.0
    mag = torch.sum(flow_gt ** 2, dim=1).sqrt()
    valid = (valid >= 0.5) & (mag < max_flow)
    for i in range(n_predictions):
        i_weight = gamma ** (n_predictions - i - 1)
        i_loss = (flow_preds[i] - flow_gt).abs()
        flow_loss += i_weight * (valid[:, None] * i_loss).mean()
    return flow_loss


if __name__ == "__main__":
    model = RAFT()
    image1 = torch.randint(0, 256, (2, 3, 128, 160)).float()
    image2 = image1.roll(2, dims=-1)
    flow = torch.zeros(2, 2, 128, 160)
    flow[:, 0] = 2.0
    loss = sequence_loss(model(image1, image2), flow, torch.ones(2, 128, 160))
    loss.backward()
    print("loss", loss.item())
