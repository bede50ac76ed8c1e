"""Exported programs as targets: what ``torch.export.save`` wrote, replayed on tensors without memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec

from scaleaudit.capture._torch_private import pytree
from scaleaudit.capture.archives import Archive, Contents, load_contents, open_archive
from scaleaudit.capture.exporting import Replay
from scaleaudit.capture.targets import Target
from scaleaudit.capture.traces import missing_files

_HELD = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


@dataclass(frozen=True)
class ProgramFile:
    """A file of exported programs."""

    archive: Archive

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its programs."""
        return self.archive.programs

    def build(self, name: str, *, fake: bool) -> Target:  # noqa: ARG002 - as for a TargetFile
        """Load one of its programs; weights never have values.

        Args:
            name: A program's name, or the class of the model of the only one.
            fake: Not asked: whoever records it chooses the world.

        Raises:
            TargetError: There is no such program, or it cannot be loaded.
        """
        key = name if name in self.names else self.names[0]
        contents = load_contents(self.archive, key)
        target = _target(self, key, contents)
        if name in (key, target.name):
            return target
        raise self.archive.error(
            f"holds no program {name}", f"it holds {', '.join(self.names)} ({target.name})"
        )


def open_programs(path: Path) -> ProgramFile:
    """Open a file of exported programs.

    Raises:
        TargetError: It holds none.
    """
    return ProgramFile(open_archive(path))


def _target(file: ProgramFile, key: str, contents: Contents) -> Target:
    program = contents.program
    path = file.archive.path
    replay = Replay(_without_weights(contents), path=path)
    args, kwargs = contents.inputs or _inputs(program)

    def rebuild(*, fake: bool) -> Target:
        return file.build(key, fake=fake)

    return Target(
        path=path,
        name=_model_class(program) or key if len(file.names) == 1 else key,
        model=replay,
        args=args,
        kwargs=kwargs,
        loss=None,
        loss_args=args,
        batches=None,
        engine=None,
        rebuild=rebuild,
        assumed=tuple(_assumed(replay, contents)),
        listen=replay.listen,
    )


def _assumed(replay: Replay, contents: Contents) -> Iterator[str]:
    if contents.inputs is None:
        yield "the inputs are not in the file; they were made by the program's own description"
    missing = missing_files(replay.program)
    if missing:
        names = ", ".join(sorted({Path(file).name for file in missing}))
        yield f"places are modules and lines of {names}, which is not where it was exported from"


def _without_weights(contents: Contents) -> fx.GraphModule:
    """Return the program with tensors without memory for what was left out, tied where it was."""
    module = contents.program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    tied: dict[str, torch.Tensor] = {}
    for spec, node in _arguments(contents.program):
        if spec.kind in _HELD and spec.target in contents.left_out:
            given = node.meta["val"]
            key = contents.shared[spec.target]
            if key not in tied:
                tied[key] = _hollow(given, parameter=spec.kind is InputKind.PARAMETER)
            _put(module, spec.target, tied[key])
    return module


def _hollow(given: torch.Tensor, *, parameter: bool) -> torch.Tensor:
    sizes, strides = tuple(map(int, given.shape)), tuple(map(int, given.stride()))
    made = torch.empty_strided(sizes, strides, dtype=given.dtype, device="meta")
    return torch.nn.Parameter(made, requires_grad=given.requires_grad) if parameter else made


def _put(module: torch.nn.Module, target: str, tensor: torch.Tensor) -> None:
    owner, _, name = target.rpartition(".")
    setattr(module.get_submodule(owner), name, tensor)


def _arguments(program: ExportedProgram) -> Iterator[tuple[InputSpec, fx.Node]]:
    nodes = (node for node in program.graph.nodes if node.op == "placeholder")
    return zip(program.graph_signature.input_specs, nodes, strict=True)


def _inputs(program: ExportedProgram) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Make inputs as the program describes them; a size that may vary is as it was at export."""
    leaves = [
        spec.arg.value if isinstance(spec.arg, ConstantArgument) else _made(node.meta["val"])
        for spec, node in _arguments(program)
        if spec.kind is InputKind.USER_INPUT
    ]
    args, kwargs = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    return tuple(args), dict(kwargs)


def _made(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.empty(tuple(map(int, value.shape)), dtype=value.dtype, device="meta")
    return int(value) if isinstance(value, torch.SymInt) else value


def _model_class(program: ExportedProgram) -> str:
    """Return the class of the model that was exported, from the notes at its operators."""
    for node in program.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            if not path:
                name = kind if isinstance(kind, str) else kind.__name__
                return name.rpartition(".")[2]
    return ""
