"""Answers kept on disk, each with what it depends on, and given again while none of that changed."""

from scaleaudit.caching.cache import Cache
from scaleaudit.caching.store import Store, clean

__all__ = ["Cache", "Store", "clean"]
