"""A worker looks at a content and at a style once, and measures every picture as if it had looked again."""

from __future__ import annotations

import numpy as np
from cells import blocks, picture, request

from nst.config import GatysConfig
from nst.pictures.images import Pixels
from nst.pictures.metrics import measure
from tasks.work.measuring import Measuring

CONTENT, STYLES = picture(1, 64, 48), (picture(2, 36, 36), picture(3, 36, 36))


def test_metrics_are_those_of_a_fresh_look():
    measuring = Measuring()
    for seed, weights in enumerate(((0.5, 0.5), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25))):
        for height, width in ((32, 24), (16, 12), (32, 24)):
            image = blocks(seed, height, width)
            found = measuring.measure(image, request(GatysConfig(), CONTENT, STYLES, weights))
            assert found == measure(image, CONTENT.array, [style.array for style in STYLES], weights)


def test_a_cell_without_a_content_or_a_style_is_measured_without_it():
    image = blocks(5, 32, 24)
    assert Measuring().measure(image, request(GatysConfig(), None, ())) == measure(image, None)


def test_content_and_style_are_looked_at_once():
    content, style = (Pixels(pixels.digest, pixels.array.copy()) for pixels in (CONTENT, STYLES[0]))
    measuring, image = Measuring(), blocks(5, 32, 24)
    cell = request(GatysConfig(), content, [style])
    first = measuring.measure(image, cell)
    for pixels in (content, style):
        np.copyto(pixels.array, 0)  # whoever looks again sees black
    assert measuring.measure(image, cell) == first
    assert measuring.measure(blocks(5, 16, 12), cell) != measure(blocks(5, 16, 12), CONTENT.array, [STYLES[0].array])
