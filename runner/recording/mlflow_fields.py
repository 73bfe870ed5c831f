"""What a record becomes in MLflow: the names, tags, params and metrics of its run.

All values are plain text and finite or non-finite floats; nothing here talks to MLflow.
"""

import contextlib
import getpass
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd

from runner.config import masked
from runner.plan import Replicate
from runner.recording.mlflow_store import process_tags
from runner.records import (
    ConfigurationRecord,
    ReplicateRecord,
    SweepRecord,
    lower_is_better,
    replicates_table,
)

# A tag holds 5000 characters in every version of MLflow, an id takes 33.
_IDS_PER_TAG = 150

# In characters, for a param.
_MAX_PARAM_NAME = 250

_GROUPS = ("init", "dataset", "model", "optimizer", "training")


def title(record: ConfigurationRecord) -> str:
    """Returns what tells a configuration from the others: `he_uniform model.depth=8`."""
    factors = [f"{key}={_text(value)}" for key, value in record.factors.items()]
    return " ".join([record.init, *factors])


def common_tags(sweep: SweepRecord) -> dict[str, str]:
    """Returns the tags that all runs of a sweep share: whose they are and what they ran with."""
    tags = {
        "sweep": sweep.name,
        "sweep_id": sweep.id,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "runner",
    }
    with contextlib.suppress(ImportError, KeyError, OSError):  # a container's user may be nameless
        tags["mlflow.user"] = getpass.getuser()
    versions = {f"version.{library}": version for library, version in sweep.versions.items()}
    return tags | versions | process_tags()


def configuration_tags(record: ConfigurationRecord) -> dict[str, str]:
    """Returns `init`, `dataset`, `model` and the factors, for a configuration and its replicates.

    A configuration that was refused may know its data and model by the names of their options only.
    """
    option = {group: record.settings.get(group, {}).get("name", "unknown") for group in _GROUPS}
    tags = {
        "init": record.init,
        "dataset": str(record.dataset.get("name") or option["dataset"]),
        "model": record.model or str(option["model"]),
    }
    return tags | {key: _text(value) for key, value in record.factors.items()}


def place_tags(record: ConfigurationRecord, replicate: Replicate | None = None) -> dict[str, str]:
    """Returns the tags by which the run of a configuration, or of its replicate, is found again."""
    tags = {"configuration": str(record.index), "identity": record.identity}
    return tags if replicate is None else {**tags, "replicate": replicate.key}


def reused_tags(run_ids: Sequence[str]) -> dict[str, str]:
    """Returns the tags that name the earlier runs that a configuration stands on.

    They are `reused_runs`, `reused_runs.2`, ..., because the length of a tag is limited.
    """
    parts = [run_ids[i : i + _IDS_PER_TAG] for i in range(0, len(run_ids), _IDS_PER_TAG)]
    return {
        "reused_runs" if number == 1 else f"reused_runs.{number}": " ".join(part)
        for number, part in enumerate(parts, 1)
    }


def sweep_tags(
    sweep: SweepRecord, records: Sequence[ConfigurationRecord], page: str
) -> dict[str, str]:
    """Returns the tags of all configurations, each with all of its values, and the description.

    Args:
      sweep: The sweep.
      records: Its configurations.
      page: From `curves_page`.
    """
    each = [configuration_tags(record) for record in records]
    keys = dict.fromkeys(key for tags in each for key in tags)
    command = masked(sweep.command)
    return {
        **{key: _listed(tags[key] for tags in each if key in tags) for key in keys},
        "command": command,
        "machine": sweep.machine,
        "mlflow.note.content": f"[The curves of its configurations]({page})\n\n`{command}`",
    }


def curves_page(
    experiment_id: str, sweep: SweepRecord, records: Sequence[ConfigurationRecord]
) -> str:
    """Returns the page of MLflow's UI that charts the configurations, from its `#` on.

    It is sorted by a metric, because MLflow hides children in closed parents while it sorts by
    time, and shows the model-training side of the UI, which hides behind the one for agents.
    """
    metric = _endpoint_prefix(records[0]) + "mean"
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.sweep = '{sweep.name}' and tags.level = 'configuration'",
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": _text(lower_is_better(records[0].endpoint)),
        "compareRunsMode": "CHART",
    }
    return f"#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def configuration_params(record: ConfigurationRecord) -> dict[str, str]:
    """Returns the settings that matter, flat: `model` is its option's name, `model.depth` 2."""
    flat = _flat({group: record.settings.get(group, {}) for group in _GROUPS})
    named = {key.removesuffix(".name"): value for key, value in flat.items()}
    return {**named, "init": record.init, "device": _text(record.settings.get("device"))}


def replicate_params(record: ConfigurationRecord, replicate: Replicate) -> dict[str, str]:
    """Returns the params of the configuration and the seeds; no `seed` where the two differ."""
    seeds = {
        "seed": replicate.seed,
        "weight_seed": replicate.weight_seed,
        "batch_seed": replicate.batch_seed,
    }
    told = {key: str(seed) for key, seed in seeds.items() if seed is not None}
    return configuration_params(record) | told


def sweep_params(records: Sequence[ConfigurationRecord]) -> dict[str, str]:
    """Returns the params that all configurations have alike."""
    each = [configuration_params(record) for record in records]
    common = set.intersection(*(set(params.items()) for params in each))
    return {key: value for key, value in each[0].items() if (key, value) in common}


def settings_yaml(record: ConfigurationRecord) -> str:
    """Returns the whole resolved configuration as YAML, without passwords."""
    from omegaconf import OmegaConf

    return masked(OmegaConf.to_yaml(OmegaConf.create(dict(record.settings))))


def replicate_metrics(
    configuration: ConfigurationRecord, record: ReplicateRecord
) -> dict[str, float]:
    """Returns the numbers of the replicate's row in `replicates.csv`, by column.

    To them `diverged` is added: 1, and present only if it did.
    """
    row = replicates_table([configuration], [record]).iloc[0].to_dict()
    keys = {"configuration", "init", "seed", "weight_seed", "batch_seed", *configuration.factors}
    texts = {"status", "reused_from"}
    metrics = {
        str(column): float(value)
        for column, value in row.items()
        if column not in keys | texts and pd.notna(value)
    }
    return metrics | ({"diverged": 1.0} if record.status == "diverged" else {})


def curve_metrics(row: Mapping[Any, Any]) -> dict[str, float]:
    """Returns one row of a configuration's summary: the mean under the metric's own name."""
    metric = row["metric"]
    return {
        metric: row["mean"],
        f"{metric}_ci_low": row["ci_low"],
        f"{metric}_ci_high": row["ci_high"],
    }


def endpoint_metrics(
    record: ConfigurationRecord, endpoint: Mapping[str, float]
) -> dict[str, float]:
    """Returns numbers of `comparison.csv`: `final_val_accuracy_mean`, ..., `num_finished`."""
    prefix = _endpoint_prefix(record)
    return {
        key if key.startswith("num_") else prefix + key: value for key, value in endpoint.items()
    }


def _endpoint_prefix(record: ConfigurationRecord) -> str:
    return f"{record.endpoint_at}_{record.endpoint}_"


def _text(value: object) -> str:
    """Returns a setting as one would type it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[_param_name(f"{prefix}{key}")] = _text(value)
    return flat


def _param_name(key: str) -> str:
    """Returns a key with `_` for what MLflow does not admit: the user's arguments have any name."""
    return re.sub(r"[^\w. -]", "_", key, flags=re.ASCII)[:_MAX_PARAM_NAME]
