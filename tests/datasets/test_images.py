"""Folders of the user's images: every mode, and one clear line for what cannot be read."""

import numpy as np
import pytest
from PIL import Image

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.images import Images, read_image

RED, GREEN = (255, 0, 0), (0, 128, 0)


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes with six plain images of 4 x 6 pixels each."""
    for number in range(12):
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        Image.new("RGB", (6, 4), (number, 2 * number, 99)).save(place / f"{number:02}.png")
    return tmp_path


def loaded(path, **settings):
    return load("images", Images(path=str(path), standardize=False, **settings))


def parts(dataset):
    return [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]


def test_colours_come_as_they_are(folder):
    dataset = loaded(folder)
    assert dataset.input_shape == (4, 6, 3)
    assert dataset.classes == ("a", "b")
    for part in parts(dataset):
        number = np.round(255 * part.x[:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(number % 2, part.y)
        np.testing.assert_allclose(part.x[:, 3, 5, 1], 2 * number / 255, rtol=1e-6)
    assert not dataset.notes


def picture(mode):
    return Image.new(mode, (3, 2))


def with_frames(path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in (RED, GREEN)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def turned(path):
    image = Image.new("RGB", (3, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(path, exif=exif)


def half_transparent(path):
    image = Image.new("RGBA", (3, 2), (*RED, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(path)


def of_palette(path):
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, *RED])
    image.save(path)


def transparent_palette(path):
    image = Image.new("P", (3, 2), 0)
    image.putpalette([0, 0, 0, *RED])
    image.save(path, transparency=0)


def of_16_bits(path):
    Image.fromarray(np.full((2, 3), 65535, np.uint16)).save(path)


MODES = {
    "grey": ("a.png", lambda path: Image.new("L", (3, 2), 7).save(path), "L", 7, []),
    "black and white": ("a.png", lambda path: Image.new("1", (3, 2), 1).save(path), "L", 255, []),
    "16 bits": ("a.png", of_16_bits, "L", 255, ["16 bits"]),
    "16 bits in tiff": ("a.tif", of_16_bits, "L", 255, ["16 bits"]),
    "grey, opaque": (
        "a.png",
        lambda path: Image.new("LA", (3, 2), (9, 255)).save(path),
        "L",
        9,
        [],
    ),
    "transparent": ("a.png", half_transparent, "RGB", (255, 255, 255), ["transparent"]),
    "palette": ("a.png", of_palette, "RGB", RED, []),
    "palette in gif": ("a.gif", of_palette, "RGB", RED, []),
    "transparent palette": (
        "a.png",
        transparent_palette,
        "RGB",
        (255, 255, 255),
        ["transparent"],
    ),
    "inks": ("a.tif", lambda path: Image.new("CMYK", (3, 2)).save(path), "RGB", (255,) * 3, []),
    "frames": ("a.gif", with_frames, "RGB", RED, ["frames"]),
    "turned": ("a.jpg", turned, "RGB", (0, 0, 0), ["turned"]),
}


@pytest.mark.parametrize("case", MODES)
def test_modes(tmp_path, case):
    name, write, mode, pixel, changes = MODES[case]
    write(tmp_path / name)
    image, told = read_image(tmp_path / name, None)
    assert image.mode == mode
    assert image.getpixel((0, 0)) == pixel
    assert [change for change in told if change != "grey"] == changes
    assert image.size == ((2, 3) if case == "turned" else (3, 2))


def test_grey_ones_among_coloured_ones_have_three_channels(folder):
    Image.new("L", (6, 4), 200).save(folder / "a" / "grey.png")
    dataset = loaded(folder)
    assert dataset.input_shape == (4, 6, 3)
    assert "1 of 13 images are grey" in dataset.notes[0]


def test_all_grey_have_one_channel(tmp_path):
    for number in range(12):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.new("L", (6, 4), number).save(tmp_path / "ab"[number % 2] / f"{number}.bmp")
    assert loaded(tmp_path).input_shape == (4, 6, 1)
    assert loaded(tmp_path, as_sequence=True).input_shape == (24, 1)


def test_size(folder):
    Image.new("RGB", (60, 40), GREEN).save(folder / "a" / "large.jpg", quality=95)
    with pytest.raises(ConfigError, match=r"`dataset.size` must.*4 x 6 .*large.jpg' 40 x 60"):
        loaded(folder)
    dataset = loaded(folder, size=(2, 3))
    assert dataset.input_shape == (2, 3, 3)
    assert "13 of 13 images are stretched or shrunk" in dataset.notes[0]


def test_official_parts_and_what_is_left_out(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("all")
    for part in ("Train", "test", "val"):
        (root / part).symlink_to(folder)
    (folder / "a" / "about.txt").write_text("cats")
    (folder / "a" / ".DS_Store").write_bytes(b"1")
    (folder / "empty").mkdir()
    dataset = loaded(root)
    assert [len(part) for part in parts(dataset)] == [12, 12, 12]
    told = " ".join(dataset.notes)
    assert "Left out, folders without images: 'empty'." in told
    assert "Left out, files that are no images of a class: 'about.txt'." in told


def damaged(folder):
    content = (folder / "a" / "00.png").read_bytes()
    (folder / "a" / "00.png").write_bytes(content[: len(content) - 30])


def emptied(folder):
    (folder / "a" / "00.png").write_bytes(b"")


def page(folder):
    (folder / "b" / "01.png").write_text("<html>not found</html>")


def fractions(folder):
    Image.fromarray(np.full((4, 6), 0.5, np.float32)).save(folder / "a" / "f.tif")


def large_numbers(folder):
    Image.fromarray(np.full((4, 6), 70000, np.int32)).save(folder / "a" / "i.tif")


def single(folder):
    (folder / "c").mkdir()
    Image.new("RGB", (6, 4)).save(folder / "c" / "one.png")


def without_folders(folder):
    for path in folder.rglob("*.png"):
        path.rename(folder / path.name)
    (folder / "a").rmdir()
    (folder / "b").rmdir()


def without_images(folder):
    for path in folder.rglob("*.png"):
        path.rename(path.with_suffix(".npy"))


def bomb(folder):
    Image.new("1", (20_000, 10_000)).save(folder / "a" / "bomb.png")


WRONG = {
    damaged: "images that can be read. Received: .*00.png'. Repair it, or take it out",
    emptied: "images that can be read. Received: UnidentifiedImageError",
    page: "images that can be read. Received: UnidentifiedImageError.*01.png",
    bomb: "images that can be read. Received: DecompressionBomb.*bomb.png",
    fractions: "images of whole numbers. Received: fractions.*f.tif",
    large_numbers: "images of at most 16 bits. Received: .*70000.*i.tif",
    single: "at least 3 examples of every class.*Received: 1 of class 'c'",
    without_folders: "a folder of images for each class.*with no folder and 12 files",
    without_images: "a folder of images for each class.*with no images in 2 folders and 12 files",
}


@pytest.mark.parametrize("damage", WRONG, ids=lambda damage: damage.__name__)
def test_wrong_folders(folder, damage):
    damage(folder)
    with pytest.raises(ConfigError, match=WRONG[damage]) as caught:
        loaded(folder)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder(folder):
    with pytest.raises(ConfigError, match=r"must name a folder with .*Received: a file"):
        loaded(folder / "a" / "00.png")
