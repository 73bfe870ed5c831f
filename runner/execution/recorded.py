"""The jobs of a sweep, from what they left on disk."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.config import ConfigError
from runner.execution.configure import Job, configuration
from runner.plan import factors
from runner.records import ConfigurationRecord


def recorded_job(folder: Path, record: ConfigurationRecord) -> Job:
    """Returns the job that left this record."""
    home = folder / str(record.index)
    tracking = _unmasked(
        record.settings.get("tracking", {"name": "none"}), home / ".hydra" / "config.yaml"
    )
    settings = {**record.settings, "tracking": tracking}
    return Job(record.index, folder, settings, home / "runner.log")


def _unmasked(tracking: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Returns the tracking settings with the password that a record hides and Hydra's file has."""
    if "***" not in str(tracking.get("uri")) or not path.exists():
        return tracking
    return {**tracking, "uri": OmegaConf.select(OmegaConf.load(path), "tracking.uri")}


def with_factors(
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
