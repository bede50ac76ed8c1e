"""Several processes that train one model together, each on its share of every batch.

Each holds all weights. Gradients, losses and lengths are put together after every step, so that
every process comes to the numbers that one alone would come to with the whole batch, and decides
alike; clocks differ, so what hangs on time goes by that of the first.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import Any, NoReturn

import torch
from torch import Tensor, distributed

from scaleaudit.errors import ConfigError, ProbeError, described

# Seconds of patience: more than a step takes, less than somebody who looks on has.
_PATIENCE = 300.0
# What tells the draws of one process from those of the next, from the same seed.
_APART = 7_919
# What gloo says where it failed; its errors have no type of their own.
_GLOO = "/gloo/transport/"
# How many runs of a name this process has begun.
_runs = Counter[str]()


class Group:
    """The processes of a run; by default there is one.

    Attributes:
        rank: Which of them this is, from 0.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.size = rank, size
        self._device = device or torch.device("cpu")

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Write the means over all processes into tensors."""
        if self.size == 1 or not tensors:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = [tensor for tensor in tensors if tensor.dtype is dtype]
            flat = torch.cat([tensor.detach().flatten() for tensor in alike])
            with _heard():
                distributed.all_reduce(flat)
            parts = torch.split(flat / self.size, [tensor.numel() for tensor in alike])
            with torch.no_grad():
                for tensor, part in zip(alike, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def mean(self, value: float) -> float:
        """Return the mean over all processes; no number where one has none."""
        if self.size == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device=self._device)
        with _heard():
            distributed.all_reduce(found)
        return float(found) / self.size

    def joined(self, tokens: Tensor) -> Tensor:
        """Return the tokens of all processes, (tokens,) each."""
        if self.size == 1:
            return tokens
        parts = [torch.empty_like(tokens) for _ in range(self.size)]
        with _heard():
            distributed.all_gather(parts, tokens.contiguous())
        return torch.cat(parts)

    def agreed(self, value: float) -> float:
        """Return what the first process says."""
        if self.size == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device=self._device)
        with _heard():
            distributed.broadcast(found, 0)
        return float(found)

    def same(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the weights of the first process."""
        if self.size == 1:
            return weights
        found = {}
        for name, value in weights.items():
            sent = value.detach().to(self._device, copy=True).contiguous()
            with _heard():
                distributed.broadcast(sent, 0)
            found[name] = sent.to(value.device).requires_grad_(value.requires_grad)
        return found

    def seed(self, seed: int) -> int:
        """Return a seed for what this process alone draws; the first has the one that is given."""
        return seed + _APART * self.rank

    def share(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return this process's examples of a batch.

        Raises:
            ProbeError: A batch cannot be divided.
        """
        if self.size == 1:
            return batch
        counts = {value.shape[0] for value in batch.values() if value.dim()}
        if len(counts) != 1 or (count := counts.pop()) % self.size:
            raise ProbeError(
                f"batches of {', '.join(map(str, sorted(counts))) or count} examples cannot be "
                f"divided among {self.size} processes",
                hint="Every tensor of a batch needs as many examples as the others, a multiple of "
                "--nproc-per-node.",
            )
        each = count // self.size
        mine = slice(self.rank * each, (self.rank + 1) * each)
        return {name: value[mine] if value.dim() else value for name, value in batch.items()}


ALONE = Group()


@contextmanager
def heard() -> Iterator[None]:
    """Say what it is when the others are gone where what is run exchanges something by itself."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or _GLOO in str(error):
            raise _unheard(error) from error
        raise


@contextmanager
def _heard() -> Iterator[None]:
    """Say what it is when the others are gone in the midst of a run."""
    try:
        yield
    except RuntimeError as error:
        raise _unheard(error) from error


def _unheard(error: RuntimeError) -> ProbeError:
    return ProbeError(
        f"the other processes are not heard any more: {described(error)}",
        hint="One of them ended or was stopped; run one process alone to see why.",
    )


def local_device(name: str) -> str:
    """Return the device of this process where ``torchrun`` started several on a machine.

    Raises:
        ConfigError: There is none left for it.
    """
    if not (_launched() and name in ("auto", "cuda") and torch.cuda.is_available()):
        return name
    number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= count:
        raise ConfigError(
            f"every process needs a CUDA device of its own, and {count} are here",
            hint="Start as many processes with --nproc-per-node, or take --device cpu.",
        )
    return f"cuda:{number}"


@contextmanager
def gathered(run: str, device: torch.device, patience: float = _PATIENCE) -> Iterator[Group]:
    """Join the processes that ``torchrun`` started, for one run that all of them make.

    Args:
        run: What all of them call it, and no other run.
        patience: Seconds that one waits for the others before it gives up.

    Raises:
        ProbeError: The others don't come.
    """
    if not _launched():
        yield ALONE
        return
    on_cuda = device.type == "cuda"
    if on_cuda:
        # What makes tensors without naming a device, as a mesh of processes, goes by this one.
        torch.cuda.set_device(device)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    wait = timedelta(seconds=patience)
    try:
        distributed.init_process_group(
            "nccl" if on_cuda else "gloo",
            store=distributed.PrefixStore(_named_apart(run), _store(rank, wait)),  # type: ignore[attr-defined]
            rank=rank,
            world_size=size,
            timeout=wait,
            device_id=device if on_cuda else None,
        )
    except (RuntimeError, ValueError) as error:
        raise ProbeError(
            f"process {rank} of {size} did not meet the others: {described(error)}",
            hint="Every process has to be started with the same arguments.",
        ) from error
    try:
        yield Group(rank, size, device)
    finally:
        distributed.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End this process, at once if it has met others, and with what it wrote written.

    The threads of gloo take the interpreter's lock to let go of a tensor. One that does so while
    the interpreter is taken down is ended within a destructor, and the whole process aborts.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if _runs:
        os._exit(code)
    sys.exit(code)


def _launched() -> bool:
    return (
        distributed.is_available()
        and distributed.is_torchelastic_launched()
        and int(os.environ.get("WORLD_SIZE", "1")) > 1
    )


def _named_apart(run: str) -> str:
    """Return a name that no run before had: what those left in the store would mislead this one."""
    _runs[run] += 1
    return f"{run}/{_runs[run]}"


# torch names its stores in its documentation, and not in what type checkers read.
@cache
def _store(rank: int, patience: timedelta) -> Any:  # noqa: ANN401
    """Return where the processes find each other: with the launcher, else with the first.

    It is the same for all runs of a process. If the first process closed its own after a run, the
    others could meet the old one still, and wait in it for a next run that begins elsewhere.
    """
    kept_by_launcher = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
    return distributed.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=rank == 0 and not kept_by_launcher,
        timeout=patience,
    )
