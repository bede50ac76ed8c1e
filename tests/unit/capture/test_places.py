"""Every node knows its line, its site, its turn, its modules and the names of its value."""

from __future__ import annotations

import inspect

import torch
import torch.nn.functional as F
from capture_support import calls, captured
from torch import nn

from scaleaudit.capture.places import location
from scaleaudit.domain.graph import NodeKind

D = 8


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(D)
        self.w = nn.Linear(D, D)

    def forward(self, x):
        return x + self.w(self.norm(x))


class Looped(nn.Module):
    def __init__(self, layers: int = 2, turns: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(layers))
        self.turns = turns

    def forward(self, state):
        for _ in range(self.turns):
            for layer in self.layers:
                state = layer(state)
        return state.square().mean()


def looped_graph(**named):
    return captured(Looped(**named), torch.randn(2, D)).graph


def test_a_node_stands_on_the_line_that_the_user_wrote():
    add = calls(looped_graph(), "aten.add.Tensor")[0]
    lines, first = inspect.getsourcelines(Block.forward)
    text = lines[add.location.line - first]
    assert add.location.path == __file__
    assert text[add.location.column - 1 : add.location.end_column - 1] == (
        "x + self.w(self.norm(x))"
    )
    assert [frame.function for frame in add.frames] == ["Looped.forward", "Block.forward"]


def test_columns_count_characters_not_bytes():
    class Accents(nn.Module):
        def forward(self, x):
            return x.sum() + sum(len("é") * row.mean() for row in [x])

    graph = captured(Accents(), torch.randn(2, D)).graph
    (product,) = calls(graph, "aten.mul.Tensor")
    line = inspect.getsource(Accents.forward).splitlines()[1]
    shown = line[product.location.column - 1 : product.location.end_column - 1]
    assert shown == 'len("é") * row.mean()'


def test_a_site_recurs_turn_after_turn():
    adds = calls(looped_graph(layers=1, turns=4), "aten.add.Tensor")
    assert len(adds) == 4
    assert len({add.site for add in adds}) == 1


def test_modules_tell_equal_sites_of_different_blocks_apart():
    adds = calls(looped_graph(layers=2, turns=3), "aten.add.Tensor")
    assert len({(add.site, add.modules[-1].identity) for add in adds}) == 2
    assert [add.modules[-1].path for add in adds[:2]] == ["layers.0", "layers.1"]
    assert [add.modules[-1].call for add in adds] == [0, 0, 1, 1, 2, 2]


def test_turns_differ_in_the_frames_that_run_them():
    adds = calls(looped_graph(layers=1, turns=3), "aten.add.Tensor")
    assert len({add.turn_frames for add in adds}) == 3
    outermost = {add.frames[0] for add in adds}
    assert len(outermost) == 1


def test_a_line_that_calls_an_operator_again_and_again_is_one_site():
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(D, D)

        def forward(self, x):
            h = torch.zeros_like(x)
            for _ in range(3):
                c = self.cell
                h = torch.gru_cell(x, h, c.weight_ih, c.weight_hh, c.bias_ih, c.bias_hh)
            return h.sum()

    graph = captured(Cell(), torch.randn(2, D)).graph
    tanhs = calls(graph, "aten.tanh.default")
    products = calls(graph, "aten.addmm.default")
    assert len(tanhs) == 3
    assert len({node.site for node in tanhs}) == 1
    assert len(products) == 6
    assert len({node.site for node in products}) == 2


def test_a_module_called_by_its_forward_is_found():
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()

        def forward(self, x):
            for _ in range(2):
                x = self.block.forward(x)
            return x.sum()

    adds = calls(captured(Direct(), torch.randn(2, D)).graph, "aten.add.Tensor")
    assert [add.modules[-1].path for add in adds] == ["block", "block"]
    assert len({add.site for add in adds}) == 1


def test_names_come_from_the_variables_that_hold_the_value():
    graph = looped_graph(layers=1, turns=2)
    first = calls(graph, "aten.add.Tensor")[0]
    assert ("Looped.forward", "state") in first.names
    assert ("Block.forward", "x") in first.names


def test_generators_keep_their_identity_between_turns():
    class Yields(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Linear(D, D)

        def turns(self, h):
            for _ in range(3):
                h = self.w(h)
                yield h

        def forward(self, x):
            return sum(h.mean() for h in self.turns(x))

    products = calls(captured(Yields(), torch.randn(2, D)).graph, "aten.addmm.default")
    assert len({node.site for node in products}) == 1


def test_tied_parameters_share_their_weight():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(10, D)
            self.head = nn.Linear(D, 10, bias=False)
            self.head.weight = self.embed.weight
            self.other = nn.Linear(D, D)

        def forward(self, i):
            return self.head(self.other(self.embed(i))).sum()

    graph = captured(Tied(), torch.zeros(3, dtype=torch.long)).graph
    leaves = [node for node in graph.nodes if node.kind is NodeKind.PARAMETER]
    assert [leaf.op for leaf in leaves] == ["embed.weight", "other.weight", "other.bias"]
    assert len({leaf.weight for leaf in leaves}) == 3


def test_parameters_in_the_memory_of_one_tensor_share_their_weight():
    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = nn.Parameter(torch.randn(2, D))
            self.again = nn.Parameter(self.whole.data)

        def forward(self, x):
            return (F.linear(x, self.whole) * F.linear(x, self.again)).sum()

    graph = captured(Sliced(), torch.randn(3, D)).graph
    weights = {node.weight for node in graph.nodes if node.kind is NodeKind.PARAMETER}
    assert len(weights) == 1


def test_constants_and_buffers_show_their_range_and_inputs_and_parameters_do_not():
    class Ranges(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("decay", torch.linspace(0.5, 0.9, D))
            self.gain = nn.Parameter(torch.ones(D))

        def forward(self, x):
            return (x * self.decay * self.gain * torch.tensor(0.25)).sum()

    graph = captured(Ranges(), torch.randn(3, D)).graph
    shown = {node.op: node.outputs[0] for node in graph.nodes if node.kind is not NodeKind.CALL}
    assert shown["decay"].low == 0.5
    assert abs(shown["decay"].high - 0.9) < 1e-6
    assert shown["constant"].low == shown["constant"].high == 0.25
    assert shown["x"].low is None
    assert shown["gain"].low is None


def test_arguments_have_the_names_and_defaults_of_the_schema():
    (norm, *_) = calls(looped_graph(), "aten.native_layer_norm.default")
    arguments = dict(norm.arguments)
    assert list(arguments) == ["input", "normalized_shape", "weight", "bias", "eps"]
    assert arguments["normalized_shape"] == (D,)
    assert len(norm.outputs) == 3
    (mean,) = calls(looped_graph(), "aten.mean.default")
    assert dict(mean.arguments)["dtype"] is None


def test_equal_code_of_two_files_is_told_apart():
    source = "def forward(x):\n    return x + 1\n"
    codes = [
        next(c for c in compile(source, f, "exec").co_consts if hasattr(c, "co_code")) for f in "ab"
    ]
    assert codes[0] == codes[1]
    assert [location(code, 0).path for code in codes] == ["a", "b"]
