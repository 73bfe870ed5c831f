"""Pictures of one or two simple shapes, generated: Shapeset-3x2.

All draws come from the stream `data` of `dataset.seed`.
"""

import math
from dataclasses import dataclass

import numpy as np

from runner import seeds
from runner.config import NON_NEGATIVE_INTEGER, setting
from runner.datasets.generated import AT_LEAST_TWO
from runner.datasets.settings import DrawnPictures, Examples

SHAPES = ("ellipse", "parallelogram", "triangle")
_PAIRS = [(a, b) for a in range(3) for b in range(a, 3)]
CLASSES = (*SHAPES, *(f"{SHAPES[a]} and {SHAPES[b]}" for a, b in _PAIRS))

_LEAST_CONTRAST = 0.2
_MOST_COVERED = 0.5
_SMALLEST, _LARGEST = 0.25, 0.55  # radius along an axis, where the picture reaches from -1 to 1
_SUBPIXELS = 3
# Of all of these the unit circle has the area pi.
_SQUARE = math.sqrt(math.pi) / 2
_TRIANGLE = math.sqrt(math.pi / (3 * math.sqrt(3)))  # radius of its inner circle


@dataclass(frozen=True)
class Shapeset(DrawnPictures):
    """Which one or two of three shapes a picture shows, whatever their places, sizes and greys.

    Law: the classes, three single shapes and six pairs, are equally frequent. A shape is a circle,
    a square or an equilateral triangle of equal area, stretched along two orthogonal axes by
    factors uniform in [0.25, 0.55] of half the picture, turned before and after uniformly, and lies
    wholly in the picture, uniformly. Of two the second, which is either with probability 1/2,
    covers at most half of the first. Background and shapes have uniform greys that differ by at
    least 0.2. A pixel is the mean over 3 x 3 points. Draws that break a rule are drawn again.

    Attributes:
      size: Number of examples, spread evenly over the classes.
      pixels: Height and width.
      seed: Seed of the draw.

    Reference: Glorot and Bengio, 2010, "Understanding the difficulty of training deep feedforward
    neural networks", section 2.1 (32 x 32 pixels, nine classes, at most half covered).
    """

    size: int = setting(AT_LEAST_TWO, 5000)
    pixels: int = setting(AT_LEAST_TWO, 32)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)

    def read(self) -> Examples:
        """Returns images of bytes, shape (size, pixels, pixels, 1)."""
        generator = seeds.generator(self.seed, "data")
        y = np.arange(self.size) % len(CLASSES)
        images = np.empty((self.size, self.pixels, self.pixels, 1), np.uint8)
        points = _grid(self.pixels * _SUBPIXELS)
        for image, label in zip(images, y, strict=True):
            fine = _picture(generator, _kinds(generator, int(label)), points)
            folded = fine.reshape(self.pixels, _SUBPIXELS, self.pixels, _SUBPIXELS)
            image[..., 0] = np.round(255 * folded.mean(axis=(1, 3)))
        return Examples(images, y, "classification", source="shapeset", classes=CLASSES)


def _grid(num: int) -> np.ndarray:
    """Returns the points of a picture from -1 to 1, shape (2, num, num): x to the right, y down."""
    axis = (2 * np.arange(num) + 1) / num - 1
    return np.stack(np.meshgrid(axis, axis))


def _kinds(generator: np.random.Generator, label: int) -> tuple[int, ...]:
    """Returns the shapes of a class, the rear one first."""
    if label < len(SHAPES):
        return (label,)
    pair = _PAIRS[label - len(SHAPES)]
    return pair if generator.random() < 0.5 else pair[::-1]


def _picture(
    generator: np.random.Generator, kinds: tuple[int, ...], points: np.ndarray
) -> np.ndarray:
    """Returns greys in [0, 1] at all points."""
    while True:
        masks = [_mask(generator, kind, points) for kind in kinds]
        covered = (masks[0] & masks[-1]).sum() if len(masks) > 1 else 0
        if covered <= _MOST_COVERED * masks[0].sum():
            break
    while True:
        greys = generator.random(1 + len(kinds))
        if np.diff(np.sort(greys)).min() >= _LEAST_CONTRAST:
            break
    picture = np.full(points.shape[1:], greys[0])
    for mask, grey in zip(masks, greys[1:], strict=True):
        picture[mask] = grey
    return picture


def _mask(generator: np.random.Generator, kind: int, points: np.ndarray) -> np.ndarray:
    """Returns which points lie in a shape that lies wholly in the picture."""
    while True:
        before, after = generator.uniform(0, 2 * math.pi, 2)
        factors = generator.uniform(_SMALLEST, _LARGEST, 2)
        place = generator.uniform(-1, 1, 2)
        to_picture = _turn(after) @ np.diag(factors) @ _turn(before)
        if (np.abs(place) + _reach(kind, to_picture) < 1).all():
            break
    away = points - place[:, np.newaxis, np.newaxis]
    return inside(kind, np.tensordot(np.linalg.inv(to_picture), away, 1))


def _turn(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _reach(kind: int, to_picture: np.ndarray) -> np.ndarray:
    """Returns how far a shape reaches along both axes of the picture, at most, shape (2,)."""
    if kind == 0:
        return np.linalg.norm(to_picture, axis=1)
    angles = np.arange(4) * math.pi / 2 + math.pi / 4
    radius = math.sqrt(2) * _SQUARE
    if kind == 2:
        angles, radius = np.arange(3) * 2 * math.pi / 3 + math.pi / 2, 2 * _TRIANGLE
    corners = radius * np.stack([np.cos(angles), np.sin(angles)])
    return np.abs(to_picture @ corners).max(axis=1)


def inside(kind: int, points: np.ndarray) -> np.ndarray:
    """Returns which points lie in the circle, the square or the triangle of area pi.

    Args:
      kind: Position in `SHAPES`.
      points: Shape (2, ...).
    """
    x, y = points
    if kind == 0:
        return x**2 + y**2 <= 1
    if kind == 1:
        return np.maximum(np.abs(x), np.abs(y)) <= _SQUARE
    sides = [-y, *(y / 2 + sign * math.sqrt(3) / 2 * x for sign in (-1, 1))]
    return np.max(sides, axis=0) <= _TRIANGLE
