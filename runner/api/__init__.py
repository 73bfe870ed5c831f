"""`runner` from Python: a comparison in a notebook, by the same walk as on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.report.inspection import Inspection
    from runner.report.notebook import Results

__all__ = ["compare", "inspect", "load"]

Seeds = int | Sequence[int] | str
"""A number n for the seeds 0 to n - 1, a list of seeds, or `"auto"`."""


def compare(
    build: Any,
    x: Any = None,
    y: Any = None,
    init: Any = None,
    *,
    seeds: Seeds | None = None,
    epochs: int | Sequence[int] | None = None,
    optimizer: Any = None,
    batch_size: int | Sequence[int] | None = None,
    target: str | None = None,
    sample_weight: Any = None,
    validation_data: Any = None,
    test_data: Any = None,
    temporary: bool = False,
    **settings: Any,
) -> "Results":
    """Trains a model from several initializers with the same seeds, and says which one to use.

    It does what `python -m runner --multirun` does, in this process: it writes the same results
    folder and the same runs of MLflow, and does not train again what has been trained before.
    Ctrl-C keeps what has finished. Signals, random generators and the settings of Keras and Hydra
    are left as they were.

    Args:
      build: What is trained:
        a function `build(input_shape, num_outputs)` that returns a Keras model, compiled or not
        (its loss and optimizer are not used); it may be defined in a notebook, and what it uses
        counts: if that changes, the model is trained again;
        a built Sequential or functional Keras model, which is built anew from its config;
        or the name of an option: `"mlp"`, `"cnn"`, `"resnet"`, `"transformer"`, …
        Several in a list are compared with each other.
      x: Inputs, shape (examples, ...): an array; for several inputs a mapping of their names to
        arrays (for a built model a list too); a `pandas.DataFrame`; or a `tf.data.Dataset` that
        yields (x, y) or (x, y, weights), in batches or one by one, and ends. None where `dataset=`
        names a data set.
      y: Targets, one for each example: numbers, texts, or one-hot rows. Whether they are classes or
        quantities is told from them; `**{"dataset.task": "regression"}` says it.
      init: Names of initializers, such as `"he_normal"` or `"normal(scale=0.01)"`, or objects of
        `keras.initializers`; `"keep"` is the model's own. The others are `"uniform"`, `"normal"`,
        `"lecun_normal"`, `"glorot_uniform"`, `"orthogonal"`, `"identity"`, `"zero"`, …:
        `python -m runner --help` lists them.
      seeds: How many seeds each of them is trained with (a number, a list of seeds), or `"auto"`:
        as many as it takes until every comparison is decided.
      epochs: Of every training.
      optimizer: Name of an optimizer, such as `"adam"`, or an optimizer of Keras, such as
        `keras.optimizers.Adam(0.01)`.
      batch_size: Examples in a step.
      target: Name of the column of a `pandas.DataFrame` that holds the targets; in place of `y`.
      sample_weight: One number for each example, by which its loss is multiplied; of a
        `pandas.DataFrame` the name of a column too.
      validation_data: `(x, y)` or `(x, y, weights)`, as in Keras. Where it is missing, 20 % of the
        examples are held out for validation.
      test_data: As `validation_data`; measured once at the end. Where both are missing, another
        20 % are held out.
      temporary: Whether the results folder and the data lie in a temporary folder, which goes with
        the process, and nothing is sent to MLflow.
      **settings: Any setting of the command line under its own name: `device="cpu"`,
        `execution="ray"`, `**{"optimizer.learning_rate": 0.01}`. Several values in a list are
        compared: `**{"model.depth": [2, 8]}`.

    Returns:
      The verdict and the table; see `runner.report.notebook.Results`. None after `dry_run=True`,
      which prints what would be trained.

    Raises:
      TypeError: An argument has no such name.
      ValueError: A value cannot be used; the message is the sentence of the command line.
      KeyboardInterrupt: Interrupted; `runner.load("results/latest")` has what had finished, and
        the same call goes on from there.

    Examples:
      Your model and your data:

      >>> import keras, runner
      >>> def build(input_shape, num_outputs):
      ...     return keras.Sequential([
      ...         keras.Input(input_shape),
      ...         keras.layers.Dense(32, activation="relu"),
      ...         keras.layers.Dense(num_outputs),
      ...     ])
      >>> result = runner.compare(
      ...     build, x, y, init=["keep", "he_normal"], seeds=3, epochs=2, optimizer="adam"
      ... )                                                                # doctest: +ELLIPSIS
      Training 2 configurations, 6 replicates, 2 epochs each: ...
      >>> print(result.verdict)                                            # doctest: +SKIP
      >>> result.plot()                       # curves with bands          # doctest: +SKIP
      >>> result.differences                  # a pandas.DataFrame         # doctest: +SKIP
      >>> result.report("report.html")                                     # doctest: +SKIP

      Which depth for which initializer, on a data set of the catalogue:

      >>> runner.compare(
      ...     "mlp", dataset="digits", init=["he_normal", "orthogonal"], **{"model.depth": [2, 8]}
      ... )                                                                # doctest: +SKIP
    """
    from runner.api import comparing

    own = {
        "init": init,
        "seeds": seeds,
        "epochs": epochs,
        "optimizer": optimizer,
        "batch_size": batch_size,
    }
    data = comparing.Data(x, y, target, sample_weight, validation_data, test_data)
    return comparing.compare(build, data, own, temporary, settings)


def inspect(
    build: Any,
    x: Any = None,
    y: Any = None,
    init: str | Sequence[str] | None = None,
    *,
    seeds: Seeds | None = None,
    target: str | None = None,
    **settings: Any,
) -> "Inspection":
    """Looks at a model before any training: signal, gradient and loss, and what would help.

    Nothing is trained, and nothing is left in the working directory.

    Args:
      build, x, y, init, seeds, target: As for `compare`.
      **settings: Any setting of the command line, such as `diagnostics="full"`.

    Returns:
      Verdict, advice, table and figure; see `runner.report.inspection.Inspection`.

    Raises:
      TypeError, ValueError: As for `compare`.

    Examples:
      >>> import keras, runner
      >>> def build(input_shape, num_outputs):
      ...     return keras.Sequential([
      ...         keras.Input(input_shape),
      ...         keras.layers.Dense(32, activation="relu"),
      ...         keras.layers.Dense(num_outputs),
      ...     ])
      >>> look = runner.inspect(build, x, y, init=["he_normal", "lecun_normal"], seeds=2)
      >>> print(look.verdict)                                              # doctest: +ELLIPSIS
      he_normal is healthy: ...
      lecun_normal is healthy: ...
      >>> look.plot()                         # signal and gradient        # doctest: +SKIP
    """
    from runner.api import comparing
    from runner.report.inspection import Inspection

    own = {"init": init, "seeds": seeds}
    data = comparing.Data(x, y, target)
    step_0 = {"training": "none", "report.figures": False}
    return Inspection(comparing.compare(build, data, own, True, {**step_0, **settings}, "inspect"))


def load(
    *folders: Path | str,
    mlflow: str | Sequence[str] = (),
    tracking_uri: str | None = None,
    where: str | Sequence[str] = (),
    by: str | Sequence[str] | None = None,
    margin: float | None = None,
) -> "Results":
    """Returns the results of sweeps, also of those that were killed or are still running.

    Args:
      *folders: Results folders, such as `"results/latest"`.
      mlflow, tracking_uri, where, by, margin: See `runner.report.load`.

    Returns:
      As from `runner.compare`.

    Raises:
      ValueError: There are no results, or they cannot be read.

    Examples:
      >>> result = runner.load("results/latest")                           # doctest: +SKIP
      >>> result.replicates.boxplot("final_val_accuracy", by="init")       # doctest: +SKIP
    """
    from runner import report

    return report.load(
        *folders, mlflow=mlflow, tracking_uri=tracking_uri, where=where, by=by, margin=margin
    )
