"""Which replicates never learned: they finished, and ended where a constant guess would.

The best constant guess knows the class shares, or the mean, of the training part and no input. A
replicate has learned if one of these shows it:

- its validation loss after the last epoch is below that of the guess,
- its training loss, the mean over the last epoch's batches, is below that of the guess,
- its validation accuracy (of several labels, the binary one) is above that of the guess, and above
  that of the untrained model.

A loss is below by at least 1 % of the guess's, an accuracy above by at least 20 % of the way to 1:
less is seen in nets that do not train. And it is so by more than luck would have it in one of a
thousand cases, on as many examples as there are. For an accuracy that is the binomial tail: of an
example's several labels, the share that is right scatters less than a single answer. For a loss of
n examples it is ln 1000 / n: predictions that know nothing of the targets have a likelihood ratio
to the guess of 1 in expectation, so it passes 1000 with a probability of 1/1000 at most, however
many classes there are and whatever is predicted (Markov's inequality). A squared error is twice the
variance times such a loss.

The training accuracy is no evidence: nets whose loss never moves still drift with the batches.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import bdtrc

from runner.report.results import Results
from runner.tasks import ENDPOINT, metric, parted

# Relatively to the guess's loss, and to the way from the guess's accuracy to 1.
LEAST_LOSS = 0.01
LEAST_ACCURACY = 0.2
_LUCK = 1 / 1000
_KEYS = ["configuration", "weight_seed", "batch_seed"]
_ACCURACIES = {task: name for task, name in ENDPOINT.items() if metric(name).is_share}


def unlearned(results: Results) -> pd.Series:
    """Tells which replicates finished and never learned, by the index of `results.replicates`."""
    rows = results.replicates
    never = pd.Series(False, rows.index)
    if "final_loss" not in rows:
        return never
    trained = rows[(rows["status"] == "finished") & (rows["epochs"] > 0)]
    started = trained.merge(_untrained(results.curves), on=_KEYS, how="left").set_index(
        trained.index
    )
    datasets = {record.index: record.dataset for record in results.configurations}
    for index, of in started.groupby("configuration"):
        never[of.index] = is_unlearned(datasets[int(str(index))], of)
    return never


def _untrained(curves: pd.DataFrame) -> pd.DataFrame:
    """Returns the accuracy of each replicate before training, a column `start`."""
    first = curves[(curves["epoch"] == 0) & curves["metric"].isin(_ACCURACIES.values())]
    return first[[*_KEYS, "value"]].rename(columns={"value": "start"})


def constant_guess(dataset: Mapping[str, Any], metric: str) -> float:
    """Returns what the best constant guess reaches; NaN where the record does not tell it."""
    plain = parted(metric)[1]
    if plain == "accuracy":
        share = dataset.get("majority_share")
        return float(share if share is not None else 1 / (dataset.get("num_outputs") or np.nan))
    known = dataset.get(f"uninformed_{plain}")
    return np.nan if known is None else float(known)


def is_unlearned(
    dataset: Mapping[str, Any], of: Mapping[str, ArrayLike] | pd.DataFrame
) -> np.ndarray:
    """Tells which of the replicates that trained on a data set never learned, shape (replicates,).

    Args:
      dataset: What the record keeps of the data set.
      of: `final_loss`, and `final_val_loss`, `final_val_accuracy` (of several labels
        `final_val_binary_accuracy`) and `start` (that accuracy before training) where they are
        known, shape (replicates,). A replicate without a training loss, or of data without
        `uninformed_loss`, counts as one that has learned.
    """
    loss = np.asarray(of["final_loss"], float)
    guess = dataset.get("uninformed_loss")
    if guess is None:
        return np.zeros(loss.shape, bool)
    of_validation = dataset.get("uninformed_val_loss")
    task = dataset.get("task", "classification")
    if of_validation is None and task == "classification":
        of_validation = guess  # parts have the same class shares
    shown = _is_below(dataset, loss, guess, "num_train")
    if "final_val_loss" in of and of_validation is not None:
        shown |= _is_below(dataset, of["final_val_loss"], of_validation, "num_validation")
    accuracy = _ACCURACIES.get(task)
    if accuracy is not None and f"final_{accuracy}" in of:
        start = np.fmax(of.get("start", 0.0), constant_guess(dataset, accuracy))
        shown |= _is_above(dataset, of[f"final_{accuracy}"], start)
    return ~shown & ~np.isnan(loss)


def _is_below(dataset: Mapping[str, Any], loss: ArrayLike, guess: float, size: str) -> np.ndarray:
    """Tells whether a loss on `size` examples is below that of the guess."""
    unit = 2 * guess if dataset.get("task") == "regression" else 1.0
    luck = -math.log(_LUCK) * unit / _size(dataset, size)
    return np.asarray(loss, float) < guess - max(LEAST_LOSS * guess, luck)


def _is_above(dataset: Mapping[str, Any], accuracy: ArrayLike, share: np.ndarray) -> np.ndarray:
    """Tells whether a validation accuracy is above a share of right answers."""
    found = np.asarray(accuracy, float)
    size = _size(dataset, "num_validation")
    is_more = found > share + LEAST_ACCURACY * (1 - share)
    return is_more & (bdtrc(np.rint(found * size) - 1, size, share) < _LUCK)


def _size(dataset: Mapping[str, Any], key: str) -> int:
    """Returns a number of examples, or so many that luck is nothing if a record does not tell."""
    return dataset.get(key) or 1_000_000
