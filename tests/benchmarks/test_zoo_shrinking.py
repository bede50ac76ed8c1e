"""Configurations become small, and what had to fit together still does."""

import pytest

from benchmarks.zoo.meanings import Meaning, meaning_of
from benchmarks.zoo.shrinking import LAYERS, VOCABULARY, Scheme, scheme_of, shrink


def small(**fields):
    return fields | shrink(fields, scheme_of(fields))


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("hidden_size", Meaning.WIDTH),
        ("num_key_value_heads", Meaning.HEADS),
        ("mamba_d_head", Meaning.HEAD_WIDTH),
        ("qk_rope_head_dim", Meaning.HEAD_WIDTH),
        ("num_hidden_layers", Meaning.LAYERS),
        ("num_local_experts", Meaning.EXPERTS),
        ("num_experts_per_tok", Meaning.CHOSEN_EXPERTS),
        ("vocab_size", Meaning.VOCABULARY),
        ("type_vocab_size", Meaning.OTHER),
        ("pad_token_id", Meaning.TOKEN),
        ("max_position_embeddings", Meaning.POSITIONS),
        ("image_size", Meaning.OTHER),
        ("attn_layer_period", Meaning.PERIOD),
        ("hidden_dropout_prob", Meaning.OTHER),
        ("depths", Meaning.STAGE_LAYERS),
    ],
)
def test_words_of_a_name_tell_what_a_number_means(name, meaning):
    assert meaning_of(name) is meaning


def test_heads_and_their_width_still_make_up_the_width():
    config = small(hidden_size=4096, num_attention_heads=32, head_dim=128, num_key_value_heads=8)
    assert config["num_attention_heads"] * config["head_dim"] == config["hidden_size"] < 100
    assert config["num_attention_heads"] % config["num_key_value_heads"] == 0


def test_widths_keep_their_ratios_where_they_are_round():
    config = small(d_model=2048, num_heads=16, d_inner=8192, d_state=1024)
    assert config["d_inner"] == 4 * config["d_model"] == 8 * config["d_state"]


def test_several_counts_of_heads_are_divided_alike():
    config = small(hidden_size=2048, num_attention_heads=32, linear_num_value_heads=16)
    assert config["num_attention_heads"] == 2 * config["linear_num_value_heads"]


def test_numbers_of_layers_shrink_in_proportion():
    config = small(num_hidden_layers=48, loop_layer_index_start=12, loop_layer_index_end=36)
    assert config == {
        "num_hidden_layers": LAYERS,
        "loop_layer_index_start": 1,
        "loop_layer_index_end": 3,
    }


def test_even_schemes_give_every_part_as_many_layers():
    fields = {"encoder_layers": 2, "decoder_layers": 24, "num_nextn_predict_layers": 1}
    assert shrink(fields, Scheme(depth=24, is_even=True)) == {
        "encoder_layers": LAYERS,
        "decoder_layers": LAYERS,
    }


def test_lists_by_layer_are_cut_and_lists_by_stage_are_not():
    kinds = ["full", "window"] * 4
    config = small(num_hidden_layers=8, layer_types=kinds, intermediate_size=[4096] * 8)
    assert config["layer_types"] == kinds[:LAYERS]
    assert len(config["intermediate_size"]) == LAYERS
    stages = small(depths=[3, 4, 18, 2], hidden_sizes=[64, 128, 320, 512])
    assert stages["depths"] == [2, 2, 2, 2]
    assert len(stages["hidden_sizes"]) == 4


def test_layers_named_by_index_stay_among_those_there_are():
    config = small(num_hidden_layers=40, cross_attention_layers=[1, 3, 8, 13])
    assert config["cross_attention_layers"] == [1, 3]
    assert small(num_hidden_layers=40, global_attn_indexes=[8, 13])["global_attn_indexes"] == [3]


def test_special_tokens_fit_the_vocabulary_and_stay_apart():
    config = small(vocab_size=151936, pad_token_id=0, bos_token_id=151643, eos_token_id=151645)
    tokens = [config["pad_token_id"], config["bos_token_id"], config["eos_token_id"]]
    assert config["vocab_size"] == VOCABULARY
    assert len(set(tokens)) == 3
    assert max(tokens) < VOCABULARY


def test_fewer_experts_than_are_chosen_there_never_are():
    config = small(num_experts=256, num_experts_per_tok=10, n_group=8, topk_group=4)
    assert config["num_experts_per_tok"] <= config["num_experts"] // config["n_group"]
    assert config["topk_group"] <= config["n_group"]


def test_offsets_stay_within_their_period():
    assert small(attn_layer_period=8, attn_layer_offset=4) == {
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
    }


def test_heads_counted_stage_by_stage_stay():
    assert small(num_heads=[3, 6, 12, 24], embed_dim=96)["num_heads"] == [3, 6, 12, 24]


def test_schemes_that_do_not_narrow_leave_widths_and_heads():
    fields = {"hidden_size": 4096, "num_attention_heads": 32, "head_dim": 128, "num_layers": 32}
    assert shrink(fields, Scheme(8, 8, 32, narrows=False)) == {"num_layers": LAYERS}


def test_what_is_no_number_stays():
    fields = {"hidden_act": "silu", "tie_word_embeddings": True, "hidden_dropout": 0.1, "sizes": []}
    assert shrink(fields, scheme_of(fields)) == {}
