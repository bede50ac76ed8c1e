"""What arguments are for, read off graphs and values."""

from scaleaudit.bench import built
from scaleaudit.capture.arguments import named_inputs
from scaleaudit.capture.capturing import capture
from scaleaudit.loops.finder import find_loops
from scaleaudit.probe.roles import Kind, roles_of

SOURCE = """
import torch
from torch import nn
from torch.nn import functional as F
class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.place = nn.Embedding(50, 8), nn.Embedding(9, 8)
        self.block, self.head = nn.Linear(8, 8), nn.Linear(8, 7)
    def forward(self, tokens, places, mask, noise):
        h = self.embed(tokens) + self.place(places) + noise
        for _ in range(3):
            h = h + self.block(F.rms_norm(h, (8,))) * mask
        return self.head(F.rms_norm(h, (8,)))

def loss(model, tokens, places, mask, noise, classes, wanted, switches):
    out = model(tokens, places, mask, noise)
    return (F.cross_entropy(out.flatten(0, 1), classes.flatten())
            + F.mse_loss(out, wanted)
            + F.binary_cross_entropy_with_logits(out[..., 0], switches))

def scaleaudit_target():
    b, n = 3, 5
    switches = torch.tensor([0.0, 1.0]).repeat(8)[:15].view(b, n)
    args = (torch.randint(50, (b, n)), torch.arange(n).expand(b, n), torch.ones(b, n, 1).tril(),
            torch.randn(b, n, 8), torch.randint(7, (b, n)), torch.randn(b, n, 7), switches)
    return {"model": Loop(), "args": args[:4], "loss": loss, "loss_args": args}
"""


def test_arguments_are_told_apart_by_what_is_done_with_them(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(SOURCE)
    target = built(str(file), "scaleaudit_target")
    captured = capture(target, whole=True)
    roles = roles_of(captured.graph, find_loops(captured.graph), named_inputs(target))
    assert {role.name: (role.kind, role.limit) for role in roles} == {
        "tokens": (Kind.TOKENS, 50),
        "places": (Kind.KEPT, 0),
        "mask": (Kind.KEPT, 0),
        "noise": (Kind.FLOATS, 0),
        "classes": (Kind.CLASSES, 7),
        "wanted": (Kind.RESPONSES, 0),
        "switches": (Kind.SWITCHES, 0),
    }
