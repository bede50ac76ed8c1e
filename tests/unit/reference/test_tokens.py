"""Text as tokens: nothing is lost, what was prepared is used again, and nothing half is."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from tokenizers import Tokenizer

from scaleaudit.domain.training import Encoding
from scaleaudit.errors import ConfigError, ProbeError
from scaleaudit.reference import tokens
from scaleaudit.reference.corpus import Corpus
from scaleaudit.reference.tokens import VOCABULARY, cache_folder, encoded

TRAIN = [b"def f(x):\n    return x\n", "naïve = 'Größe'\n".encode(), b"x = 1\n" * 40]
HELD_OUT = [b"class Qqq:\n    zzz = 7\n"]


def corpus_with(train=TRAIN, held_out=HELD_OUT, fingerprint="f"):
    return Corpus("a text", partial(iter, train), partial(iter, held_out), fingerprint)


def test_bytes_are_the_documents_with_a_mark_between(tmp_path):
    found = encoded(corpus_with(), Encoding.BYTES, 256, tmp_path)
    assert bytes(found.train.tolist()) == b"\0".join(TRAIN) + b"\0"
    assert bytes(found.held_out.tolist()) == HELD_OUT[0] + b"\0"
    assert (found.encoding, found.name) == ("bytes", "a text")


@pytest.mark.parametrize(("vocabulary", "dtype"), [(300, torch.int16), (40_000, torch.int32)])
def test_byte_pairs_give_the_documents_back(vocabulary, dtype, tmp_path):
    found = encoded(corpus_with(), Encoding.BPE, vocabulary, tmp_path)
    tokenizer = Tokenizer.from_file(str(next(tmp_path.glob(f"*/{VOCABULARY}"))))
    texts = tokenizer.decode(found.train.tolist(), skip_special_tokens=False)
    assert texts == "".join(f"{each.decode()}<|end|>" for each in TRAIN)
    assert tokenizer.decode(found.held_out.tolist()) == HELD_OUT[0].decode()
    assert found.train.dtype is dtype
    assert len(found.train) < sum(map(len, TRAIN))
    assert int(found.train.max()) < vocabulary


def test_a_vocabulary_knows_nothing_of_what_is_held_out(tmp_path):
    encoded(corpus_with(held_out=[b"zzz" * 99]), Encoding.BPE, 300, tmp_path)
    tokenizer = Tokenizer.from_file(str(next(tmp_path.glob(f"*/{VOCABULARY}"))))
    assert "zz" not in tokenizer.get_vocab()


def test_what_was_prepared_is_used_again_and_other_text_is_not_taken_for_it(tmp_path):
    first = encoded(corpus_with(), Encoding.BPE, 300, tmp_path)
    unread = Corpus("a text", unreadable, unreadable, "f")
    again = encoded(unread, Encoding.BPE, 300, tmp_path)
    assert torch.equal(first.train, again.train)
    assert again.encoding == first.encoding
    other = encoded(corpus_with(train=[b"other"], fingerprint="g"), Encoding.BPE, 300, tmp_path)
    assert other.fingerprint != first.fingerprint
    assert len(other.train) < len(first.train)
    assert len([*tmp_path.iterdir()]) == 2


def unreadable():
    raise AssertionError("it was read again")


def test_what_was_not_finished_leaves_nothing(tmp_path):
    def broken():
        yield TRAIN[0]
        raise KeyboardInterrupt

    corpus = Corpus("a text", broken, partial(iter, HELD_OUT), "f")
    with pytest.raises(KeyboardInterrupt):
        encoded(corpus, Encoding.BYTES, 256, tmp_path)
    assert [*tmp_path.iterdir()] == []
    assert len(encoded(corpus_with(), Encoding.BYTES, 256, tmp_path).train) > 0


def test_one_that_prepares_the_same_at_once_uses_what_the_other_did(tmp_path, monkeypatch):
    whole = tokens._put

    def late(temporary, folder):
        monkeypatch.setattr(tokens, "_put", whole)
        encoded(corpus_with(), Encoding.BYTES, 256, tmp_path)
        whole(temporary, folder)

    monkeypatch.setattr(tokens, "_put", late)
    found = encoded(corpus_with(), Encoding.BYTES, 256, tmp_path)
    assert bytes(found.train.tolist()) == b"\0".join(TRAIN) + b"\0"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_file_that_is_not_whole_is_told(tmp_path):
    encoded(corpus_with(), Encoding.BYTES, 256, tmp_path)
    (file,) = tmp_path.glob("*/train.bin")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ProbeError, match=r"train.bin is not whole"):
        encoded(corpus_with(), Encoding.BYTES, 256, tmp_path)


def test_a_vocabulary_that_cannot_hold_bytes_is_refused(tmp_path):
    for encoding, vocabulary in ((Encoding.BYTES, 255), (Encoding.BPE, 256)):
        with pytest.raises(ConfigError, match=f"{vocabulary} tokens is too small"):
            encoded(corpus_with(), encoding, vocabulary, tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="the text cannot be kept in"):
        encoded(corpus_with(), Encoding.BYTES, 256, tmp_path / "taken")


def test_the_cache_is_where_one_says_else_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "scaleaudit" / "text"
    assert str(cache_folder("here")) == "here"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "scaleaudit" / "text"
