"""The entry of the command line: which commands there are, and how any of them may end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

import scaleaudit
from scaleaudit.cli.endings import ending_in_order
from scaleaudit.cli.lazy import Entry, LazyGroup
from scaleaudit.cli.outcomes import EXIT_FOUND, EXIT_INTERRUPTED, EXIT_USAGE
from scaleaudit.console import complain, confess, forgive_characters, open_closed_streams, say
from scaleaudit.errors import ConfigError, ScaleAuditError

# What a stream says that takes no more.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
# Characters of a name that is too long.
_SHOWN = 60

# In the order in which `--help` lists them.
ENTRIES = {
    "check": Entry(
        "scaleaudit.cli.check:check",
        "Audit the models in files, folders, or one target as file.py::Name.",
    ),
    "probe": Entry(
        "scaleaudit.cli.probe:probe",
        "Train models for a moment and say whether their states grow: confirmed or refuted.",
    ),
    "explain": Entry(
        "scaleaudit.cli.explain:explain",
        "Explain a finding: its proof, the numbers behind it, and what would change the answer.",
    ),
    "diff": Entry(
        "scaleaudit.cli.diff:diff",
        "Say what changed in facts and findings.",
    ),
    "report": Entry(
        "scaleaudit.cli.report:report",
        "Show results that were kept, in any format; as a page of HTML by default.",
    ),
    "reference": Entry(
        "scaleaudit.cli.reference:reference",
        "Train the reference models, evaluate them, and print one table of all.",
    ),
    "train": Entry(
        "scaleaudit.cli.train:train",
        "Train one of the bundled reference models.",
    ),
    "clean": Entry("scaleaudit.cli.cache:clean", "Remove the cache of the project."),
    "rule": Entry(
        "scaleaudit.cli.rules:rule",
        "Print the page of a rule; try the examples of pages; write a new page.",
    ),
    "rules": Entry("scaleaudit.cli.rules:rules", "List the rules, with how settled they are."),
    "config": Entry(
        "scaleaudit.cli.settings:config",
        "Print the settings in force and where each comes from: of a file, or of the run.",
    ),
    "init": Entry(
        "scaleaudit.cli.settings:init",
        "Write settings to start from.",
    ),
    "completion": Entry(
        "scaleaudit.cli.completion:completion",
        "Print the completion of a shell, to be run when it starts.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; whatever happens, the user sees no traceback."""
    open_closed_streams()
    forgive_characters()
    with ending_in_order():
        code = _run(arguments)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return commands.main(arguments, prog_name="scaleaudit", standalone_mode=False) or 0
    except ScaleAuditError as error:
        complain(error)
    except click.ClickException as error:
        with suppress(OSError):  # as `say` has it
            error.show()
    except (KeyboardInterrupt, click.Abort):
        say("stopped")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing is left to say, nor anywhere to say it.
        _close_output()
        return EXIT_FOUND
    except OSError as error:
        _explain(error)
    except Exception:  # noqa: BLE001  # the last resort
        confess()
    return EXIT_USAGE


def _explain(error: OSError) -> None:
    """Tell what is amiss with the surroundings; what no command has handled else is our bug."""
    if not _has_working_directory():
        hint = "Change into a folder that does."
        complain(ConfigError("the working directory does not exist any more", hint=hint))
    elif error.filename is None and error.errno in _NO_ROOM:
        _close_output()
        complain(ConfigError(f"the output cannot be written: {error.strerror}"))
    elif error.errno == errno.ENAMETOOLONG:
        complain(ConfigError(f"{str(error.filename)[:_SHOWN]}...: {error.strerror}"))
    else:
        confess()


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109  # the question is whether it can be told
    except FileNotFoundError:
        return False


def _close_output() -> None:
    """Let what is still to be written go nowhere, or Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(scaleaudit.__version__, prog_name="scaleaudit")
def commands() -> None:
    """Audit looped models for recurrent states whose scale no loss polices."""
