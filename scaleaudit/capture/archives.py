"""Files of ``torch.export.save``: read without their weights, and without running what they pickle.

torch would load every weight into memory and fall back to unpickling anything. Neither is needed:
a copy of the archive is made in memory that holds the program and its small tables alone, and
that copy is given to ``torch.export.load``.
"""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from scaleaudit.errors import TargetError, described

# Bytes up to which the values of a buffer or constant are read: its range may matter.
_SMALL = 8 << 20
# The program as text; a graph of this size has millions of operators.
_MOST_PROGRAM = 1 << 30
_MODELS, _WEIGHTS, _CONSTANTS = "models/", "data/weights/", "data/constants/"
_COMPILED = "data/aotinductor/"
# What a program is called in a copy, as torch.export.load asks for it, and a tensor left out.
_ONE, _NOTHING = "model", "left_out"
_COPIED = ("archive_format", "archive_version", "byteorder", ".data/version", "version")
_OPERATOR = re.compile(r"torch\.ops(\.\w+){2,}")
# Operators that are named in a message.
_NAMED = 3
_MOST_INPUTS = 1 << 30
_CPU = {"type": "cpu", "index": None}
_AGAIN = "export the model again with the torch that scaleaudit runs with"


@dataclass(frozen=True)
class Archive:
    """An opened file.

    Attributes:
        root: The folder that all of its members are in.
        members: Their sizes, by their names in that folder.
    """

    path: Path
    root: str
    members: Mapping[str, int]

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs that it holds."""
        names = (name for name in self.members if name.startswith(_MODELS))
        return tuple(name.removeprefix(_MODELS).removesuffix(".json") for name in names)

    def read(self, member: str) -> bytes:
        """Read a member.

        Raises:
            TargetError: It is missing or damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as opened:
                return opened.read(f"{self.root}/{member}")
        except (KeyError, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise self.error(f"is damaged: {member} cannot be read") from error

    def table(self, member: str) -> dict[str, Any]:
        """Read a member that is a JSON object.

        Raises:
            TargetError: It is none.
        """
        try:
            table = json.loads(self.read(member), object_hook=_on_cpu)
        except (ValueError, RecursionError) as error:
            raise self.error(f"is damaged: {member} is no JSON") from error
        if not isinstance(table, dict):
            raise self.error(f"is damaged: {member} holds no table")
        return table

    def error(self, problem: str, hint: str = _AGAIN) -> TargetError:
        """Say what is wrong with it."""
        return TargetError(f"{self.path.name} {problem}", where=str(self.path), hint=hint)


def _on_cpu(part: dict[str, Any]) -> dict[str, Any]:
    """Put the CPU in the place of a device, as tensors without memory are all there."""
    return _CPU if part.keys() == _CPU.keys() else part


def open_archive(path: Path) -> Archive:
    """Look into a file.

    Raises:
        TargetError: It holds no exported program.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            sizes = {each.filename: each.file_size for each in opened.infolist()}
    except FileNotFoundError as error:
        raise TargetError(f"{path} does not exist", where=str(path)) from error
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        hint = "name a file that torch.export.save wrote"
        raise TargetError(f"{path.name} is no .pt2 archive", where=str(path), hint=hint) from error
    root = next(iter(sizes), "").split("/")[0]
    archive = Archive(path, root, {name.removeprefix(f"{root}/"): n for name, n in sizes.items()})
    if not archive.programs:
        raise _no_program(archive, sizes)
    return archive


def _no_program(archive: Archive, sizes: Mapping[str, int]) -> TargetError:
    source = "audit the model's source file, or what torch.export.save writes of it"
    if any(_COMPILED in name for name in sizes):
        return archive.error("is a package of AOTInductor: compiled, without a program", source)
    if "serialized_exported_program.json" in sizes:
        return archive.error("was written by torch 2.7 or older")
    return archive.error("holds no exported program", source)


@dataclass(frozen=True)
class Contents:
    """One program of an archive with what is known of its weights.

    Attributes:
        shared: For every weight and buffer what says which memory it is: equal ones are tied.
        left_out: Weights, buffers and constants whose values were not read.
    """

    program: torch.export.ExportedProgram
    inputs: tuple[tuple[Any, ...], dict[str, Any]] | None
    shared: Mapping[str, str]
    left_out: frozenset[str]


def load_contents(archive: Archive, name: str) -> Contents:
    """Load one program of an archive.

    Raises:
        TargetError: It is damaged, of another torch, or uses what is not registered here.
    """
    if archive.members[f"{_MODELS}{name}.json"] > _MOST_PROGRAM:
        raise archive.error("holds a program of more than 1 GiB", "export a smaller model")
    table = archive.table(f"{_MODELS}{name}.json")
    weights = _Tensors(archive, _WEIGHTS, name, "weights")
    constants = _Tensors(archive, _CONSTANTS, name, "constants")
    _check_operators(archive, table)
    return Contents(
        program=_loaded(archive, table, (weights, constants)),
        inputs=_sample_inputs(archive, name),
        shared=weights.shared | constants.shared,
        left_out=frozenset(weights.left_out + constants.left_out),
    )


class _Tensors:
    """The weights or the constants of a program, with those left out that are large or pickled."""

    def __init__(self, archive: Archive, folder: str, name: str, kind: str) -> None:
        self.folder, self.config = folder, f"{folder}{_ONE}_{kind}_config.json"
        self.entries: dict[str, Any] = {}
        self.kept: dict[str, bytes] = {_NOTHING: b""}
        self.shared: dict[str, str] = {}
        self.left_out: list[str] = []
        given = archive.table(f"{folder}{name}_{kind}_config.json").get("config")
        if not isinstance(given, dict):
            raise archive.error(f"is damaged: it does not list its {kind}")
        for key, entry in given.items():
            try:
                self._add(archive, key, entry)
            except (KeyError, TypeError) as error:
                raise archive.error(f"is damaged: it does not describe {key}") from error

    def _add(self, archive: Archive, key: str, entry: dict[str, Any]) -> None:
        meta, member = entry["tensor_meta"], str(entry["path_name"])
        if meta is None:
            hint = "a pickled object is not loaded, for that runs code; export without it"
            raise archive.error(f"holds {key}, an object that is no tensor", hint)
        layout = (meta["sizes"], meta["strides"], meta["storage_offset"])
        self.shared[key] = json.dumps((self.folder, member, entry["use_pickle"], layout))
        size = archive.members.get(f"{self.folder}{member}", _SMALL + 1)
        if entry["is_param"] or entry["use_pickle"] or size > _SMALL:
            self.left_out.append(key)
            empty = {"sizes": [{"as_int": 0}], "strides": [{"as_int": 1}]}
            meta = {**meta, **empty, "storage_offset": {"as_int": 0}}
            entry = {**entry, "path_name": _NOTHING, "use_pickle": False}
        elif member not in self.kept:
            self.kept[member] = archive.read(f"{self.folder}{member}")
        self.entries[key] = {**entry, "tensor_meta": meta}


def _loaded(
    archive: Archive, table: dict[str, Any], tensors: tuple[_Tensors, ...]
) -> torch.export.ExportedProgram:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as copy:
        for member in _COPIED:
            if member in archive.members:
                copy.writestr(f"{archive.root}/{member}", archive.read(member))
        copy.writestr(f"{archive.root}/{_MODELS}{_ONE}.json", json.dumps(table))
        copy.writestr(f"{archive.root}/data/sample_inputs/{_ONE}.pt", b"")
        for each in tensors:
            config = json.dumps({"config": each.entries})
            copy.writestr(f"{archive.root}/{each.config}", config)
            for member, data in each.kept.items():
                copy.writestr(f"{archive.root}/{each.folder}{member}", data)
    buffer.seek(0)
    with _Complaints() as complaints:
        try:
            return torch.export.load(buffer)
        except Exception as error:  # whatever a damaged program leads to
            made = str(table.get("torch_version") or "another version")
            hint = f"it was exported by torch {made}, and this is {torch.__version__}; {_AGAIN}"
            problem = f"cannot be loaded: {described(complaints.first or error)}"
            raise archive.error(problem, hint) from error


class _Complaints(logging.Handler):
    """Keep what torch logs and then hides behind an error of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first: BaseException | None = None
        self._logger = logging.getLogger("torch.export")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first exception."""
        self.first = self.first or (record.exc_info[1] if record.exc_info else None)

    def __enter__(self) -> Self:
        self._propagates, self._logger.propagate = self._logger.propagate, False
        self._others, self._logger.handlers = self._logger.handlers, [self]
        return self

    def __exit__(self, *error: object) -> None:
        self._logger.propagate, self._logger.handlers = self._propagates, self._others


def _check_operators(archive: Archive, table: Mapping[str, Any]) -> None:
    """Find out which operators of a program are known to nobody here.

    Raises:
        TargetError: Some are not.
    """
    named = dict.fromkeys(filter(_OPERATOR.fullmatch, _targets(table)))
    unknown = [".".join(name.split(".")[2:]) for name in named if not _is_registered(name)]
    if unknown:
        hint = "audit the model's source file, whose imports register them"
        names = ", ".join(unknown[:_NAMED])
        raise archive.error(f"uses operators that are not registered here: {names}", hint)


def _targets(part: object) -> Iterator[str]:
    """Yield what the nodes of a program call, in whatever graph they are."""
    if isinstance(part, list):
        for item in part:
            yield from _targets(item)
    elif isinstance(part, dict):
        if isinstance(part.get("target"), str):
            yield part["target"]
        for item in part.values():
            yield from _targets(item)


def _is_registered(target: str) -> bool:
    value: Any = torch.ops
    for name in target.split(".")[2:]:
        value = getattr(value, name, None)
    return value is not None


def _sample_inputs(archive: Archive, name: str) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return what the program was exported with; None where that holds more than tensors."""
    member = f"data/sample_inputs/{name}.pt"
    if not 0 < archive.members.get(member, 0) <= _MOST_INPUTS:
        return None
    data = io.BytesIO(archive.read(member))
    try:
        found = torch.load(data, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError):
        return None
    match found:
        case (tuple(args), dict(kwargs)):
            return args, kwargs
        case _:
            return None
