"""`color` does the same in every method that has a content image: with the finished picture, or with the style."""

import numpy as np
import pytest
from cells import CONTENT, LAYERS, STYLES, request, run, small
from test_feedforward import of

from nst.config import METHOD_CONFIGS
from nst.ops import to_arrays, to_bytes
from nst.pictures.color import FINISHES, match_colors
from nst.pictures.images import Pixels
from nst.pictures.masks import plain_labels

RED = plain_labels("#ff0000")
BRIEF = {"steps": 2, "pyramid": {"levels": 1}}
OPTIMISED = {
    "gatys": {**LAYERS, **BRIEF},
    "mrf": {**LAYERS, **BRIEF},
    "mdan": {**LAYERS, **BRIEF},
    "doodle": {**LAYERS, **BRIEF, "init": "content"},
    "doodle/patches": {**LAYERS, **BRIEF, "init": "content", "how": "patches"},
    "dream": {"layers": ["relu2_1"], **BRIEF},
}
NETWORKS = ["johnson", "conditional", "texture_net", "adain", "mgan"]


def cell(name, style=STYLES[0], content=CONTENT, **changes):
    """A cell of a method or of a family of networks; pictures have the size of the content."""
    if name in NETWORKS:
        return of(name, content, [style] if name == "adain" else (), size=40, **changes)
    method = name.partition("/")[0]
    config = small(METHOD_CONFIGS[method], **OPTIMISED[name], **changes)
    masks = {"mask": RED, "style_masks": [RED]} if method == "doodle" else {}
    return request(config, content, [style] if "style" in config.needs else [], **masks)


def painted(one):
    (result,) = run(one)
    assert result.error is None
    return result.image


@pytest.mark.slow
@pytest.mark.parametrize("color", FINISHES)
@pytest.mark.parametrize("name", [*OPTIMISED, *NETWORKS])
def test_the_finished_picture_is_given_the_colours_of_the_content(name, color, monkeypatch):
    plain = painted(cell(name))
    given = []

    def negative(pictures, content):
        given.append(to_arrays(to_bytes(pictures))[0])
        return 1.0 - content.expand_as(pictures)

    monkeypatch.setitem(FINISHES, color, negative)
    np.testing.assert_array_equal(painted(cell(name, color=color)), 255 - CONTENT.array)
    np.testing.assert_array_equal(given, [plain])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gatys", "mrf", "mdan", "doodle", "doodle/patches", "adain"])
def test_the_style_takes_the_colours_of_the_content_beforehand(name):
    square = Pixels("square", STYLES[0].array[:36, :36].repeat(2, 0)[:40].repeat(2, 1)[:, :40])
    recolored = Pixels("recolored", match_colors(square.array, CONTENT.array))
    np.testing.assert_array_equal(painted(cell(name, square, color="histogram")), painted(cell(name, recolored)))


@pytest.mark.slow
@pytest.mark.parametrize("color", ["luminance", "oklab"])
def test_colours_of_tiles_are_those_of_the_whole_picture(color):
    content = Pixels("large", CONTENT.array.repeat(4, 0).repeat(4, 1))
    whole, tiles = (painted(of("johnson", content, size=160, color=color, tile=tile)) for tile in (160, 96))
    assert (np.abs(whole.astype(int) - tiles) <= 2).mean() > 0.99


def test_colours_matched_afterwards_are_those_of_all_tiles_together():
    content = Pixels("pale", CONTENT.array.repeat(4, 0).repeat(4, 1) // 4 + 96)
    image = painted(of("johnson", content, size=160, color="histogram_after", tile=96))
    ours, wanted = (array.reshape(-1, 3).astype(float) for array in (image, content.array))
    np.testing.assert_allclose(ours.mean(0), wanted.mean(0), atol=1.0)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(wanted.T), atol=0.03 * np.cov(wanted.T).max())


def test_a_doodle_without_a_picture_has_no_colours_to_keep():
    config = small(METHOD_CONFIGS["doodle"], **LAYERS, **BRIEF, color="oklab")
    (result,) = run(request(config, None, STYLES[:1], mask=RED, style_masks=[RED]))
    assert "no colours to keep" in str(result.error)
