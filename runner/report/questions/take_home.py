"""How the winner is written into a Keras model."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner import labels
from runner.records import ConfigurationRecord, weights_file
from runner.report import names, words
from runner.report.answer import Answer
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.verdict import Standing

# Laws that are classes of Keras's: the class, and what it calls the settings that it has too.
_CLASSES: dict[str, tuple[str, Mapping[str, str]]] = {
    "zero": ("Zeros", {}),
    "ones": ("Ones", {}),
    "constant": ("Constant", {"value": "value"}),
    "identity": ("Identity", {"gain": "gain"}),
    "orthogonal": ("Orthogonal", {"gain": "gain"}),
    "normal": ("RandomNormal", {"scale": "stddev"}),
    "truncated_normal": ("TruncatedNormal", {"scale": "stddev"}),
    "uniform": ("RandomUniform", {"scale": "maxval"}),
    "variance_scaling": (
        "VarianceScaling",
        {name: name for name in ("scale", "mode", "distribution")},
    ),
    "glorot_normal": ("GlorotNormal", {}),
    "glorot_uniform": ("GlorotUniform", {}),
    "he_normal": ("HeNormal", {}),
    "he_uniform": ("HeUniform", {}),
    "lecun_normal": ("LecunNormal", {}),
    "lecun_uniform": ("LecunUniform", {}),
}
_OWN = "keep"


def ask(sweep: Sweep) -> Answer | None:
    """How do I use the winner in my own code?"""
    found = winners(sweep)
    if not found or (code := _code(found[0].record)) is None:
        return None
    first, *others = dict.fromkeys(standing.record.init for standing in found)
    tied = f" As good here: {names.listed_some(others)}." if others else ""
    kept = _kept(sweep.results, found[0].record)
    return Answer(
        "takehome",
        "Take it home",
        note=f"How {names.one_line(first)} is written into a Keras model.{tied}",
        code="\n\n".join(filter(None, [code, kept])),
    )


def winners(sweep: Sweep) -> list[Standing]:
    """Returns what the headline tells to use, best first; of several settings, in most of them."""
    compared = [words.good(cell) for cell in sweep.cells if len(cell.standings) > 1]
    counts = Counter(standing.record.init for found in compared for standing in found)
    most = max(counts.values(), default=0)
    best = {init for init, count in counts.items() if count == most}
    by_init: dict[str, Standing] = {}
    for standing in (standing for found in compared for standing in found):
        if standing.record.init in best:
            by_init.setdefault(standing.record.init, standing)
    return list(by_init.values())


def _code(record: ConfigurationRecord) -> str | None:
    """Returns the code; None where nothing would do."""
    try:
        name, settings = labels.read(record.init)
    except ValueError:  # of an older version
        return None
    settings.pop(labels.MARK, None)
    if name == _OWN and not settings:
        return "# The model as it is: its own initializers do best."
    kernels = list(dict.fromkeys(kernel.path.rpartition("/")[2] for kernel in record.kernels))
    made = _made(name, settings)
    is_plain = set(kernels) == {"kernel"} and (
        name != "identity" or all(len(kernel.shape) == 2 for kernel in record.kernels)
    )
    if made is None or not is_plain:
        from runner.initializers import CATALOGUE  # which most reports can do without

        looks = getattr(CATALOGUE.get(name), "needs_data", False)
        batch = ", x=x_train[:128], y=y_train[:128]" if looks else ""
        told = record.init
        if "rules" in settings:  # the label has a tag for them
            rules = record.settings.get("init", {}).get("rules")
            told = labels.label(name, {**settings, "rules": rules})
        call = f"runner.initializers.apply(model, {told!r}, seed=0{batch})"
        return f"import runner\n\n{call}  # of a built Keras model"
    caution = "# An object for each layer: two that share one start with the same values."
    layer = f"layer = keras.layers.Dense(64, kernel_initializer={made})"
    return "\n".join(["import keras", "", caution, layer])


def _made(name: str, settings: Mapping[str, Any]) -> str | None:
    """Returns the law as an object of Keras's; None where it is none."""
    if name not in _CLASSES:
        return None
    kind, known = _CLASSES[name]
    if not settings.keys() <= known.keys():
        return None
    given = {known[key]: value for key, value in settings.items()}
    if "maxval" in given:
        given = {"minval": -given["maxval"], **given}
    told = ", ".join(f"{key}={value!r}" for key, value in given.items())
    return f"keras.initializers.{kind}({told})"


def _kept(results: Results, record: ConfigurationRecord) -> str:
    """Returns how the weights of a replicate are loaded; empty where none were kept."""
    save = record.settings.get("training", {}).get("save", "none")
    rows = results.replicates
    own = rows[(rows["configuration"] == record.index) & (rows["status"] == "finished")]
    seeds = own["seed"].dropna()
    if save == "none" or seeds.empty or len(results.sweeps) != 1:
        return ""
    what = {"start": "started from", "end": "ended with"}.get(save, "")
    seed = int(seeds.iloc[0])
    path = weights_file(Path(str(record.index)), f"seed-{seed}")
    told = f"# In the folder of this report: the weights that seed {seed} {what}."
    return f"{told}\nmodel.load_weights({path.as_posix()!r})"
