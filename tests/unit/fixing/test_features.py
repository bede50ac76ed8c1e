"""Where the features of a state are, by what reads it: graphs by hand, without torch."""

from __future__ import annotations

import pytest

from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref, TensorMeta
from scaleaudit.domain.loops import CarriedState
from scaleaudit.fixing.features import are_last

SHAPE = (2, 5, 8)


class Reader:
    """What is done to a state; every operator reads the one before and what else it is given."""

    def __init__(self, *shape: int) -> None:
        self.nodes = [
            Node(0, NodeKind.INPUT, "h", outputs=(TensorMeta(shape, "float32"),)),
            Node(1, NodeKind.PARAMETER, "w", outputs=(TensorMeta((8, 8), "float32"),)),
        ]
        self.last = Ref(0)

    def does(self, op: str, shape: tuple[int, ...], *, first: bool = True, **more) -> Reader:
        own = (("self", self.last), *more.items())
        node = Node(
            len(self.nodes),
            NodeKind.CALL,
            f"aten.{op}.default",
            own if first else (*more.items(), own[0]),
            (TensorMeta(shape, "float32"),),
        )
        self.nodes.append(node)
        self.last = Ref(node.id)
        return self

    def again(self) -> Reader:
        self.last = Ref(0)
        return self

    @property
    def shows(self) -> bool:
        return are_last(OpGraph(tuple(self.nodes), None), CarriedState("h", (Ref(0),), None, None))


WEIGHT = {"mat2": Ref(1)}
FLAT = (10, 8)


def reader() -> Reader:
    return Reader(*SHAPE)


def turned() -> Reader:
    """The state with its last two dimensions in each other's place, as many of each."""
    return Reader(2, 8, 8).does("transpose", (2, 8, 8), dim0=1, dim1=2)


@pytest.mark.parametrize(
    "read",
    [
        reader().does("view", FLAT, size=FLAT).does("mm", FLAT, **WEIGHT),
        Reader(5, 8).does("addmm", (5, 8), mat1=Ref(0), **WEIGHT),
        reader().does("native_layer_norm", SHAPE, normalized_shape=(8,)),
        reader().does("add", SHAPE).does("gelu", SHAPE).does("linear", SHAPE, **WEIGHT),
        reader().does("cat", (2, 5, 16)).does("linear", SHAPE, **WEIGHT),
        turned().does("permute", (2, 8, 8), dims=(0, 2, 1)).does("linear", (2, 8, 8), **WEIGHT),
        turned().does("conv1d", (2, 8, 8), weight=Ref(1)),
        turned().does("matmul", (2, 8, 8), first=False, w=Ref(1)),
        Reader(5, 8).does("t", (8, 5)).does("mm", (8, 5), first=False, w=Ref(1)),
    ],
)
def test_weights_along_the_last_dimension_show_the_features(read):
    assert read.shows


@pytest.mark.parametrize(
    "read",
    [
        reader(),
        turned().does("linear", (2, 8, 8), **WEIGHT),
        turned().does("rms_norm", (2, 8, 8), normalized_shape=(8,)),
        reader().does("conv1d", SHAPE, weight=Ref(1)),
        reader().does("native_batch_norm", SHAPE),
        reader().does("native_layer_norm", SHAPE, normalized_shape=(5, 8)),
        reader().does("mylib.mixed", SHAPE).does("linear", SHAPE, **WEIGHT),
        reader().does("view", (2, 40), size=(2, 40)).does("linear", (2, 8), **WEIGHT),
        reader().does("mean", (2, 8), dim=(1,)).does("linear", (2, 8), **WEIGHT),
        reader().does("bmm", SHAPE, other=Ref(0)),
        reader().does("linear", SHAPE, **WEIGHT).again().does("conv1d", SHAPE, weight=Ref(1)),
    ],
)
def test_anything_else_does_not(read):
    assert not read.shows
