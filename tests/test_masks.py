"""Label images: regions from colours whatever the file format did to them, soft shares by area, matching by colour."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nst.errors import InputError
from nst.pictures.masks import ALIKE, MAX_REGIONS, SAME, Labels, match_regions, plain_labels, read_labels

COLORS = ((255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0))


def drawing(scale=1):
    """A white ground, a red disc, a blue stripe, a black wedge."""
    image = Image.new("RGB", (160 * scale, 120 * scale), COLORS[0])
    draw = ImageDraw.Draw(image)
    draw.ellipse([scale * v for v in (20, 20, 80, 80)], COLORS[1])
    draw.rectangle([scale * v for v in (0, 90, 160, 110)], COLORS[2])
    draw.polygon([(scale * x, scale * y) for x, y in ((100, 10), (150, 10), (125, 70))], COLORS[3])
    return image


def truth(image):
    distances = np.square(np.asarray(image)[:, :, None].astype(int) - np.array(COLORS)).sum(3)
    return distances.argmin(2)


def as_jpeg(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def in_order_of(labels, colors):
    """The regions' numbers in the order of these colours, each region's colour near one of them."""
    found = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in labels.colors])
    distances = np.abs(found[:, None] - np.array(colors)).max(2)
    assert distances.min(1).max() <= 16
    return distances.argmin(1)[labels.index]


@pytest.mark.parametrize(
    ("array", "borders"),
    [
        (np.asarray(drawing()), 0.0),
        (as_jpeg(drawing(), 90), 0.02),
        (as_jpeg(drawing(), 40), 0.04),
        (np.asarray(drawing(4).resize((160, 120), Image.Resampling.LANCZOS)), 0.02),
        (as_jpeg(drawing(4).resize((160, 120), Image.Resampling.BICUBIC), 60), 0.04),
    ],
    ids=["png", "jpeg90", "jpeg40", "antialiased", "antialiased-jpeg"],
)
def test_every_file_of_a_drawing_has_the_drawings_regions(array, borders):
    labels = read_labels("d", array)
    assert len(labels.colors) == len(COLORS)
    wrong = in_order_of(labels, COLORS) != truth(drawing())
    assert wrong.mean() <= borders
    assert labels.colors[0] in {"#ffffff", "#fefefe"}  # the largest region comes first


def test_a_line_of_three_pixels_is_a_region_and_a_border_of_blends_is_none():
    array = np.full((60, 60, 3), 255, np.uint8)
    array[:, 20:23] = (0, 128, 0)
    array[:, 40:] = (255, 0, 0)
    array[:, 39] = (255, 128, 128)
    assert read_labels("d", array).colors == ("#ffffff", "#ff0000", "#008000")


def test_a_mask_without_any_flat_place_counts_its_pixels():
    checks = np.array([[0, 255], [255, 0]], np.uint8).repeat(3).reshape(2, 2, 3)
    assert set(read_labels("d", np.tile(checks, (4, 4, 1))).colors) == {"#000000", "#ffffff"}


@pytest.mark.parametrize("kind", ["noise", "gradient", "many"])
def test_a_photograph_is_no_mask(kind):
    rng = np.random.default_rng(0)
    many = np.array([(r, g, b) for r in (0, 120, 240) for g in (0, 120, 240) for b in (0, 120, 240)], np.uint8)
    array = {
        "noise": rng.integers(0, 256, (64, 64, 3), np.uint8),
        "gradient": np.stack([*np.mgrid[:128, :128] * 2, np.full((128, 128), 99)], axis=2).astype(np.uint8),
        "many": many[: MAX_REGIONS + 1, None].repeat(8, 0).repeat(32, 1),
    }[kind]
    with pytest.raises(InputError, match="mask") as error:
        read_labels("d", array)
    assert "every colour is a region" in error.value.hint


def test_as_many_regions_as_are_allowed():
    many = np.array([(r, g, b) for r in (0, 120, 240) for g in (0, 120, 240) for b in (0, 120, 240)], np.uint8)
    assert len(read_labels("d", many[:MAX_REGIONS, None].repeat(8, 0).repeat(32, 1)).colors) == MAX_REGIONS


def test_shares_are_areas_by_brute_force():
    """Against the mean of the mask drawn 7 x 5 times as large, whose pixels nest in the grid's cells."""
    rng = np.random.default_rng(1)
    labels = Labels("d", ("#000000", "#ff0000", "#00ff00"), rng.integers(0, 3, (10, 14), np.uint8))
    fine = labels.index.repeat(7, 0).repeat(5, 1)
    for label in range(3):
        expected = (fine == label).reshape(7, 10, 5, 14).mean((1, 3))
        np.testing.assert_allclose(labels.shares(label, 5, 7), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 12), (31, 23), (200, 150), (1, 1)])
