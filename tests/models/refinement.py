"""Estimates that are refined turn by turn: flow, disparity, boxes, normals, sparse codes."""

from __future__ import annotations

from typing import Any

import torch
from expect import Expect, State
from torch import Tensor, nn
from torch.nn import functional as F

C, SIDE, BATCH, ITERATIONS = 8, 4, 2, 4


class ConvGru(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        self.z = nn.Conv2d(C + given, C, 3, padding=1)
        self.r = nn.Conv2d(C + given, C, 3, padding=1)
        self.q = nn.Conv2d(C + given, C, 3, padding=1)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        hx = torch.cat([h, x], dim=1)
        z, r = torch.sigmoid(self.z(hx)), torch.sigmoid(self.r(hx))
        q = torch.tanh(self.q(torch.cat([r * h, x], dim=1)))
        return (1 - z) * h + z * q


class ConvResidual(nn.Module):
    """A residual update in the GRU's place, behind a norm."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(C + given, C, 3, padding=1)
        self.norm = nn.GroupNorm(1, C)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        return h + F.relu(self.mix(torch.cat([self.norm(h), x], dim=1)))


class Head(nn.Module):
    """From the hidden state to a change of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Conv2d(C, C, 3, padding=1), nn.Conv2d(C, 2, 3, padding=1)

    def forward(self, net: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(net)))


class NormedHead(Head):
    def forward(self, net: Tensor) -> Tensor:
        return super().forward(F.group_norm(net, 1))


class Flow(nn.Module):
    """Optical flow: features are compared where the present flow points to."""

    cell: type[nn.Module] = ConvGru
    head: type[nn.Module] = Head

    def __init__(self) -> None:
        super().__init__()
        self.features, self.context = nn.Conv2d(3, C, 3, padding=1), nn.Conv2d(3, 2 * C, 1)
        self.gru, self.flow_head = self.cell(C + 3), self.head()
        self.register_buffer("grid", torch.rand(1, 2, SIDE, SIDE) * 2 - 1)

    def forward(self, first: Tensor, second: Tensor) -> list[Tensor]:
        f1, f2 = self.features(first), self.features(second)
        net, inp = self.context(first).chunk(2, dim=1)
        net, inp = torch.tanh(net), torch.relu(inp)
        coords0 = self.grid.expand(first.shape[0], -1, -1, -1)
        coords1 = coords0.clone()
        flows = []
        for _ in range(ITERATIONS):
            coords1 = coords1.detach()
            corr = self.look_up(f1, f2, coords1)
            net = self.gru(net, torch.cat([inp, corr, coords1 - coords0], dim=1))
            coords1 = coords1 + self.flow_head(net)
            flows.append(coords1 - coords0)
        return flows

    def look_up(self, f1: Tensor, f2: Tensor, coords: Tensor) -> Tensor:
        there = F.grid_sample(f2, coords.permute(0, 2, 3, 1), align_corners=True)
        return (f1 * there).sum(1, keepdim=True) / C**0.5


class FlowResidual(Flow):
    """The hidden state is carried, and read by the head through a norm alone."""

    cell, head = ConvResidual, NormedHead


class FlowAsState(Flow):
    """The flow itself is what is carried."""

    def forward(self, first: Tensor, second: Tensor) -> list[Tensor]:
        f1, f2 = self.features(first), self.features(second)
        net, inp = self.context(first).chunk(2, dim=1)
        net = torch.tanh(net)
        flow = first.new_zeros(first.shape[0], 2, SIDE, SIDE)
        flows = []
        for _ in range(ITERATIONS):
            flow = flow.detach()
            corr = self.look_up(f1, f2, self.grid + flow)
            net = self.gru(net, torch.cat([inp.relu(), corr, torch.tanh(flow)], dim=1))
            flow = flow + self.flow_head(net)
            flows.append(flow)
        return flows


