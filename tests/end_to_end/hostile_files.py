"""Model files that hang, crash, print, fork, kill and vandalise, with what must be said of each."""

from __future__ import annotations

from dataclasses import dataclass

from user_files import BLIND

# The line of a file that the finding must point to ends so.
HERE = "# here"
# A stray process would live as long; tests wait for less.
LONG = 120


@dataclass(frozen=True)
class Hostile:
    """A file and what is expected of its audit.

    Attributes:
        words: What the message of the SCL901 must hold; none where the file is audited.
        either: Whether the file may be audited as well as not.
    """

    text: str
    words: tuple[str, ...] = ()
    either: bool = False

    @property
    def line(self) -> int | None:
        """The line that the finding must point to, where one is marked."""
        lines = self.text.splitlines()
        return next((n for n, line in enumerate(lines, 1) if line.endswith(HERE)), None)


def _at_import(code: str, *words: str, either: bool = False) -> Hostile:
    return Hostile(f"{code}\n\n{BLIND}", words, either)


def _in_constructor(code: str, *words: str, either: bool = False) -> Hostile:
    return Hostile(_before("        self.embed = nn.Embedding", code), words, either)


def _in_forward(code: str, *words: str, either: bool = False) -> Hostile:
    return Hostile(_before("        h = self.embed(tokens)", code), words, either)


def _before(line: str, code: str) -> str:
    indented = "".join(f"        {part}\n" for part in code.splitlines())
    return BLIND.replace(line, indented + line, 1)


_STILL_RUNNING = "still running after"
_MEMORY = "more memory than the limit"

HANGING = {
    "loops_at_import": _at_import(f"while True: pass  {HERE}", _STILL_RUNNING),
    "loops_in_constructor": _in_constructor(f"while True: pass  {HERE}", _STILL_RUNNING),
    "loops_in_forward": _in_forward(f"while True: pass  {HERE}", _STILL_RUNNING),
    "loops_in_c": _at_import(
        f"import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')  {HERE}", _STILL_RUNNING
    ),
    "ignores_signals_and_sleeps": _at_import(
        "import signal, time\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        f"time.sleep({LONG})  {HERE}",
        _STILL_RUNNING,
    ),
    "error_whose_words_never_end": _in_forward(
        "import time\n"
        "class Slow(Exception):\n"
        f"    def __str__(self): time.sleep({LONG}); return ''  {HERE}\n"
        "raise Slow",
        _STILL_RUNNING,
    ),
    "prints_without_end": _at_import(
        f"while True: print('x' * 1000, end='')  {HERE}", _STILL_RUNNING
    ),
    "waits_for_a_lock": _at_import(
        f"import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()  {HERE}",
        _STILL_RUNNING,
    ),
}

ENDING = {
    "recurses": _in_forward(f"def again(): return again()  {HERE}\nagain()", "RecursionError"),
    "overflows_the_stack_of_c": _in_forward(
        "import sys\nsys.setrecursionlimit(10**9)\n"
        f"class Deep:\n    def __getattr__(self, name): return getattr(self, name + 'x')  {HERE}\n"
        "Deep().x",
        "SIGSEGV",
    ),
    "leaves": _at_import("import os\nos._exit(0)", "exit code 0 before the audit was done"),
    "leaves_in_forward": _in_forward("import os\nos._exit(7)", "exit code 7"),
    "exits": _in_forward(f"import sys\nsys.exit(3)  {HERE}", "SystemExit: 3"),
    "exits_at_import": _at_import(f"raise SystemExit('done')  {HERE}", "SystemExit: done"),
    "reads_address_zero": _in_forward(f"import ctypes\nctypes.string_at(0)  {HERE}", "SIGSEGV"),
    "aborts": _in_constructor(f"import os\nos.abort()  {HERE}", "SIGABRT"),
    "kills_itself": _at_import("import os\nos.kill(os.getpid(), 9)", "SIGKILL"),
    "terminates_itself": _at_import("import os\nos.kill(os.getpid(), 15)", "SIGTERM"),
    "stops_itself": _at_import(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "stopped by SIGSTOP"
    ),
    "kills_its_group": _in_forward("import os\nos.killpg(0, 9)", "SIGKILL"),
    "sets_an_alarm": _at_import("import signal, time\nsignal.alarm(1)\ntime.sleep(30)", "SIGALRM"),
    "raises_from_a_signal_handler": _at_import(
        "import signal, time\n"
        f"def handler(*_): raise RuntimeError('tick')  {HERE}\n"
        "signal.signal(signal.SIGALRM, handler)\nsignal.alarm(1)\ntime.sleep(30)",
        "RuntimeError: tick",
    ),
    "continues_as_a_copy": _at_import("import os\nif os.fork(): os._exit(0)", "exit code 0"),
}

