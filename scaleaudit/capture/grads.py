"""Whether autograd records an operator, as the user sees it.

Inside a custom autograd function the gradient mode is always off, although the function as a whole
has a gradient, by a backward of its own. There the mode of the code outside counts. Checkpointing
runs its block in one of torch's; what the user's own code switches in there counts too.
"""

from __future__ import annotations

from types import FrameType

import torch

from scaleaudit.capture._torch_private import APPLY_CODE, DECORATED_FILE, FUNCTION_NAMESPACE
from scaleaudit.capture.places import Place, is_own, is_user

_SWITCHES = torch.autograd.grad_mode.__file__


class GradWatch:
    """Keep the gradient mode as the user set it."""

    def __init__(self) -> None:
        self._outer = torch.is_grad_enabled()
        self._inner: list[bool] = []

    def enabled(self, place: Place) -> bool:
        """Tell whether autograd records what is called from a place."""
        if not place.function:
            self._inner.clear()
            return torch.is_grad_enabled()
        if not place.function.startswith(FUNCTION_NAMESPACE):
            return self._outer  # its own backward says what the gradient is
        return self._inner[-1] if self._inner else self._outer

    def switched(self, frame: FrameType | None, *, enabled: bool) -> None:
        """Note that the mode was set from a frame."""
        if not _inside_function(frame):
            self._outer = enabled
            return
        leaving = False
        while frame is not None and (is_own(frame.f_code) or _is_switch(frame)):
            leaving = leaving or frame.f_code.co_name == "__exit__"
            frame = frame.f_back
        if frame is None or not (
            is_user(frame.f_code) or frame.f_code.co_filename == DECORATED_FILE
        ):
            return  # the function's own doing, as in checkpointing
        if not leaving:
            self._inner.append(enabled)
        elif self._inner:
            self._inner.pop()


def _is_switch(frame: FrameType) -> bool:
    return frame.f_code.co_filename == _SWITCHES


def _inside_function(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is APPLY_CODE:
            return True
        frame = frame.f_back
    return False
