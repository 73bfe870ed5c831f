"""Sweeps that MLflow keeps: their records, which lie among the files of the sweep's run."""

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner import archive
from runner.masking import masked
from runner.report.errors import ResultsError
from runner.report.reading import Records, read_packed
from runner.stores import DEFAULT_URI, SQLITE, all_pages, unobtrusive

log = logging.getLogger(__name__)


def fetch(names: Sequence[str], uri: str | None = None) -> list[Records]:
    """Returns the records of sweeps that MLflow keeps, oldest first.

    Args:
      names: Each an experiment (name or id: all of its sweeps), or a sweep (name or run id).
      uri: Address of the store; None for `MLFLOW_TRACKING_URI`, else `mlflow.db` here.

    Raises:
      ResultsError: The store cannot be read, or has no such thing, or not its records.
    """
    address = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    file = address.removeprefix(SQLITE)
    if file != address and not Path(file).is_file():
        raise ResultsError(f"{file}: there is no such MLflow database.")
    try:
        with unobtrusive():
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=address)
            runs = {run.info.run_id: run for name in names for run in _sweeps(client, name)}
            oldest_first = sorted(runs.values(), key=lambda run: run.info.start_time)
            return [_records(client, run) for run in oldest_first]
    except ResultsError:
        raise
    except Exception as error:
        reason = " ".join(masked(str(error) or type(error).__name__).split())
        raise ResultsError(f"MLflow at {masked(address)}: {reason[:200]}") from error


def _sweeps(client: Any, name: str) -> list[Any]:
    """Returns the runs of the sweeps that a name stands for."""
    experiments = {found.experiment_id: found for found in all_pages(client.search_experiments)}
    chosen = [key for key, found in experiments.items() if name in (key, found.name)]
    level = "tags.level = 'sweep'"
    if chosen:
        found = [run for run in _runs(client, chosen, level) if _has_ended(client, run)]
    elif "'" not in name:
        everywhere = list(experiments)
        found = _runs(client, everywhere, f"{level} and tags.sweep = '{name}'")
        found = found or _runs(client, everywhere, f"{level} and attributes.run_id = '{name}'")
    else:
        found = []
    if not found:
        told = ", ".join(sorted(found.name for found in experiments.values()))
        raise ResultsError(
            f"--mlflow {name}: there is no such experiment with a sweep in it, and no such sweep. "
            f"Experiments: {told}."
        )
    return found


def _has_ended(client: Any, run: Any) -> bool:
    """Tells whether a sweep has ended; the log tells of one that has not."""
    has_ended = _has_records(client, run)
    if not has_ended:
        log.warning("%s is left out: MLflow has no %s of it.", _title(run), archive.NAME)
    return has_ended


def _runs(client: Any, experiments: list[str], condition: str) -> list[Any]:
    return all_pages(client.search_runs, experiments, condition)


def _has_records(client: Any, run: Any) -> bool:
    return any(file.path == archive.NAME for file in client.list_artifacts(run.info.run_id))


def _records(client: Any, run: Any) -> Records:
    if not _has_records(client, run):
        raise ResultsError(
            f"{_title(run)}: MLflow has no {archive.NAME} of it, which is sent when a sweep ends. "
            f"Report on its results folder."
        )
    with tempfile.TemporaryDirectory() as folder:
        return read_packed(Path(client.download_artifacts(run.info.run_id, archive.NAME, folder)))


def _title(run: Any) -> str:
    return f"Sweep {run.data.tags.get('sweep', run.info.run_id)}"
