"""Images, and how often they can be halved."""

from runner.config import ConfigError


def check_images(model: str, input_shape: tuple[int, ...]) -> None:
    """Checks that examples are images.

    Raises:
      ConfigError: They are not.
    """
    if len(input_shape) != 3:
        raise ConfigError(
            f"`model={model}` needs images: examples of shape (height, width, channels). "
            f"Received: examples of shape {input_shape}. Use model=mlp, or images: "
            "those of one channel need an axis for it, such as x[..., None]."
        )


def check_halvings(model: str, count: int, input_shape: tuple[int, ...]) -> None:
    """Checks that images have even sides until they have been halved so often.

    Raises:
      ConfigError: They have not, or the data are not images.
    """
    check_images(model, input_shape)
    height, width = input_shape[:2]
    most = 0
    while not (height | width) & ((2 << most) - 1):
        most += 1
    if count > most:
        rule = f"at most {most} for images of shape {input_shape}, each halves them evenly"
        advice = f"Use {most}." if most else "Use images with even sides, or another model."
        raise ConfigError.at("model.depth", rule, count, advice)
