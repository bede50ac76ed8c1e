"""Whether models can be compiled here for CUDA: that takes more than torch."""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path


def lacking() -> str:
    """Return what is missing to compile for CUDA, in words; nothing where all is there.

    Triton builds what launches its kernels with the C compiler of the machine.
    """
    if find_spec("triton") is None:
        return "the package triton is not installed"
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "gcc", "clang")))):
        return "there is no C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "the headers of Python are not installed"
    return ""
