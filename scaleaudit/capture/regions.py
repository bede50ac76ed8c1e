"""Memory and the views of it: which graph node holds the present content of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import fx

from scaleaudit.capture._torch_private import storage_key
from scaleaudit.capture.marks import TRACKED
from scaleaudit.capture.writes import ViewStep


@dataclass(slots=True)
class Region:
    """A piece of memory: the node of its whole content, and how often it was written.

    Attributes:
        made: The node of its first content.
    """

    node: fx.Node
    made: fx.Node
    version: int = 0


@dataclass(slots=True)
class Tracked:
    """What is known of one tensor object.

    Attributes:
        steps: The views that lead from the region's whole to this tensor.
        node: The node that held its content at ``version``.
    """

    session: object
    region: Region
    steps: tuple[ViewStep, ...]
    node: fx.Node
    version: int
    storage: int


class Regions:
    """Know the current node of every tensor, whatever was written through whichever view."""

    def __init__(self, replay: Callable[[Tracked], fx.Node]) -> None:
        self._replay = replay
        self._by_storage: dict[tuple[int, torch.Size], Tracked] = {}

    def find(self, tensor: torch.Tensor) -> Tracked | None:
        """Return what is known of a tensor, None where it was never seen."""
        tracked = getattr(tensor, TRACKED, None)
        if not isinstance(tracked, Tracked) or tracked.session is not self:
            return None
        if tracked.storage == storage_key(tensor):
            return tracked
        moved = self._by_storage.get((storage_key(tensor), tensor.shape))  # by ``x.data = y``
        if moved is None:
            return None
        return self._attach(tensor, moved.region, moved.steps, moved.node, moved.version)

    def read(self, tracked: Tracked) -> fx.Node:
        """Return the node of a tensor's present content."""
        if tracked.version != tracked.region.version:
            tracked.node = self._replay(tracked) if tracked.steps else tracked.region.node
            tracked.version = tracked.region.version
        return tracked.node

    def peek(self, tensor: torch.Tensor) -> fx.Node | None:
        """Return the node of a tensor's content, None where it would have to be looked up anew."""
        tracked = self.find(tensor)
        if tracked is None or tracked.version == tracked.region.version:
            return None if tracked is None else tracked.node
        return None if tracked.steps else tracked.region.node

    def add(self, tensor: torch.Tensor, node: fx.Node) -> Tracked:
        """Start a region for a tensor with memory of its own."""
        return self._attach(tensor, Region(node, node), (), node, 0)

    def part(self, tensor: torch.Tensor, node: fx.Node) -> None:
        """Let one tensor hold a value that no other shares, whatever memory it lies in."""
        tracked = Tracked(self, Region(node, node), (), node, 0, storage_key(tensor))
        setattr(tensor, TRACKED, tracked)

    def add_view(
        self, tensor: torch.Tensor, base: Tracked, step: ViewStep, node: fx.Node
    ) -> Tracked:
        """Note that a tensor is a view of another."""
        steps = (*base.steps, step)
        return self._attach(tensor, base.region, steps, node, base.region.version)

    def write(self, tracked: Tracked, value: fx.Node, whole: fx.Node) -> None:
        """Note what a tensor holds from now on, and the region as a whole."""
        region = tracked.region
        region.node = whole
        region.version += 1
        tracked.node, tracked.version = value, region.version

    def refill(self, region: Region, whole: fx.Node) -> None:
        """Note what a region holds from now on, whichever views of it there are."""
        region.node = whole
        region.version += 1

    def _attach(
        self,
        tensor: torch.Tensor,
        region: Region,
        steps: tuple[ViewStep, ...],
        node: fx.Node,
        version: int,
    ) -> Tracked:
        tracked = Tracked(self, region, steps, node, version, storage_key(tensor))
        setattr(tensor, TRACKED, tracked)
        self._by_storage[tracked.storage, tensor.shape] = tracked
        return tracked