GREEDY = {
    "asks_torch_for_200_gb": _at_import(
        f"import torch\nbig = torch.ones(50 * 2**30)  {HERE}", _MEMORY
    ),
    "asks_python_for_200_gb": _in_constructor(
        f"self.big = bytearray(200 * 2**30)  {HERE}", _MEMORY
    ),
    "asks_numpy_for_200_gb": _in_forward(
        f"import numpy\nself.big = numpy.ones(25 * 2**30)  {HERE}", _MEMORY
    ),
    "takes_little_by_little": _at_import(
        f"hoard = []\nwhile True: hoard.append(bytearray(2**20))  {HERE}", _MEMORY
    ),
    "takes_crumb_by_crumb": _in_forward(
        f"hoard = []\nwhile True: hoard.append([bytes(9999) for _ in range(99)])  {HERE}", _MEMORY
    ),
    "forks_that_take": _at_import(
        f"import os, time\nif os.fork() == 0:\n    hoard = bytearray(200 * 2**30)\n    time.sleep({LONG})"
    ),
}

RAISING = {
    "raises_a_keyboard_interrupt": _in_forward(
        f"raise KeyboardInterrupt  {HERE}", "KeyboardInterrupt"
    ),
    "raises_generator_exit": _at_import(
        f"raise GeneratorExit('out')  {HERE}", "GeneratorExit: out"
    ),
    "raises_a_base_exception": _in_constructor(
        f"class Odd(BaseException): pass\nraise Odd('odd one')  {HERE}", "Odd: odd one"
    ),
    "error_without_words": _in_forward(
        "class Mute(Exception):\n    def __str__(self): raise ValueError('no words')\n"
        f"raise Mute  {HERE}",
        "Mute",
    ),
    "error_that_commands_the_terminal": _in_forward(
        f"raise ValueError('\\x1b[2J\\x1b]0;owned\\x07red')  {HERE}", "ValueError"
    ),
    "error_of_megabytes": _in_forward(f"raise ValueError('x' * 10**7)  {HERE}", "ValueError: xxx"),
    "error_that_is_no_text": _in_forward(f"raise ValueError('\\udc80')  {HERE}", "ValueError"),
    "error_that_lies_about_its_class": _in_forward(
        "class Liar(BaseException):\n    @property\n"
        "    def __class__(self): raise RuntimeError('no class')\n"
        f"raise Liar('lie')  {HERE}",
        "Liar: lie",
    ),
    "class_whose_metaclass_raises": _in_forward(
        "class Meta(type):\n"
        "    def __getattribute__(cls, name): raise RuntimeError('none of that')\n"
        "class Odd(Exception, metaclass=Meta): pass\n"
        f"raise Odd('odd')  {HERE}",
        "Odd",
    ),
    "model_that_lies": _at_import(
        "class Lying:\n    def __getattr__(self, name): return Lying()\n"
        "    def __call__(self, *_): return Lying()\n"
        "def scaleaudit_target_lying(): return Lying()",
        either=True,
    ),
}

