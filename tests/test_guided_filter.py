"""The guided filter: every window by a regression of its own, affine maps unchanged, edges of the content kept."""

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, pictures_of, request, small

from nst.config import METHOD_CONFIGS
from nst.pictures.guided_filter import guided_filter
from nst.pictures.images import resize_to


def regressions(picture, guide, radius, epsilon):
    """He, Sun & Tang 2013, eq. 14 to 16, window by window, as penalised least squares solved by numpy."""
    height, width = guide.shape[:2]
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))

    def window(y, x):
        return np.s_[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]

    for y in range(height):
        for x in range(width):
            colors, values = guide[window(y, x)].reshape(-1, 3), picture[window(y, x)].reshape(-1)
            count = len(values)
            design = np.vstack([np.c_[colors, np.ones(count)], np.sqrt(count * epsilon) * np.eye(3, 4)])
            solved = np.linalg.lstsq(design, np.r_[values, np.zeros(3)], rcond=None)[0]
            slopes[y, x], offsets[y, x] = solved[:3], solved[3]
    filtered = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            filtered[y, x] = slopes[window(y, x)].mean((0, 1)) @ guide[y, x] + offsets[window(y, x)].mean()
    return filtered


@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-2), (2, 1e-4), (30, 1e-3)])
def test_every_window_is_a_regression(radius, epsilon):
    random = np.random.default_rng(radius)
    guide, pictures = random.random((9, 11, 3)), random.random((9, 11, 2))
    tensors = (torch.from_numpy(array).permute(2, 0, 1)[None] for array in (pictures, guide))
    found = guided_filter(*tensors, radius, epsilon)[0].numpy()
    for channel in range(2):
        np.testing.assert_allclose(
            found[channel], regressions(pictures[..., channel], guide, radius, epsilon), atol=1e-9
        )


def test_texture_goes_and_edges_stay():
    guide = torch.zeros(1, 3, 32, 32)
    guide[..., 16:] = 1.0
    noise = 0.2 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = guided_filter(0.2 + 0.6 * guide + noise, guide, 4, 1e-4)
    assert found.dtype == torch.float32
    assert (found[..., 16:].mean() - found[..., :16].mean()).item() == pytest.approx(0.6, abs=0.02)
    assert (found[..., 16] - found[..., 15]).mean().item() == pytest.approx(0.6, abs=0.05)  # as sharp as before
    assert found[..., :16].std() < 0.25 * noise.std()


@pytest.mark.parametrize("method", ["gatys", "mrf"])
def test_the_saved_picture_is_the_filtered_one(method):
    def made(**filtered):
        config = small(METHOD_CONFIGS[method], size=32, steps=2, pyramid={"levels": 1}, **LAYERS, **filtered)
        return pictures_of(request(config))[0]

    plain, found = made(), made(guided_filter={"radius": 3, "epsilon": 1e-2})
    picture, guide = (
        torch.from_numpy(array).permute(2, 0, 1)[None].double() / 255.0
        for array in (plain, resize_to(CONTENT.array, found.shape[1], found.shape[0]))
    )
    again = guided_filter(picture, guide, 3, 1e-2).clamp(0.0, 1.0)[0].permute(1, 2, 0).numpy() * 255.0
    assert np.abs(found - again).max() < 1.5  # filtered after and before rounding to 8 bits
    assert np.abs(found - plain).max() > 5
