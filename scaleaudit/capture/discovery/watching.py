"""Record a trial with the recorder of the audit, and see how far it came and what it showed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload, TorchDispatchMode
from scaleaudit.capture.discovery.limits import TooLong
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.places import Place
from scaleaudit.capture.recorder import Recorder
from scaleaudit.capture.session import Recording, record
from scaleaudit.capture.targets import Target
from scaleaudit.capture.trace import Trace
from scaleaudit.domain.graph import NodeKind, TensorMeta

_ATEN = torch.ops.aten
# Operators whose operands must have one type; fake tensors let mixed ones through.
_ONE_TYPE = frozenset({
    _ATEN.linear, _ATEN.mm, _ATEN.addmm, _ATEN.bmm, _ATEN.baddbmm, _ATEN.matmul, _ATEN.convolution,
})  # fmt: skip
# Operators that look rows up: the table, then what says which rows.
_LOOKUPS = frozenset({_ATEN.embedding, _ATEN.index, _ATEN.index_select})


@dataclass(frozen=True, slots=True)
class Watched:
    """A trial that was recorded.

    Attributes:
        progress: Operators that ran as they would on real tensors.
        loss: Whether the program came to a scalar that has a gradient.
        outputs: The tensors that the model returned, the loss apart.
        rows: For the name of an input, of how many rows it is an index.
    """

    progress: int
    error: BaseException | None = None
    loss: bool = False
    outputs: tuple[TensorMeta, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the operators that run while the mode is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.count += 1
        return out


def watched(target: Target, engine: Engine) -> Watched:
    """Record a target's call; errors are part of the answer.

    Raises:
        TooLong: The trial's time is over.
    """
    seen: list[Recorder] = []

    def listen(claim: Callable[[Place | None], None]) -> None:
        seen.append(claim.__self__)  # type: ignore[attr-defined]

    try:
        recording = record(replace(target, listen=listen), engine)
    except TooLong as error:
        return Watched(len(seen[0].trace.graph.nodes) if seen else 0, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - all is an answer
        return Watched(len(seen[0].trace.graph.nodes) if seen else 0, error)
    return _judged(recording)


def _judged(recording: Recording) -> Watched:
    trace = recording.trace
    for index, node in enumerate(trace.graph.nodes):
        if _mixes_types(trace, node):
            return Watched(index, TypeError(f"{node.target} of tensors of several types"))
    return Watched(
        len(trace.graph.nodes),
        loss=recording.loss is not None and _learns(trace, recording.loss),
        outputs=tuple(_meta(trace, node) for _, node in recording.outputs),
        rows=_rows(trace),
    )


def _learns(trace: Trace, loss: fx.Node) -> bool:
    """Tell whether a loss has a gradient and is computed from weights."""
    seen, stack = {loss}, [loss]
    while stack:
        node = stack.pop()
        if node in trace.origins and trace.origins[node].kind is NodeKind.PARAMETER:
            return trace.origin(loss).grad
        fresh = [above for above in node.all_input_nodes if above not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return False


def _mixes_types(trace: Trace, node: fx.Node) -> bool:
    if getattr(node.target, "overloadpacket", None) not in _ONE_TYPE:
        return False
    types = {_meta(trace, arg).dtype for arg in node.args[:3] if isinstance(arg, fx.Node)}
    return len(types) > 1


def _meta(trace: Trace, node: fx.Node) -> TensorMeta:
    picked, index = trace.items.get(node, (node, 0))
    return trace.origins[picked].outputs[index]


def _rows(trace: Trace) -> dict[str, int]:
    """Find of how many rows every input picks some, directly or as a part or a view of it."""
    names = {
        node: origin.name for node, origin in trace.origins.items() if origin.kind is NodeKind.INPUT
    }
    source: dict[fx.Node, str] = {}
    found: dict[str, int] = {}
    for node in trace.graph.nodes:
        if node in names:
            source[node] = names[node]
            continue
        for table, index in _lookups(node):
            if index in source:
                rows = _meta(trace, table).shape[0]
                found[source[index]] = min(rows, found.get(source[index], rows))
        if node in trace.origins or node in trace.items:
            above = {source[n] for n in node.all_input_nodes if n in source}
            if len(above) == 1 and "int" in _meta(trace, node).dtype:
                source[node] = above.pop()
    return found


def _lookups(node: fx.Node) -> Iterator[tuple[fx.Node, fx.Node]]:
    if getattr(node.target, "overloadpacket", None) not in _LOOKUPS or len(node.args) < 2:  # noqa: PLR2004
        return
    table, *others = node.args
    indices: Any = others[-1]
    for index in indices if isinstance(indices, (list, tuple)) else (indices,):
        if isinstance(table, fx.Node) and isinstance(index, fx.Node):
            yield table, index
