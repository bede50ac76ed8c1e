"""A new rule page: in order, and with examples that pass, until its author changes them."""

from __future__ import annotations

from string import Template

_PAGE = Template("""---
code: $code
name: $name
summary: Say in one sentence what it reports.
severity: warning
status: stable
since: 0.1.0
scope: state
when: |
  state.active && state.blind
message: >-
  State `{state.name}` of loop `{loop.name}` {state.growth}, and every supervised readout is
  {readouts.answer}: say here what that leads to.
location: state.location
proof: [state.proof, readouts.proof]
related:
  - at: readouts.location
    text: "supervised readout, {readouts.answer}"
fixes:
  - text: Say what to write instead.
    code: |
      h = self.norm(h)
references:
  - Name what it rests on.
---

# $code $name

## What it does

Say what it reports, and of what.

## Why it is bad

Say what it leads to, with a number that was measured.

## How it is decided

Say in words what `when` asks for.

## Known limits

- Say what it misses, and where it may be wrong.

## Bad

Lines that are to be found are marked:

```python
$bad```

## Good

Here it stays silent:

```python
$good```

## References

- Name what it rests on.
""")

_MODEL = Template("""import torch
from torch import nn
from torch.nn import functional as F


class Looped(nn.Module):
    def __init__(self, vocabulary=64, width=32, turns=4):
        super().__init__()
        self.turns = turns
        self.embed = nn.Embedding(vocabulary, width)
        self.norm = nn.RMSNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.readout_norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(self.turns):
            $turn
        return self.head(self.readout_norm(h))


def loss(model, tokens, targets):
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def scaleaudit_target():
    tokens = torch.randint(64, (2, 17))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return {"model": Looped(), "args": (inputs,), "loss": loss, "loss_args": (inputs, targets)}
""")


def new_page(code: str, name: str) -> str:
    """Return the text of a page with a code and a name, to be filled in."""
    bad = f"h = h + self.mlp(self.norm(h))  # finding: {code}"
    good = "h = self.norm(h + self.mlp(h))"
    return _PAGE.substitute(
        code=code,
        name=name,
        bad=_MODEL.substitute(turn=bad),
        good=_MODEL.substitute(turn=good),
    )
