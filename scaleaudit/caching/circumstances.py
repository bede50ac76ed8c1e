"""What every answer depends on: this package, what is installed, Python, and some variables."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b

import scaleaudit

# What Python and torch are steered by before a target's own questions can be heard.
_STEERING = (
    "ATEN_",
    "CUDA_",
    "KMP_",
    "LD_",
    "MKL_",
    "OMP_",
    "PYTHON",
    "PYTORCH_",
    "TORCH",
    "SCALEAUDIT_LOAD_ALL",
)
_NOT_STEERING = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


@cache
def circumstances() -> str:
    """Return a digest of all of them."""
    digest = blake2b(digest_size=16)
    for part in (scaleaudit.__version__, sys.version, sys.platform, sys.executable, os.getcwd()):
        digest.update(f"{part}\0".encode(errors="surrogateescape"))
    for line in (*_package(), *_installed(), *_variables()):
        digest.update(f"{line}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _package() -> Iterator[str]:
    """Yield the dates of this package's own files, unless it is installed as others are."""
    root = os.path.dirname(scaleaudit.__file__)
    if "-packages" in root:
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)
            found = os.stat(path)
            yield f"{path} {found.st_size} {found.st_mtime_ns}"


def _installed() -> Iterator[str]:
    """Yield the names of installed packages, which hold their versions, and what leads elsewhere.

    A version that an index gave out never changes; what came from a folder or an address may, and
    is told by the hashes of its files.
    """
    known = (*site.getsitepackages(), site.getusersitepackages(), *sys.path)
    folders = dict.fromkeys(folder for folder in known if folder)
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".dist-info"):
                yield name
                if os.path.exists(os.path.join(path, "direct_url.json")):
                    yield _digest(os.path.join(path, "RECORD"))
            elif name.endswith((".egg-info", ".egg-link", ".pth")):
                yield f"{name} {os.stat(path).st_mtime_ns}"


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return ""


def _variables() -> Iterator[str]:
    for name, value in sorted(os.environ.items()):
        if name.startswith(_STEERING) and not name.startswith(_NOT_STEERING):
            yield f"{name}={value}"
