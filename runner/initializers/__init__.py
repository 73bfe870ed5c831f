"""Initializers: the laws that the kernels of a model are drawn from.

`law` holds the two protocols, `laws` one class for each classic option of the group `init`: its
settings and its law. Later laws stand by what they are made of: `orthogonal`, `deterministic`,
`diagonal`, `sparse`, `asymmetric`; laws by role by the models that they are for: `residual`,
`transformer`, `mimetic`, `siren`; those that look at data have a module each: `lsuv`, `mean_field`,
`metainit`. `rules` has other laws for some weights; `draw` draws the weights of a whole model for a
seed, `applying` gives them to any Keras model (`apply`). Nothing here imports Keras before a law is
asked for numbers.
"""

from typing import Any

from runner.initializers import (
    asymmetric,
    deterministic,
    diagonal,
    laws,
    mimetic,
    orthogonal,
    residual,
    siren,
    sparse,
    transformer,
)
from runner.initializers.custom import Custom
from runner.initializers.law import CATALOGUE
from runner.initializers.lsuv import Lsuv
from runner.initializers.mean_field import MeanField
from runner.initializers.metainit import MetaInit
from runner.initializers.own import Keep

__all__ = ["CATALOGUE", "apply"]

for _module in (laws, orthogonal, deterministic, diagonal, sparse, asymmetric):
    CATALOGUE.update(_module.OPTIONS)
for _by_role in (residual, transformer, mimetic, siren):
    CATALOGUE.update(_by_role.OPTIONS)
CATALOGUE.update({"lsuv": Lsuv, "mean_field": MeanField, "metainit": MetaInit})
CATALOGUE.update({"keep": Keep, "custom": Custom})


def __getattr__(name: str) -> Any:
    """Imports `apply` when it is first asked for; Keras comes with it."""
    if name != "apply":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runner.initializers.applying import apply

    return apply
