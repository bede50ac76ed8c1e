"""Modules of torch load when they are needed, and are then the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

# Runs every script that comes in a line of its own in a fork, and answers with what it printed.
SERVER = """
import contextlib, io, json, os, sys, traceback
{first}
import torch
for line in sys.stdin:
    reader, writer = os.pipe()
    if os.fork() == 0:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                exec(json.loads(line), dict(sys=sys, torch=torch))
            except BaseException:
                traceback.print_exc(file=said)
        os.write(writer, said.getvalue().strip().encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader) as answer:
        print(json.dumps(answer.read()), flush=True)
"""
FAKES = """
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode() as mode:
    x = torch.randn(3, 4)
    view = mode.from_tensor(torch.zeros(6, dtype=torch.int64)[2:])
    assert view.shape == (4,) and (x + view).softmax(-1).sum().shape == ()
    torch.nn.functional.rms_norm(x, (4,)).mean().exp()
"""
LOADED = "[name for name in ('torch._dynamo.utils', 'sympy.core') if name in sys.modules]"

Ask = Callable[[str], str]


@contextmanager
def serving(first: str, **variables: str) -> Iterator[Ask]:
    """Start a Python that does something first; yield what runs scripts in forks of it."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER.format(first=first)],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def ask(script: str) -> str:
            server.stdin.write(json.dumps(textwrap.dedent(script)) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield ask
        server.stdin.close()


@pytest.fixture(scope="module")
def deferred() -> Iterator[Ask]:
    """Run scripts where modules are deferred."""
    with serving("from scaleaudit.capture import warm") as ask:
        yield ask


@pytest.fixture(scope="module")
def loaded() -> Iterator[Ask]:
    """Run scripts where everything was loaded at once."""
    with serving("from scaleaudit.capture import warm", SCALEAUDIT_LOAD_ALL="1") as ask:
        yield ask


@pytest.fixture(scope="module")
def plain() -> Iterator[Ask]:
    """Run scripts where torch is as it comes."""
    with serving("import torch, scaleaudit.capture._torch_deferred") as ask:
        yield ask


def test_fakes_need_neither_the_compiler_nor_sympy(deferred):
    assert deferred(f"{FAKES}\nprint({LOADED})") == "[]"


def test_a_variable_has_everything_loaded_at_once(loaded):
    said = loaded(f"print({LOADED}, type(torch._dynamo).__name__)")
    assert said == "['torch._dynamo.utils', 'sympy.core'] module"


@pytest.mark.parametrize(
    ("module", "asked"),
    [
        ("torch._dynamo", "torch._dynamo.reset()"),
        ("torch._dynamo", "torch.compiler.disable(print)"),
        ("torch._dynamo", "import torch._dynamo.exc as exc; assert exc is torch._dynamo.exc"),
        ("torch._dynamo", "from torch._dynamo import source; source.LocalSource('x')"),
        ("torch._dynamo.source", "from torch._dynamo.source import LocalSource"),
        ("torch.fx.experimental.symbolic_shapes", "torch.fx.experimental.symbolic_shapes.ShapeEnv"),
        ("sympy", "import sympy.core.numbers as n; assert n.Integer(3) + 4 == 7"),
        ("sympy", "import sympy; assert isinstance(sympy.Symbol('x'), sympy.Basic)"),
        ("sympy", "from sympy import Basic, Symbol; assert isinstance(Symbol('x'), Basic)"),
        ("sympy", "from sympy import Basic; assert type('Own', (Basic,), {}).__mro__"),
        ("sympy", "from sympy import Basic; assert Basic | None and isinstance(Basic(), Basic)"),
        ("sympy", "import sympy; assert sympy.__version__[0].isdigit()"),
    ],
)
def test_who_asks_for_more_gets_the_real_module(deferred, module, asked):
    script = f"""
before = sys.modules[{module!r}]
{"" if "Own" in asked else FAKES}
assert type(before).__name__ == "Deferred"
{asked.replace("type('Own', (Basic,), {})", "__import__('types').new_class('Own', (Basic,))")}
after = sys.modules[{module!r}]
print(after is before, type(after).__name__, after.__spec__.name, after.__file__[-3:])
"""
    assert deferred(script) == f"True module {module} .py"


def test_modules_are_the_same_as_without_deferral(deferred, loaded):
    script = """
        import torch._dynamo.source
        names = "torch._dynamo", "torch._dynamo.source", "torch.fx.experimental.symbolic_shapes"
        torch._dynamo.reset, torch._dynamo.source.LocalSource
        mine = lambda name: sorted(key for key in vars(sys.modules[name]) if key[0] != "_")
        print([mine(name) for name in names], sys.modules["sympy"].Basic)
    """
    assert deferred(script) == loaded(script)


def test_a_symbol_is_judged_by_the_real_module(deferred):
    script = """
        from torch.fx.experimental.symbolic_shapes import guard_or_false, sym_eq
        from torch.fx.experimental.symbolic_shapes import ShapeEnv
        size = ShapeEnv().create_unbacked_symint()
        print(guard_or_false(size == 3), guard_or_false(True), sym_eq([2], [2]), size.node.expr)
    """
    assert deferred(script) == "False True True u0"


def test_no_mode_sees_how_a_module_loads(deferred):
    script = """
        from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
        from torch.overrides import TorchFunctionMode
        class Counting(TorchFunctionMode):
            seen = 0
            def __torch_function__(self, function, types, args=(), kwargs=None):
                self.seen += 1
                return function(*args, **(kwargs or {}))
        with FakeTensorMode(), Counting() as mode, torch.device("meta"):
            seen = mode.seen
            torch._dynamo.reset
        held = [v for m in list(sys.modules.values()) for v in vars(m).values()]
        print(mode.seen - seen, sum(type(value) is FakeTensor for value in held))
    """
    assert deferred(script) == "0 0"


def test_what_was_disabled_while_the_compiler_was_away_is_disabled_once_it_is_there(deferred):
    script = """
        from torch._compile import _disable_dynamo
        def function(): return 3
        disabled = _disable_dynamo(function)
        first = disabled(), vars(function)["__dynamo_disable"] is function
        torch._dynamo.reset
        print(first, disabled(), vars(function)["__dynamo_disable"] is function)
    """
    assert deferred(script) == "(3, True) 3 False"


COMPILED = """
from scaleaudit.capture._torch_deferred import compiled_runs_eagerly
def fail(*_): raise AssertionError
compiled = lambda: torch.compile(lambda x: x + 1, backend=fail)(torch.zeros(1)).item()
def fails():
    try: return compiled()
    except Exception as error: return "compiled"
"""


@pytest.mark.parametrize("start", ["deferred", "loaded"])
def test_compiled_functions_run_eagerly_wherever_the_compiler_loads(request, start):
    script = f"""
{COMPILED}
with compiled_runs_eagerly():
    first = compiled()
between = fails()
with compiled_runs_eagerly():
    print(first, between, compiled(), end=" ")
print(fails())
"""
    assert request.getfixturevalue(start)(script) == "1.0 compiled 1.0 compiled"


def test_a_compiler_that_loads_outside_of_a_recording_compiles(deferred):
    script = f"""
{COMPILED}
with compiled_runs_eagerly():
    pass
print(fails())
"""
    assert deferred(script) == "compiled"


UNCHANGED = """
import sys, torch
from scaleaudit.capture import _torch_deferred
before = dict(sys.modules), list(sys.meta_path)
print(_torch_deferred.defer({wanted}), end=" ")
after = {{name for name, module in sys.modules.items() if before[0].get(name) is not module}}
print(after & {{"sympy", "torch._dynamo", "no_such"}}, sys.meta_path == before[1], end=" ")
print(hasattr(torch.fx.experimental, "symbolic_shapes"), torch._dynamo.reset.__name__)
"""


@pytest.mark.parametrize(
    "wanted",
    [
        '{"torch.fx.experimental.symbolic_shapes": {"no_such_name": bool}, "torch._dynamo": {}}',
        '{"sympy": {}, "torch._dynamo": {"no_such_name": bool}}',
        '{"sympy": {}, "no_such_module": {}}',
        '{"torch.fx.experimental.no_such_module": {}}',
        '{"torch._C": {}, "no_such": {}}',
    ],
)
def test_another_torch_is_left_as_it_is(plain, wanted):
    assert plain(UNCHANGED.format(wanted=wanted)) == "False set() True False reset"


def test_what_is_loaded_already_is_not_deferred(plain):
    script = f"""
import sys, torch.fx.experimental.symbolic_shapes as shapes
from scaleaudit.capture._torch_deferred import defer
print(defer(), type(shapes).__name__, type(sys.modules["sympy"]).__name__)
{FAKES}
print("torch._dynamo.utils" in sys.modules)
import torch._dynamo
print(defer(), torch._dynamo.reset.__name__, defer())
"""
    assert plain(script).splitlines() == ["True module module", "False", "False reset False"]


def test_python_may_look_through_all_modules(deferred):
    script = f"""
import inspect, warnings
for module in [each for each in sys.modules.values() if type(each).__name__ == "Deferred"]:
    inspect.unwrap(module), getattr(module, "__warningregistry__", None)
inspect.getmodule(torch.nn.Linear), inspect.getsourcefile(torch.nn.Linear)
print({LOADED})
"""
    assert deferred(script) == "[]"
