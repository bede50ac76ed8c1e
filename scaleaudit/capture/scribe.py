"""The scribe: adds nodes to the graph, each with the place that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import FUNCTION_NAMESPACE, OpOverload
from scaleaudit.capture.grads import GradWatch
from scaleaudit.capture.places import ROOT, ModuleCalls, Place, Stack
from scaleaudit.capture.schemas import op_info
from scaleaudit.capture.trace import Name, Origin, Recall, Swap, Template, Trace, tensor_meta
from scaleaudit.domain.graph import NodeKind, TensorMeta

# How often the variables that hold a value are looked up when it is read.
_NAME_LOOKS = 3
_NONE: Mapping[str, Any] = {}


class Scribe:
    """Write nodes for the place where the program stands.

    Attributes:
        place: Where the operator that is being recorded was called.
        order: For every node but the leaves, how many there were before.
        claimed: Where what runs claims to come from, if not from where it runs.
        api: The function of torch's API that was called last.
    """

    def __init__(self, root: FrameType, modules: ModuleCalls) -> None:
        self.stack = Stack(root, modules)
        self.trace = Trace(fx.Graph(), self.stack.serials)
        self.modules = modules
        self.order: dict[fx.Node, int] = {}
        self.grads = GradWatch()
        self.place: Place = ROOT
        self.claimed: Place | None = None
        self.api: Callable[..., Any] | None = None
        self._count = 0
        self._ordinals: dict[object, int] = {}
        self._sites: dict[object, int] = {}
        self._looks: dict[fx.Node, int] = {}
        self._leaf_names: dict[str, int] = {}
        self._last_leaf: fx.Node | None = None

    def look(self, frame: FrameType | None) -> None:
        """Take the place of a frame for that of the nodes to come."""
        self.place = self.claimed or self.stack.here(frame)

    @property
    def inside_function(self) -> bool:
        """Whether the forward of a custom autograd function runs."""
        function = self.place.function
        return bool(function) and not function.startswith(FUNCTION_NAMESPACE)

    def begin_call(self, function: Callable[..., Any] | None) -> None:
        """Start a new API call: the ordinals of its operators count from zero."""
        self.api = function
        if self._ordinals:
            self._ordinals.clear()

    def call(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        outputs: tuple[TensorMeta, ...],
        name: str = "",
        *,
        silent: bool = False,
    ) -> fx.Node:
        """Add a call."""
        node = self._node(target, args, kwargs)
        if not name:
            assert isinstance(target, OpOverload)
            name = op_info(target).name
        site, grad = self._site(name), self.grads.enabled(self.place)
        self.trace.origins[node] = Origin(self.place, site, grad, outputs, silent=silent)
        return node

    def recall(
        self,
        template: Template,
        given: tuple[fx.Node, ...],
        swap: Swap,
        place: Place,
        number: int,
        *,
        shares_casts: bool,
    ) -> fx.Node:
        """Add a call that repeats a recorded one; its outputs are read through picks alone.

        Args:
            template: The recorded call.
            given: What the tensor arguments hold.
            swap: What differs from the recorded call.
            place: Where it is called.
            number: What calls of the same module that repeat the same one have in common.
            shares_casts: Whether autocast kept the casts of parameters that the recorded call made.
        """
        node = self._node(recalled, (list(given),))
        site = f"recall@{number}"
        grad = self.grads.enabled(place)
        self.trace.origins[node] = Origin(place, site, grad, template.metas)
        names: tuple[list[Name], ...] = tuple([] for _ in template.outputs)
        self.trace.recalls[node] = Recall(
            template, given, swap, shares_casts, self.modules.counts(), names
        )
        return node

    def pick(self, call: fx.Node, out: Any) -> list[fx.Node]:
        """Return one node for each value that a call returned, lists in it included."""
        if not isinstance(out, (tuple, list)):
            return [call]
        picked: list[fx.Node] = []
        for node in self._items(call, out):
            self.trace.items[node] = (call, len(picked))
            picked.append(node)
        return picked

    def pick_one(self, call: fx.Node, output: int) -> fx.Node:
        """Return a node for one of the outputs of a call that returns a flat list."""
        node = self._node(pick_item, (call, output))
        self.trace.items[node] = (call, output)
        return node

    def leaf(
        self,
        tensor: torch.Tensor,
        kind: NodeKind,
        name: str,
        value: torch.Tensor | None = None,
        weight: int | None = None,
    ) -> fx.Node:
        """Add a leaf behind the leaves so far, before all calls."""
        graph = self.trace.graph
        last = self._last_leaf
        with (
            graph.inserting_after(last)
            if last is not None
            else graph.inserting_before(next(iter(graph.nodes), None))
        ):
            node = graph.placeholder(self._identifier(name))
        self._last_leaf = node
        learns = kind is NodeKind.PARAMETER
        shown = None if learns or kind is NodeKind.INPUT else value
        self.trace.origins[node] = Origin(
            place=self.place if kind is NodeKind.CONSTANT else ROOT,
            site=f"{kind.value}:{name}",
            grad=True,
            outputs=(tensor_meta(tensor, shown),),
            kind=kind,
            name=name,
            weight=weight,
            value=value if value is None or learns else value.detach().clone(),
        )
        return node

    def looks(self, node: fx.Node) -> int:
        """Return how often the variables that hold a value were looked up."""
        return self._looks.get(node, 0)

    def see_names(self, tensor: torch.Tensor, node: fx.Node, times: int = 1) -> None:
        """Note the user's variables that hold a tensor which is being read, so many times."""
        looks = self._looks.get(node, 0)
        if looks >= _NAME_LOOKS or not times:
            return
        self._looks[node] = looks + times
        found = self.trace.names_of(node)
        for depth, frame in enumerate(self.stack.user_frames()):
            for variable, value in frame.f_locals.items():
                name = (depth, frame.f_code.co_qualname, variable)
                if value is tensor and name not in found:
                    found.append(name)

    def meta(self, node: fx.Node) -> TensorMeta:
        """Return the shape and type of a value, without its range."""
        call, output = self.trace.items.get(node, (node, 0))
        found = self.trace.origins[call].outputs[output]
        return TensorMeta(found.shape, found.dtype)

    def _node(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] = _NONE,
    ) -> fx.Node:
        """Add a node under a name that costs no search for a free one."""
        self._count += 1
        name = f"value_{self._count}"
        graph, calls = self.trace.graph, self.trace.calls
        node = graph.create_node("call_function", target, args, dict(kwargs), name=name)
        self.order[node] = len(calls)
        calls.append(node)
        return node

    def _items(self, call: fx.Node, out: Any) -> list[fx.Node]:
        found: list[fx.Node] = []
        for position, value in enumerate(out):
            if value is None:  # a gradient that nobody asked for
                continue
            node = self._node(pick_item, (call, position))
            found.extend(self._items(node, value) if isinstance(value, (tuple, list)) else [node])
        return found

    def _site(self, op: str) -> str:
        key = (op, self.place.module, self.place.path)
        ordinal = self._ordinals.get(key, 0)
        self._ordinals[key] = ordinal + 1
        site = self._sites.setdefault((op, self.place.path, ordinal), len(self._sites))
        return f"{op}@{site}"

    def _identifier(self, name: str) -> str:
        """Return a name that can be an argument's, and that no other leaf has."""
        text = "leaf_" + "".join(letter if letter.isalnum() else "_" for letter in name)
        count = self._leaf_names.get(text, 0)
        self._leaf_names[text] = count + 1
        return f"{text}_{count}" if count else text


def recalled(given: list[Any]) -> Any:
    """Stand for a whole call in a graph that is not meant to run yet."""
    raise NotImplementedError(f"a recalled call of {len(given)} tensors is to be written out first")


def pick_item(values: Any, index: int) -> Any:
    """Pick one output of a call."""
    return values[index]
