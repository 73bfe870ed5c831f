"""What is to be trained: configurations, their replicates, and the factors that tell them apart."""

import dataclasses
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from runner.config import (
    BOOLEAN,
    FRACTION,
    IMPORT_PATH,
    NON_NEGATIVE,
    NON_NEGATIVE_INTEGER,
    NUMBER,
    POSITIVE,
    POSITIVE_INTEGER,
    PROPER_FRACTION,
    TEXT,
    ConfigError,
    Rule,
    changed_settings,
    convert,
    one_of,
    optional,
    setting,
)
from runner.design import DEFAULT_LOOKS
from runner.labels import PATHS, by_target, label
from runner.validation import LARGEST, Count

Scalar = str | int | float | bool | None


def _plain(value: Any) -> Any:
    """Returns a setting as it can be typed: of those that belong together, what differs."""
    return changed_settings(value) if isinstance(value, EarlyStopping) else value


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
        changed = changed_settings(self.settings).items()
        told = {k: _plain(v) for k, v in changed if k not in hidden}
        if self.name != "custom":
            return label(self.name, {**told, **more})
        own = [field.name for field in dataclasses.fields(self.settings)]
        name, told = by_target(told, own)
        return label(name, {**told, **more})


@dataclass(frozen=True)
class EarlyStopping:
    """When a replicate ends before its last epoch; see `runner.training.stopping`.

    Attributes:
      patience: After so many epochs in a row without an improvement; None for never.
      metric: Of what.
      min_delta: An improvement is larger than this.
    """

    patience: int | None = setting(optional(POSITIVE_INTEGER), None)
    metric: str = setting(TEXT, "val_loss")
    min_delta: float = setting(NON_NEGATIVE, 0.0)


def _early_stopping(value: Any) -> EarlyStopping:
    if not isinstance(value, Mapping):
        raise ValueError
    return convert(EarlyStopping, value, "training.early_stopping")


_EARLY_STOPPING = Rule(
    "a mapping with patience, metric and min_delta, such as {patience: 5}", _early_stopping
)

Precision = Literal["float32", "bfloat16", "float16", "float64"]
"""What a model computes in; see `runner.training.precision`."""

Save = Literal["none", "start", "end"]
"""Which weights of every replicate are kept: none, those it started from, its last ones."""


def _named_in(module: str, example: str) -> Rule:
    """Returns the rule that admits a name of Keras, or an import path."""

    def accept(value: Any) -> str:
        if isinstance(value, str) and value.isidentifier():
            return value
        return str(IMPORT_PATH.accept(value)).removeprefix(f"{module}.")

    return Rule(f"a name in {module}, such as {example}, or an import path", accept)


_METRIC = _named_in("keras.metrics", "mean_squared_error")


def _metrics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_METRIC.accept(each) for each in value)


_METRICS = Rule(
    "a list of names in keras.metrics, or import paths, such as [mse,my_metrics.f]", _metrics
)

BALANCED = "balanced"
"""As `class_weight`: all classes together count the same."""


def _class_weight(value: Any) -> str | dict[str, float]:
    if value == BALANCED:
        return BALANCED
    if not isinstance(value, Mapping) or not value:
        raise ValueError
    return {str(name): NON_NEGATIVE.accept(weight) for name, weight in value.items()}


_CLASS_WEIGHT = Rule(
    "balanced, or non-negative weights by class, such as {cat: 1, dog: 2.5}", _class_weight
)


@dataclass(frozen=True)
class Goal:
    """What is minimized and measured, where that is not what the task says.

    Attributes:
      loss: A loss of Keras, or the import path of the user's own; None for the task's.
      metrics: Of Keras, or the import paths of the user's own: what is measured besides.
      label_smoothing: So much of every class's or label's target is spread evenly.
      class_weight: How much each class counts in the training part; None for the same.
    """

    loss: str | None = setting(optional(_named_in("keras.losses", "huber")), None)
    metrics: tuple[str, ...] = setting(_METRICS, ())
    label_smoothing: float = setting(FRACTION, 0.0)
    class_weight: str | Mapping[str, float] | None = setting(optional(_CLASS_WEIGHT), None)

    @property
    def goal(self) -> "Goal":
        """The goal alone."""
        return Goal(**{each.name: getattr(self, each.name) for each in dataclasses.fields(Goal)})

    @property
    def own_code(self) -> list[str]:
        """Import paths of the user's own code."""
        return [path for path in (self.loss, *self.metrics) if path is not None and "." in path]


