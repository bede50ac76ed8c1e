"""Trainings that cannot begin or go on: flags, folders, texts, checkpoints."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import Mock, patch

import datasets
import pytest
import torch
from cases import Case, commands

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "reference"))

from small_trainings import PLAN, install, request_in

from scaleaudit.domain.training import Encoding, Text
from scaleaudit.group import local_device
from scaleaudit.reference.batches import windows_of
from scaleaudit.reference.board import Board
from scaleaudit.reference.checkpoints import (
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from scaleaudit.reference.corpus import Corpus, corpus_of, source_corpus
from scaleaudit.reference.encoding import learn
from scaleaudit.reference.metrics import Held, Metrics
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.runs import Folder, model_of
from scaleaudit.reference.tokens import encoded
from scaleaudit.reference.trainer import Trainer
from scaleaudit.reference.training import train

_COMMANDS = {
    "train_nothing": "train --out run",
    "train_no_size": "train --condition norm-between --out run",
    "train_no_such_condition": "train --condition per-lop-raw --size tiny --out run",
    "train_no_run_to_resume": "train --resume --condition norm-between --size tiny --out run",
}


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from commands(_COMMANDS, {})
    yield from _of_folders()
    yield from _of_checkpoints()
    yield from _of_texts()
    yield from _of_data_sets()


def _of_folders() -> Iterator[Case]:
    yield Case("training_where_one_is", partial(_again))
    yield Case("training_of_another_plan", partial(_again, resume=True, lr=2.0))
    yield Case("training_in_damaged_folder", _trained, {"run/config.json": "{}"})
    yield Case("training_in_file", _in_file, {"taken": ""})
    yield Case("training_out_in_file", partial(_trained_in, "taken/run"), {"taken": ""})
    yield Case("training_without_its_state", _without_state)
    yield Case(
        "training_board_in_the_way", partial(_trained, tensorboard=True), {"run/tensorboard": ""}
    )
    yield Case("training_of_changed_text", _changed)
    yield Case("training_of_other_state", _other_state)
    yield Case(
        "training_of_lost_others",
        partial(_failed, RuntimeError("gloo: [/gloo/transport/tcp] Connection reset by peer")),
    )
    yield Case("training_without_room", partial(_failed, RuntimeError("can't allocate memory")))
    yield Case("training_undivided", partial(_trained, accumulate=3))
    yield Case("training_fsdp_alone", partial(_trained, fsdp=True))
    yield Case("training_metrics_unwritable", _trained, {"run/metrics.jsonl/a": ""})
    yield Case("training_traces_unwritable", _trained, {"run/traces.jsonl/a": ""})
    yield Case("training_without_a_device_left", _without_device)
    yield Case("training_metrics_without_room", _metrics_without_room)
    yield Case("training_board_without_room", _board_without_room)
    yield Case("training_without_tensorboard", _without_tensorboard)


def _of_checkpoints() -> Iterator[Case]:
    yield Case("checkpoint_unwritable", lambda: save_checkpoint(Path("no/a"), _model()))
    yield Case("checkpoint_gone", partial(load_checkpoint, Path("a")))
    yield Case("checkpoint_cut_short", partial(load_checkpoint, Path("a")), {"a": "x"})
    yield Case("checkpoint_without_card", partial(_rewritten, metadata={}))
    yield Case("checkpoint_of_other_weights", partial(_rewritten, weights={"x": torch.ones(1)}))
    yield Case("checkpoint_of_one_layer_less", _without_a_layer)


def _of_texts() -> Iterator[Case]:
    one = {"lib/a.py": ""}
    yield Case("text_of_one_source", partial(source_corpus, "text", [Path("lib")]), one)
    yield Case("text_too_short", partial(windows_of, torch.zeros(3), 8, 4))
    yield Case("text_of_few_tokens", partial(learn, Encoding.BPE, 256, [b"x"]))
    yield Case("text_without_tokenizers", _without_tokenizers)
    yield Case("text_cache_unwritable", partial(_encoded, "taken"), {"taken": ""})
    yield Case("text_not_whole", _half)


def _of_data_sets() -> Iterator[Case]:
    yield Case("data_set_without_package", _without_datasets)
    yield Case("data_set_of_unknown_form", partial(_text, "a.bin"), {"a.bin": "x"})
    yield Case("data_set_gone", partial(_text, "gone.txt"))
    yield Case("data_set_empty", partial(_text, "a.txt"), {"a.txt": ""})
    yield Case("data_set_no_text", partial(_text, "b.txt"), {"b.txt": bytes(range(128, 256))})
    yield Case("data_set_broken", partial(_text, "a.json"), {"a.json": "{"})
    rows = {"text": ["a", "b"], "number": [1, 2]}
    yield Case("data_set_without_column", partial(_saved, rows, "words"))
    yield Case("data_set_of_numbers", partial(_saved, rows, "number"))
    yield Case("data_set_too_small", partial(_saved, {"text": ["a"]}, "text"))
    yield Case("data_set_without_train", partial(_saved, rows, "text", part="test"))


def _trained(**asked: object) -> None:
    """Train for a step in the folder ``run``."""
    _trained_in("run", **asked)


def _trained_in(name: str, **asked: object) -> None:
    here = Path.cwd()
    with pytest.MonkeyPatch.context() as changed:
        install(changed, here)
        train(request_in(here, name, **{"steps": 1, **asked}))


def _failed(error: Exception) -> None:
    """Train where a step ends in an error of torch."""
    with patch.object(Trainer, "step", side_effect=error):
        _trained()


def _again(**asked: object) -> None:
    _trained()
    _trained(**asked)


def _in_file() -> None:
    _trained()
    card = Folder(Path("run")).card()
    assert card is not None
    Folder(Path("taken/run")).begin(card)


def _without_state() -> None:
    _trained()
    Path("run/state.safetensors").unlink()
    _trained(resume=True)


def _changed() -> None:
    _trained()
    Path("lib/more.py").write_text("more = 1\n")
    _trained(resume=True)


def _other_state() -> None:
    _trained()
    Path("run/checkpoint.safetensors").replace("run/state.safetensors")
    _trained(resume=True)


def _without_device() -> None:
    told = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "run"}
    with (
        patch.dict(os.environ, told),
        patch.multiple(torch.cuda, is_available=lambda: True, device_count=lambda: 1),
    ):
        local_device("auto")


_FULL = OSError(errno.ENOSPC, "No space left on device")


def _metrics_without_room() -> None:
    metrics = Metrics(Path("metrics.jsonl"))
    metrics.close()
    metrics._file = Mock(write=Mock(side_effect=_FULL))
    metrics.write(Held(1, ()))


def _board_without_room() -> None:
    board = Board(Path("board"))
    board.close()
    board._writer = Mock(add_scalar=Mock(side_effect=_FULL))
    board.tell(Held(1, (2.0,)))


def _without_tensorboard() -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(sys.modules, "torch.utils.tensorboard", None)
        _trained(tensorboard=True)


def _model() -> LoopedDecoder:
    with pytest.MonkeyPatch.context() as changed:
        install(changed, Path.cwd())
        return LoopedDecoder(model_of(PLAN))


def _rewritten(
    weights: dict[str, torch.Tensor] | None = None, metadata: dict[str, str] | None = None
) -> None:
    """Read a checkpoint whose weights or metadata were exchanged."""
    save_checkpoint(Path("a"), _model())
    held, said = read_tensors(Path("a"))
    write_tensors(
        Path("a"), held if weights is None else weights, said if metadata is None else metadata
    )
    load_checkpoint(Path("a"))


def _without_a_layer() -> None:
    kept = {name: value for name, value in _model().state_dict().items() if "blocks.1" not in name}
    _rewritten(weights=kept)


def _encoded(cache: str) -> None:
    corpus = Corpus("a text", partial(iter, [b"x"]), partial(iter, [b"y"]), "f")
    encoded(corpus, Encoding.BYTES, 256, Path(cache))


def _half() -> None:
    _encoded("cache")
    (file,) = Path("cache").glob("*/train.bin")
    # How the folder is called hangs on the version of what is in it.
    file.parent.joinpath("train.bin").write_bytes(b"")
    _encoded("cache")


def _without_tokenizers() -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(sys.modules, "tokenizers", None)
        learn(Encoding.BPE, 300, [b"x"])


def _without_datasets() -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(sys.modules, "datasets", None)
        _text("wikitext")


def _text(name: str, column: str = "text") -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(datasets.config, "HF_DATASETS_CACHE", Path.cwd() / "hf")
        for _ in corpus_of(Text(dataset=name, column=column)).train():
            pass


def _saved(rows: dict[str, list[object]], column: str, part: str = "train") -> None:
    of = {part: datasets.Dataset.from_dict(rows)}
    datasets.DatasetDict(of).save_to_disk("saved")
    _text("saved", column)
