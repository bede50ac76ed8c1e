"""Text of data sets that the package ``datasets`` knows how to read: from files, folders, a hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaleaudit.domain.training import Text
from scaleaudit.errors import ProbeError, ScaleAuditError, described
from scaleaudit.reference.corpus import Corpus, digest_of, divided

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict  # type: ignore[import-untyped]

# What a file's ending says of how it is read.
_READERS = {
    ".txt": "text", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".csv": "csv",
}  # fmt: skip
# A folder that `save_to_disk` wrote has one of these.
_SAVED = ("dataset_dict.json", "dataset_info.json")
_TRAIN, _HELD_OUT = "train", ("validation", "valid", "test")
# Bytes of rows that are lines of one text, which are kept together.
_TOGETHER = 1 << 16
_ROWS = 1000


def dataset_corpus(text: Text) -> Corpus:
    """Return the text of a data set: by its own parts, else divided by the hash of its documents.

    A row is a document; rows that end in a newline are lines of one, as in WikiText.

    Raises:
        ProbeError: It is not there, or has no such column.
    """
    assert text.dataset is not None
    parts = _parts(text)
    if _TRAIN not in parts:
        raise ProbeError(
            f"the data set {text.dataset} has no part to train on: {', '.join(parts)}",
            hint=f'One of its parts has to be called "{_TRAIN}".',
        )
    train = partial(_documents, parts[_TRAIN], text)
    other = next((parts[each] for each in _HELD_OUT if each in parts), None)
    if other is not None:
        held_out = partial(_documents, other, text)
        found = hashlib.sha256()
        for document in (*_digests(train()), b"|", *_digests(held_out())):
            found.update(document)
        return Corpus(_named(text), train, held_out, found.hexdigest())
    digests = [*_digests(train())]
    inside, outside = map(frozenset, divided(sorted(set(digests))))
    if not inside or not outside:
        raise ProbeError(
            f"the data set {text.dataset} has too few documents to hold any out: {len(digests)}",
            hint='Give it a part called "validation", or more text: a document is a row, or 64 KiB '
            "of lines.",
        )
    return Corpus(
        _named(text),
        partial(_chosen, train, inside),
        partial(_chosen, train, outside),
        digest_of(b"".join(digests)).hex(),
    )


def _named(text: Text) -> str:
    config = f" ({text.config})" if text.config else ""
    return f"the data set {text.dataset}{config}"


def _parts(text: Text) -> Mapping[str, Dataset]:
    try:
        import datasets  # noqa: PLC0415  # an extra
    except ImportError:
        raise ProbeError(
            "--dataset needs the package datasets, which is not installed",
            hint="Install it with: pip install 'scaleaudit[data]'",
        ) from None
    try:
        found = _loaded(text)
    except ScaleAuditError:
        raise
    except Exception as error:  # whatever the reader of a format makes of what it is given
        raise ProbeError(
            f"the data set {text.dataset} cannot be loaded: {described(_root(error))}",
            hint="It may be a name on a hub, a folder of save_to_disk, or a file "
            f"({', '.join(_READERS)}).",
        ) from error
    return {_TRAIN: found} if isinstance(found, datasets.Dataset) else dict(found)


def _root(error: BaseException) -> BaseException:
    """Return the error that others were made of."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _loaded(text: Text) -> Dataset | DatasetDict:
    from datasets import disable_progress_bars, load_dataset, load_from_disk  # noqa: PLC0415  # an extra

    disable_progress_bars()
    assert text.dataset is not None
    path = Path(text.dataset)
    if path.suffix in _READERS and not path.exists():
        raise ProbeError(f"there is no file {path}", hint="Name another one with --dataset.")
    if path.is_file() and not path.stat().st_size:
        raise ProbeError(f"the file {path} is empty", hint="Name another one with --dataset.")
    if path.is_file():
        if path.suffix not in _READERS:
            raise ProbeError(
                f"{path} is no file that holds a data set",
                hint=f"Its name has to end in one of {', '.join(_READERS)}.",
            )
        reader = _READERS[path.suffix]
        more: dict[str, Any] = {"keep_linebreaks": True} if reader == "text" else {}
        return load_dataset(reader, data_files=str(path), **more)
    if any((path / name).is_file() for name in _SAVED):
        return load_from_disk(path)
    return load_dataset(text.dataset, text.config)


def _documents(part: Dataset, text: Text) -> Iterator[bytes]:
    if text.column not in part.column_names:
        raise ProbeError(
            f"the data set {text.dataset} has no column {text.column!r}: "
            f"{', '.join(part.column_names)}",
            hint="Name the one that holds text with --text-column.",
        )
    rows = (row for batch in part.iter(batch_size=_ROWS) for row in batch[text.column])
    return _joined(_texts(rows, text))


def _texts(rows: Iterable[object], text: Text) -> Iterator[str]:
    for row in rows:
        if row is not None and not isinstance(row, str):
            raise ProbeError(
                f"the column {text.column!r} of the data set {text.dataset} holds no text: "
                f"{type(row).__name__}",
                hint="Name another one with --text-column.",
            )
        yield row or ""


def _joined(rows: Iterable[str]) -> Iterator[bytes]:
    """Put lines of one text together."""
    held, size = list[bytes](), 0
    for row in rows:
        data = row.encode("utf-8", "replace")
        held.append(data)
        size += len(data)
        if size and ((not row.endswith("\n") and row) or size >= _TOGETHER):
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _digests(documents: Iterable[bytes]) -> Iterator[bytes]:
    return map(digest_of, documents)


def _chosen(documents: partial[Iterator[bytes]], wanted: frozenset[bytes]) -> Iterator[bytes]:
    return (document for document in documents() if digest_of(document) in wanted)
