"""Where an operator was called from: user lines, modules, the site and the turn."""

from __future__ import annotations

import inspect
import itertools
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from sysconfig import get_paths
from types import CodeType, FrameType, FunctionType

import torch

from scaleaudit.capture._torch_private import APPLY_CODE
from scaleaudit.domain import laws
from scaleaudit.domain.graph import Frame, Location, ModuleCall

_OWN = str(Path(__file__).parent)
# What a user's file calls of ours.
_DECLARING = laws.__file__
_TORCH = str(Path(torch.__file__).parent)
_STDLIB = tuple({get_paths()["stdlib"], get_paths()["platstdlib"]})
_SITE_PACKAGES = frozenset({"site-packages", "dist-packages"})
# Libraries whose frames are plumbing between the model's line and the operator.
PLUMBING = frozenset({"einops", "numpy", "jaxtyping", "beartype", "typeguard"})
_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Place:
    """A position of the running program, free of the frames themselves.

    Attributes:
        path: The (code, offset) pairs inside the innermost module's call.
        module: Identity of the innermost module, 0 outside of all.
        function: The custom autograd function that is running, '' for none.
    """

    frames: tuple[Frame, ...]
    turn: tuple[tuple[int, int], ...]
    modules: tuple[ModuleCall, ...]
    path: tuple[tuple[int, int], ...]
    module: int
    function: str


# The capture itself stands outside of all frames: a program that it runs again and again turns there.
ROOT = Place((), ((0, 0),), (), (), 0, "")


@dataclass(slots=True)
class _Entry:
    """One live frame, with the place that it and the frames outside of it make up."""

    frame: FrameType
    serial: int
    offset: int
    place: Place
    user: bool


class Stack:
    """Follow the Python stack from operator to operator, in time that grows with its changes.

    Frames of the last look are held, so that a frame met again is known to be the same running
    call and one met for the first time gets a new serial, never an old one's.
    """

    def __init__(self, root: FrameType, modules: ModuleCalls) -> None:
        self._root = root
        self._modules = modules
        self._entries: list[_Entry] = []
        self._known: dict[FrameType, int] = {}
        self._generators: dict[FrameType, int] = {}
        self._codes: dict[tuple[str, CodeType], int] = {}
        self.serials = itertools.count(1)

    def here(self, frame: FrameType | None) -> Place:
        """Return the place of a frame; the frames of capture itself are left out."""
        fresh: list[FrameType] = []
        keep = 0
        while frame is not None and frame is not self._root:
            if not is_own(frame.f_code):
                index = self._known.get(frame)
                if index is not None and not frame.f_code.co_flags & _GENERATOR:
                    keep = index if self._moved(index, frame) else index + 1
                    if keep == index:
                        fresh.append(frame)
                    break
                fresh.append(frame)
            frame = frame.f_back
        return self._rebuild(keep, fresh)

    def user_frames(self) -> Iterator[FrameType]:
        """Yield the user's frames of the last look, outermost first."""
        return (entry.frame for entry in self._entries if entry.user)

    def serial_of(self, frame: FrameType) -> int:
        """Return the identity of a running frame of the last look."""
        index = self._known.get(frame)
        return 0 if index is None else self._entries[index].serial

    def release(self) -> None:
        """Let go of all frames, and with them of the values in their variables."""
        self._entries.clear()
        self._known.clear()
        self._generators.clear()

    def _moved(self, index: int, frame: FrameType) -> bool:
        return self._entries[index].offset != frame.f_lasti

    def _rebuild(self, keep: int, fresh: list[FrameType]) -> Place:
        serials = {entry.frame: entry.serial for entry in self._entries[keep:]}
        for entry in self._entries[keep:]:
            del self._known[entry.frame]
        del self._entries[keep:]
        for frame in reversed(fresh):
            outer = self._entries[-1].place if self._entries else ROOT
            entry = self._enter(frame, outer, serials)
            self._known[frame] = len(self._entries)
            self._entries.append(entry)
        return self._entries[-1].place if self._entries else ROOT

    def _enter(self, frame: FrameType, outer: Place, serials: dict[FrameType, int]) -> _Entry:
        code, offset = frame.f_code, frame.f_lasti
        serial = self._serial_for(frame, serials)
        user = is_user(code)
        step = (self._codes.setdefault((code.co_filename, code), len(self._codes)), offset)
        modules, path, module = outer.modules, (*outer.path, step), outer.module
        call = self._modules.called_from(frame, outer.module)
        if call is not None:
            modules, path, module = (*modules, call), (), call.identity
        frames = outer.frames
        if user:
            frames = (*frames, Frame(location(code, offset), code.co_qualname, serial))
        turn = (*outer.turn, (serial, offset))
        function = _function(frame) if code is APPLY_CODE else outer.function
        place = Place(frames, turn, modules, path, module, function)
        return _Entry(frame, serial, offset, place, user)

    def _serial_for(self, frame: FrameType, serials: dict[FrameType, int]) -> int:
        serial = serials.get(frame) or self._generators.get(frame)
        if serial is None:
            serial = next(self.serials)
            if frame.f_code.co_flags & _GENERATOR:  # it may be left and resumed
                self._generators[frame] = serial
        return serial