class Disparity(FlowAsState):
    """A length along one axis, never below zero, and upsampled by a learned convex mix."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Conv2d(C, 9, 1)

    def forward(self, first: Tensor, second: Tensor) -> list[Tensor]:
        net = torch.tanh(self.features(first))
        given = torch.cat([self.features(second), net[:, :2]], dim=1)
        disp = net.new_ones(first.shape[0], 1, SIDE, SIDE)
        found = []
        for _ in range(ITERATIONS):
            disp = disp.detach()
            net = self.gru(net, torch.cat([given, disp / (1 + disp)], dim=1))
            disp = F.relu(disp + self.flow_head(net)[:, :1])
            found.append(self.upsample(disp, net).expand(-1, 2, -1, -1))
        return found

    def upsample(self, disp: Tensor, net: Tensor) -> Tensor:
        weights = self.mask(net).softmax(1).flatten(2)
        patches = F.unfold(disp, 3, padding=1)
        return (weights * patches).sum(1).unflatten(-1, (SIDE, SIDE)).unsqueeze(1)


class Rows(nn.Module):
    """Refinement of rows: objects, points, codes."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(C + 4, C)
        self.delta = nn.Linear(C, 4)

    def forward(self, queries: Tensor) -> list[Tensor]:
        boxes = torch.full((*queries.shape[:-1], 4), 0.5)
        found = []
        for _ in range(ITERATIONS):
            boxes = self.refine(boxes.detach(), queries)
            found.append(boxes)
        return found

    def change(self, boxes: Tensor, queries: Tensor) -> Tensor:
        return self.delta(F.gelu(self.read(torch.cat([queries, boxes], dim=-1))))

    def refine(self, boxes: Tensor, queries: Tensor) -> Tensor:
        return torch.sigmoid(torch.logit(boxes, eps=1e-3) + self.change(boxes, queries))


class Directions(Rows):
    """Unit quaternions."""

    def refine(self, boxes: Tensor, queries: Tensor) -> Tensor:
        return F.normalize(boxes + self.change(boxes, queries), dim=-1)


class Offsets(Rows):
    """A step of bounded size, so that ten more of them go ten times as far."""

    def refine(self, boxes: Tensor, queries: Tensor) -> Tensor:
        return boxes + 0.1 * torch.tanh(self.change(boxes, queries))


class SparseCodes(Rows):
    """Learned iterative shrinkage: the code goes through a free matrix at every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.given = nn.Linear(4, 4, bias=False), nn.Linear(C, 4)

    def refine(self, boxes: Tensor, queries: Tensor) -> Tensor:
        return F.softshrink(self.again(boxes) + self.given(queries), 0.1)


class Descent(Rows):
    """Gradient steps on a least-squares problem that is given, then a learned correction."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("operator", torch.randn(C, 4) / 4)

    def refine(self, boxes: Tensor, queries: Tensor) -> Tensor:
        residual = boxes @ self.operator.T - queries
        x = boxes - 0.1 * residual @ self.operator
        return x + self.change(F.normalize(boxes, dim=-1), queries)


def weighted(error: Any) -> Any:
    """A loss over all estimates, later ones weighing more."""

    def loss(model: nn.Module, *given: Tensor) -> Tensor:
        *inputs, truth = given
        found = model(*inputs)
        terms = [0.8 ** (len(found) - 1 - i) * error(each, truth) for i, each in enumerate(found)]
        return torch.stack(terms).sum()

    return loss


def absolute(found: Tensor, truth: Tensor) -> Tensor:
    return (found - truth).abs().mean()


def angle(found: Tensor, truth: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(found, truth, dim=1)).mean()


def last_only(model: nn.Module, *given: Tensor) -> Tensor:
    *inputs, truth = given
    return absolute(model(*inputs)[-1], truth)


def pictures(model: nn.Module, loss: Any) -> dict[str, Any]:
    first, second = torch.rand(2, BATCH, 3, SIDE, SIDE)
    truth = torch.rand(BATCH, 2, SIDE, SIDE)
    given = {"loss": loss, "loss_args": (first, second, truth)}
    return {"model": model, "args": (first, second), **given}


