"""Initializers: the laws that the kernels of a model are drawn from.

`laws` holds one class for each option of the group `init`: its settings and its law; `draw` draws
the weights of a whole model for a seed.
Nothing here imports Keras before a law is asked for numbers.
"""

from runner.initializers import laws
from runner.initializers.custom import Custom

__all__ = ["CATALOGUE"]

CATALOGUE: dict[str, type[laws.Law]] = {**laws.OPTIONS, "custom": Custom}