class ModuleCalls:
    """Know which frame is the call of which module, through global module hooks.

    A module whose ``forward`` or other method is called directly runs no hook; its frame is
    recognised by its code.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._paths = {module: path for path, module in model.named_modules()}
        self._identities = {module: i for i, module in enumerate(self._paths, start=1)}
        self._methods = {
            method.__code__ for kind in set(map(type, self._paths)) for method in _methods(kind)
        }
        self._counts: dict[int, int] = {}
        self._calls: dict[FrameType, ModuleCall] = {}
        self._stack: list[tuple[torch.nn.Module, FrameType]] = []
        self._direct: dict[FrameType, ModuleCall] = {}

    def enter(self, module: torch.nn.Module, frame: FrameType) -> None:
        """Note that a frame is about to run a module's forward."""
        self._calls[frame] = self._call(module)
        self._stack.append((module, frame))

    def leave(self, module: torch.nn.Module) -> None:
        """Note that a module's forward is over, however it ended."""
        while self._stack:
            found, frame = self._stack.pop()
            self._calls.pop(frame, None)
            if found is module:
                return

    def called_from(self, frame: FrameType, running: int) -> ModuleCall | None:
        """Return the module call that a frame makes, None where it makes none.

        Args:
            running: Identity of the module whose call the frame is in.
        """
        return self._calls.get(frame) or self._direct_call(frame, running)

    def named(self, module: torch.nn.Module) -> tuple[int, str]:
        """Return the identity of a module, and its path in the model."""
        identity = self._identities.setdefault(module, len(self._identities) + 1)
        path = self._paths.get(module, "").replace("_orig_mod.", "").removesuffix("_orig_mod")
        return identity, path.removesuffix(".") or type(module).__name__

    def counts(self) -> dict[int, int]:
        """Return how often every module was called so far, by its identity."""
        return dict(self._counts)

    def since(self, counts: dict[int, int]) -> dict[int, int]:
        """Return how often modules were called since then."""
        found = {key: count - counts.get(key, 0) for key, count in self._counts.items()}
        return {key: count for key, count in found.items() if count}

    def skip(self, called: dict[int, int]) -> None:
        """Count calls that are not made."""
        for key, count in called.items():
            self._counts[key] = self._counts.get(key, 0) + count

    def release(self) -> None:
        """Let go of all frames."""
        self._calls.clear()
        self._direct.clear()
        self._stack.clear()

    def _direct_call(self, frame: FrameType, running: int) -> ModuleCall | None:
        if frame.f_code not in self._methods or not frame.f_code.co_varnames:
            return None
        if frame in self._direct:
            return self._direct[frame]
        owner = frame.f_locals.get(frame.f_code.co_varnames[0])
        if not isinstance(owner, torch.nn.Module) or self._identities.get(owner) == running:
            return None
        self._direct[frame] = self._call(owner)
        return self._direct[frame]

    def _call(self, module: torch.nn.Module) -> ModuleCall:
        identity, path = self.named(module)
        count = self._counts.get(identity, 0)
        self._counts[identity] = count + 1
        return ModuleCall(path, identity, count)


def _methods(kind: type[torch.nn.Module]) -> Iterator[FunctionType]:
    """Yield the methods of a module's class, decorated ones as they were written."""
    for owner in kind.__mro__:
        if owner is torch.nn.Module:
            return
        for value in vars(owner).values():
            written = inspect.unwrap(value) if isinstance(value, FunctionType) else None
            if isinstance(written, FunctionType):
                yield written


def _function(frame: FrameType) -> str:
    """Name the custom autograd function that ``apply`` is about to run."""
    owner = frame.f_locals.get(frame.f_code.co_varnames[0])
    return f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', 'Function')}"


def is_own(code: CodeType) -> bool:
    """Tell whether a frame is the capture's own."""
    return code.co_filename.startswith(_OWN)


def is_user(code: CodeType) -> bool:
    """Tell whether a frame is the user's code: not torch, nor the standard library, nor ours."""
    return is_user_file(code.co_filename)


@cache
def is_library_file(name: str) -> bool:
    """Tell whether a file is torch's, Python's, or the capture's own."""
    if name.startswith((_OWN, _TORCH, "<frozen")):
        return True
    return name.startswith(_STDLIB) and _SITE_PACKAGES.isdisjoint(Path(name).parts)


@cache
def is_user_file(name: str) -> bool:
    """Tell whether a file is the user's."""
    if name.startswith((_OWN, _TORCH, "<frozen")) or name in ("<string>", _DECLARING):
        return False
    parts = Path(name).parts
    if any(part in _SITE_PACKAGES for part in parts):
        return not PLUMBING.intersection(parts)
    return not name.startswith(_STDLIB)


def location(code: CodeType, offset: int) -> Location:
    """Return the source span of one instruction, columns in characters from 1."""
    return _location(code, code.co_filename, offset)


@cache
def _location(code: CodeType, file: str, offset: int) -> Location:
    """Keep equal codes of different files apart, which their own equality does not."""
    positions = _positions(code)
    index = offset // 2
    first, last, start, end = positions[index] if 0 <= index < len(positions) else (None,) * 4
    if first is None:
        return Location(file, code.co_firstlineno)
    if start is None or end is None:
        return Location(file, first, 0, last or first)
    last = last or first
    begin, finish = _character(file, first, start), _character(file, last, end)
    return Location(file, first, begin + 1, last, finish + 1)


@cache
def _positions(code: CodeType) -> tuple[tuple[int | None, ...], ...]:
    return tuple(code.co_positions())


def _character(file: str, line: int, offset: int) -> int:
    """Turn an offset in bytes into one in characters."""
    text = linecache.getline(file, line)
    if text.isascii():
        return offset
    return len(text.encode()[:offset].decode(errors="ignore"))
