"""The networks of `keras.applications`, without the weights that they were trained to."""

import difflib
import math
import warnings
from dataclasses import dataclass
from typing import Any

from runner.config import ARGUMENTS, BOOLEAN, TEXT, ConfigError, setting
from runner.models.ending import linear_output
from runner.models.halving import check_images
from runner.tasks import Signature

APPLICATIONS = (
    *(f"ConvNeXt{size}" for size in ("Base", "Large", "Small", "Tiny", "XLarge")),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "L", "M", "S")),
    *("InceptionResNetV2", "InceptionV3"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"),
    *("NASNetLarge", "NASNetMobile"),
    *("ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2"),
    *("VGG16", "VGG19", "Xception"),
)
"""All functions of `keras.applications`, known without importing Keras."""

# Decided by the data, by the other settings, or by what this program is for.
_OURS = {
    *("weights", "include_top", "input_shape", "input_tensor", "pooling", "classes"),
    *("classifier_activation", "name"),
}


@dataclass(frozen=True)
class Applications:
    """Settings of `applications`.

    Attributes:
      application: Name of a function of `keras.applications`.
      include_top: Whether to take the application's own layers after its last feature map; without
        them the mean over all its pixels goes into a dense linear layer.
      arguments: Further keyword arguments of the function, such as `alpha` of `MobileNetV2`.
    """

    application: str = setting(TEXT)
    include_top: bool = setting(BOOLEAN, True)
    arguments: dict[str, Any] = setting(ARGUMENTS, {})

    def __post_init__(self) -> None:
        name = self.application
        if name not in APPLICATIONS:
            cased = {one.lower(): one for one in APPLICATIONS}
            close = difflib.get_close_matches(name.lower(), cased, n=4, cutoff=0.5)
            meant = [cased[one] for one in close]
            advice = (
                f"Close to it: {', '.join(meant)}." if meant else f"Use {', '.join(APPLICATIONS)}."
            )
            raise ConfigError.at(
                "model.application", "the name of a model in keras.applications", name, advice
            )
        if taken := sorted(_OURS & self.arguments.keys()):
            raise ConfigError.at(
                "model.arguments",
                f"arguments other than {', '.join(taken)}, which follow from the data and settings",
                self.arguments,
            )


def build(settings: Applications, signature: Signature) -> Any:
    """Builds the network with Keras's own function, `weights=None` and linear outputs.

    Layers that prepare bytes, where they can be left out, are: the data are prepared already.
    (`EfficientNetB0` to `B7` always divide by 255; the normalization that follows takes it back.)

    Args:
      settings: See `Applications`.
      signature: Inputs of shape `(height, width, channels)`.

    Returns:
      A functional `keras.Model`; layers are called as in `keras.applications`.

    Raises:
      ConfigError: The data are not images, the application refuses their size, or it does not have
        such an argument.
    """
    import inspect

    import keras

    shape = signature.input_shape
    check_images("applications", shape)
    function = getattr(keras.applications, settings.application)
    known = inspect.signature(function).parameters
    if unknown := sorted(settings.arguments.keys() - known.keys()):
        having = ", ".join(sorted(known.keys() - _OURS)) or "no further arguments"
        rule = f"arguments that {settings.application} has: {having}"
        raise ConfigError.at(
            "model.arguments", rule, {key: settings.arguments[key] for key in unknown}
        )
    top = (
        {"classes": math.prod(signature.outputs), "classifier_activation": None}
        if settings.include_top
        else {}
    )
    plain = {"include_preprocessing": False} if "include_preprocessing" in known else {}
    arguments = {"weights": None, "input_shape": shape, "include_top": settings.include_top}
    try:
        with warnings.catch_warnings():
            # Whatever numbers of channels trained weights would be for, there are none here.
            warnings.filterwarnings("ignore", ".*usually expects 1 or 3 input channels")
            model = function(**arguments | top | plain | settings.arguments)
    except (TypeError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ConfigError.at(
            "model.application",
            f"one that takes images of shape {shape} and its arguments",
            settings.application,
            f"Keras says: {told}",
        ) from None
    return _ended(model, settings, signature)


def _ended(model: Any, settings: Applications, signature: Signature) -> Any:
    """Returns the model with outputs of the shape that is wanted."""
    import keras

    outputs = model.outputs[0]
    if not settings.include_top:
        pool = keras.layers.GlobalAveragePooling2D(name="pool")
        outputs = linear_output(outputs, signature, pool)
    elif len(signature.outputs) > 1:
        outputs = keras.layers.Reshape(signature.outputs, name="shaped")(outputs)
    else:
        return model
    return keras.Model(model.inputs[0], outputs, name=model.name)
