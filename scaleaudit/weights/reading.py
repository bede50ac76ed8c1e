"""Files of weights: safetensors, what ``torch.save`` wrote, and indexes of either in parts.

Nothing in a file is run: of pickled files torch takes tensors and plain containers only.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from scaleaudit.errors import WeightsError, described
from scaleaudit.files import check_file

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_INDEX = ".json"
_MAP = "weight_map"
# A safetensors file starts with the size of its header in eight bytes.
_SIZE = 8
# How torch words what it refuses to load.
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_REASON = "WeightsUnpickler error:"
_NO_PICKLE = "Unsupported operand"
_PLAIN = "Save the weights alone, torch.save(model.state_dict(), FILE), or write safetensors."


def read_weights(path: Path) -> object:
    """Return what a file holds: a mapping of tensors by name, or what such mappings lie in.

    Raises:
        WeightsError: There is no such file, it cannot be read, or it holds code.
    """
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, not a file of weights", hint=_in_folder(path))
    if not path.exists():
        raise WeightsError(f"{path} does not exist", hint=_in_folder(path.parent))
    try:
        check_file(path)
        if path.suffix == _INDEX:
            return _parts(path)
        return load_file(path) if _is_safetensors(path) else _unpickled(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is no whole safetensors file: {error}", hint="Copy or write it again."
        ) from error


def _in_folder(folder: Path) -> str:
    """Name the files in a folder that may hold weights."""
    if not folder.is_dir():
        return f"The folder {folder} does not exist either."
    found = sorted(
        each.name
        for each in folder.iterdir()
        if each.suffix in _SUFFIXES or each.name.endswith(f".index{_INDEX}")
    )
    # An index stands for all of its parts.
    found.sort(key=lambda name: not name.endswith(_INDEX))
    if not found:
        return f"No file in {folder} looks like weights ({', '.join(_SUFFIXES)})."
    return f"{folder} holds {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}."  # noqa: PLR2004


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_SIZE + 1)
    size = int.from_bytes(start[:_SIZE], "little")
    return start[_SIZE:] == b"{" and size <= path.stat().st_size


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that it goes on to refuse
            held: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file makes of the reader
        raise WeightsError(
            f"{path} is no file of weights: {described(error).partition('. ')[0]}",
            hint="It may be safetensors, what torch.save wrote, or an index of parts.",
        ) from error
    return held


def _refused(path: Path, error: pickle.UnpicklingError) -> WeightsError:
    """Tell a file with classes or functions in it from one that is damaged or no pickle at all."""
    words = str(error)
    if named := _GLOBAL.search(words):
        return WeightsError(
            f"{path} holds more than tensors: reading it would run {named[1]}", hint=_PLAIN
        )
    reason = words.partition(_REASON)[2].strip().partition("\n")[0]
    told = f": {reason}" if reason and _NO_PICKLE not in reason else ""
    return WeightsError(f"{path} is no file of weights{told}", hint=_PLAIN)


def _parts(path: Path) -> dict[str, Tensor]:
    """Read the parts that an index names, and of each what the index says is there."""
    try:
        named = json.loads(path.read_text(encoding="utf-8"))[_MAP]
        places = {str(name): str(part) for name, part in named.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f'{path} is no index of weights: it has no "{_MAP}" from names to files',
            hint="Give the index that was written with the parts, or a file of weights.",
        ) from error
    found: dict[str, Tensor] = {}
    for part in sorted(set(places.values())):
        if Path(part).name != part or part.endswith(_INDEX):
            raise WeightsError(
                f"{path} names a part that is not beside it: {part}",
                hint="Parts lie in the folder of their index.",
            )
        read = read_weights(path.parent / part)
        held = read if isinstance(read, Mapping) else {}
        wanted = [name for name, place in places.items() if place == part]
        missing = [name for name in wanted if name not in held]
        if missing:
            raise WeightsError(
                f"{part} has no {missing[0]}, which {path} says it has",
                hint="Parts and index are of different checkpoints; download them again.",
            )
        found |= {name: held[name] for name in wanted}
    return found