def test_shares_of_all_regions_add_up_and_keep_their_areas(size):
    labels = read_labels("d", np.asarray(drawing()))
    shares = np.stack([labels.shares(label, *size) for label in range(4)])
    np.testing.assert_allclose(shares.sum(0), 1.0, atol=1e-6)
    np.testing.assert_allclose(shares.mean((1, 2)), np.bincount(labels.index.ravel()) / labels.index.size, atol=1e-6)


def test_a_region_of_one_pixel_vanishes_on_no_grid():
    """pystiche raises where a guide becomes empty on its way to a layer."""
    index = np.zeros((301, 403), np.uint8)
    index[300, 402] = 1
    for size in ((201, 150), (50, 37), (6, 4)):
        assert Labels("d", ("#000000", "#ffffff"), index).shares(1, *size).sum() > 0


def test_a_cell_that_a_region_does_not_touch_has_none_of_it():
    half = Labels("d", ("#000000", "#ffffff"), np.repeat([[0, 1]], 60, 1).repeat(40, 0).astype(np.uint8))
    shares = half.shares(0, 15, 7)
    assert (shares[:, :7] == 1).all()
    assert (shares[:, 8:] == 0).all()
    np.testing.assert_allclose(shares[:, 7], 0.5, atol=1e-6)


def test_a_colour_is_one_region_of_any_size():
    assert plain_labels("#ff0000").shares(0, 5, 3).tolist() == [[1.0] * 5] * 3


def one(*colors):
    return Labels("d", colors, np.zeros((1, 1), np.uint8))


def test_regions_are_matched_by_colour_not_by_order():
    assert match_regions(one("#ff0000", "#0000ff"), [one("#0000ff", "#00ff00", "#ff0000")]) == [(2,), (0,)]


def test_the_nearest_colour_of_all_styles_counts():
    red, orange = "#ff0000", "#ff331f"
    assert SAME < np.hypot(0x33, 0x1F) < ALIKE
    assert match_regions(one(red), [one(orange)]) == [(0,)]
    assert match_regions(one(red, orange), [one(red), one(orange), one("#ff0401")]) == [(0, None, 0), (None, 0, None)]


def test_a_region_without_a_style_is_told_with_the_colours_of_both_sides():
    with pytest.raises(InputError, match="nothing for #00ff00") as error:
        match_regions(one("#ff0000", "#00ff00"), [one("#ff0000"), one("#0000ff")])
    assert "#ff0000, #00ff00, the style's #ff0000, #0000ff" in error.value.message


@pytest.mark.parametrize(
    ("folder", "target", "count"),
    [("monet", "target_mask.png", 5), ("renoir", "target_mask.png", 4), ("renoir", "creek_mask.jpg", 4)],
)
def test_published_doodles_fit_their_paintings(shared_data, folder, target, count):
    content, style = (
        read_labels(name, np.asarray(Image.open(shared_data / "masks" / f"doodle_{folder}" / name).convert("RGB")))
        for name in (target, "style_mask.png")
    )
    assert (len(content.colors), len(style.colors)) == (count, count)
    assert sorted(match_regions(content, [style])) == [(n,) for n in range(count)]


def test_a_painting_is_no_mask(shared_data):
    with pytest.raises(InputError):
        read_labels("d", np.asarray(Image.open(shared_data / "masks/doodle_monet/style.png").convert("RGB")))
