"""Initializers: the laws that the kernels of a model are drawn from.

`laws` holds one class for each option of the group `init`: its settings and its law; `kernels`
tells which of a model's weights are kernels; `draw` draws the weights of a whole model for a seed.
Nothing here imports Keras before a law is asked for numbers.
"""

from runner.initializers import laws
from runner.initializers.custom import Custom

__all__ = ["CATALOGUE"]

CATALOGUE: dict[str, type[laws.Law]] = {
    "uniform": laws.Uniform,
    "lecun_uniform": laws.LecunUniform,
    "normal": laws.Normal,
    "identity": laws.Identity,
    "orthogonal": laws.Orthogonal,
    "zero": laws.Zero,
    "glorot_normal": laws.GlorotNormal,
    "glorot_uniform": laws.GlorotUniform,
    "he_normal": laws.HeNormal,
    "he_uniform": laws.HeUniform,
    "keras1/identity": laws.Keras1Identity,
    "keras1/orthogonal": laws.Keras1Orthogonal,
    "keras1/glorot_normal": laws.Keras1GlorotNormal,
    "keras1/he_normal": laws.Keras1HeNormal,
    "lecun_normal": laws.LecunNormal,
    "truncated_normal": laws.TruncatedNormal,
    "variance_scaling": laws.VarianceScaling,
    "constant": laws.Constant,
    "ones": laws.Ones,
    "custom": Custom,
}
