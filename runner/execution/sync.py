"""Sends to MLflow what it lacks of a sweep, from the records on disk."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from runner.config import ConfigError
from runner.events import End
from runner.execution.collector import Collector
from runner.execution.configure import tracking
from runner.interruption import deferred, take_up
from runner.plan import Tracking
from runner.recording.mlflow import MlflowRecorder
from runner.records import (
    ConfigurationRecord,
    RecordError,
    ReplicateRecord,
    read_kept,
    read_sweep,
)
from runner.report import load
from runner.report.comparison import compare


def send(folder: Path, uri: str | None = None) -> str:
    """Sends what MLflow lacks of a sweep that has ended; what it has is left as it is.

    Args:
      folder: The sweep's folder.
      uri: Address of the store; None for the one that the sweep was to be recorded in.

    Returns:
      Why MLflow still lacks a part of it; empty if it has all.

    Raises:
      ConfigError: The store cannot be used, or the sweep is still running.
      RecordError: A record cannot be read.
      ResultsError: There is nothing to compare.
      KeyboardInterrupt: Interrupted; MLflow holds the sweep to be so, too.
    """
    sweep, kept = read_sweep(folder), read_kept(folder)
    configurations, replicates = kept.configurations, kept.replicates
    if not configurations:
        raise RecordError(f"{folder}: there is no configuration.json. Nothing had been begun.")
    comparison = compare(load(folder))
    recorder = MlflowRecorder(_tracking(folder, configurations[0], uri), late=True)
    recorder.connect()  # not in `Collector.plan`, which is not interrupted while it waits
    collector = Collector([recorder])
    end = _end(configurations, replicates)
    collector.plan(sweep, configurations)
    try:
        collector.replay(replicates)
        with deferred():
            collector.stop(end)
            collector.conclude(comparison)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            take_up()
        with deferred():
            collector.close("interrupted", None)
        raise
    with deferred("Stopping after the report's files. To stop at once, interrupt again."):
        collector.close(end, folder)
    return recorder.loss


def sync_command(folder: Path) -> str:
    """Returns what to type to send the results in `folder`."""
    return shlex.join(["python", "-m", "runner.sync", str(folder)])


def _tracking(folder: Path, record: ConfigurationRecord, uri: str | None) -> Tracking:
    """Returns where a sweep is to be sent, by the record of one of its configurations."""
    node = record.settings.get("tracking", {"name": "none"})
    composed = folder / str(record.index) / ".hydra" / "config.yaml"
    if "***" in str(node.get("uri")) and composed.exists():  # the record hides a password
        node = {**node, "uri": OmegaConf.select(OmegaConf.load(composed), "tracking.uri")}
    settings = tracking(node)
    if isinstance(settings, Tracking):
        return dataclasses.replace(settings, uri=uri or settings.uri, required=True)
    if uri is None:
        raise ConfigError(
            "This sweep was run with tracking=none. Name an MLflow store: --tracking-uri=..."
        )
    return Tracking(uri=uri)


def _end(
    configurations: Sequence[ConfigurationRecord], replicates: Sequence[ReplicateRecord]
) -> End:
    """Returns how a sweep ended: `"interrupted"` if a replicate has not come to its end."""
    asked = sum(record.num_replicates for record in configurations if record.error is None)
    statuses = [record.status for record in replicates]
    if len(statuses) < asked or "interrupted" in statuses:
        return "interrupted"
    failed = "failed" in statuses or any(record.error for record in configurations)
    return "failed" if failed else "finished"
