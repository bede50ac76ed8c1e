"""Train the blind model and both fixed ones on the same bytes, watch their states, run them deeper.

About two minutes on a CPU: ``python examples/worked_fix/train.py``. It writes ``blind.jsonl``,
``raw.jsonl`` and ``normed.jsonl`` into the folder that it is started in.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import model_blind
import model_normed
import model_raw
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import scaleaudit

BATCH, STEPS, EVERY = 16, 200, 20
LEARNING_RATE = 3e-3


def text() -> Tensor:
    """The Python sources of the standard library, as bytes."""
    folder = Path(warnings.__file__).parent
    files = sorted(folder.glob("*.py"))
    return torch.frombuffer(bytearray(b"".join(map(Path.read_bytes, files))), dtype=torch.uint8)


def batch(data: Tensor) -> tuple[Tensor, Tensor]:
    starts = torch.randint(len(data) - model_blind.CONTEXT - 1, (BATCH,))
    window = torch.stack([data[at : at + model_blind.CONTEXT + 1] for at in starts]).long()
    return window[:, :-1], window[:, 1:]


def trained(model: nn.Module, loss: Callable[..., Tensor], out: Path, steps: int) -> list[float]:
    """Train a model; return its loss on held-out bytes after 1, 2 and 4 times its turns."""
    torch.set_num_threads(1)  # more would wait for each other
    data = text()
    data, held_out = data[: -len(data) // 10], data[-len(data) // 10 :]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    watch = scaleaudit.monitor(model, *batch(data), loss=loss, out=out, every=EVERY)
    with watch:
        for _ in range(steps):
            tokens, targets = batch(data)
            value = loss(model, tokens, targets)
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            found = watch.step(value, tokens, targets)
            optimizer.step()
            if found:
                norms = "".join(f"{norm:8.1f}" for norm in found.scalars().values())
                print(f"  step {found.step:3d}   loss {value.item():.2f}   norm by turn{norms}")
    torch.manual_seed(1)
    tokens, targets = batch(held_out)
    with torch.no_grad():
        logits = model(tokens, 4 * model_blind.TURNS)
        last = [logits[times * model_blind.TURNS - 1].flatten(0, 1) for times in (1, 2, 4)]
        return [F.cross_entropy(each, targets.flatten()).item() for each in last]


def main(steps: int = STEPS) -> None:
    ends = {}
    models = {"blind": model_blind, "raw": model_raw, "normed": model_normed}
    for name, module in models.items():
        torch.manual_seed(0)
        print(name)
        ends[name] = trained(module.LoopedLM(), module.loss, Path(f"{name}.jsonl"), steps)
    print("loss on held-out bytes       4 turns   8 turns  16 turns")
    for name, losses in ends.items():
        print(f"  {name:24}" + "".join(f"{loss:10.2f}" for loss in losses))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
