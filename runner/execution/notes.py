"""What a person should know of a model and its initializer before anything is trained."""

import logging
from collections.abc import Sequence
from typing import Any

from runner.anatomy.kernels import listed
from runner.config import abridged
from runner.initializers import own
from runner.initializers.law import KEEP
from runner.models.custom import ignored_compilation
from runner.models.foresight import predicts_next, sees_later_steps
from runner.plan import Choice
from runner.report.names import VARIATION
from runner.terminal import DETAIL

log = logging.getLogger(__name__)

# More weights are not listed in a line.
_MAX_NAMED = 4


def tell_model(choice: Choice, model: Any, drawer: Any) -> None:
    """Says which weights are not drawn, and what the model brings along that is not used.

    Args:
      choice: The option that made the model.
      model: The model.
      drawer: Of `runner.initializers.draw`.
    """
    if drawer.unknown:
        log.warning(
            "%s: %s %s the same values for every seed: no other seed changes %s.",
            choice.label,
            ", ".join(drawer.unknown),
            "starts from" if len(drawer.unknown) == 1 else "start from",
            "it" if len(drawer.unknown) == 1 else "them",
        )
    if drawer.left_out:
        log.info(
            "%s: `init` draws %.3g %% of the trainable parameters; %s keep the "
            "initializers of their layers.",
            choice.label,
            100 * drawer.share,
            listed(drawer.left_out, _MAX_NAMED),
        )
    if choice.name == "custom" and (unused := _unused(model, drawer)):
        log.info("%s: %s.", choice.label, "; ".join(unused))


def tell_foresight(choice: Choice, model: Any, dataset: Any) -> None:
    """Warns of a model that is given the token that it is to predict.

    Args:
      choice: The option that made the model.
      model: The model.
      dataset: What it learns.
    """
    if predicts_next(dataset.task, dataset.train) and sees_later_steps(model, dataset.probe(1)[0]):
        log.warning(
            "%s: its outputs depend on later tokens too, so that it sees the next token, which it "
            "is to predict: its losses say nothing about texts. Use a causal model, such as "
            "model=transformer, rnn or conv1d.",
            choice.label,
        )


def tell_rule(rule: str, paths: Sequence[str]) -> None:
    """Says which weights a rule draws."""
    log.info("Rule %s draws %s.", rule, abridged(paths, _MAX_NAMED))


def _unused(model: Any, drawer: Any) -> list[str]:
    """Returns what a user's model brings along that is not used."""
    parts = []
    if compiled := ignored_compilation(model):
        parts.append(f"its compile settings are not used ({compiled})")
    pairs = zip(drawer.drawn, drawer.kernels, strict=True)
    if replaced := own.replaced_initializers([k for k, record in pairs if record.law != KEEP]):
        told = abridged(replaced, _MAX_NAMED)
        parts.append(f"`init` replaces its kernels' own initializers ({told})")
    return parts


def tell_fixed(label: str, varies: Sequence[str]) -> None:
    """Says of an initializer with the same kernels for every seed what else differs between seeds.

    Args:
      label: The initializer's.
      varies: See `ConfigurationRecord.varies`.
    """
    rest = " and ".join(VARIATION[name] for name in varies)
    log.log(
        DETAIL if rest else logging.WARNING,
        "%s draws the same weights for every seed: %s.",
        label,
        f"its seeds differ only in {rest}" if rest else "its seeds do not differ at all",
    )
