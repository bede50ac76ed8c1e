"""Mistakes in files of settings, and in the flags over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cases import Case, commands

from scaleaudit.config import Settings

_TARGET = '[[targets]]\npath = "m.py"\nfactory = "Net"\n'
_LAW = '[[laws]]\noperator = "a::f"\n'
_TEXTS = {
    "unknown_key": 'selct = ["SCL1"]\n',
    "table_of_a_project": "[tool.scaleaudit]\njobs = 1\n",
    "codes_no_list": 'select = "SCL1"\n',
    "pattern": '[per-file-ignores]\n"[z-a].py" = ["SCL1"]\n',
    "per_file_ignores_no_table": 'per-file-ignores = ["SCL1"]\n',
    "word": 'fail-level = "eror"\n',
    "flag": 'preview = "yes"\n',
    "number": "timeout = 0\n",
    "whole_number": "jobs = 1.5\n",
    "folder": "cache-dir = 3\n",
    "file": "baseline = 3\n",
    "no_such_code": 'ignore = ["SCL1", "SCL777"]\n',
    "no_toml": "jobs = \n",
    "probe_no_table": "probe = 100\n",
    "probe_unknown_key": "probe = {step = 100}\n",
    "probe_device": "probe = {device = 1}\n",
    "probe_steps": "[probe]\nseeds = 2\nsteps = 0\n",
    "targets_no_list": "targets = 3\n",
    "target_no_table": "targets = [3]\n",
    "target_unknown_key": f"{_TARGET}facory = 1\n",
    "target_gone": _TARGET.replace("m.py", "gone.py"),
    "target_incomplete": '[[targets]]\npath = "m.py"\n',
    "target_no_text": f"{_TARGET}name = 3\n",
    "target_no_name": f'{_TARGET}loss = "a-b"\n',
    "inputs": f"{_TARGET}inputs = 3\n",
    "inputs_single": f"{_TARGET}inputs = {{shape = [2]}}\n",
    "inputs_names": f'{_TARGET}inputs = {{"a b" = 3}}\n',
    "input_value": f"{_TARGET}inputs = [{{value = {{}}}}]\n",
    "input_date": f"{_TARGET}inputs = [1979-05-27]\n",
    "input_empty": f"{_TARGET}inputs = [{{}}]\n",
    "input_without_shape": f"{_TARGET}inputs = [{{shap = [2]}}]\n",
    "input_unknown_key": f"{_TARGET}inputs = [{{shape = [2], dtyp = 'int64'}}]\n",
    "input_dtype": f"{_TARGET}inputs = [{{shape = [2], dtype = 'int46'}}]\n",
    "input_range": f"{_TARGET}inputs = [{{shape = [2], low = 3, high = 3}}]\n",
    "input_shape": f"{_TARGET}inputs = [{{shape = 3}}]\n",
    "input_bound": f"{_TARGET}inputs = [{{shape = [2], low = 'a'}}]\n",
    "arguments": f"{_TARGET}arguments = 3\n",
    "argument_beside_factory": f"{_TARGET}arguments = {{a = {{factory = 'C', n = 3}}}}\n",
    "argument_date": f"{_TARGET}arguments = {{a = 1979-05-27}}\n",
    "laws_no_list": "laws = 3\n",
    "law_no_table": "laws = [3]\n",
    "law_twice": f"{_LAW}degree = 0\n{_LAW}degree = 1\n",
    "law_unknown_key": f"{_LAW}degre = 0\n",
    "law_limit": f"{_LAW}degree = 0\nlimit = 1\n",
    "law_flawed": _LAW,
    "law_without_operator": "[[laws]]\ndegree = 0\n",
    "law_operator": '[[laws]]\noperator = "f"\ndegree = 0\n',
    "law_number": f'{_LAW}degree = "0"\n',
    "law_degrees": f"{_LAW}degrees = [0]\n",
    "law_bounds": f"{_LAW}bounded = [1]\n",
}
_PLAIN = {"m.py": "", "pyproject.toml": "[project]\n", "in_use.toml": "", "taken/x": ""}


def cases() -> Iterator[Case]:
    """Return every case."""
    for name, text in _TEXTS.items():
        yield Case(f"settings_{name}", ("config",), {"m.py": "", "scaleaudit.toml": text})
    yield Case("settings_no_table", ("config",), {"pyproject.toml": "[tool]\nscaleaudit = 3\n"})
    yield Case("settings_no_text", ("config",), {"scaleaudit.toml": b"\xff"})
    yield from commands(
        {
            "config_without_a_table": "config --config pyproject.toml",
            "config_of_a_missing_file": "config --config gone.toml",
            "config_and_isolated": "config --config in_use.toml --isolated",
            "config_for_a_missing_file": "config gone.py",
            "file_ignores_without_codes": "config --per-file-ignores m.py",
            "file_ignores_pattern": "config --per-file-ignores [z-a].py:SCL1",
            "flag_code": "config --select SCL777",
            "flag_choice": "check m.py --fail-level fatal",
            "flag_number": "check m.py --timeout 0",
            "flag_folder": "check m.py --rules gone",
            "flag_unknown": "check m.py --selct SCL1",
        },
        _PLAIN,
    )
    yield Case("settings_gone", Settings(file=Path("gone.toml")).for_run)
    yield Case("settings_that_are_a_folder", ("check", "m.py", "--config", "taken"), _PLAIN)
    yield Case("init_twice", ("init",), {"scaleaudit.toml": ""})
    yield Case("init_without_room", ("init",), {"pyproject.toml": "tool = {a = 1}\n"})
