"""Text to train on: documents, divided into what is trained on and what is held out.

Without a data set it is the Python sources of the running interpreter, which need no download.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scaleaudit.domain.training import Text
from scaleaudit.errors import ProbeError
from scaleaudit.files import read_file

# The share of documents that is held out, by the hash of what is in them.
_HELD_OUT = 0.05
_HASHES = 1 << 64
# Folders of the library that are no part of it.
_FOREIGN = frozenset({"site-packages", "dist-packages", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, told apart by what is in them: no document is in both parts.

    Attributes:
        name: What it is, in words.
        train: Yields the documents that are trained on, in the same order every time.
        held_out: Yields the others.
        fingerprint: What no other corpus has, wherever its files lie.
    """

    name: str
    train: Callable[[], Iterator[bytes]]
    held_out: Callable[[], Iterator[bytes]]
    fingerprint: str


def corpus_of(text: Text) -> Corpus:
    """Return the text that is asked for.

    Raises:
        ProbeError: It is not there.
    """
    if text.dataset is not None:
        from scaleaudit.reference.datasets import dataset_corpus  # noqa: PLC0415  # an extra

        return dataset_corpus(text)
    folders = [Path(sysconfig.get_paths()["stdlib"])]
    name = "the sources of Python's standard library"
    if text.packages:
        paths = sysconfig.get_paths()
        folders += sorted({Path(paths["purelib"]), Path(paths["platlib"])})
        name += " and of the installed packages"
    return source_corpus(name, folders)


def source_corpus(name: str, folders: Iterable[Path]) -> Corpus:
    """Return the Python files in folders; one that is there twice counts once.

    Raises:
        ProbeError: There are too few to hold any out.
    """
    every = [*folders]
    files = {digest_of(read_file(path)): path for folder in every for path in _sources(folder)}
    digests = sorted(files)
    train, held_out = divided(digests)
    if not train or not held_out:
        raise ProbeError(
            f"there are {len(files)} Python sources in {', '.join(map(str, every))}, "
            "too few to train on some and to hold out others",
            hint="Give a text with --dataset.",
        )
    return Corpus(
        name=name,
        train=partial(_contents, [files[digest] for digest in train]),
        held_out=partial(_contents, [files[digest] for digest in held_out]),
        fingerprint=digest_of(b"".join(digests)).hex(),
    )


def divided(digests: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Divide documents by their hashes; of several one is held out in any case."""
    out = {digest for digest in digests if int.from_bytes(digest[:8], "big") < _HELD_OUT * _HASHES}
    if not out and len(digests) > 1:
        out = {min(digests)}
    return [each for each in digests if each not in out], [each for each in digests if each in out]


def digest_of(content: bytes) -> bytes:
    """Return the hash of a document."""
    return hashlib.sha256(content).digest()


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the Python files below a folder that can be read."""
    for place, folders, names in os.walk(folder):
        inside = Path(place) != folder
        folders[:] = sorted(each for each in folders if each not in _FOREIGN or inside)
        for name in sorted(names):
            path = Path(place, name)
            if name.endswith(".py") and path.is_file() and os.access(path, os.R_OK):
                yield path


def _contents(paths: Iterable[Path]) -> Iterator[bytes]:
    for path in paths:
        yield read_file(path)
