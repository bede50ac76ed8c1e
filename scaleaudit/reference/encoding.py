"""What turns documents into tokens and says where one ends: bytes, or a byte-pair encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scaleaudit.domain.training import Encoding
from scaleaudit.errors import ConfigError, ProbeError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BYTE_VALUES = 256
_END = "<|end|>"
# Documents that are encoded at a time, on all processors.
_AT_ONCE = 256


class Encoder(Protocol):
    """Turns documents into tokens."""

    def encode(self, documents: Iterable[bytes]) -> Iterator[list[int] | bytes]:
        """Yield the tokens of one document after the other, with a mark at the end of each."""

    def save(self, path: Path) -> None:
        """Write what was learnt."""


class Bytes:
    """Bytes as they are; 0, which text has none of, ends a document."""

    def encode(self, documents: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes of documents."""
        return (document + b"\0" for document in documents)

    def save(self, path: Path) -> None:
        """Nothing was learnt."""


class Pairs:
    """Byte pairs that were learnt from text; a token of its own ends a document."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._end: int = tokenizer.encode(_END).ids[0]

    def encode(self, documents: Iterable[bytes]) -> Iterator[list[int]]:
        """Yield the tokens of documents."""
        rest = iter(documents)
        while some := [_text(document) for document in islice(rest, _AT_ONCE)]:
            for found in self._tokenizer.encode_batch_fast(some, add_special_tokens=False):
                yield [*found.ids, self._end]

    def save(self, path: Path) -> None:
        """Write the vocabulary and its merges in the form of ``tokenizers``."""
        self._tokenizer.save(str(path))


def learn(encoding: Encoding, vocabulary: int, documents: Iterable[bytes]) -> Encoder:
    """Return an encoder of so many tokens for documents.

    Raises:
        ConfigError: A vocabulary cannot hold this encoding.
        ProbeError: A package is missing.
    """
    if vocabulary < BYTE_VALUES + (encoding is Encoding.BPE):
        raise ConfigError(
            f"a vocabulary of {vocabulary} tokens is too small for {encoding.value}",
            hint=f"Bytes take {BYTE_VALUES} tokens (--encoding bytes), byte pairs more.",
        )
    if encoding is Encoding.BYTES:
        return Bytes()
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    except ImportError:
        raise ProbeError(
            "a byte-pair encoding needs the package tokenizers, which is not installed",
            hint="Install it with: pip install 'scaleaudit[train]', or train with --encoding bytes.",
        ) from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(_text, documents), trainer)
    return Pairs(tokenizer)


def _text(document: bytes) -> str:
    return document.decode("utf-8", "replace")
