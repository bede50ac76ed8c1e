"""Data sets of text in the forms that ``datasets`` reads, and what is said of those that are none."""

from __future__ import annotations

import json

import datasets
import pytest

from scaleaudit.domain.training import Text
from scaleaudit.errors import ProbeError
from scaleaudit.reference.corpus import corpus_of

ROWS = [f"document {number}" for number in range(80)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def texts(corpus):
    return [each.decode() for each in corpus.train()], [each.decode() for each in corpus.held_out()]


def made(form, path):
    """Write the rows in some form; returns what to give as --dataset."""
    table = datasets.Dataset.from_dict({"text": ROWS, "other": [*range(len(ROWS))]})
    match form:
        case "json":
            lines = (json.dumps({"text": row}) for row in ROWS)
            (path / "a.jsonl").write_text("\n".join(lines))
            return path / "a.jsonl"
        case "parquet":
            table.to_parquet(path / "a.parquet")
            return path / "a.parquet"
        case "csv":
            table.to_csv(path / "a.csv")
            return path / "a.csv"
        case "saved":
            table.save_to_disk(path / "saved")
            return path / "saved"


@pytest.mark.parametrize("form", ["json", "parquet", "csv", "saved"])
def test_a_data_set_in_one_part_is_divided_by_its_documents(form, tmp_path):
    corpus = corpus_of(Text(dataset=str(made(form, tmp_path))))
    train, held_out = texts(corpus)
    assert sorted([*train, *held_out]) == sorted(ROWS)
    assert 0 < len(held_out) < 20
    assert texts(corpus) == (train, held_out)


def test_the_parts_of_a_data_set_are_kept(tmp_path):
    parts = {"train": ROWS, "validation": ["held", "out"], "test": ["unread"]}
    of = {name: datasets.Dataset.from_dict({"words": rows}) for name, rows in parts.items()}
    datasets.DatasetDict(of).save_to_disk(tmp_path / "saved")
    corpus = corpus_of(Text(dataset=str(tmp_path / "saved"), column="words"))
    assert texts(corpus) == (ROWS, ["held", "out"])
    assert corpus.name == f"the data set {tmp_path / 'saved'}"


def test_lines_of_one_text_stay_together(tmp_path):
    # As WikiText has them: rows that end in a newline, empty ones between.
    lines = [" = Title = \n", "", " A sentence . \n", "", "x" * 40_000 + "\n", "y" * 40_000 + "\n"]
    rows = {"train": [*lines, " Another . \n"], "validation": [" Held \n", " out \n"]}
    of = {name: datasets.Dataset.from_dict({"text": each}) for name, each in rows.items()}
    datasets.DatasetDict(of).save_to_disk(tmp_path / "saved")
    train, held_out = texts(corpus_of(Text(dataset=str(tmp_path / "saved"))))
    assert train == ["".join(lines), " Another . \n"]
    assert held_out == [" Held \n out \n"]


def test_a_file_of_text_keeps_its_lines(tmp_path):
    text = "".join(f"{'word ' * 300}{number}\n" for number in range(600))
    (tmp_path / "a.txt").write_text(text)
    train, held_out = texts(corpus_of(Text(dataset=str(tmp_path / "a.txt"))))
    assert sum(map(len, (*train, *held_out))) == len(text)
    assert all(each in text for each in (*train, *held_out))


def test_another_data_set_has_another_fingerprint(tmp_path):
    found = set()
    for number, rows in enumerate((ROWS, ROWS[1:], [*ROWS, "more"])):
        datasets.Dataset.from_dict({"text": rows}).save_to_disk(tmp_path / str(number))
        found.add(corpus_of(Text(dataset=str(tmp_path / str(number)))).fingerprint)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("rows", "text", "told"),
    [
        ({"words": ROWS}, {}, "has no column 'text': words"),
        ({"text": [1, 2]}, {}, "holds no text: int"),
        ({"text": ["one"]}, {}, "too few documents to hold any out: 1"),
    ],
)
def test_a_data_set_without_text_is_told(rows, text, told, tmp_path):
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    with pytest.raises(ProbeError, match=told):
        corpus_of(Text(dataset=str(tmp_path / "saved"), **text))


def test_a_data_set_without_a_part_to_train_on_is_told(tmp_path):
    of = datasets.Dataset.from_dict({"text": ROWS})
    datasets.DatasetDict({"test": of}).save_to_disk(tmp_path / "saved")
    with pytest.raises(ProbeError, match="no part to train on: test"):
        corpus_of(Text(dataset=str(tmp_path / "saved")))


def test_what_is_no_data_set_is_told(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\0")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ProbeError, match="is no file that holds a data set"):
        corpus_of(Text(dataset=str(tmp_path / "a.bin")))
    for name in (str(tmp_path / "a.json"), str(tmp_path / "nowhere")):
        with pytest.raises(ProbeError, match="cannot be loaded"):
            corpus_of(Text(dataset=name))
