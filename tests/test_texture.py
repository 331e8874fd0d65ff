"""Texture synthesis on small pictures: statistics of the example, any size, its own noise, exact histograms."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import blocks, farthest, request, run, small, together_and_alone, workspace

from nst.config.texture import TextureConfig
from nst.errors import InputError
from nst.pictures.images import Pixels

LAYERS = ["relu1_1", "pool1"]
EXAMPLE, OTHER = (Pixels(f"{side}", blocks(3, 32, 32, side=side)) for side in (4, 1))

settings = partial(small, TextureConfig, size=32, steps=30, style_layers=LAYERS)


def texture(config, styles=(EXAMPLE,), weights=(), mix="targets"):
    return request(config, None, styles, weights, mix=mix)


@pytest.mark.slow
def test_the_gram_matrices_become_the_examples():
    (result,) = run(texture(settings(steps=120, precision="float64", histogram_match=False)))
    assert result.trace[-1].loss < 1e-3 * result.trace[0].loss
    backbone = workspace().backbone(settings().backbone, frozenset(LAYERS), torch.float64)
    ours, example = (
        backbone(torch.from_numpy(array).permute(2, 0, 1)[None].double() / 255)
        for array in (result.image, EXAMPLE.array)
    )
    for layer in LAYERS:
        grams = [torch.einsum("bchw,bdhw->cd", f, f) / f[0, 0].numel() for f in (ours[layer], example[layer])]
        assert (grams[0] - grams[1]).norm() < 0.05 * grams[1].norm()
    assert not np.array_equal(result.image, EXAMPLE.array)


@pytest.mark.parametrize(("sizes", "shape"), [({}, (32, 32)), ({"width": 56}, (32, 56)), ({"height": 20}, (20, 32))])
def test_any_size_is_possible(sizes, shape):
    (result,) = run(texture(settings(steps=2, **sizes)))
    assert result.image.shape == (*shape, 3)


def test_every_channel_has_the_examples_values_exactly():
    (result,) = run(texture(settings(steps=3)))
    for channel in range(3):
        assert np.array_equal(np.sort(result.image[..., channel], None), np.sort(EXAMPLE.array[..., channel], None))


def test_without_the_match_the_histogram_is_the_optimisers():
    (result,) = run(texture(settings(steps=3, histogram_match=False)))
    assert not np.array_equal(np.sort(result.image, None), np.sort(EXAMPLE.array, None))


@pytest.mark.slow
def test_a_batch_equals_its_cells_alone():
    double = {"precision": "float64", "histogram_match": False, "steps": 5}
    requests = [texture(settings(seed=seed, **double), [style]) for seed, style in enumerate((EXAMPLE, OTHER))]
    requests.append(texture(settings(seed=7, tv_weight=0.5, **double), [EXAMPLE, OTHER], (0.7, 0.3), "losses"))
    for together, alone in together_and_alone(*requests):
        assert together.trace[-1].loss == pytest.approx(alone.trace[-1].loss, rel=1e-6)
        assert farthest(together.image, alone.image) <= 1


def test_the_seed_decides_and_nothing_else_does():
    first, again, other = run(*(texture(settings(seed=seed, steps=3)) for seed in (1, 1, 2)))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_the_row_has_no_content_and_its_loss_adds_up():
    (result,) = run(texture(settings(tv_weight=2.0)))
    losses = result.losses
    assert "content" not in losses.terms
    assert losses.terms["style"].weight_relative == pytest.approx(1.0)
    assert losses.loss == pytest.approx(losses.terms["style"].loss + 2.0 * losses.terms["tv"].loss, rel=1e-5)
    assert losses.terms["style"].layers.keys() == set(LAYERS)


def test_average_pooling_stays_unless_told_otherwise():
    assert TextureConfig().backbone.pooling == "average"
    assert TextureConfig(backbone="vgg16").backbone.pooling == "average"
    assert TextureConfig(backbone={"weights": "x.safetensors"}).backbone.pooling == "average"
    assert TextureConfig(backbone={"pooling": "max"}).backbone.pooling == "max"


def test_an_example_that_is_missing_or_too_thin_is_refused():
    thin = Pixels("thin", np.zeros((400, 1, 3), np.uint8))
    missing, refused, fine = run(texture(settings(), []), texture(settings(), [thin]), texture(settings(steps=1)))
    assert isinstance(missing.error, InputError)
    assert "1 x 32" in str(refused.error)
    assert fine.error is None