@dataclass(frozen=True)
class Training(Goal):
    """How long, in which steps and to which end every replicate is trained."""

    epochs: int = setting(POSITIVE_INTEGER, 50)
    batch_size: int = setting(POSITIVE_INTEGER, 128)
    divergence_limit: float = setting(POSITIVE, 1e6)
    target_metric: str | None = setting(optional(TEXT), None)
    target_value: float | None = setting(optional(NUMBER), None)
    checkpoint_every_s: float = setting(POSITIVE, 60.0)
    save: Save = setting(one_of(*get_args(Save)), "none")
    precision: Precision = setting(one_of(*get_args(Precision)), "float32")
    early_stopping: EarlyStopping = setting(_EARLY_STOPPING, EarlyStopping())


@dataclass(frozen=True)
class NoTraining(Goal):
    """Records the untrained model (epoch 0) and stops."""

    batch_size: int = setting(POSITIVE_INTEGER, 128)
    precision: Precision = setting(one_of(*get_args(Precision)), "float32")
    save: Save = setting(one_of("none", "start"), "none")

    epochs: ClassVar[int] = 0
    divergence_limit: ClassVar[float] = sys.float_info.max  # an infinite loss is above it
    target_metric: ClassVar[str | None] = None
    target_value: ClassVar[float | None] = None
    checkpoint_every_s: ClassVar[float] = float("inf")
    early_stopping: ClassVar[EarlyStopping] = EarlyStopping()


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


AUTO = "auto"
"""As `seeds`: as many as it takes, look by look, until every comparison is decided."""


def replicates(
    seeds: int | Sequence[int] | str,
    weight_seeds: Sequence[int] | None = None,
    batch_seeds: Sequence[int] | None = None,
    auto: int = DEFAULT_LOOKS[0],
) -> tuple[Replicate, ...]:
    """Returns the replicates that the seed settings ask for.

    Args:
      seeds: n for the seeds 0..n-1, or distinct non-negative integers, or `AUTO`.
      weight_seeds: Seeds of the initial weights, crossed with `batch_seeds`; replaces `seeds`.
      batch_seeds: Seeds of data order and dropout, crossed with `weight_seeds`.
      auto: Number of seeds that `AUTO` has come to.

    Raises:
      ConfigError: A value breaks its rule, or only one of the crossed lists is given.
    """
    if seeds == AUTO:
        if weight_seeds is not None or batch_seeds is not None:
            raise ConfigError(
                "`seeds=auto` adds seeds look by look, and crossed seeds have one look. Leave out "
                "`weight_seeds` and `batch_seeds`, or `seeds`."
            )
        seeds = auto
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
    rule = "a positive integer, or a list of distinct non-negative integers"
    rule += ", or auto" if key == "seeds" else ""
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
# What else two configurations can differ in.
_SINGLE = ("engine", "device")
# Settings that hold others.
_TOGETHER = ("arguments", "early_stopping")


def factors(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Scalar]]:
    """Returns for each configuration the settings, other than `init`, that vary among all of them.

    Where the options of a group vary (`model=mlp,cnn`) the group is the factor and its value is the
    option, with those of its settings that vary too; otherwise each setting that varies is a factor
    (`model.depth`).

    Args:
      settings: Those of each configuration, composed: a group's option has a `name`.
    """
    columns: dict[str, list[Scalar]] = {}
    for group in _COMPARED:
        nodes = [each.get(group) for each in settings]
        columns |= _group_factors(group, [n if isinstance(n, Mapping) else {} for n in nodes])
    for key in _SINGLE:
        nodes = [each.get(key) for each in settings]
        columns[key] = [n.get("name") if isinstance(n, Mapping) else n for n in nodes]
    varying = {key: values for key, values in columns.items() if len(set(values)) > 1}
    return [{key: values[row] for key, values in varying.items()} for row in range(len(settings))]


def _group_factors(group: str, nodes: Sequence[Mapping[str, Any]]) -> dict[str, list[Scalar]]:
    options = [str(node.get("name")) for node in nodes]
    if len(set(options)) > 1:
        of = {
            option: _varying([node for node in nodes if str(node.get("name")) == option])
            for option in dict.fromkeys(options)
        }
        return {group: [_called(node, of[o]) for o, node in zip(options, nodes, strict=True)]}
    flat = [_flat(node) for node in nodes]
    keys = dict.fromkeys(key for node in flat for key in node if key != "name")
    return {f"{group}.{key}": [_scalar(node.get(key)) for node in flat] for key in keys}


def _varying(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for node in nodes for key in node)
    return [key for key in keys if len({str(node.get(key)) for node in nodes}) > 1]


def _called(node: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Returns an option with some settings; what the user names by a path is called after that."""
    told = {key: node.get(key) for key in keys}
    if node.get("name") != "custom":
        return label(str(node.get("name")), told)
    paths = {key: node[key] for key in PATHS if node.get(key)}
    return label(*by_target({**told, **paths}, node.keys()))


def _flat(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of an option; each of those that belong together is one of its own."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if key in _TOGETHER and isinstance(value, Mapping):
            flat |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            flat[key] = value
    return flat


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, Scalar) else str(value)
