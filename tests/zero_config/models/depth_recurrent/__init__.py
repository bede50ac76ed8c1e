"""A recurrent-depth language model: prelude, looped core, coda."""

from .model import RecurrentDepthConfig, RecurrentDepthLM

__all__ = ["RecurrentDepthConfig", "RecurrentDepthLM"]
__version__ = "0.0.3"
