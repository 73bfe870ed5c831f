"""What a record becomes in MLflow: the names, tags, params and metrics of its run.

All values are plain text and finite or non-finite floats; nothing here talks to MLflow.
"""

import contextlib
import getpass
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd

from runner.masking import masked
from runner.plan import Replicate
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
    lower_is_better,
    replicate_row,
)

# In characters; a tag holds 5000 in every version of MLflow, of which an id takes 33.
_MAX_VERDICT = 3000
_IDS_PER_TAG = 150
_MAX_NAME = 250  # of a run, or of a param
# The digest of data is at most 36 long, but shown whole in the narrow table of runs only if it is
# short; the fingerprint stands in the data set's source.
_DIGEST = 12

# Names are short, for they are columns, and in the order of MLflow's charts the ends of intervals
# come after the means, even after "val_loss".
_ENDPOINT = {
    "mean": "score",
    "ci_low": "within_score_low",
    "ci_high": "within_score_high",
    "num_finished": "finished",
    "num_diverged": "diverged",
    "num_failed": "failed",
}

_GROUPS = ("init", "dataset", "model", "optimizer", "training")

# Numbers of the whole net that are metrics of its run.
_NETWORK_METRICS = (
    *("log10_signal_gain", "log10_gradient_gain"),
    *("singular_value_mean", "jacobian_condition", "gradient_quotient"),
)


def run_name(record: ConfigurationRecord, replicate: str = "") -> str:
    """Returns the name of a configuration's run, or of that of its replicate with this key.

    It tells the configuration from the others: `he_uniform model.depth=8 seed 3`.
    """
    factors = [f"{key}={_text(value)}" for key, value in record.factors.items()]
    name = " ".join([record.init, *factors, replicate.replace("-", " ")])
    return name.rstrip()[:_MAX_NAME]


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
    return tags | versions


def configuration_tags(record: ConfigurationRecord) -> dict[str, str]:
    """Returns `init`, `dataset`, `model` and the factors, for a configuration and its replicates.

    A configuration that was refused may know its data and model by the names of their options only.
    """
    option = {group: record.settings.get(group, {}).get("name", "unknown") for group in _GROUPS}
    tags = {
        "init": record.init,
        **({"endpoint": f"{record.endpoint_at} {record.endpoint}"} if record.endpoint else {}),
        "dataset": str(record.dataset.get("name") or option["dataset"]),
        "model": record.model or str(option["model"]),
    }
    return tags | {key: _text(value) for key, value in record.factors.items()}


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
    sweep: SweepRecord, records: Iterable[ConfigurationRecord], page: str
) -> dict[str, str]:
    """Returns the tags of all configurations, each with all of its values, and the description.

    Args:
      sweep: The sweep.
      records: Its configurations.
      page: From `curves_page`.
    """
    each = [configuration_tags(record) for record in records]
    keys = dict.fromkeys(key for tags in each for key in tags)
    return {
        **{key: _listed(tags[key] for tags in each if key in tags) for key in keys},
        "command": masked(sweep.command),
        "machine": sweep.machine,
        "mlflow.note.content": note(page, sweep.command),
    }


def note(page: str, command: str, verdict: str = "") -> str:
    """Returns the description of the sweep's run: where the curves are, the verdict, the command.

    MLflow folds what is longer than a few lines, so the link to the curves stands first.

    Args:
      page: From `curves_page`.
      command: The command line.
      verdict: As Markdown; what is too long for MLflow is left to the report.
    """
    if len(verdict) > _MAX_VERDICT:
        kept = verdict[:_MAX_VERDICT].rpartition("\n")[0]
        verdict = f"{kept}\n\nMore in report.html."
    link = f"[The curves of its configurations]({page})"
    return "\n\n".join(part for part in (link, verdict, f"`{masked(command)}`") if part)


def curves_page(experiment_id: str, sweep: SweepRecord, endpoint: str) -> str:
    """Returns the page of MLflow's UI that charts the configurations, from its `#` on.

    It is sorted by the endpoint, because MLflow hides children in closed parents while it sorts by
    time, and shows the model-training side of the UI, which hides behind the one for agents.
    """
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.sweep = '{sweep.name}' and tags.level = 'configuration'",
        "orderByKey": "metrics.`score`",
        "orderByAsc": _text(lower_is_better(endpoint)),
        "compareRunsMode": "CHART",
    }
    return f"#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def configuration_params(record: ConfigurationRecord) -> dict[str, str]:
    """Returns the settings that matter, flat: `model` is its option's name, `model.depth` 2."""
    flat = _flat({group: record.settings.get(group, {}) for group in _GROUPS})
    named = {key.removesuffix(".name"): value for key, value in flat.items()}
    device = record.device or record.settings.get("device")
    return {**named, "init": record.init, "device": _text(device)}


