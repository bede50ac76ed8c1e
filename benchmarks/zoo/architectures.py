"""Which architectures there are: every model class of the swept mappings, once."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest

# The kinds of models, by the mapping of transformers that lists them.
KINDS = {
    "causal-lm": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked-lm": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "seq2seq-lm": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "image-classification": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
}

# What a mapping says: from the type of a model to its class, or to several.
Mapped = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model class of a mapping.

    Attributes:
        kind: A key of KINDS, of the first mapping that lists it.
        model_type: The first type of model that it is listed for.
        class_name: Its name among what transformers exports.
    """

    kind: str
    model_type: str
    class_name: str

    def fits(self, patterns: Iterable[str]) -> bool:
        """Say whether one of the patterns fits its class, its type or its kind."""
        names = (self.class_name, self.model_type, self.kind)
        return any(fnmatch.fnmatch(name.lower(), p.lower()) for name in names for p in patterns)


def architectures_of(mappings: Mapping[str, Mapped]) -> tuple[Architecture, ...]:
    """List every class of the given mappings once.

    They take turns, so that what a stopped sweep has seen is of all kinds.
    """
    found: dict[str, Architecture] = {}
    for kind, mapping in mappings.items():
        for model_type, listed in mapping.items():
            for name in (listed,) if isinstance(listed, str) else listed:
                found.setdefault(name, Architecture(kind, model_type, name))
    by_kind = [[a for a in found.values() if a.kind == kind] for kind in mappings]
    return tuple(a for turn in zip_longest(*by_kind) for a in turn if a is not None)


def main() -> None:
    """Print the mappings of the installed transformers as JSON, by kind."""
    from transformers.models.auto import modeling_auto

    print(json.dumps({kind: dict(getattr(modeling_auto, name)) for kind, name in KINDS.items()}))


if __name__ == "__main__":
    main()
