"""The paintings are deterministic, vary with the seed, and have what a style needs: colours and strong texture."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nst.paintings import PAINTINGS
from nst.pictures import palette
from nst.pictures.metrics import luminance

pytestmark = pytest.mark.slow


@cache
def painted(name, size=160, seed=0):
    return PAINTINGS[name](size, seed)


@pytest.mark.parametrize("name", PAINTINGS)
def test_shape_and_determinism(name):
    picture = painted(name, 64)
    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) == 64
    assert picture.shape[2] == 3
    assert np.array_equal(picture, PAINTINGS[name](64, 0))
    assert not np.array_equal(picture, painted(name, 64, seed=1))


@pytest.mark.parametrize("name", PAINTINGS)
def test_a_painting_has_contrast_texture_and_many_colours(name):
    picture = painted(name)
    grey = luminance(picture)
    edges = np.hypot(*np.gradient(grey))
    assert grey.std() > 25
    assert np.median(edges) > 2  # texture nearly everywhere, not a few outlines on flat ground
    assert len(np.unique(picture.reshape(-1, 3) // 32, axis=0)) > 40


def test_seeds_keep_the_palette_and_styles_differ_in_it():
    samples = {name: palette.sample(painted(name)) for name in PAINTINGS}
    for name, colours in samples.items():
        own = palette.distance(colours, palette.sample(painted(name, seed=1)))
        others = [palette.distance(colours, other) for key, other in samples.items() if key != name]
        assert own < min(others), name


@pytest.mark.parametrize("name", PAINTINGS)
@pytest.mark.parametrize("size", [16, 33])
def test_small_sizes_work(name, size):
    assert max(painted(name, size).shape[:2]) == size
