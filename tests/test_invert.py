"""Inversion: shallow layers give the picture back, Gram matrices its statistics; the chain is a prefix."""

import numpy as np
import pytest
from cells import CONTENT, request, run, small

from nst.config.invert import InvertConfig
from nst.errors import InputError


def invert(content=CONTENT, styles=(CONTENT,), **changes):
    config = small(InvertConfig, **{"steps": 150, "tv_weight": 0.0, **changes})
    return run(request(config, content, styles))[0]


def error(result):
    return np.abs(result.image.astype(float) - CONTENT.array).mean()


@pytest.mark.slow
def test_the_first_layer_gives_the_picture_back():
    # Before the ReLU conv1_1 is linear in the picture and, with 64 filters of 27 values, injective.
    result = invert(layer="conv1_1", precision="float64", steps=80)
    assert error(result) < 3
    assert result.losses.loss < 1e-3


@pytest.mark.slow
def test_deeper_layers_give_less_of_it_back():
    assert error(invert(layer="relu1_1", steps=30)) < error(invert(layer="relu3_1", steps=30))


@pytest.mark.slow
def test_gram_matrices_know_the_colours_but_not_the_places():
    result = invert(what="style", layer="relu2_1")
    assert result.image.shape == (40, 40, 3)
    assert result.losses.terms["style"].layers.keys() == {"relu1_1", "relu2_1"}
    assert result.losses.terms["style"].loss < 0.05
    assert "content" not in result.losses.terms
    resized = np.abs(result.image[:32].astype(float) - CONTENT.array).mean()
    assert resized > 20


@pytest.mark.slow
def test_total_variation_makes_it_smoother():
    rough, smooth = (invert(layer="relu2_1", steps=20, tv_weight=weight) for weight in (0.0, 10.0))
    assert smooth.losses.terms["tv"].loss < 0.5 * rough.losses.terms["tv"].loss
    assert smooth.losses.loss == pytest.approx(
        smooth.losses.terms["content"].loss + 10.0 * smooth.losses.terms["tv"].loss, rel=1e-5
    )


@pytest.mark.parametrize(
    ("layer", "chain"),
    [
        ("relu1_1", ("relu1_1",)),
        ("relu3_1", ("relu1_1", "relu2_1", "relu3_1")),
        ("conv3_1", ("relu1_1", "relu2_1", "conv3_1")),
        ("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_2")),
        ("pool2", ("relu1_1", "relu2_1", "pool2")),
        ("conv1_1", ("conv1_1",)),
    ],
)
def test_the_chain_is_every_blocks_first_layer_and_ends_with_its_own(layer, chain):
    assert InvertConfig(layer=layer).chain == chain


def test_it_needs_what_it_looks_at_and_nothing_else():
    assert invert(styles=(), layer="relu1_1", steps=1).error is None
    assert invert(content=None, what="style", layer="relu1_1", steps=1).error is None
    assert isinstance(invert(content=None, layer="relu1_1").error, InputError)
    assert isinstance(invert(styles=(), what="style", layer="relu1_1").error, InputError)
