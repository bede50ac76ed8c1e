"""Numbers that were read, turned into bare ones, and came back as constants.

``h / math.sqrt(float(h.norm()))`` shows a division by a constant. The numbers that capture makes
up for a read differ from recording to recording, so two recordings tell such constants from true
ones.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import fx

from scaleaudit.capture._torch_private import OpOverload
from scaleaudit.capture.reads import Variation, is_common
from scaleaudit.capture.schemas import op_info
from scaleaudit.capture.session import Recording
from scaleaudit.capture.trace import Origin, number_meta
from scaleaudit.domain.graph import NodeKind

# Other floats; and other integers too, which may change shapes.
VARIATIONS = (Variation(0.37, 1), Variation(0.37, 0))

# Position or name of an argument.
_Key: TypeAlias = int | str


def leaked_scalar(value: Any, reads: Any) -> Any:  # noqa: ARG001 - reads are there to be seen
    """Return a number, or a tensor of them, computed out of sight from some of the numbers read."""
    return value


def suspicious(recording: Recording) -> bool:
    """Tell whether a number that was read may have come back as a constant.

    Either one escaped for certain, or after the first read there are constants that people don't
    write and that were not there before. Tensors made of numbers may have come after it.
    """
    if recording.escaped:
        return bool(recording.made_up)
    if recording.made_up and any(map(_holds_uncommon, _constants(recording).values())):
        return True
    before: set[float] = set()
    read = False
    for node in recording.trace.graph.nodes:
        read = read or node in recording.made_up
        floats = {value for value in _numbers(node).values() if isinstance(value, float)}
        if not read:
            before |= floats
        elif any(not is_common(value) for value in floats - before):
            return True
    return False


def replace_leaks(recording: Recording, other: Recording) -> bool:
    """Put an opaque node in the place of every constant that differs between two recordings.

    Returns:
        Whether the two could be compared: they ran the same operators.
    """
    calls, others = _calls(recording), _calls(other)
    if [node.target for node in calls] != [node.target for node in others]:
        return False
    reads: list[fx.Node] = []
    for node, twin in zip(calls, others, strict=True):
        if node in recording.made_up:
            reads.append(node)
        mine, theirs = _numbers(node), _numbers(twin)
        for key, value in mine.items():
            if theirs.get(key, value) != value:
                _replace(recording, node, key, tuple(reads))
    _replace_tensors(recording, other, calls)
    return True


def _replace_tensors(recording: Recording, other: Recording, calls: list[fx.Node]) -> None:
    """Put an opaque node in the place of every tensor of numbers that differs."""
    mine, theirs = _constants(recording), _constants(other)
    for (leaf, value), twin in zip(mine.items(), theirs.values(), strict=False):
        if leaf.users and (value.shape != twin.shape or not torch.equal(value, twin)):
            place = min(map(calls.index, leaf.users))
            reads = tuple(node for node in calls[:place] if node in recording.made_up)
            _hide(recording, leaf, calls[place], reads)


def _constants(recording: Recording) -> dict[fx.Node, torch.Tensor]:
    """Return the tensors that were made of numbers while the program ran."""
    return {
        node: origin.value
        for node, origin in recording.trace.origins.items()
        if origin.kind is NodeKind.CONSTANT and origin.value is not None
    }


def _holds_uncommon(value: torch.Tensor) -> bool:
    floats = value.flatten().tolist() if value.is_floating_point() else ()
    return any(not is_common(number) for number in floats)


def _hide(recording: Recording, leaf: fx.Node, user: fx.Node, reads: tuple[fx.Node, ...]) -> None:
    trace = recording.trace
    with trace.graph.inserting_before(user):
        leak = trace.graph.call_function(leaked_scalar, (leaf, reads))
    leaf.replace_all_uses_with(leak, delete_user_cb=lambda node: node is not leak)
    origin = trace.origins[user]
    site = f"scaleaudit.leaked_scalar:{origin.site}"
    outputs = trace.origins[leaf].outputs
    trace.origins[leak] = Origin(origin.place, site, grad=False, outputs=outputs)


def _calls(recording: Recording) -> list[fx.Node]:
    return [node for node in recording.trace.graph.nodes if node.op == "call_function"]


def _numbers(node: fx.Node) -> dict[_Key, Any]:
    """Return the bare numbers among the operands of a call."""
    names = op_info(node.target).arguments if isinstance(node.target, OpOverload) else ()
    numbers: dict[_Key, Any] = {
        position: value
        for position, value in enumerate(node.args)
        if not names or names[position].operand
    }
    eligible = {info.name for info in names if info.operand}
    numbers |= {key: value for key, value in node.kwargs.items() if key in eligible}
    return {
        key: value
        for key, value in numbers.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _replace(recording: Recording, node: fx.Node, key: _Key, reads: tuple[fx.Node, ...]) -> None:
    trace = recording.trace
    value = node.args[key] if isinstance(key, int) else node.kwargs[key]
    with trace.graph.inserting_before(node):
        leak = trace.graph.call_function(leaked_scalar, (value, reads))
    origin = trace.origins[node]
    site = f"scaleaudit.leaked_scalar:{key}:{origin.site}"
    trace.origins[leak] = Origin(origin.place, site, grad=False, outputs=(number_meta(value),))
    if isinstance(key, int):
        node.update_arg(key, leak)
    else:
        node.update_kwarg(key, leak)