def rows(model: nn.Module, error: Any = absolute) -> dict[str, Any]:
    queries, truth = torch.randn(BATCH, 5, C), torch.rand(BATCH, 5, 4)
    given = {"loss": weighted(error), "loss_args": (queries, truth)}
    return {"model": model, "args": (queries,), **given}


NET = "bounded"
COORDS = {"name": "coords1", "line": "coords1 = coords1 + self.flow_head"}
FLOW = {"name": "flow", "line": "flow = flow + self.flow_head"}


def boxes(transition: str, visibility: str, codes: str = "", maybe: str = "") -> Expect:
    return Expect((State(transition, visibility, name="boxes"),), codes, maybe, carries=("boxes",))


EXPECT = {
    "flow": Expect(
        (State("carried", "visible", **COORDS), State(NET, "visible", name="net")),
        carries=("coords1", "net"),
    ),
    "flow_last_only": Expect(
        (State("carried", "visible", **COORDS), State(NET, "visible", name="net")),
        carries=("coords1", "net"),
    ),
    # Where it starts from fades beside a long flow, and the direction alone is compared.
    "flow_angle": Expect(
        (
            State("carried", "invariant|asymptotic", **COORDS),
            State(NET, "invariant|asymptotic", name="net"),
        ),
        "SCL101",
        carries=("coords1", "net"),
    ),
    "flow_residual": Expect(
        (
            State("carried", "visible", **COORDS),
            # Its head sees it through a norm. Open: the flow, another state, enters its branch raw.
            State(
                "carried|expanding",
                "invariant|asymptotic",
                name="net|h",
                line="return h + F.relu",
            ),
        ),
        "SCL101",
        "SCL201",
        carries=(),
    ),
    "flow_as_state": Expect(
        (State("carried", "visible", **FLOW), State(NET, "visible", name="net")),
        carries=("flow", "net"),
    ),
    "flow_as_state_angle": Expect(
        (
            State("carried", "invariant", **FLOW),
            State(NET, "invariant|asymptotic", name="net"),
        ),
        "SCL101",
        carries=("flow", "net"),
    ),
    "disparity": Expect(
        (
            State("carried", "visible", name="disp", line="disp = F.relu(disp"),
            State(NET, "visible", name="net"),
        ),
        carries=("disp", "net"),
    ),
    "boxes": boxes("bounded", "visible"),
    "directions": boxes("removed", "visible"),
    "offsets": boxes("carried", "visible"),
    "offsets_angle": boxes("carried", "invariant", "SCL101"),
    # Open, as for relu(W h): active either way.
    "sparse_codes": boxes("linear", "visible", "SCL202"),
    "descent": boxes("linear|expanding", "visible", maybe="SCL201 SCL202"),
}


def scaleaudit_target_flow() -> dict[str, Any]:
    return pictures(Flow(), weighted(absolute))


def scaleaudit_target_flow_last_only() -> dict[str, Any]:
    return pictures(Flow(), last_only)


def scaleaudit_target_flow_angle() -> dict[str, Any]:
    return pictures(Flow(), weighted(angle))


def scaleaudit_target_flow_residual() -> dict[str, Any]:
    return pictures(FlowResidual(), weighted(absolute))


def scaleaudit_target_flow_as_state() -> dict[str, Any]:
    return pictures(FlowAsState(), weighted(absolute))


def scaleaudit_target_flow_as_state_angle() -> dict[str, Any]:
    return pictures(FlowAsState(), weighted(angle))


def scaleaudit_target_disparity() -> dict[str, Any]:
    return pictures(Disparity(), weighted(absolute))


def scaleaudit_target_boxes() -> dict[str, Any]:
    return rows(Rows())


def scaleaudit_target_directions() -> dict[str, Any]:
    return rows(Directions())


def scaleaudit_target_offsets() -> dict[str, Any]:
    return rows(Offsets())


def scaleaudit_target_offsets_angle() -> dict[str, Any]:
    return rows(Offsets(), lambda found, truth: angle(found.mT, truth.mT))


def scaleaudit_target_sparse_codes() -> dict[str, Any]:
    return rows(SparseCodes())


def scaleaudit_target_descent() -> dict[str, Any]:
    return rows(Descent())
