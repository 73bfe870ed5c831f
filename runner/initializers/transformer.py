"""Laws of transformers.

A *layer* is a residual branch with a self-attention, with all that follows up to the next one. In a
model with cross-attention the layers that make what is attended to are the *encoder*, the others
the *decoder*. Where a model has no cross-attention, N is the number of all layers.

References:
  Radford, Wu, Child, Luan, Amodei, Sutskever (2019), Language models are unsupervised multitask
    learners.
  Nguyen, Salazar (2019), Transformers without tears.
  Wang, Komatsuzaki (2021), GPT-J and Mesh-Transformer-JAX; Black et al. (2022), GPT-NeoX-20B.
  Wang, Ma, Dong, Huang, Zhang, Wei (2022), DeepNet: scaling transformers to 1,000 layers.
  Huang, Perez, Ba, Volkovs (2020), Improving transformer optimization through better
    initialization.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from runner.anatomy.kernels import UndefinedError, keras_fans
from runner.anatomy.roles import Structure
from runner.config import POSITIVE, setting
from runner.initializers.law import KERNEL_LAW, Body, KernelLaw, ModelLaw
from runner.initializers.laws import Normal


@dataclass(frozen=True)
class _Layers:
    """The layers of a transformer.

    Attributes:
      body: A model that has attention.
    """

    body: Body

    @property
    def structure(self) -> Structure:
        return self.body.known_structure

    @cached_property
    def encoder(self) -> frozenset[int]:
        """Positions of the kernels before what is attended to; empty without cross-attention."""
        return frozenset(k for one in self.structure.attentions for k in one.context or ())

    @cached_property
    def has_decoder(self) -> bool:
        """Whether there is cross-attention."""
        return any(one.context is not None for one in self.structure.attentions)

    @cached_property
    def queries(self) -> list[int]:
        """Positions of the kernels of queries, one for each layer.

        Raises:
          UndefinedError: There is no layer.
        """
        own = {one.query for one in self.structure.attentions if one.context is None}
        found = [k for branch in self.structure.branches for k in branch.kernels if k in own]
        if not self.structure.attentions:
            raise UndefinedError("it is defined for transformers, and the model has no attention")
        if not found:
            raise UndefinedError(
                "it is defined for transformers, and none of the model's residual branches has a "
                "self-attention"
            )
        return found

    @property
    def numbers(self) -> tuple[int, int]:
        """The numbers of layers of the encoder and of the decoder.

        Without cross-attention the first is that of all layers, and the second is 0.
        """
        encoding = sum(k in self.encoder or not self.has_decoder for k in self.queries)
        return encoding, len(self.queries) - encoding

    def width(self) -> int:
        """Returns the number of channels that the layers add to.

        Raises:
          UndefinedError: There are several.
        """
        places, queries = self.body.places, set(self.queries)
        ends = [
            places[last]
            for branch in self.structure.branches
            if queries & set(branch.kernels)
            for last in branch.last
        ]
        widths = sorted(
            {
                keras_fans(end)[1] // (1 if end.fan_axes else math.prod(end.shape[:-2]))
                for end in ends
            }
        )
        if len(widths) != 1:
            shown = ", ".join(map(str, widths))
            raise UndefinedError(
                f"it is defined for transformers of one width, and the model has {shown}"
            )
        return widths[0]

    def scaled(self) -> list[int]:
        """Returns the positions of the kernels of values, outputs and feed-forward parts.

        Raises:
          UndefinedError: One of values is that of queries or keys too.
        """
        for one in self.structure.attentions:
            if one.value in (one.query, one.key):
                raise UndefinedError(
                    "it scales the kernels of values, and the model has queries, keys or both made "
                    f"by the same one: {self.body.places[one.value].path}"
                )
        roles = ("value", "attention_output", "feed_forward_in", "feed_forward_out")
        return [position for role in roles for position in self.structure.having(role)]


@dataclass(frozen=True)
class Gpt2(ModelLaw):
    """N(0, scale^2); the last kernel of each residual branch N(0, scale^2 / n), n branches.

    A transformer of L layers has 2L branches: its attentions and its feed-forward parts. Embedding
    tables are drawn from N(0, scale^2) too. Radford et al. (2019) tell the factor 1 / sqrt(n); the
    scale .02 is that of their code.
    """

    needs_roles: ClassVar[bool] = True
    base: ClassVar[str] = "normal"  # type: ignore[misc]  # this law draws all kernels itself

    scale: float = setting(POSITIVE, 0.02)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        structure, _ = body.known_structure, _Layers(body).queries
        residual = self.scale / math.sqrt(len(structure.branches))
        return _everything(body, Normal(scale=self.scale), Normal(scale=residual))


@dataclass(frozen=True)
class Small(ModelLaw):
    """N(0, 2 / (5d)); the last kernel of each residual branch N(0, (2 / (L sqrt(d)))^2).

    d is the width, L the number of layers, of encoder and decoder together. The first is the
    SmallInit of Nguyen and Salazar (2019), the second that of Wang and Komatsuzaki (2021), as they
    stand together in GPT-NeoX (Black et al., 2022), embedding tables like kernels.
    """

    needs_roles: ClassVar[bool] = True
    base: ClassVar[str] = "normal"  # type: ignore[misc]  # this law draws all kernels itself

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        layers = _Layers(body)
        width, num_layers = layers.width(), sum(layers.numbers)
        small = Normal(scale=math.sqrt(2 / (5 * width)))
        return _everything(body, small, Normal(scale=2 / (num_layers * math.sqrt(width))))


def _everything(body: Body, usual: KernelLaw, residual: KernelLaw) -> dict[int, KernelLaw]:
    """Returns a law for kernels and tables, and another for the last kernels of branches."""
    structure = body.known_structure
    return {
        **{kernel.position: usual for kernel in body.kernels},
        **dict.fromkeys(structure.having("embedding"), usual),
        **dict.fromkeys(structure.having("last_of_branch"), residual),
    }


@dataclass(frozen=True)
class DeepNorm(ModelLaw):
    """`base`; kernels of values, of outputs of attention and feed-forward parts times beta.

    beta is (8N)^(-1/4); with a decoder of M layers that attends to an encoder of N layers,
    .87 (N^4 M)^(-1/16) in the encoder and (12M)^(-1/4) in the decoder (Wang et al., 2022; the
    encoder's constant is quoted from memory).

    The model has to be built for it: normalization after each sum, and the shortcut times alpha,
    (2N)^(1/4); with a decoder .81 (N^4 M)^(1/16) and (3M)^(1/4). That is not looked for.
    """

    needs_roles: ClassVar[bool] = True

    base: str = setting(KERNEL_LAW, "glorot_normal")

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        layers = _Layers(body)
        encoding, decoding = layers.numbers
        if not layers.has_decoder:
            factors = {False: (8 * encoding) ** -0.25}
        else:
            factors = {
                True: 0.87 * (max(encoding, 1) ** 4 * max(decoding, 1)) ** (-1 / 16),
                False: (12 * max(decoding, 1)) ** -0.25,
            }
        return {k: self.scaled_base(factors[k in layers.encoder]) for k in layers.scaled()}


@dataclass(frozen=True)
class TFixup(ModelLaw):
    """`base`; kernels of values, of outputs of attention and feed-forward parts times a factor.

    The factor is .67 N^(-1/4), in a decoder that attends to an encoder (9N)^(-1/4), N the number of
    layers of either. Embedding tables with d columns are drawn from N(0, 1/d), times (9N)^(-1/4)
    with the decoder's N, if there is one (Huang et al., 2020).

    It is for transformers without normalization, which it makes superfluous: others are refused.
    The paper is about models with encoder and decoder, of equally many layers.
    """

    needs_roles: ClassVar[bool] = True

    base: str = setting(KERNEL_LAW, "glorot_uniform")

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        layers = _Layers(body)
        encoding, decoding = layers.numbers
        if normalized := layers.structure.having("normalization_scale"):
            raise UndefinedError(
                "it is defined for transformers without normalization, and the model has "
                f"{body.places[normalized[0]].path}"
            )
        factors = {True: 0.67 * max(encoding, 1) ** -0.25, False: 0.67 * max(encoding, 1) ** -0.25}
        if layers.has_decoder:
            factors[False] = (9 * max(decoding, 1)) ** -0.25
        of_tables = (9 * (decoding or encoding)) ** -0.25
        tables = {
            position: Normal(scale=of_tables / math.sqrt(body.places[position].shape[-1]))
            for position in layers.structure.having("embedding")
        }
        kernels = {k: self.scaled_base(factors[k in layers.encoder]) for k in layers.scaled()}
        return kernels | tables


OPTIONS: dict[str, type[ModelLaw]] = {
    "gpt2": Gpt2,
    "small": Small,
    "deepnorm": DeepNorm,
    "t_fixup": TFixup,
}
"""Names of these laws."""
