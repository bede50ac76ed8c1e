"""Help for tests of capture: targets without files, and the graph run against the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import Target
from scaleaudit.domain.graph import Node, NodeKind, OpGraph


def target_of(
    model: nn.Module,
    *args: Any,
    loss: Callable[..., Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Target:
    """Make a target of a real model."""

    def rebuild(*, fake: bool) -> Target:
        return target_of(copy.deepcopy(model), *args, loss=loss, kwargs=kwargs)

    return Target(
        path=Path(__file__),
        name=type(model).__name__,
        model=model,
        args=args,
        kwargs=kwargs or {},
        loss=loss,
        loss_args=args,
        batches=None,
        engine=None,
        rebuild=rebuild,
    )


def captured(model: nn.Module, *args: Any, **named: Any) -> Captured:
    """Capture a real model."""
    return capture(target_of(model, *args, **named))


def run_graph(found: Captured, model: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """Run the captured program on the model's own weights and the given inputs."""
    tensors = dict(model.named_parameters(remove_duplicate=False))
    tensors |= dict(model.named_buffers(remove_duplicate=False))
    given = iter([leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)])
    feed = []
    for leaf in found.leaves:
        if leaf.kind is NodeKind.INPUT:
            feed.append(next(given))
        elif leaf.name in tensors:
            feed.append(tensors[leaf.name])
        else:
            assert leaf.value is not None, f"no value for {leaf.name}"
            feed.append(leaf.value)
    return fx.Interpreter(found.module).run(*feed)


def assert_runs_alike(model: nn.Module, *args: Any) -> Captured:
    """Assert that the captured program computes what the model does."""
    found = captured(model, *args)
    fresh = copy.deepcopy(model)
    with torch.no_grad():
        loss, outputs = run_graph(found, copy.deepcopy(model), args)
        output = fresh(*args)
    expected = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    got = ([] if loss is None else [loss]) + list(outputs)
    assert len(got) == len(expected)
    for want in expected:
        assert any(
            value.shape == want.shape and torch.allclose(value, want, atol=1e-6) for value in got
        ), f"no output equals {want}"
    return found


def ops(graph: OpGraph) -> list[str]:
    """Return the operators called, in order."""
    return [node.op for node in graph.nodes if node.kind is NodeKind.CALL]


def calls(graph: OpGraph, op: str) -> list[Node]:
    """Return the calls of one operator."""
    return [node for node in graph.nodes if node.op == op]
