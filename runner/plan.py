"""What is to be trained: configurations, their replicates, and the factors that tell them apart."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from runner.config import (
    BOOLEAN,
    NON_NEGATIVE,
    NON_NEGATIVE_INTEGER,
    NUMBER,
    POSITIVE,
    POSITIVE_INTEGER,
    PROPER_FRACTION,
    TEXT,
    ConfigError,
    Rule,
    by_target,
    changed_settings,
    label,
    one_of,
    optional,
    setting,
)
from runner.design import DEFAULT_LOOKS
from runner.validation import LARGEST, Count

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Choice:
    """One option of a config group with its settings.

    Attributes:
      name: Name of the option, such as `"he_uniform"`.
      settings: The option's dataclass of settings.
    """

    name: str
    settings: Any

    @property
    def label(self) -> str:
        """The name and the settings that differ from their defaults."""
        return self.label_with()

    def label_with(self, hidden: Collection[str] = (), **more: object) -> str:
        """Returns the label without some settings, and with others at its end.

        What the user names by an import path is called after that.
        """
        told = {k: v for k, v in changed_settings(self.settings).items() if k not in hidden}
        name, told = by_target(told) if self.name == "custom" else (self.name, told)
        return label(name, {**told, **more})


@dataclass(frozen=True)
class Training:
    """How long and in which steps every replicate is trained."""

    epochs: int = setting(POSITIVE_INTEGER, 50)
    batch_size: int = setting(POSITIVE_INTEGER, 128)
    divergence_limit: float = setting(POSITIVE, 1e6)
    target_metric: str | None = setting(optional(TEXT), None)
    target_value: float | None = setting(optional(NUMBER), None)
    checkpoint_every_s: float = setting(POSITIVE, 60.0)


@dataclass(frozen=True)
class NoTraining:
    """Records the untrained model (epoch 0) and stops."""

    batch_size: int = setting(POSITIVE_INTEGER, 128)

    epochs: ClassVar[int] = 0
    divergence_limit: ClassVar[float] = sys.float_info.max  # an infinite loss is above it
    target_metric: ClassVar[str | None] = None
    target_value: ClassVar[float | None] = None
    checkpoint_every_s: ClassVar[float] = float("inf")


@dataclass(frozen=True)
class Tracking:
    """Where MLflow keeps the runs."""

    uri: str | None = setting(optional(TEXT), None)
    experiment: str = setting(TEXT, "runner")
    required: bool = setting(BOOLEAN, True)


@dataclass(frozen=True)
class NoTracking:
    """Nothing is sent to MLflow."""


# Two seeds are never tested.
_FEWEST_SEEDS = 3
# Tables hold seeds, and how many there are, as signed integers of 64 bits.
_LARGEST_SEED = 2**63 - 1


def _looks(value: Any) -> tuple[int, ...] | None:
    if value == "any":
        return None
    if not isinstance(value, list | tuple) or not value:
        raise ValueError
    if any(isinstance(look, bool) or not isinstance(look, int) for look in value):
        raise ValueError
    if list(value) != sorted(set(value)) or value[0] < _FEWEST_SEEDS or value[-1] > _LARGEST_SEED:
        raise ValueError
    return tuple(value)


def _margin(value: Any) -> float | None:
    if value is None:
        return None
    margin = NON_NEGATIVE.accept(value)
    if margin > LARGEST:
        raise ValueError
    return float(margin)


_LOOKS = Rule(
    f"a list of rising numbers of seeds from {_FEWEST_SEEDS} on, such as [5,10,20,40] or [12], "
    "or any",
    _looks,
)
_MARGIN = Rule("a positive number, 0 for no margin, or null for the default", _margin)


@dataclass(frozen=True)
class Report:
    """What is compared, fixed before anything is trained.

    Attributes:
      looks: Numbers of seeds at which the verdict is asked for; None for any number.
      margin: Difference of the endpoint that does not matter; see `runner.design.margin_of`.
      Other attributes: see `conf/report/default.yaml`.
    """

    metric: str | None = setting(optional(TEXT), None)
    at: str = setting(one_of("final", "best", "epoch"), "final")
    epoch: int | None = setting(optional(NON_NEGATIVE_INTEGER), None)
    confidence: float = setting(PROPER_FRACTION, 0.95)
    baseline: str | None = setting(optional(TEXT), None)
    looks: tuple[int, ...] | None = setting(_LOOKS, DEFAULT_LOOKS)
    margin: float | None = setting(_MARGIN, None)
    figures: bool = setting(BOOLEAN, True)


@dataclass(frozen=True)
class Replicate:
    """One training of a configuration.

    Attributes:
      weight_seed: Seed of the stream `weights`.
      batch_seed: Seed of the streams `batches` and `dropout`.
    """

    weight_seed: int
    batch_seed: int

    @property
    def seed(self) -> int | None:
        """The one seed of both, or None where they differ."""
        return self.weight_seed if self.weight_seed == self.batch_seed else None

    @property
    def key(self) -> str:
        """The name of the replicate within its configuration, fit for a file name."""
        if self.seed is not None:
            return f"seed-{self.seed}"
        return f"weights-{self.weight_seed}-batches-{self.batch_seed}"


class Key(NamedTuple):
    """Which replicate of a sweep: the number of its configuration, and its seeds."""

    configuration: Count
    weight_seed: Count
    batch_seed: Count

    @classmethod
    def of(cls, configuration: int, replicate: Replicate) -> "Key":
        """Returns the key of a configuration's replicate."""
        return cls(configuration, replicate.weight_seed, replicate.batch_seed)

    @property
    def replicate(self) -> Replicate:
        """The replicate in its configuration."""
        return Replicate(self.weight_seed, self.batch_seed)


