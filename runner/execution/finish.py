"""The end of a sweep: its report, MLflow, and what the console says last.

A sweep that was trained in this process is concluded from its stream. One whose jobs ran apart is
told again from its records on disk, and then concluded in the same way.
"""

import contextlib
import dataclasses
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich import get_console

from runner import report
from runner.config import ConfigError
from runner.execution import folders
from runner.execution.configure import Job, SweepSettings, configuration, sweep_settings
from runner.execution.stream import Stream
from runner.plan import NoTracking, Tracking, factors
from runner.recording.disk import DiskRecorder
from runner.recording.mlflow import MlflowRecorder
from runner.recording.mlflow_store import ui_command
from runner.recording.recorder import End, Recorder, Verdict
from runner.records import (
    ConfigurationRecord,
    read_configurations,
    read_replicates,
    read_sweep,
)

log = logging.getLogger(__name__)


def conclude(stream: Stream, folder: Path, figures: bool, end: End) -> None:
    """Ends what is still open, writes the report and tells where everything lies.

    Args:
      stream: The sweep as far as it came.
      folder: Its folder.
      figures: Whether the report draws.
      end: How it ended.
    """
    if end == "interrupted":
        log.warning("Interrupted. What has finished is kept.")
    stream.stop(end)
    comparison = report.write(folder, figures=figures)
    stream.tell(Verdict(comparison.description, comparison.ranks, comparison.outcomes))
    stream.close(end, folder)
    get_console().print(comparison)
    _tell_where(folder, stream.recorders)


def finish(folder: Path, end: End) -> End:
    """Does for a sweep whose jobs ran apart what none of them could, from their records.

    Each job knew its own configuration only: what varies among them is found out here.

    Args:
      folder: The sweep's folder; it is discarded if nothing could be trained.
      end: How the jobs ended as far as the launcher knows.

    Returns:
      How the sweep ended: `"failed"` also if a configuration was refused or is incomplete.
    """
    configurations = read_configurations(folder)
    if all(record.error is not None for record in configurations):
        folders.discard(folder)
        return end if end == "interrupted" else "failed"
    jobs = [_job(folder, record) for record in configurations]
    stream, settings, well = _begun(folder, jobs, _with_factors(jobs, configurations))
    try:
        stream.replay(read_replicates(folder))
    except KeyboardInterrupt:
        end = "interrupted"
    whole = len(stream.closed) == len(configurations) and not stream.failures()
    if end == "finished" and not (whole and well):
        end = "failed"
    folders.point_latest(folder)
    conclude(stream, folder, settings.report.figures, end)
    return end


def _begun(
    folder: Path, jobs: Sequence[Job], configurations: Sequence[ConfigurationRecord]
) -> tuple[Stream, SweepSettings, bool]:
    """Returns the opened stream of a sweep, the settings that it goes by, and whether all is well.

    Where the jobs do not agree, or MLflow cannot be used, it is too late to refuse the sweep: the
    reason is told, and the sweep is reported without MLflow, by the settings of its first job.
    """
    try:
        settings = sweep_settings(jobs)
        return _opened(folder, settings, configurations), settings, True
    except ConfigError as error:
        log.error("%s", error)
    settings = dataclasses.replace(sweep_settings(jobs[:1]), tracking=NoTracking())
    return _opened(folder, settings, configurations), settings, False


def _opened(
    folder: Path, settings: SweepSettings, configurations: Sequence[ConfigurationRecord]
) -> Stream:
    """Returns the opened stream of a sweep that is on disk; no replicate has been told yet.

    Raises:
      ConfigError: MLflow's store cannot be used.
    """
    sweep = dataclasses.replace(read_sweep(folder), confidence=settings.report.confidence)
    DiskRecorder(folder).start_sweep(sweep, configurations)
    tracking = settings.tracking
    recorders = [MlflowRecorder(tracking)] if isinstance(tracking, Tracking) else []
    stream = Stream(recorders, sweep, configurations)
    stream.open()
    return stream


def _job(folder: Path, record: ConfigurationRecord) -> Job:
    """Returns the job that left this record."""
    home = folder / str(record.index)
    tracking = _unmasked(record.settings["tracking"], home / ".hydra" / "config.yaml")
    settings = {**record.settings, "tracking": tracking}
    return Job(record.index, folder, settings, home / "runner.log")


def _unmasked(tracking: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Returns the tracking settings with the password that a record hides and Hydra's file has."""
    if "***" not in str(tracking.get("uri")) or not path.exists():
        return tracking
    return {**tracking, "uri": OmegaConf.select(OmegaConf.load(path), "tracking.uri")}


def _with_factors(
    jobs: Sequence[Job], records: Sequence[ConfigurationRecord]
) -> list[ConfigurationRecord]:
    """Returns the records with what varies among them; as before for one that breaks a rule."""
    typed = []
    for job in jobs:
        with contextlib.suppress(ConfigError):
            typed.append(configuration(job))
    varying = dict(zip([item.index for item in typed], factors(typed), strict=True))
    return [
        dataclasses.replace(record, factors=varying.get(record.index, {})) for record in records
    ]


def _tell_where(folder: Path, recorders: Sequence[Recorder]) -> None:
    log.info("Report: %s", folder / "report.html")
    for recorder in recorders:
        if isinstance(recorder, MlflowRecorder) and not recorder.lost:
            command = ui_command(recorder.uri)
            if command.startswith("mlflow") and shutil.which("mlflow") is None:
                command = f"{os.path.relpath(Path(sys.executable).parent)}/{command}"
            log.info("Curves: %s", command)
            if recorder.curves_url:
                log.info("        %s", recorder.curves_url)
