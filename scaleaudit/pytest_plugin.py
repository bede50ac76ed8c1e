"""A plugin for pytest: models at hand in tests of their own, and a test for every model of a file.

Loading it costs nothing: torch and all that audits are imported by those who use it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    import torch

    from scaleaudit.api import Options
    from scaleaudit.domain.attempts import Certify
    from scaleaudit.domain.report import Report, TargetReport
    from scaleaudit.errors import ScaleAuditError

_SUFFIXES = frozenset({".py", ".pt2"})
_Choice = TypeVar("_Choice", bound=Enum)


class UndecidedWarning(UserWarning):
    """A model of which no verdict could be given, where that was not to fail a test."""


def assert_scale_controlled(
    model: torch.nn.Module,
    *args: Any,  # noqa: ANN401 - whatever the model takes
    loss: Callable[..., Any] | None = None,
    loss_args: tuple[Any, ...] | None = None,
    allow: str | Iterable[str] = (),
    fail_level: str = "warning",
    on_unknown: str = "fail",
    certify: str | Certify = "small",
    options: Options | None = None,
    **kwargs: Any,  # noqa: ANN401 - the same
) -> Report:
    """Assert that something restrains the length of every state that a model carries.

    What is asked and how is said at ``scaleaudit.audit``. The settings of the project that the
    model's file belongs to hold here as they do for ``scaleaudit check``.

    Args:
        model: A module.
        *args: What its forward is called with.
        loss: Called as ``loss(model, *args, **kwargs)``.
        loss_args: What the loss is called with after the model, in place of args and kwargs.
        allow: Codes or prefixes of rules whose findings are accepted, as ``("SCL202",)``.
        fail_level: The least severity that fails: "error", "warning" or "note".
        on_unknown: Whether a verdict that cannot be given is to "fail" or to "warn".
        certify: Whether what is claimed is held against numbers.
        options: Other options than those of the project's settings.
        **kwargs: More arguments of forward.

    Returns:
        The report, where nothing failed.

    Raises:
        AssertionError: Something was found; it says what and why.
        ConfigError: An argument is of the wrong kind, or a rule code is unknown.
    """
    __tracebackhide__ = True
    from scaleaudit.api import Options  # noqa: PLC0415 - only tests that ask for it pay
    from scaleaudit.cli.outcomes import exit_code  # noqa: PLC0415
    from scaleaudit.domain.finding import Severity  # noqa: PLC0415
    from scaleaudit.domain.report import OnUnknown  # noqa: PLC0415
    from scaleaudit.live import audit  # noqa: PLC0415

    level, unknown = (
        _word(Severity, "fail_level", fail_level),
        _word(OnUnknown, "on_unknown", on_unknown),
    )
    chosen = options or Options()
    allowed = (allow,) if isinstance(allow, str) else tuple(allow)
    report = audit(
        model,
        *args,
        loss=loss,
        loss_args=loss_args,
        certify=certify,
        options=replace(chosen, ignore=(*chosen.ignore, *allowed)),
        **kwargs,
    )
    (target,) = report.targets
    if exit_code(report, level, unknown_fails=unknown is OnUnknown.FAIL):
        raise AssertionError(_told(report))
    if target.undecided:
        warnings.warn("\n".join(target.undecided), UndecidedWarning, stacklevel=2)
    return report


@pytest.fixture(name="assert_scale_controlled", scope="session")
def _assert_scale_controlled() -> Callable[..., Report]:
    """Assert that something restrains the length of every state that a model carries."""
    return assert_scale_controlled


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    group = parser.getgroup("scaleaudit")
    group.addoption(
        "--scaleaudit",
        action="store_true",
        help="Audit the models of every file collected, one test a model.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Get ready to audit, where that is asked for."""
    if config.getoption("scaleaudit", default=False):
        from scaleaudit.errors import ScaleAuditError  # noqa: PLC0415

        try:
            config.stash[_AUDITOR] = _Auditor()
        except ScaleAuditError as error:
            raise pytest.UsageError(_said(error)) from None


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the child processes."""
    auditor = config.stash.get(_AUDITOR, None)
    if auditor is not None:
        auditor.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take in a file that may hold models, without running it."""
    auditor = parent.config.stash.get(_AUDITOR, None)
    if auditor is None or file_path.suffix not in _SUFFIXES or not auditor.may_hold(file_path):
        return None
    return ModelFile.from_parent(parent, path=file_path)


