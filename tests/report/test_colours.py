"""Ten initializers can be told apart by people who lack one kind of cone, on light and on dark."""

from itertools import combinations

import numpy as np
import pytest

from runner.report.render.theme import DARK, PAPER, series_of

# Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color
# vision deficiency", severity 1.0, on linear RGB: table 1.
VISION = {
    "common": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Linear sRGB to XYZ (IEC 61966-2-1), and its white, D65.
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], float
)
# A difference of 2.3 is just noticeable side by side (Mahy et al., 1994). Lines are thin and apart.
LEAST_DIFFERENCE = 20.0
# Of a thin line and its ground: 3 is asked of graphics (WCAG 2.2, 1.4.11), which the light colours
# of the palette miss on white; no line may come near to vanishing.
LEAST_CONTRAST = {False: 1.5, True: 3.0}


def linear(color: str) -> np.ndarray:
    """Returns linear RGB between 0 and 1, shape (3,), of such as `"#3f90da"`."""
    encoded = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Returns CIELAB, shape (3,), of linear RGB."""
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(1)
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def looks(is_dark: bool) -> list[tuple[str, tuple[int, ...]]]:
    series = series_of([str(place) for place in range(10)])
    return [(DARK.get(s.color, s.color) if is_dark else s.color, tuple(s.dash)) for s in series]


def test_the_simulation_is_right() -> None:
    np.testing.assert_allclose(lab(linear("#ffffff")), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(lab(linear("#ff0000")), [53.24, 80.09, 67.20], atol=0.05)
    for matrix in VISION.values():  # greys stay grey for everyone
        np.testing.assert_allclose(np.sum(matrix, axis=1), 1, atol=2e-6)
    red, green = linear("#c04040"), linear("#5a7a1e")
    apart = {
        name: np.linalg.norm(lab(np.asarray(matrix) @ red) - lab(np.asarray(matrix) @ green))
        for name, matrix in VISION.items()
    }
    assert apart["deuteranopia"] < apart["common"] / 2


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("vision", VISION)
def test_ten_series_are_told_apart(vision: str, is_dark: bool) -> None:
    seen = [(lab(VISION[vision] @ linear(color)), dash) for color, dash in looks(is_dark)]
    alike = [
        (first, second)
        for first, second in combinations(range(10), 2)
        if seen[first][1] == seen[second][1]
        and np.linalg.norm(seen[first][0] - seen[second][0]) < LEAST_DIFFERENCE
    ]
    assert alike == []


@pytest.mark.parametrize("is_dark", [False, True])
def test_every_series_is_seen_on_its_ground(is_dark: bool) -> None:
    ground = DARK[PAPER] if is_dark else PAPER
    for color, _ in looks(is_dark):
        high, low = sorted((TO_XYZ[1] @ linear(c) for c in (color, ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST[is_dark], color
