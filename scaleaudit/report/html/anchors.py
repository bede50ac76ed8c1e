"""Where on the page a source line is found."""

from __future__ import annotations

from zlib import crc32


def line_anchor(path: str, line: int) -> str:
    """Return the id of a source line in the listing at the end of the page.

    A path may hold anything, so that its checksum stands for it.
    """
    return f"L{crc32(path.encode('utf-8', 'surrogatepass')):08x}-{line}"
