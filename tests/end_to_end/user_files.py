"""Files as users write them, good and bad, as text."""

from __future__ import annotations

MODEL = """\
import torch
from torch import nn


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(32, 16)
        self.norm = nn.RMSNorm(16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.final = nn.RMSNorm(16)
        self.head = nn.Linear(16, 32)

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(4):
            h = h + self.mlp(self.norm(h))
        return self.head(self.final(h))


def loss(model, tokens, targets):
    return nn.functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
"""

BLIND = f"""{MODEL}

def scaleaudit_target():
    tokens = torch.zeros(2, 8, dtype=torch.long)
    return {{"model": Looped(), "args": (tokens,), "loss": loss, "loss_args": (tokens, tokens)}}
"""

SAFE = BLIND.replace("self.head(self.final(h))", "self.head(h)")

_TARGET = """

def scaleaudit_target():
    tokens = torch.zeros(2, 8, dtype=torch.long)
    return {"model": %s, "args": (tokens,), "loss": lambda model, x: %s}
"""


def _declared(model: str = "Looped()", loss: str = "model(x).sum()", source: str = MODEL) -> str:
    return source + _TARGET % (model, loss)


# What is wrong with a file, its text, and words that the message must hold.
BAD = {
    "syntax_error": ("def f(:\n", ["does not parse", "bad.py:1"]),
    "import_error": ("import no_such_package_at_all\n", ["no_such_package_at_all", "bad.py:1"]),
    "constructor_needs_arguments": (
        _declared(source=MODEL.replace("__init__(self)", "__init__(self, width)")),
        ["missing 1 required positional argument: 'width'", "scaleaudit_target", "bad.py:"],
    ),
    "forward_raises": (
        _declared(source=MODEL.replace("h = self.embed(tokens)", "raise ValueError('no luck')")),
        ["ValueError: no luck", "bad.py:15"],
    ),
    "model_hangs": (
        _declared(source=MODEL.replace("h = self.embed(tokens)", "while True: pass")),
        ["still running after 4 seconds", "bad.py:15", "--timeout"],
    ),
    "no_model": ("x = 1\n", ["declares no target", "scaleaudit_target()"]),
    "loss_is_no_scalar": (_declared(loss="model(x)"), ["no scalar"]),
    "loss_is_no_tensor": (_declared(loss="'low'"), ["loss"]),
    "target_returns_nonsense": (
        "def scaleaudit_target():\n    return 42\n",
        ["returned an int, not a dict"],
    ),
    "target_lacks_model": (
        "def scaleaudit_target():\n    return {'args': ()}\n",
        ["model"],
    ),
    "exits_hard": (
        "import os\ndef scaleaudit_target():\n    os._exit(0)\n",
        ["ended the process with exit code 0"],
    ),
    "exits_softly": ("import sys\nsys.exit(3)\n", ["SystemExit: 3", "bad.py:2"]),
    "allocates_without_end": (
        "def scaleaudit_target():\n    return bytearray(10**13)\n",
        ["more memory than the limit", "bad.py:2", "--memory-limit"],
    ),
    "tensor_larger_than_memory": (
        "import torch\nbig = torch.ones(10**12)\ndef scaleaudit_target():\n    return {}\n",
        ["more memory than the limit", "bad.py:2"],
    ),
    "crashes": (
        "import ctypes\ndef scaleaudit_target():\n    ctypes.string_at(0)\n",
        ["SIGSEGV", "bad.py:3"],
    ),
    "recurses_without_end": (
        "def f():\n    return f()\ndef scaleaudit_target():\n    return f()\n",
        ["RecursionError", "bad.py:2"],
    ),
}
