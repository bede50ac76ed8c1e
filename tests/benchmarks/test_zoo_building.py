"""What models are called with, and that a configuration becomes small where there is one."""

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmarks.zoo
from benchmarks.zoo.calling import CallError, calls_of
from benchmarks.zoo.explanations import read_explanations

HERE = Path(benchmarks.zoo.__file__).parent


class Config(SimpleNamespace):
    def get_text_config(self):
        return self


class Tokens:
    def forward(self, input_ids=None, decoder_input_ids=None, labels=None): ...


class Images:
    main_input_name = "pixel_values"

    def forward(self, pixel_values, labels=None): ...


class Teacher:
    def forward(self, pixel_values): ...


class Sounds:
    def forward(self, waves): ...


def first_call(model, kind, **config):
    return next(calls_of(model, Config(**config), kind))


def test_tokens_stay_within_the_vocabulary():
    call = first_call(Tokens, "causal-lm", vocab_size=64)
    assert call == dict.fromkeys(("input_ids", "labels"), "torch.randint(32, 64, (2, 16))")


def test_decoders_are_called_with_tokens_of_their_own():
    call = first_call(Tokens, "seq2seq-lm", vocab_size=256, is_encoder_decoder=True)
    assert list(call) == ["input_ids", "decoder_input_ids", "labels"]


def test_longer_calls_follow_up_to_the_positions_that_there_are():
    config = Config(vocab_size=256, max_position_embeddings=128)
    calls = [call["input_ids"] for call in calls_of(Tokens, config, "causal-lm")]
    assert [call[call.index("(2, ") :] for call in calls] == ["(2, 16))", "(2, 64))", "(2, 128))"]


def test_images_have_the_size_and_channels_of_the_configuration():
    config = {"image_size": [32, 64], "num_channels": 1, "num_labels": 3}
    assert first_call(Images, "image-classification", **config) == {
        "pixel_values": "torch.randn(2, 1, 32, 64)",
        "labels": "torch.randint(3, (2,))",
    }


def test_images_as_tokens_have_one_label_each():
    call = first_call(Tokens, "image-classification", vocab_size=256, num_labels=5)
    assert call["labels"] == "torch.randint(5, (2,))"


def test_a_model_without_labels_is_called_without():
    assert list(first_call(Teacher, "image-classification", image_size=32)) == ["pixel_values"]


def test_a_model_of_neither_tokens_nor_pixels_says_so():
    with pytest.raises(CallError, match="waves: neither tokens nor pixels"):
        first_call(Sounds, "causal-lm")


def test_every_hint_has_a_reason_and_every_explanation_words():
    hints = tomllib.loads((HERE / "hints.toml").read_text())
    assert all(hint["reason"] and hint.keys() - {"reason"} for hint in hints.values())
    assert all(e.text and e.classes for e in read_explanations(HERE / "loops.toml"))


def test_parts_of_a_configuration_shrink_with_it():
    transformers = pytest.importorskip("transformers")
    from benchmarks.zoo.configuring import small_configurations

    candidate, *_ = small_configurations(transformers.T5GemmaConfig, {"tie_word_embeddings": False})
    config = transformers.T5GemmaConfig(**candidate.changes)
    assert config.encoder.num_hidden_layers == config.decoder.num_hidden_layers == 4
    assert config.encoder.hidden_size == config.decoder.hidden_size < 200
    assert not config.tie_word_embeddings
