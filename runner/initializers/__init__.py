"""Initializers: the laws that the kernels of a model are drawn from.

`law` holds the two protocols, `laws` one class for each classic option of the group `init`: its
settings and its law. Later laws stand by what they are made of: `orthogonal`, `deterministic`,
`diagonal`, `sparse`, `asymmetric`. `rules` has other laws for some weights; `draw` draws the
weights of a whole model for a seed. Nothing here imports Keras before a law is asked for numbers.
"""

from runner.initializers import asymmetric, deterministic, diagonal, laws, orthogonal, sparse
from runner.initializers.custom import Custom
from runner.initializers.law import CATALOGUE
from runner.initializers.own import Keep

__all__ = ["CATALOGUE"]

CATALOGUE.update(
    {
        **laws.OPTIONS,
        **orthogonal.OPTIONS,
        **deterministic.OPTIONS,
        **diagonal.OPTIONS,
        **sparse.OPTIONS,
        **asymmetric.OPTIONS,
        "keep": Keep,
        "custom": Custom,
    }
)
