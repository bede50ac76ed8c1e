"""Deep equilibrium classifier, and the explicit network it is compared with.

After the NeurIPS 2020 tutorial on implicit layers (http://implicit-layers-tutorial.org).
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ResNetLayer(nn.Module):
    """ z+ = norm(relu(z + norm(x + W2 norm(relu(W1 z))))) """

    def __init__(self, n_channels, n_inner_channels, kernel_size=3, num_groups=8):
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, n_inner_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.conv2 = nn.Conv2d(n_inner_channels, n_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm1 = nn.GroupNorm(num_groups, n_inner_channels)
        self.norm2 = nn.GroupNorm(num_groups, n_channels)
        self.norm3 = nn.GroupNorm(num_groups, n_channels)
        self.conv1.weight.data.normal_(0, 0.01)
        self.conv2.weight.data.normal_(0, 0.01)

    def forward(self, z, x):
        y = self.norm1(F.relu(self.conv1(z)))
        return self.norm3(F.relu(z + self.norm2(x + self.conv2(y))))


def forward_iteration(f, x0, max_iter=20, tol=1e-2):
    f0 = f(x0)
    res = []
    for k in range(max_iter):
        x = f0
        f0 = f(x)
        res.append((f0 - x).norm().item() / (1e-5 + f0.norm().item()))
        if res[-1] < tol:
            break
    return f0, res


class DEQClassifier(nn.Module):
    """Fixed point without a graph, then one application with it (Jacobian-free backprop)."""

    def __init__(self, n_channels=16, n_classes=10, max_iter=12, tol=1e-3):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, n_channels, 3, stride=2, padding=1), nn.BatchNorm2d(n_channels))
        self.f = ResNetLayer(n_channels, 2 * n_channels)
        self.head = nn.Sequential(nn.AvgPool2d(7, 7), nn.Flatten(), nn.Linear(n_channels * 4, n_classes))
        self.max_iter, self.tol = max_iter, tol
        self.forward_res = []

    def forward(self, images):
        x = self.stem(images)
        with torch.no_grad():
            z, self.forward_res = forward_iteration(
                lambda z: self.f(z, x), torch.zeros_like(x), self.max_iter, self.tol)
        z = self.f(z, x)
        return self.head(z)


class ExplicitClassifier(nn.Module):
    """Same stem and head around ``depth`` layers with weights of their own."""

    def __init__(self, n_channels=16, n_classes=10, depth=4):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, n_channels, 3, stride=2, padding=1), nn.BatchNorm2d(n_channels))
        self.layers = nn.ModuleList(ResNetLayer(n_channels, 2 * n_channels) for _ in range(depth))
        self.head = nn.Sequential(nn.AvgPool2d(7, 7), nn.Flatten(), nn.Linear(n_channels * 4, n_classes))

    def forward(self, images):
        x = self.stem(images)
        z = x
        for layer in self.layers:
            z = layer(z, x)
        return self.head(z)


def epoch(loader, model, opt=None):
    total_loss, total_err, count = 0.0, 0.0, 0
    model.train() if opt else model.eval()
    for X, y in loader:
        yp = model(X)
        loss = nn.CrossEntropyLoss()(yp, y)
        if opt:
            opt.zero_grad()
            loss.backward()
            opt.step()
        total_err += (yp.max(dim=1)[1] != y).sum().item()
        total_loss += loss.item() * X.shape[0]
        count += X.shape[0]
    return total_err / count, total_loss / count


if __name__ == "__main__":
    data = [(torch.randn(32, 1, 28, 28), torch.randint(0, 10, (32,))) for _ in range(4)]
    for net in (DEQClassifier(), ExplicitClassifier()):
        print(type(net).__name__, sum(p.numel() for p in net.parameters()))
        print(epoch(data, net, torch.optim.Adam(net.parameters(), lr=1e-3)))
