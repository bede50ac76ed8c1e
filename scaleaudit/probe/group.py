"""Batches divided among several processes that probe one model together."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.group import ALONE, Group, gathered, local_device
from scaleaudit.probe.data import Feed, Stream

__all__ = ["ALONE", "Group", "Share", "gathered", "local_device"]


class Share:
    """A stream of this process's examples of every batch."""

    def __init__(self, stream: Stream, group: Group) -> None:
        self._stream, self._group = stream, group

    @property
    def source(self) -> str:
        """Say what the batches are and who else is given some."""
        return f"{self._stream.source}, divided among {self._group.size} processes"

    def batches(self, seed: int) -> Iterator[Feed]:
        """Yield this process's share of the batches that a seed determines."""
        for batch in self._stream.batches(seed):
            yield self._group.share(batch)
