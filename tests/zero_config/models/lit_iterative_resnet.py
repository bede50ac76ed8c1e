"""CIFAR classifier whose residual stages share one block and repeat it.

The trainer lives elsewhere and calls training_step / validation_step / configure_optimizers.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LitModule(nn.Module):
    """The little of a trainer's module that is needed here."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, Any] = {}

    def log(self, name: str, value: Any, prog_bar: bool = False) -> None:
        self.logged[name] = value.detach() if isinstance(value, Tensor) else value

    def training_step(self, batch, batch_idx):
        raise NotImplementedError


class PreActBlock(nn.Module):
    """Pre-activation residual block, GroupNorm for BatchNorm."""

    def __init__(self, planes: int, groups: int = 8) -> None:
        super().__init__()
        self.gn1 = nn.GroupNorm(groups, planes)
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(groups, planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.gn1(x)))
        out = self.conv2(F.relu(self.gn2(out)))
        return x + out


class IterativeResNet(LitModule):
    def __init__(self, num_classes: int = 10, width: int = 32, iterations: int = 5, lr: float = 0.1, weight_decay: float = 5e-4):
        super().__init__()
        self.lr = lr
        self.weight_decay = weight_decay
        self.iterations = iterations
        self.stem = nn.Conv2d(3, width, kernel_size=3, stride=2, padding=1, bias=False)
        self.block = PreActBlock(width)
        self.norm = nn.GroupNorm(8, width)
        self.fc = nn.Linear(width, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        out = self.stem(images)
        for _ in range(self.iterations):
            out = self.block(out)
        out = F.relu(self.norm(out))
        out = F.adaptive_avg_pool2d(out, 1).flatten(1)
        return self.fc(out)

    def _shared_step(self, batch, stage: str):
        images, labels = batch
        logits = self(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        acc = (logits.argmax(dim=1) == labels).float().mean()
        self.log(f"{stage}/loss", loss, prog_bar=True)
        self.log(f"{stage}/acc", acc, prog_bar=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self._shared_step(batch, "train")

    @torch.no_grad()
    def validation_step(self, batch, batch_idx):
        return self._shared_step(batch, "val")

    def configure_optimizers(self):
        opt = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9, weight_decay=self.weight_decay)
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=200)
        return {"optimizer": opt, "lr_scheduler": sched}
