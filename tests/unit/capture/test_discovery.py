"""Models that declare nothing: which are found, how they are built, called and trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scaleaudit.capture.capturing import capture
from scaleaudit.capture.discovery.search import Discovery, Search
from scaleaudit.capture.loading import load_module
from scaleaudit.capture.targets import build_plan
from scaleaudit.domain.graph import OpGraph
from scaleaudit.domain.plans import Plan, declaration

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
BLOCK = """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Linear(width, width)

    def forward(self, h):
        return h + self.mlp(self.norm(h))
"""
MODEL = (
    HEAD
    + BLOCK
    + """
class Looped(nn.Module):
    def __init__(self, rows, width, turns):
        super().__init__()
        self.table = nn.Embedding(rows, width)
        self.block = Block(width)
        self.turns = turns
        self.head = nn.Linear(width, rows)

    def forward(self, tokens, wanted=None):
        h = self.table(tokens)
        for _ in range(self.turns):
            h = self.block(h)
        out = self.head(h)
        loss = None
        if wanted is not None:
            loss = F.cross_entropy(out.flatten(0, 1), wanted.flatten())
        return out, loss
"""
)


def discovered(folder: Path, text: str, name: str = "model.py") -> Discovery:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return Search(path, load_module(path), 30.0).run()


def only_plan(folder: Path, text: str) -> Plan:
    found = discovered(folder, text)
    assert not found.failures, found.failures[0][1].message
    (plan,) = found.plans
    return plan


def graph_of(plan: Plan) -> OpGraph:
    return capture(build_plan(plan, fake=True)).graph


def test_the_class_that_uses_the_others_is_the_target(tmp_path):
    plan = only_plan(tmp_path, MODEL)
    assert plan.name == "Looped"
    assert graph_of(plan).loss is not None


def test_integers_that_nobody_gave_become_distinct_sizes_and_few_turns(tmp_path):
    rows, width, turns = map(int, re.findall(r"\d+", only_plan(tmp_path, MODEL).model))
    assert len({rows, width, turns}) == 3
    assert turns <= 4


def test_token_ids_are_drawn_from_the_rows_that_they_pick(tmp_path):
    plan = only_plan(tmp_path, MODEL.replace("rows, width, turns):", "rows=77, width=8, turns=2):"))
    assert plan.args == ("torch.randint(0, 77, (2, 16))",)


def test_an_argument_that_makes_the_model_return_a_loss_is_given(tmp_path):
    plan = only_plan(tmp_path, MODEL)
    assert [name for name, _ in plan.kwargs] == ["wanted"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("class S:\n    width = 12\n", "Net(s=S())"),
        ("S = {'width': 12}\n", "Net(s=S)"),
        ("class S(dict):\n    width = 12\n    def __init__(self): super().__init__(width=12)\n", "Net(s=S())"),
        ("PRESETS = {'a': {'depth': 1}, 'b': {'width': 12}}\n", "Net(s=PRESETS['b'])"),
        (
            "import types\nA = types.SimpleNamespace(rate=1)\nB = types.SimpleNamespace(width=12)\n",
            "Net(s=B)",
        ),
    ],
)  # fmt: skip
def test_settings_are_chosen_by_what_the_constructor_reads(tmp_path, settings, expected):
    read = "s['width']" if "{" in settings or "dict" in settings else "s.width"
    model = f"""
