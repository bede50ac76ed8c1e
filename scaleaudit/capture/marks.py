"""The attributes that capture puts on tensors."""

from __future__ import annotations

PREFIX = "_scaleaudit"
# What is known of the memory behind a tensor (regions).
TRACKED = f"{PREFIX}_tracked"
# The value of a fake tensor (engines).
TWIN = f"{PREFIX}_twin"
ALL = (TRACKED, TWIN)
