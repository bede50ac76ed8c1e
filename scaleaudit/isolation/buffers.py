"""A bounded memory of what a child prints."""

from __future__ import annotations


class Kept:
    """The last bytes of a stream, however long it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._left_out = 0

    def add(self, chunk: bytes) -> None:
        """Take a chunk in and let go of the oldest bytes beyond the limit."""
        self._bytes += chunk
        excess = len(self._bytes) - self._limit
        if excess > 0:
            del self._bytes[:excess]
            self._left_out += excess

    @property
    def left_out(self) -> int:
        """How many bytes were let go."""
        return self._left_out

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    def text(self) -> str:
        """Return what is kept as text, saying how much is not."""
        text = self._bytes.decode(errors="replace")
        if not self._left_out:
            return text
        return f"[the first {self._left_out} bytes are left out]\n{text}"