class ModelFile(pytest.File):
    """A file with models; they are found as ``scaleaudit check`` finds them on a walk."""

    def collect(self) -> Iterator[ModelItem]:
        """Yield a test for every target; the audit is done here, by a child process."""
        from scaleaudit.errors import ScaleAuditError  # noqa: PLC0415

        auditor = self.config.stash[_AUDITOR]
        try:
            report = auditor.audit(self.path)
        except ScaleAuditError as error:
            raise self.CollectError(_said(error)) from None
        for target in report.targets:
            alone = replace(report, targets=(target,), skipped=())
            name = target.name or self.path.stem
            yield ModelItem.from_parent(self, name=name, report=alone, auditor=auditor)


class ModelItem(pytest.Item):
    """One target of a file."""

    def __init__(self, *, report: Report, auditor: _Auditor, **more: Any) -> None:  # noqa: ANN401
        super().__init__(**more)
        self._report, self._auditor = report, auditor

    def runtest(self) -> None:
        """Fail where ``scaleaudit check`` would."""
        if self._auditor.fails(self._report):
            raise _Found
        (target,) = self._report.targets
        if target.findings or target.undecided:
            self.add_report_section("call", "scaleaudit", _told(self._report))

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # noqa: ANN401 - as in pytest
    ) -> Any:  # noqa: ANN401 - the same
        """Show findings with their proofs, and no traceback of ours."""
        if excinfo.errisinstance(_Found):
            return _told(self._report)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the first finding is."""
        (target,) = self._report.targets
        return self.path, _line(target, self.path), f"scaleaudit: {self.name}"


class _Found(Exception):  # noqa: N818 - it carries nothing
    """A target has findings that fail."""


class _Auditor:
    """Audits file after file, with one process that has torch loaded for all of them."""

    def __init__(self) -> None:
        from scaleaudit.config import Settings  # noqa: PLC0415
        from scaleaudit.isolation.workers import workers  # noqa: PLC0415

        self._settings = Settings()
        self._settings.for_run()
        self._workers = workers()

    def may_hold(self, file: Path) -> bool:
        """Tell from a file's text whether models may be found in it, or there is more to tell."""
        from scaleaudit.errors import ConfigError  # noqa: PLC0415
        from scaleaudit.sources import passed_over  # noqa: PLC0415

        try:
            declared = self._settings.targets_for(file)
        except ConfigError:
            return True
        return bool(declared) or passed_over(str(file)) is None

    def audit(self, file: Path) -> Report:
        """Audit all targets of a file."""
        from scaleaudit.api import Options, audit  # noqa: PLC0415
        from scaleaudit.cli.cache import cache_asked_for  # noqa: PLC0415
        from scaleaudit.isolation.workers import workers  # noqa: PLC0415
        from scaleaudit.sources import relative  # noqa: PLC0415

        options = Options.of(
            self._settings, skip_non_models=True, cache=cache_asked_for(self._settings)
        )
        try:
            return audit((relative(str(file), Path.cwd()),), options, staff=self._workers)
        except BaseException:
            self._workers = workers()  # those that had this file are gone
            raise

    def fails(self, report: Report) -> bool:
        """Tell whether ``scaleaudit check`` would fail."""
        from scaleaudit.cli.outcomes import EXIT_USAGE, exit_code  # noqa: PLC0415
        from scaleaudit.domain.report import OnUnknown  # noqa: PLC0415

        config = self._settings.for_run()
        unknown_fails = config.on_unknown is OnUnknown.FAIL
        code = exit_code(report, config.fail_level, unknown_fails=unknown_fails)
        return code == EXIT_USAGE or (bool(code) and not config.exit_zero)

    def close(self) -> None:
        """End the child processes."""
        self._workers.close()


_AUDITOR = pytest.StashKey[_Auditor]()


def _said(error: ScaleAuditError) -> str:
    """Write an error as the command line does."""
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.message}" + (f"\nhint: {error.hint}" if error.hint else "")


def _word(kind: type[_Choice], name: str, given: str) -> _Choice:
    """Read one of a few words."""
    from scaleaudit.errors import ConfigError  # noqa: PLC0415

    words = [str(choice.value) for choice in kind]
    if given not in words:
        raise ConfigError(f"{name} must be one of {', '.join(words)}, not {given!r}")
    return kind(given)


def _told(report: Report) -> str:
    """Write findings with their proofs."""
    from scaleaudit.report.text import to_text  # noqa: PLC0415

    return to_text(report).rstrip()


def _line(target: TargetReport, path: Path) -> int | None:
    """Return the line of a target's first finding in a file, from 0."""
    places = [f.location for f in target.findings if f.location is not None]
    lines = (place.line for place in places if Path(place.path).resolve() == path.resolve())
    return next((line - 1 for line in lines), None)
