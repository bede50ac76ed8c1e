"""A captured program as those who run it see it, whatever a node or a tensor is to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scaleaudit.domain.graph import NodeKind, OpGraph, Ref, TensorMeta


class LeafLike(Protocol):
    """A placeholder of the program."""

    @property
    def kind(self) -> NodeKind:
        """What kind of leaf it is."""

    @property
    def name(self) -> str:
        """Its name in the model, or among the arguments."""

    @property
    def node(self) -> int:
        """Its id in the graph."""

    @property
    def meta(self) -> TensorMeta:
        """Shape and dtype."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - a tensor, and the vocabulary knows no torch
        """Its value where it is known, else None."""


class Executable(Protocol):
    """A captured program: the graph that was judged, and the one that runs, of torch.fx."""

    @property
    def graph(self) -> OpGraph:
        """What was judged."""

    @property
    def leaves(self) -> Sequence[LeafLike]:
        """The placeholders, in order."""

    @property
    def node_of(self) -> Mapping[int, Any]:
        """For the id of a node in ``graph`` the node that runs."""

    @property
    def picks(self) -> Mapping[Ref, Any]:
        """The nodes that hold single outputs of calls with several."""

    @property
    def fx_graph(self) -> Any:  # noqa: ANN401 - a torch.fx.Graph
        """What runs."""
