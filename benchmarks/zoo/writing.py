"""Target files: one small model each, as anyone would declare it."""

from __future__ import annotations

import pprint
from typing import Any

_FILE = '''"""{class_name} with a small configuration, called with its labels."""

import torch
from {config_module} import {config_class}
from {model_module} import {class_name}

CHANGES = {changes}


def scaleaudit_target():
    model = {class_name}({config_class}(**CHANGES))
{inputs}
    return {{"model": model, "args": (), "kwargs": {kwargs}}}
'''

# An input as the expression that makes it, by its name.
Inputs = dict[str, str]


def target_text(
    model_class: type, config_class: type, changes: dict[str, Any], inputs: Inputs
) -> str:
    """Write the file that builds a model and says what it is called with."""
    lines = [f"    {name} = {expression}" for name, expression in inputs.items()]
    return _FILE.format(
        class_name=model_class.__name__,
        model_module=model_class.__module__,
        config_class=config_class.__name__,
        config_module=config_class.__module__,
        changes=pprint.pformat(changes, width=96, sort_dicts=False),
        inputs="\n".join(lines),
        kwargs="{" + ", ".join(f'"{name}": {name}' for name in inputs) + "}",
    )
