"""Several processes of one command, started by ``torchrun``: the first of them speaks."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Tell whether this process speaks: it is the only one, or the first that was started.

    ``torchrun`` says so in the environment; what else sets a rank there means other processes.
    """
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"
