"""The lines of keys in files of settings."""

from __future__ import annotations

import pytest

from scaleaudit.config.lines import line_of

TEXT = '''title = """
[tool.scaleaudit]
ignore = 1
"""
list = [
  "x",
]
[tool.scaleaudit]
select = [
  "ignore = 2",
]
"ignore" = []

[tool.scaleaudit.per-file-ignores]
"a.py" = ["SCL1"]

[[tool.scaleaudit.targets]]
path = "m.py"
[tool.scaleaudit.targets.arguments]
width = 3
[[tool.scaleaudit.targets]]
path = "n.py"
inputs = [
  {shape = 3},
]
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("select", 9),
        ("ignore", 12),
        ("per-file-ignores", 14),
        ("targets[0]", 17),
        ("targets[0].path", 18),
        ("targets[0].arguments", 19),
        ("targets[0].arguments.width", 20),
        ("targets[1]", 21),
        ("targets[1].path", 22),
        ("targets[1].inputs[0].shape", 23),
        ("targets[1].gone", 21),
        ("preview", 0),
    ],
)
def test_a_key_is_found_behind_strings_and_lists_that_look_like_it(key, line):
    assert line_of(TEXT, ("tool", "scaleaudit"), key) == line


def test_a_file_without_a_table_has_its_keys_at_the_top():
    assert line_of("\njobs = 3\n", (), "jobs") == 2
    assert line_of("[tool]\nscaleaudit.jobs = 3\n", ("tool", "scaleaudit"), "jobs") == 2
    assert line_of("a = {b = 1}\n", (), "a.b") == 1