@dataclass(frozen=True)
class Configuration:
    """One Hydra job, checked and typed.

    Attributes:
      index: Its number in the sweep and the name of its folder.
      folder: Its folder.
      dataset, model, init, optimizer: The choices.
      training: `Training` or `NoTraining`.
      engine: `"vectorized"` or `"keras"`.
      device: `"auto"`, `"cpu"` or `"gpu"`.
      replicates: One per seed.
      settings: The resolved configuration as plain Python values.
      diagnostics: Settings of what is measured before training; None for nothing.
    """

    index: int
    folder: Path
    dataset: Choice
    model: Choice
    init: Choice
    optimizer: Choice
    training: Training | NoTraining
    engine: str
    device: str
    replicates: tuple[Replicate, ...]
    settings: Mapping[str, Any]
    diagnostics: Any = None


def replicates(
    seeds: int | Sequence[int],
    weight_seeds: Sequence[int] | None = None,
    batch_seeds: Sequence[int] | None = None,
) -> tuple[Replicate, ...]:
    """Returns the replicates that the seed settings ask for.

    Args:
      seeds: n for the seeds 0..n-1, or distinct non-negative integers.
      weight_seeds: Seeds of the initial weights, crossed with `batch_seeds`; replaces `seeds`.
      batch_seeds: Seeds of data order and dropout, crossed with `weight_seeds`.

    Raises:
      ConfigError: A value breaks its rule, or only one of the crossed lists is given.
    """
    if weight_seeds is None and batch_seeds is None:
        return tuple(Replicate(seed, seed) for seed in _seed_list("seeds", seeds))
    if weight_seeds is None or batch_seeds is None:
        missing = "weight_seeds" if weight_seeds is None else "batch_seeds"
        raise ConfigError(
            f"`{missing}` is missing: `weight_seeds` and `batch_seeds` are crossed, "
            f"so give both, or neither and `seeds`."
        )
    rows = _seed_list("weight_seeds", weight_seeds)
    columns = _seed_list("batch_seeds", batch_seeds)
    return tuple(Replicate(row, column) for row in rows for column in columns)


def _seed_list(key: str, value: Any) -> list[int]:
    rule = "a positive integer or a list of distinct non-negative integers"
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return list(range(value))
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ConfigError.at(key, rule, value)
    seeds = [NON_NEGATIVE_INTEGER.apply(key, seed) for seed in value]
    if max(seeds) > _LARGEST_SEED:
        raise ConfigError.at(key, rule, value, f"The largest seed is {_LARGEST_SEED}.")
    if len(set(seeds)) < len(seeds):
        raise ConfigError.at(key, rule, value, "Name each seed once.")
    return seeds


_COMPARED = ("dataset", "model", "optimizer", "training")


def factors(configurations: Sequence[Configuration]) -> list[dict[str, Scalar]]:
    """Returns for each configuration the settings, other than `init`, that vary in the sweep.

    Where the options of a group vary (`model=mlp,cnn`) the group is the factor and its value is the
    option's label; otherwise each setting that varies is a factor (`model.depth`).
    """
    if not configurations:
        return []
    columns: dict[str, list[Scalar]] = {}
    for group in _COMPARED:
        options = [getattr(configuration, group) for configuration in configurations]
        columns |= _group_factors(group, options)
    columns["engine"] = [configuration.engine for configuration in configurations]
    columns["device"] = [configuration.device for configuration in configurations]
    varying = {key: values for key, values in columns.items() if len(set(values)) > 1}
    return [
        {key: values[row] for key, values in varying.items()} for row in range(len(configurations))
    ]


def _group_factors(group: str, options: Sequence[Any]) -> dict[str, list[Scalar]]:
    specs = [option.settings if isinstance(option, Choice) else option for option in options]
    names = [option.name if isinstance(option, Choice) else type(option) for option in options]
    if len(set(names)) > 1:
        return {group: [_option_label(option) for option in options]}
    if not is_dataclass(specs[0]):
        return {}
    columns: dict[str, list[Scalar]] = {}
    for field in fields(specs[0]):
        values = [getattr(spec, field.name) for spec in specs]
        key = f"{group}.{field.name}"
        if field.name == "arguments":  # each of a mapping's entries is a setting of its own
            for name in dict.fromkeys(name for value in values for name in value):
                columns[f"{key}.{name}"] = [_scalar(value.get(name)) for value in values]
        else:
            columns[key] = [_scalar(value) for value in values]
    return columns


def _option_label(option: Any) -> str:
    if isinstance(option, Choice):
        return option.label
    return "none" if isinstance(option, NoTraining) else "default"


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, Scalar) else str(value)
