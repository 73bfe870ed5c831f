"""The end of a sweep: its report, MLflow, and what the console says last."""

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import get_console
from rich.table import Table
from rich.text import Text

from runner import report
from runner.config import ConfigError
from runner.events import End
from runner.execution import folders
from runner.execution.collector import Collector
from runner.execution.sync import send, sync_command
from runner.interruption import is_urgent, take_up
from runner.recording.background import BackgroundRecorder
from runner.recording.disk import DiskRecorder
from runner.recording.mlflow_store import ui_command
from runner.records import RecordError
from runner.report import tables
from runner.report.errors import ResultsError
from runner.report.render.console import answer, view

log = logging.getLogger(__name__)

_LACKING = "MLflow has only a part of this sweep. To upload the rest: %s"

# Beyond this many rows the table of failures would push the answer off the screen.
_MAX_FAILURES = 20


def conclude(
    collector: Collector, folder: Path, figures: bool, end: End, shows: bool = True
) -> bool:
    """Ends what is still open, writes the report and tells where everything lies.

    Args:
      collector: The sweep as far as it came.
      folder: Its folder.
      figures: Whether the report draws.
      end: How it ended.
      shows: Whether the answer is printed.

    Returns:
      Whether all of it could be written; what could not has been told.
    """
    if is_urgent():
        log.warning("Stopped at once. To report on what has finished: %s", _report_command(folder))
        collector.close(end, None)
        return True
    if end == "interrupted":
        log.warning("Interrupted. What has finished is kept; %s", _what_now(collector, folder))
    try:
        collector.stop(end)
        comparison = _report(folder, figures, shows)
    except BaseException as error:
        reason: End = "failed"
        if isinstance(error, KeyboardInterrupt):
            take_up()
            reason = "interrupted"
        _close(collector, folder, reason, report_there=False)
        raise
    if comparison is not None:
        collector.conclude(comparison)
    elif end == "finished":
        end = "failed"
    _close(collector, folder, end, report_there=comparison is not None)
    if shows:
        _tell_failures(collector)
    beside = [item for item in collector.recorders if isinstance(item, BackgroundRecorder)]
    for recorder in beside:
        if recorder.state.lost and (end == "interrupted" or not _caught_up(folder)):
            log.warning(_LACKING, sync_command(folder))
    if comparison is not None:
        log.info("Report: %s", folder / "report.html")
    _tell_where(beside)
    if comparison is not None and shows:
        get_console().print(answer(comparison))
    disks = [item for item in collector.recorders if isinstance(item, DiskRecorder)]
    return comparison is not None and all(disk.is_whole for disk in disks)


def _what_now(collector: Collector, folder: Path) -> str:
    """Returns what becomes of what was kept."""
    if any(record.settings.get("rerun") for record in collector.configurations.values()):
        return "the same command without rerun=true reuses it, with rerun=true it starts again."
    if not folder.resolve().is_relative_to(folders.ROOT.resolve()):
        return f"but the same command starts again, as it only looks below {folders.ROOT}/."
    return "the same command goes on from there."


def _close(collector: Collector, folder: Path, end: End, report_there: bool) -> None:
    """Ends the sweep; says what to do if that is interrupted."""
    try:
        collector.close(end, folder if report_there else None)
    except KeyboardInterrupt:
        if any(isinstance(item, BackgroundRecorder) for item in collector.recorders):
            log.warning(_LACKING, sync_command(folder))
        raise


def _report(folder: Path, figures: bool, shows: bool) -> "report.Comparison | None":
    """Writes the report and prints what it says; tells what stands against it, if anything does."""
    try:
        comparison = report.write(folder, figures=figures)
    except (ResultsError, OSError) as error:
        reason, command = str(error).rstrip("."), _report_command(folder)
        log.error("The report cannot be written: %s. When that is repaired: %s", reason, command)
        return None
    if shows:
        get_console().print(view(comparison))
    return comparison


def _report_command(folder: Path) -> str:
    return shlex.join(["python", "-m", "runner.report", str(folder)])


def _tell_failures(collector: Collector) -> None:
    """Prints what failed or was refused, with its reason, if there is any."""
    configurations = list(collector.configurations.values())
    table = tables.failures_table(configurations, collector.records())
    failed = table[table["status"].isin(["refused", "failed"])]
    if failed.empty:
        return
    shown = Table(title="What failed", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "init", "seeds", "reason"):
        shown.add_column(column, overflow="fold")
    for row in failed.head(_MAX_FAILURES).to_dict("records"):
        name = tables.replicate_name
        whole = row["status"] == "refused"
        seeds = "all" if whole else name(row["weight_seed"], row["batch_seed"])
        texts = (row["configuration"], row["init"], seeds, row["reason"])
        shown.add_row(*(Text(str(text)) for text in texts))
    if len(failed) > _MAX_FAILURES:
        shown.add_row("", "", "", f"{len(failed) - _MAX_FAILURES} more in the report")
    get_console().print(shown)


def _caught_up(folder: Path) -> bool:
    """Tells whether MLflow, lost on the way, is back by now and has got the whole sweep."""
    try:
        return not send(folder)
    except (ConfigError, RecordError, ResultsError, OSError):
        return False


def _tell_where(recorders: Sequence[BackgroundRecorder]) -> None:
    for recorder in recorders:
        if not recorder.state.curves_url:
            continue
        command = ui_command(recorder.uri)
        if command.startswith("mlflow") and shutil.which("mlflow") is None:
            command = f"{os.path.relpath(Path(sys.executable).parent)}/{command}"
        log.info("Curves: %s", command)
        log.info("        %s", recorder.state.curves_url)
