"""The depths in which the reference model is measured.

Apart from the targets, which need torch: who measures must stay small, since a new process counts
the memory of who started it as its own.
"""

from __future__ import annotations

TURNS = 4
DEPTHS = (4, 8, 16, 64, 256)
LAYERS = (2, 12, 48)