class Net(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.f = nn.Linear({read}, 3)

    def forward(self, x):
        return self.f(x)
"""
    plan = only_plan(tmp_path, HEAD + settings + model)
    assert plan.model == expected
    assert plan.args is not None
    assert plan.args[0].endswith("12))")


def test_a_call_under_the_main_guard_says_how_to_build(tmp_path):
    script = """
if __name__ == "__main__":
    rows = 40
    model = Looped(rows, width=24, turns=rows // 10)
"""
    plan = only_plan(tmp_path, MODEL + script)
    assert plan.model == "Looped(rows, width=24, turns=rows // 10)"
    assert [statement.text for statement in plan.setup] == ["rows = 40"]


def test_a_parsed_command_line_has_its_defaults(tmp_path):
    script = """
def main():
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=20)
    args = parser.parse_args()
    return Looped(50, args.width, 2)
"""
    assert graph_of(only_plan(tmp_path, MODEL + script)).loss is not None


@pytest.mark.parametrize(
    ("forward", "shapes"),
    [
        ("def forward(self, x, mask):\n        return self.f(x).masked_fill(~mask[..., None], 0)",
         [3, 2]),
        ("def forward(self, x, *, count: int):\n        return sum(self.f(x) for _ in range(count))",
         [3]),
        ("def forward(self, batch):\n        return self.f(batch['a']) + batch['b']", []),
    ],
)  # fmt: skip
def test_several_inputs_are_found_by_trying(tmp_path, forward, shapes):
    text = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(10, 10)

    {forward}
"""
    plan = only_plan(tmp_path, text)
    ranks = [
        len(meta.outputs[0].shape) for meta in graph_of(plan).nodes if meta.kind.value == "input"
    ]
    assert ranks[: len(shapes)] == shapes


def test_images_fit_the_positions_that_the_model_knows(tmp_path):
    text = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(1, 18, 7, 7)
        self.places = nn.Parameter(torch.zeros(1, 16, 18))

    def forward(self, image):
        return self.cut(image).flatten(2).transpose(1, 2) + self.places
"""
    assert only_plan(tmp_path, text).args == ("torch.randn((2, 1, 28, 28))",)


@pytest.mark.parametrize(
    "loss",
    [
        "def measure(net, x, y):\n    return F.cross_entropy(net(x)[0].flatten(0, 1), y.flatten())\n",
        "def measure(x, y, net):\n    out = net(x)[0]\n    return (out * y[..., None]).mean(), {}\n",
        "def gap(out, y):\n    return F.cross_entropy(out.flatten(0, 1), y.flatten())\n",
    ],
)
def test_a_loss_is_found_among_the_functions_of_the_file(tmp_path, loss):
    text = MODEL.replace("tokens, wanted=None", "tokens").replace(
        "if wanted is not None", "if False"
    )
    plan = only_plan(tmp_path, text + loss)
    assert plan.loss
    assert graph_of(plan).loss is not None


def test_a_function_that_trains_is_no_loss_and_is_not_run(tmp_path):
    train = "def train(model, x):\n    model(x)[0].sum().backward()\n    open('ran', 'w').close()\n"
    text = MODEL.replace("tokens, wanted=None", "tokens").replace(
        "if wanted is not None", "if False"
    )
    assert only_plan(tmp_path, text + train).loss == ""
    assert not (tmp_path / "ran").exists()


def test_a_wrapper_that_computes_the_loss_is_the_target_with_the_model_in_it(tmp_path):
    wrapper = """
class Trained(nn.Module):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, tokens, wanted):
        return self.net(tokens, wanted)[1]
"""
    plan = only_plan(tmp_path, MODEL + wrapper)
    assert plan.name == "Trained"
    assert "net=Looped(" in plan.model


def test_a_state_that_the_model_makes_itself_is_asked_of_it(tmp_path):
    text = f"""{HEAD}
import dataclasses

@dataclasses.dataclass
class Kept:
    state: torch.Tensor
    done: torch.Tensor

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(10, 10)

    def fresh(self, x):
        return Kept(torch.zeros_like(x), torch.ones(x.shape[0], dtype=torch.bool))

    def forward(self, kept: Kept, x):
        state = torch.where(kept.done.view(-1, 1, 1), x, kept.state)
        for _ in range(3):
            state = torch.tanh(self.f(state))
        return Kept(state, kept.done)
"""
    plan = only_plan(tmp_path, text)
    assert plan.args is not None
    assert plan.args[0].startswith("model.fresh(")
    assert graph_of(plan).nodes


def test_losses_without_weights_are_no_targets(tmp_path):
    loss = (
        "class Gap(nn.Module):\n    def forward(self, a, b):\n        return (a - b).abs().mean()\n"
    )
    assert only_plan(tmp_path, MODEL + loss).name == "Looped"


def test_what_cannot_be_built_is_answered_with_a_declaration_to_fill_in(tmp_path):
    text = f"""{HEAD}
class Net(nn.Module):
    def __init__(self, source):
        super().__init__()
        self.f = nn.Linear(*source.read_shape_from_disk())

    def forward(self, x):
        return self.f(x)
"""
    ((name, error, _),) = discovered(tmp_path, text).failures
    assert name == "Net"
    assert "Net cannot be built" in error.message
    assert "def scaleaudit_target():" in error.hint
    assert "Net(source=...)" in error.hint


def test_a_plan_reads_as_the_declaration_that_it_stands_for(tmp_path):
    plan = only_plan(tmp_path, MODEL)
    text = declaration(plan)
    assert f"model = {plan.model}\n" in text
    compile(text, "declaration", "exec")


def test_renaming_everything_finds_the_same_plan(tmp_path):
    names = re.compile(r"\b(Looped|Block|rows|width|turns|tokens|wanted|table|block|head|loss)\b")
    renamed = names.sub(lambda match: f"q_{match[0][::-1]}", MODEL)
    plain, other = only_plan(tmp_path, MODEL), only_plan(tmp_path, renamed)
    assert other.args == plain.args
    assert re.findall(r"\d+", other.model) == re.findall(r"\d+", plain.model)
    assert [text for _, text in other.kwargs] == [text for _, text in plain.kwargs]
