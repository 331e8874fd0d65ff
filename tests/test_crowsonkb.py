"""The total that `preset: crowsonkb` minimises is that of crowsonkb/style-transfer-pytorch, by formulas of its own.

Wasserstein-2 comes from singular values here: with A = L L^T and B = R R^T, the trace of (A^1/2 B A^1/2)^1/2 is the sum
of the singular values of L^T R.
"""

import numpy as np
import pytest
import scipy.linalg
import torch
from cells import objective_of, picture, request
from torch.nn import functional

from nst.backbones import random_weights
from nst.config import GatysConfig

CONTENT, STYLE, PICTURE = picture(1, 36, 48), picture(2, 48, 40), picture(3, 36, 48)
BLOCKS = (2, 2, 4, 4, 4)


def vgg19(image, weights):
    """Features after each ReLU by block and convolution, such as (4, 2), of an RGB picture in 0..255."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = torch.from_numpy((image / 255.0 - mean) / deviation).permute(2, 0, 1)[None]
    features, number = {}, 0
    for block, convolutions in enumerate(BLOCKS, 1):
        for convolution in range(1, convolutions + 1):
            weight, bias = (weights[f"features.{number}.{part}"].double() for part in ("weight", "bias"))
            x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            features[block, convolution] = x[0].flatten(1).numpy()
            number += 2
            if (block, convolution) == (5, 1):
                return features
        x, number = functional.max_pool2d(x, 2), number + 1
    raise AssertionError


def wasserstein(features, style):
    """Mean over channels of the squared Wasserstein-2 distance of Gaussians, with 1e-4 on both diagonals."""
    channels = len(style)
    one, other = (np.cov(each, bias=True) + 1e-4 * np.eye(channels) for each in (features, style))
    roots = np.linalg.cholesky(one).T @ np.linalg.cholesky(other)
    spread = np.trace(one) + np.trace(other) - 2 * scipy.linalg.svdvals(roots).sum()
    return (((features.mean(1) - style.mean(1)) ** 2).sum() + spread) / channels


def stencil(image):
    """Mean squares along the axes, with weight 2/3, and along the diagonals, with 1/6, over the continued picture."""
    x = np.pad(image / 255.0, ((1, 1), (1, 1), (0, 0)), mode="edge")
    axes = sum(((np.roll(x, -1, axis) - x)[1:-1, 1:-1] ** 2).mean() for axis in (0, 1))
    diagonals = ((x[1:, 1:] - x[:-1, :-1]) ** 2).mean() + ((x[1:, :-1] - x[:-1, 1:]) ** 2).mean()
    return 2 / 3 * axes + diagonals / 6


@pytest.mark.slow
def test_the_total_is_the_authors():
    backbone = {"name": "vgg19", "weights": "random", "pooling": "max", "padding": "zeros"}
    settings = {"size": 48, "precision": "float64", "pyramid": {"levels": 1}, "backbone": backbone}
    config = GatysConfig(preset="crowsonkb", energies="own", **settings)
    objective = objective_of(request(config, CONTENT, [STYLE]), 48, 36)
    image = torch.from_numpy(PICTURE.array / 255.0).permute(2, 0, 1)[None]
    weights = random_weights("vgg19", 0, "relu5_1")
    content, style, ours = (vgg19(each.array, weights) for each in (CONTENT, STYLE, PICTURE))
    styles = sum(
        weight / 341 * wasserstein(ours[block, 1], style[block, 1])
        for block, weight in enumerate((256, 64, 16, 4, 1), 1)
    )
    expected = 0.015 * ((ours[4, 2] - content[4, 2]) ** 2).mean() + styles + 2.0 * stencil(PICTURE.array)
    assert objective(image).total.item() == pytest.approx(expected, rel=1e-6)
