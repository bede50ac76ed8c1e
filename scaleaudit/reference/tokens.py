"""Text as tokens in files that are mapped into memory, prepared once for what is in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from scaleaudit.domain.training import Encoding, Text
from scaleaudit.errors import ConfigError, ProbeError
from scaleaudit.reference.corpus import Corpus, corpus_of, digest_of
from scaleaudit.reference.encoding import Encoder, learn
from scaleaudit.wire import read_json

# Changes whenever the same text would be turned into other tokens.
_VERSION = 1
_TRAIN, _HELD_OUT, _CARD = "train.bin", "held_out.bin", "card.json"
VOCABULARY = "vocabulary.json"
_CODES = {torch.int16: "h", torch.int32: "i"}
_LARGEST_SHORT = torch.iinfo(torch.int16).max


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text, ready to be trained on.

    Attributes:
        train: The tokens that are trained on, (tokens,) of whole numbers.
        held_out: The others.
        name: What the text is, in words.
        encoding: "bytes", or the fingerprint of the vocabulary.
        fingerprint: What no other text has, nor the same text in another encoding.
    """

    train: Tensor
    held_out: Tensor
    name: str
    encoding: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Card:
    """What is said of a folder of tokens."""

    name: str
    encoding: str
    dtype: str
    train: int
    held_out: int


def cache_folder(given: str | None = None) -> Path:
    """Return where prepared text is kept: where one says, else in the user's cache."""
    if given is not None:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "scaleaudit" / "text"


def prepared(
    text: Text,
    encoding: Encoding,
    vocabulary: int,
    cache: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> Tokens:
    """Return a text as tokens, from the cache where it is there.

    Raises:
        ProbeError: The text is not there, or too short.
        ConfigError: The cache cannot be written.
    """
    tell("reading the text")
    return encoded(corpus_of(text), encoding, vocabulary, cache, tell)


def encoded(
    corpus: Corpus,
    encoding: Encoding,
    vocabulary: int,
    cache: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> Tokens:
    """Return a corpus as tokens, as ``prepared`` does."""
    kind = "bytes" if encoding is Encoding.BYTES else f"bpe-{vocabulary}"
    key = digest_of(f"{_VERSION} {kind} {corpus.fingerprint}".encode()).hex()
    folder = cache / f"{kind}-{key[:16]}"
    try:
        if not (folder / _CARD).is_file():
            _prepare(corpus, (encoding, vocabulary), folder, tell)
        return _opened(folder, key)
    except OSError as error:
        raise ConfigError(
            f"the text cannot be kept in {folder}: {error.strerror or error}",
            hint="Name another folder with --cache.",
        ) from error


def _prepare(
    corpus: Corpus, encoding: tuple[Encoding, int], folder: Path, tell: Callable[[str], None]
) -> None:
    """Write a folder of tokens; it is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        if encoding[0] is Encoding.BPE:
            tell("learning a vocabulary")
        encoder = learn(*encoding, corpus.train())
        encoder.save(temporary / VOCABULARY)
        tell("encoding the text")
        dtype = _dtype(*encoding)
        card = _Card(
            name=corpus.name,
            encoding=_called(encoding[0], temporary / VOCABULARY),
            dtype=str(dtype).removeprefix("torch."),
            train=_write(temporary / _TRAIN, encoder, corpus.train(), dtype),
            held_out=_write(temporary / _HELD_OUT, encoder, corpus.held_out(), dtype),
        )
        (temporary / _CARD).write_bytes(msgspec.json.encode(card))
        _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        # Somebody prepared the same text meanwhile.
        if not (folder / _CARD).is_file():
            raise


def _called(encoding: Encoding, vocabulary: Path) -> str:
    if encoding is Encoding.BYTES:
        return "bytes"
    return f"bpe-{digest_of(vocabulary.read_bytes()).hex()[:16]}"


def _dtype(encoding: Encoding, vocabulary: int) -> torch.dtype:
    if encoding is Encoding.BYTES:
        return torch.uint8
    return torch.int16 if vocabulary <= _LARGEST_SHORT else torch.int32


def _write(path: Path, encoder: Encoder, documents: Iterable[bytes], dtype: torch.dtype) -> int:
    """Write the tokens of documents one after another; returns how many there are."""
    count = 0
    with path.open("wb") as file:
        for tokens in encoder.encode(documents):
            count += len(tokens)
            if isinstance(tokens, bytes):
                file.write(tokens)
            else:
                file.write(array(_CODES[dtype], tokens).tobytes())
    return count


def _opened(folder: Path, key: str) -> Tokens:
    card = read_json((folder / _CARD).read_text(encoding="utf-8"), _Card)
    dtype: torch.dtype = getattr(torch, card.dtype)
    return Tokens(
        train=_mapped(folder / _TRAIN, card.train, dtype),
        held_out=_mapped(folder / _HELD_OUT, card.held_out, dtype),
        name=card.name,
        encoding=card.encoding,
        fingerprint=key,
    )


def _mapped(path: Path, count: int, dtype: torch.dtype) -> Tensor:
    if path.stat().st_size != count * dtype.itemsize:
        raise ProbeError(
            f"{path} is not whole", hint="Remove its folder; it is prepared again the next time."
        )
    if not count:
        return torch.empty(0, dtype=dtype)
    found: Tensor = torch.from_file(str(path), shared=False, size=count, dtype=dtype)
    return found
