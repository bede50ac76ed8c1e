"""Text to train on: what is in it, and that nothing is both trained on and held out."""

from __future__ import annotations

import pytest

from scaleaudit.domain.training import Text
from scaleaudit.errors import ProbeError
from scaleaudit.reference.corpus import corpus_of, digest_of, divided, source_corpus


@pytest.fixture
def sources(tmp_path):
    for number in range(60):
        folder = tmp_path / "lib" / str(number % 3)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"m{number}.py").write_text(f"x = {number}\n")
    return tmp_path / "lib"


def test_every_source_is_in_one_part_and_none_in_both(sources):
    (sources / "notes.txt").write_text("no source")
    corpus = source_corpus("lib", [sources])
    train, held_out = [*corpus.train()], [*corpus.held_out()]
    assert {*train, *held_out} == {path.read_bytes() for path in sources.rglob("*.py")}
    assert not {*train} & {*held_out}
    assert 0 < len(held_out) < len(train)


def test_a_source_that_is_there_twice_counts_once(sources):
    before = source_corpus("lib", [sources])
    (sources / "copy.py").write_text("x = 7\n")
    after = source_corpus("lib", [sources])
    assert [*after.train(), *after.held_out()] == [*before.train(), *before.held_out()]
    assert after.fingerprint == before.fingerprint


def test_the_same_sources_elsewhere_make_the_same_text(sources):
    before = source_corpus("lib", [sources])
    there = [*before.train()], [*before.held_out()]
    moved = sources.rename(sources.with_name("moved"))
    after = source_corpus("lib", [moved])
    assert ([*after.train()], [*after.held_out()]) == there
    assert after.fingerprint == before.fingerprint


def test_another_text_has_another_fingerprint(sources):
    before = source_corpus("lib", [sources]).fingerprint
    (sources / "more.py").write_text("y = 1\n")
    assert source_corpus("lib", [sources]).fingerprint != before


def test_packages_within_the_library_are_no_part_of_it(sources):
    place = sources / "site-packages" / "deep" / "site-packages"
    place.mkdir(parents=True)
    (place / "foreign.py").write_text("foreign = True\n")
    corpus = source_corpus("lib", [sources])
    assert b"foreign = True\n" not in {*corpus.train(), *corpus.held_out()}
    both = source_corpus("lib", [sources, sources / "site-packages"])
    assert b"foreign = True\n" in {*both.train(), *both.held_out()}


def test_of_few_documents_one_is_held_out():
    digests = sorted(digest_of(bytes([number])) for number in range(3))
    train, held_out = divided(digests)
    assert (len(train), len(held_out)) == (2, 1)
    assert divided(digests[:1]) == (digests[:1], [])


def test_about_a_twentieth_is_held_out():
    digests = [digest_of(str(number).encode()) for number in range(4000)]
    assert 0.03 < len(divided(digests)[1]) / 4000 < 0.07


def test_too_few_sources_are_told(tmp_path):
    (tmp_path / "a.py").write_text("alone")
    with pytest.raises(ProbeError, match=r"1 Python sources .* too few"):
        source_corpus("lib", [tmp_path])


def test_the_default_is_the_library_of_this_interpreter():
    corpus = corpus_of(Text())
    assert corpus.name == "the sources of Python's standard library"
    assert sum(1 for _ in corpus.held_out()) > 10
    assert any(b"def namedtuple(" in document for document in corpus.train())
