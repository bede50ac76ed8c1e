"""Every number that an early sign hangs on, with its reason."""

from __future__ import annotations

# PLACEHOLDER
GROWN = 4.0
GROWN_RESTRAINED = 30.0
TURNED = 1.1
LASTING = 3
ROOM = 16.0
FROZEN = 0.5
