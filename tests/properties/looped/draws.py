"""What a random looped model is made of: one choice for every part."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

CHOICES: dict[str, tuple[object, ...]] = {
    "combine": (
        *("sum",) * 10,
        *("convex", "towards", "lerp") * 2,
        *("linear", "relu", "gru", "rnn tanh", "rnn relu"),
    ),
    "keep": (
        *("plain",) * 6,
        *("double", "half", "free", "free channels", "above one", "nothing"),
        *("gated",) * 4,
    ),
    "gate": ("raw", "normed", "parameter", "exp softplus", "raw exp softplus", "input"),
    "write": (
        *("prenorm mlp",) * 3,
        *("sandwich", "swiglu", "prenorm attention", "raw mlp", "raw swiglu", "raw attention"),
        *("tanh",) * 4,
    ),
    "norm": ("rms", "layer", "plain rms", "functional layer", "hand rms", "hand length"),
    "activation": ("relu", "gelu", "silu", "tanh"),
    "after": (
        *("nothing",) * 5,
        *("norm between", "norm every second", "norm before the first", "scaled"),
    ),
    "inject": (*("nothing",) * 3, "add", "adapter", "step embedding", "into the write"),
    "dropout": (False, False, True),
    "gradient": ("all", "all", "all", "detached between", "first without"),
    "readout": (
        *("rms", "layer", "hand rms", "hand length", "clamped length", "hand layer", "largest"),
        *("sum of sizes", "normalize", "cosine", "whole tensor", "normed mlp"),
        *("raw", "raw", "raw mlp", "square root", "soft cap", "tanh", "coda", "coda", "skip"),
        *("pooled then normed", "normed then pooled", "raw pooled"),
    ),
    "loss": (
        *("cross-entropy", "smoothed", "weighted", "ignoring", "summed", "likelihood"),
        *("squared error", "binary", "smooth l1", "absolute"),
    ),
    "exits": ("last", "last", "all", "some"),
    "gate_term": (*("none",) * 6, "raw cost", "normed cost", "halting", "raw targets"),
    "penalty": (
        *("none",) * 4,
        *("mean square", "last square", "norm", "log norm", "log one plus square", "updates"),
        *("hinge", "learned weight", "detached", "no grad", "negative", "zero weight"),
        *("normed copy", "consistency", "embedding", "saturating"),
    ),
    "written": ("for", "for", "while", "blocks"),
    "turns": (3, 4, 5),
    "width": (8, 12, 16),
    "length": (4, 5, 6),
}

EXACT_FAMILIES: dict[str, dict[str, tuple[object, ...]]] = {
    "plain": {},
    "experts": {
        "combine": (*("sum",) * 4, "convex", "lerp"),
        "write": (
            *("soft experts", "scattered experts", "dispatched experts"),
            *("soft raw experts", "scattered raw experts", "dispatched raw experts"),
            *("soft raw routed experts", "dispatched raw routed experts"),
        ),
        "gate_term": (
            *("none", "normed balance", "normed z-loss", "normed router entropy"),
            *("raw balance", "raw z-loss", "raw router entropy"),
        ),
    },
    "masked": {
        "combine": (*("sum",) * 4, "convex", "lerp"),
        "write": ("masked attention", "prefix masked attention", "raw masked attention"),
    },
    "adapters": {
        "combine": (*("sum",) * 4, "convex", "lerp"),
        "write": ("low rank", "raw low rank"),
    },
    "truncated": {
        "gradient": (
            *("last only", "last detached", "detached every second", "detached midway"),
            "first without and detached",
        ),
    },
}
"""What takes the place of choices, by family: models of one state, which can be measured."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One random looped model.

    Attributes:
        combine: How the state and what a turn writes come together.
        keep: The factor on the state, where they are added.
        exits: The turns whose states are decoded into the loss.
        gate_term: What a halting gate does in the loss.
        written: How the loop is spelled.
    """

    combine: str
    keep: str
    gate: str
    write: str
    norm: str
    activation: str
    after: str
    inject: str
    dropout: bool
    gradient: str
    readout: str
    loss: str
    exits: str
    gate_term: str
    penalty: str
    written: str
    turns: int
    width: int
    length: int
    seed: int

    @property
    def period(self) -> int:
        """How many turns make up one period of the loop."""
        return 2 if self.after == "norm every second" else 1


def settled(chosen: dict[str, object]) -> Draw:
    """Return the draw of the choices, those that say nothing together put right.

    Too few turns show no period. Halting needs two exits, and all of them with a gradient: a gate
    that saturates picks one of them, and which one is up to the weights.
    """
    chosen = dict(chosen)
    if chosen["gate_term"] == "halting":
        chosen["gradient"] = "all"
        if chosen["exits"] == "last":
            chosen["exits"] = "all"
    if chosen["after"] == "norm every second":
        chosen["turns"] = max(4, int(str(chosen["turns"])))
    return Draw(**chosen)  # type: ignore[arg-type]


PLAIN = Draw(
    combine="sum",
    keep="plain",
    gate="raw",
    write="prenorm mlp",
    norm="rms",
    activation="silu",
    after="nothing",
    inject="nothing",
    dropout=False,
    gradient="all",
    readout="rms",
    loss="cross-entropy",
    exits="last",
    gate_term="none",
    penalty="none",
    written="for",
    turns=4,
    width=8,
    length=5,
    seed=0,
)
"""The usual looped transformer's loop: blind and carried."""


def random_draw(seed: int, family: str = "plain") -> Draw:
    """Draw without hypothesis, for exploring."""
    source = random.Random(seed)
    chosen = {name: source.choice(options) for name, options in CHOICES.items()}
    for name, options in EXACT_FAMILIES[family].items():
        chosen[name] = source.choice(options)
    return settled({**chosen, "seed": seed})


assert {field.name for field in fields(Draw)} == {*CHOICES, "seed"}