PATCHING = {
    "prints_megabytes": _at_import("for _ in range(9): print('x' * 10**6, flush=True)"),
    "prints_binary": _at_import(
        "import os, sys\nos.write(1, bytes(range(256)) * 999)\nos.write(2, b'\\xff\\x00' * 9999)\n"
        "sys.stdout.buffer.write(b'\\x1b[2J\\xfe')"
    ),
    "prints_faces_of_errors": _at_import(
        "print('Fatal Python error: none\\n  File \"/etc/passwd\", line 1 in root')"
    ),
    "deletes_torch": _at_import(
        "import sys\nfor name in [n for n in sys.modules if n.split('.')[0] == 'torch']:\n"
        "    del sys.modules[name]",
        "torch",
    ),
    "replaces_torch": _at_import(
        "import sys\nsys.modules['torch.fx'] = None", "sys.modules['torch.fx']"
    ),
    "deletes_our_modules": _at_import(
        "import sys\nfor name in [n for n in sys.modules if n.startswith('scaleaudit')]:\n"
        "    del sys.modules[name]",
        "sys.modules['scaleaudit",
    ),
    "replaces_our_modules": _at_import(
        "import sys, types\nfor name in [n for n in sys.modules if n.startswith('scaleaudit')]:\n"
        "    sys.modules[name] = types.ModuleType(name)",
        "sys.modules['scaleaudit",
    ),
    "replaces_json": _at_import("import sys\nsys.modules['json'] = None"),
    "empties_sys_modules": _at_import("import sys\nsys.modules.clear()", "sys.modules["),
    "patches_open_and_print": _at_import(
        "import builtins\nbuiltins.open = builtins.print = builtins.input = None"
    ),
    "patches_isinstance": _at_import(
        "import builtins\nbuiltins.isinstance = lambda *_: True", "builtins.isinstance"
    ),
    "patches_len_in_forward": _in_forward("import builtins\nbuiltins.len = None", "builtins.len"),
    "empties_builtins": _in_forward("import builtins\nvars(builtins).clear()", "builtins."),
    "patches_torch": _at_import(
        "import torch\ntorch.add = torch.ones = torch.nn.functional.gelu = None", either=True
    ),
    "loses_its_streams": _at_import("import sys\nsys.stdout = sys.stderr = sys.stdin = None"),
    "has_streams_that_raise": _at_import(
        "import sys\nclass Stream:\n    def __getattr__(self, name): raise RuntimeError(name)\n"
        "sys.stdout = sys.stderr = Stream()"
    ),
    "patches_the_exits": _at_import(
        "import os, sys\nos._exit = sys.exit = lambda *_: None\nos.getpid = lambda: 1"
    ),
    "lifts_the_recursion_limit": _at_import("import sys\nsys.setrecursionlimit(10**9)"),
    "closes_all_descriptors": _at_import("import os\nos.closerange(0, 4096)"),
    "scribbles_on_all_descriptors": _at_import(
        "import os\nfor d in range(3, 300):\n    try: os.write(d, b'v\\x80nonsense' * 99)\n"
        "    except OSError: pass"
    ),
    "goes_elsewhere": _at_import("import os\nos.chdir('/')"),
    "clears_its_environment": _at_import("import os\nos.environ.clear()"),
    "changes_torchs_defaults": _at_import(
        "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n"
        "torch.set_default_device('meta')",
        either=True,
    ),
    "starts_a_thread_that_spins": _at_import(
        "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start()"
    ),
    "starts_threads_that_never_end": _at_import(
        "import threading\nfor _ in range(20): threading.Thread(target=threading.Event().wait).start()"
    ),
    "leaves_handlers_for_the_end": _at_import(
        f"import atexit, time\natexit.register(time.sleep, {LONG})\natexit.register(lambda: 1 / 0)"
    ),
    "objects_that_do_not_want_to_go": _in_constructor(
        "class Sticky:\n    def __del__(self): raise RuntimeError('not now')\nself.sticky = Sticky()"
    ),
    "object_that_never_goes": _in_constructor(
        f"import time\nclass Slow:\n    def __del__(self): time.sleep({LONG})\nself.slow = Slow()",
        _STILL_RUNNING,
        either=True,
    ),
    "turns_the_collector_off": _at_import("import gc\ngc.disable()"),
    "traces_itself": _at_import(
        "import sys\nsys.settrace(lambda *_: None)\nsys.setprofile(lambda *_: None)"
    ),
    "asks_the_user": _in_forward(f"input('your name? ')  {HERE}", "EOFError"),
    "reads_what_it_is_not_given": _at_import("import sys\nassert sys.stdin.read() == ''"),
    "handles_all_signals": _at_import(
        "import signal\nfor n in signal.valid_signals():\n"
        "    try: signal.signal(n, lambda *_: None)\n    except OSError: pass"
    ),
    "ticks": _at_import(
        "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)"
    ),
    "sets_a_low_recursion_limit": _at_import("import sys\nsys.setrecursionlimit(60)", either=True),
}

FORKING = {
    "returns_twice": _in_forward("import os\nos.fork()"),
    "leaves_a_child": _at_import(f"import os, time\nif os.fork() == 0: time.sleep({LONG})"),
    "leaves_a_daemon": _at_import(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n    os.chdir('/')\n    os.closerange(0, 64)\n"
        f"    time.sleep({LONG})"
    ),
    "leaves_a_program": _at_import(
        f"import subprocess\nsubprocess.Popen(['sleep', '{LONG}'], start_new_session=True, env={{}})"
    ),
    "multiplies": _at_import(
        "import os\nfirst = os.getpid()\nfor _ in range(5): os.fork()\n"
        "if os.getpid() != first: os.setsid()"
    ),
    "starts_workers": _at_import(
        "import multiprocessing, time\n"
        "context = multiprocessing.get_context('fork')\n"
        f"worker = context.Process(target=time.sleep, args=({LONG},))\nworker.start()"
    ),
    "waits_for_its_child": _at_import(
        f"import os, time\nif os.fork() == 0: time.sleep({LONG})\nos.wait()  {HERE}", _STILL_RUNNING
    ),
}

_PARENT = "import os, signal\nparent = os.getppid()\n"
_GRANDPARENT = (
    _PARENT + "stat = open(f'/proc/{parent}/stat').read()\n"
    "grandparent = int(stat.rpartition(')')[2].split()[1])\n"
)
PARRICIDES = {
    "terminates_its_parent": _at_import(_PARENT + "os.kill(parent, signal.SIGTERM)"),
    "kills_its_parent": _at_import(
        _PARENT + "os.kill(parent, signal.SIGKILL)\nsignal.pause()", "watches over it"
    ),
    "stops_its_parent": _at_import(_PARENT + "os.kill(parent, signal.SIGSTOP)"),
    "stops_its_grandparent": _at_import(_GRANDPARENT + "os.kill(grandparent, signal.SIGSTOP)"),
    "terminates_its_grandparent": _at_import(_GRANDPARENT + "os.kill(grandparent, signal.SIGTERM)"),
    "kills_its_grandparent": _at_import(
        _GRANDPARENT + "os.kill(grandparent, signal.SIGKILL)\nsignal.pause()",
        "starts its processes",
    ),
}

ALL = {**HANGING, **ENDING, **GREEDY, **RAISING, **PATCHING, **FORKING, **PARRICIDES}
