"""Whatever is typed ends in one clear line or in a good run, never in a traceback."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# A run that is accepted must be over at once.
BASE = (
    *("dataset=iris", "engine=keras", "training.epochs=1", "seeds=1", "model.width=4"),
    *("tracking=none", "report.figures=false", "rerun=true"),
)

KEYS = (
    *("dataset.validation", "dataset.test", "dataset.split_seed", "dataset.standardize"),
    *("dataset.subset", "model.depth", "model.activation", "model.dropout", "model.batch_norm"),
    *("init.bias", "init.fallback", "optimizer.learning_rate", "optimizer.schedule"),
    *("optimizer.clipnorm", "training.batch_size", "training.divergence_limit"),
    *("training.target_metric", "training.target_value", "training.checkpoint_every_s"),
    *("report.metric", "report.at", "report.baseline", "report.confidence"),
    *("seeds", "weight_seeds", "batch_seeds", "device", "dry_run", "tracking", "dataset", "init"),
    *("model", "optimizer", "training", "engine", "report", "hydra.sweep.dir", "nothing.at.all"),
)

NASTY = (
    *("-1", "0", "1", "2", "0.5", "1.5", "1e999", "-1e-300", "nan", "inf", "-inf", "null", "true"),
    *("false", "''", '""', "' '", "[]", "[0]", "[0,0]", "[1,2]", "[-1]", "[null]", "{}", "{a:1}"),
    *("a", "é", "日本", "'a b'", "a/b", "../../a", "'<script>'", "'\\x00'", "0x10", "1_0", ".5"),
    *("${seeds}", "${nothing}", "${oc.env:NOTHING}", "???", "none", "iris", "custom", "a.b:c"),
    *("a(b=1)", "'a(b=1)'", "'normal(scale=0.1)'", "'mlp(width=[1,2)'", "'sgd('", "Zeros", "a.B"),
    *("'%s%n'", "\\,", "a,b", "=", "--help", "10" * 40),
)

OVERRIDES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(NASTY)), min_size=1, max_size=2
)


def check(command, overrides):
    done = command(*BASE, *(f"{key}={value}" for key, value in overrides))
    GlobalHydra.instance().clear()
    assert done.code in (0, 1), done.output
    assert "Traceback" not in done.output
    assert done.output.strip()
    if done.code == 0 and "Nothing was trained" not in done.output:
        assert "Report: " in done.output


def test_overrides_end_in_one_line_or_a_good_run(command, keras):
    run_with(command, examples=5)


@pytest.mark.slow
def test_many_overrides_end_in_one_line_or_a_good_run(command, keras):
    run_with(command, examples=60)


def run_with(command, examples):
    """Derandomized: the same examples every time."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],  # others trace, which Hydra takes for a debugger
    )
    @given(OVERRIDES)
    def each(overrides):
        check(command, overrides)

    each()