def replicate_params(record: ConfigurationRecord, replicate: Replicate) -> dict[str, str]:
    """Returns the params of the configuration and the seeds; no `seed` where the two differ."""
    names = ("seed", "weight_seed", "batch_seed")
    seeds = {name: getattr(replicate, name) for name in names}
    told = {name: str(seed) for name, seed in seeds.items() if seed is not None}
    return configuration_params(record) | told


def sweep_params(records: Iterable[ConfigurationRecord]) -> dict[str, str]:
    """Returns the params that all configurations have alike."""
    first, *others = [configuration_params(record) for record in records]
    common = set(first.items()).intersection(*(params.items() for params in others))
    return {key: value for key, value in first.items() if (key, value) in common}


def settings_yaml(record: ConfigurationRecord) -> str:
    """Returns the whole resolved configuration as YAML, without passwords."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(masked(record.settings)))


def dataset_input(dataset: Mapping[str, Any]) -> Any:
    """Returns what a configuration was trained on, as MLflow lists it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    identity = {key: dataset[key] for key in ("name", "fingerprint")}
    facts = {key: value for key, value in dataset.items() if key not in identity}
    digest, source = identity["fingerprint"][:_DIGEST], json.dumps(identity)
    entry = Dataset(identity["name"], digest, "runner", source, profile=json.dumps(facts))
    return DatasetInput(entry, [InputTag("mlflow.data.context", "training")])


def replicate_metrics(
    configuration: ConfigurationRecord, record: ReplicateRecord
) -> dict[str, float]:
    """Returns the numbers of the replicate's row in `replicates.csv`, by column.

    To them `diverged` is added: 1, and present only if it did.
    """
    row = replicate_row(configuration, record)
    keys = {"configuration", "init", "seed", "weight_seed", "batch_seed", *configuration.factors}
    texts = {"status", "reused_from", "verdict"}
    metrics = {
        column: float(value)
        for column, value in row.items()
        if column not in keys | texts and pd.notna(value)
    }
    return metrics | ({"diverged": 1.0} if record.status == "diverged" else {})


def propagation_metrics(records: Sequence[PropagationRecord]) -> dict[str, float]:
    """Returns the headline numbers of step 0, means over replicates; what is missing is left out.

    To those of the whole net come `max_off_share` and `last_correlation`, of the hidden layers.
    """
    found = [_headlines(record) for record in records]
    shared = set.intersection(*(set(one) for one in found))
    return {
        name: math.fsum(one[name] for one in found) / len(found)
        for name in found[0]
        if name in shared
    }


def _headlines(record: PropagationRecord) -> dict[str, float]:
    numbers = {name: record.number(name) for name in _NETWORK_METRICS}
    off = record.values("off_share")
    if not np.isnan(off).all():
        numbers["max_off_share"] = float(np.nanmax(off))
    if inner := record.judged[:-1]:
        numbers["last_correlation"] = float(record.values("correlation")[inner[-1]])
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def curve_metrics(row: Mapping[Any, Any]) -> dict[str, float]:
    """Returns one row of a configuration's summary: the mean under the metric's own name."""
    metric = row["metric"]
    return {
        metric: row["mean"],
        f"within_{metric}_low": row["ci_low"],
        f"within_{metric}_high": row["ci_high"],
    }


def endpoint_metrics(endpoint: Mapping[str, float]) -> dict[str, float]:
    """Returns numbers of `comparison.csv`; `diverged` and `failed` only where there are any."""
    return {
        name: endpoint[key]
        for key, name in _ENDPOINT.items()
        if key in endpoint and (endpoint[key] or name not in ("diverged", "failed"))
    }


def _text(value: object) -> str:
    """Returns a setting as one would type it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


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
    return re.sub(r"[^\w. -]", "_", key, flags=re.ASCII)[:_MAX_NAME]
