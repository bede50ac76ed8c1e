"""What a number in a configuration means, told from the words in its field's name."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import cache


class Meaning(Enum):
    """What a number is, as far as making it smaller goes."""

    OTHER = auto()
    TOKEN = auto()
    VOCABULARY = auto()
    EXPERTS = auto()
    CHOSEN_EXPERTS = auto()
    EXPERT_GROUPS = auto()
    PERIOD = auto()
    OFFSET = auto()
    HEAD_WIDTH = auto()
    HEADS = auto()
    POSITIONS = auto()
    STAGE_LAYERS = auto()
    LAYER_NAMES = auto()
    LAYER_INDICES = auto()
    LAYERS = auto()
    WIDTH = auto()


# The first that fits counts, so what is more special stands above.
_WORDS: tuple[tuple[Meaning, str], ...] = (
    (
        Meaning.TOKEN,
        r"(token_id|token_index|_id)s?$|^(pad|unk|mask|bos|eos|sep|cls|lang)_(index|id)$",
    ),
    (
        Meaning.OTHER,
        (
            r"dropout|drop_rate|pdrop|image_size|patch_size|num_channels|kernel|window|stride|padding"
            r"|max_new|type_vocab|num_labels|bins|dilation|pool|act_fn|ratio|mult|buckets|quantizers"
            r"|codebooks|languages|seed|theta|in_channels|task|crop_size|sampling|factor$|rope_param"
            r"|rope_scal|chunk|dtype|min_depth|max_distance|position_bias"
        ),
    ),
    (Meaning.VOCABULARY, r"vocab"),
    (Meaning.EXPERTS, r"^(num|n|moe_num|zero).*experts?(_num)?$"),
    (Meaning.CHOSEN_EXPERTS, r"experts_per_tok|moe_top_?k|^moe_k$|top_?k_experts"),
    (Meaning.EXPERT_GROUPS, r"^(n|topk)_group$"),
    (Meaning.OFFSET, r"offset"),
    (Meaning.PERIOD, r"period|interval|every_n|layer_group_size|_pattern|sparse_step"),
    (Meaning.HEAD_WIDTH, r"head_dim|head_size|d_head$|^d_kv$|kv_channels|dim_head|rotary_dim"),
    (Meaning.HEADS, r"heads?$|_groups?$"),
    (Meaning.POSITIONS, r"position|max_seq_len|^n_ctx$|max_pos"),
    (Meaning.STAGE_LAYERS, r"^depths$|stage_num_blocks|layers_per_stage|num_block_repeats"),
    (Meaning.LAYER_NAMES, r"layers?_(block_)?types?$|^block_types$|attn_layers$|layers_block"),
    (Meaning.LAYER_INDICES, r"layers?_idx|idxs?$|indices|_indexes$"),
    (Meaning.LAYERS, r"layers?$|^depth$|num_blocks|layer_index|dense_replace"),
    (
        Meaning.WIDTH,
        (
            r"hidden|d_model|n_embd|emb|dim|width|rank|ffn|inter|^d_|dff|channels|filters|state|size"
            r"|feed_forward"
        ),
    ),
)
_PATTERNS = tuple((meaning, re.compile(words)) for meaning, words in _WORDS)


@cache
def meaning_of(name: str) -> Meaning:
    """Tell what the number in a field is."""
    found = (meaning for meaning, pattern in _PATTERNS if pattern.search(name))
    return next(found, Meaning.OTHER)
