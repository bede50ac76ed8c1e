"""The callback with Lightning's real Trainer, on a looped module of a user's."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("lightning")

from lightning.pytorch import LightningModule, Trainer

import scaleaudit
from scaleaudit.integrations.lightning import ScaleCallback

WIDTH, CLASSES = 8, 4
pytestmark = [
    # What the trainer and its libraries say of loaders, of the machine, and of their own future.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
]
BLIND = "ignore:step 0. SCL101:scaleaudit.ScaleWarning"


class Looped(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.block, self.drop = (
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(),
        )
        self.head = nn.Linear(WIDTH, CLASSES)
        self.seen = []

    def forward(self, x):
        h = x
        for _ in range(3):
            h = h + self.drop(self.block(self.norm(h)))
        return self.head(self.norm(h))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.seen.append(batch_idx)
        self.log("train_loss", loss)
        return {"loss": loss}

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 1e-2)


class ByHand(Looped):
    """Calls its optimizer itself, and so asks for its trainer."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, _):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.manual_backward(loss)
        optimizer.step()


def fit(model, callbacks, **how):
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(40, WIDTH), torch.randint(CLASSES, (40,)))
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **how,
    )
    trainer.fit(model, DataLoader(data, batch_size=4))
    return trainer


def made(kind):
    torch.manual_seed(0)
    return kind()


@pytest.mark.filterwarnings(BLIND)
def test_lengths_are_logged_and_in_the_traces_and_training_goes_on_as_without(tmp_path):
    out = tmp_path / "traces.jsonl"
    callback, watched, alone = ScaleCallback(out, every=2), made(Looped), made(Looped)
    trainer = fit(watched, [callback], accumulate_grad_batches=2)
    fit(alone, [], accumulate_grad_batches=2)
    assert callback.watch.run.measured == (0, 2, 4)
    assert len(callback.watch.run.losses) == 5
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["kind"] for line in kept] == ["audit", "run", "sign"]
    last = kept[1]["states"][0]["norms"][-1][-1]["mean"]
    assert float(trainer.callback_metrics["scaleaudit/h/turn_3"]) == pytest.approx(last)
    assert watched.seen == alone.seen == list(range(10))
    assert all(map(torch.equal, watched.parameters(), alone.parameters()))


def test_a_step_that_needs_its_trainer_is_watched_through_a_loss(tmp_path):
    callback = ScaleCallback()
    with pytest.warns(scaleaudit.ScaleWarning, match="goes on without a watch: .*not attached to"):
        fit(made(ByHand), [callback], limit_train_batches=2)
    assert callback.watch is None

    def loss(module, batch):
        return nn.functional.cross_entropy(module(batch[0]), batch[1])

    callback = ScaleCallback(loss=loss, every=1)
    with pytest.warns(scaleaudit.ScaleWarning, match="SCL101"):
        trainer = fit(made(ByHand), [callback], limit_train_batches=2, precision="bf16-mixed")
    assert callback.watch.run.measured == (0, 1)
    assert trainer.global_step == 2
