"""The objective of a batch: its terms are measured layer by layer, on the network's way, and so are their gradients."""

from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.losses.objective import Objective, extract
from nst.losses.style import STYLE_LOSSES, batch_target
from nst.losses.terms import content_terms, style_terms, tv_term

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def most_in_use(compute):
    """Return the largest number of bytes of tensors that were allocated during a call and not yet freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        compute()
    in_use, most = 0, 0
    events = (event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]")
    for event in sorted(events, key=lambda event: event.start_ns()):
        in_use += event.nbytes()
        most = max(most, in_use)
    return most


def the_objective(picture, layers=LAYERS, content="relu4_1", pooling="max"):
    config = BackboneConfig(name="vgg19", weights="random", pooling=pooling)
    backbone, gram = build_backbone(config, {*layers, content}, None), STYLE_LOSSES["gram"]
    features = {layer: map_BCHW.detach() for layer, map_BCHW in extract(backbone, picture.flip(3), "float32").items()}
    targets = {layer: batch_target(gram, gram.statistics(features[layer])) for layer in layers}
    one = torch.ones(1)
    style = style_terms(gram, targets, dict.fromkeys(layers, 1.0), one)
    return Objective(backbone, [*content_terms(features, {content: 1.0}, one), *style, tv_term(one)])


@pytest.mark.slow
def test_gradients_of_the_terms_do_not_wait_in_memory_until_the_network_comes_to_their_layers():
    picture = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    objective = the_objective(picture)
    objective.with_gradient(picture)  # what is computed once
    most = most_in_use(lambda: objective.with_gradient(picture)) / picture[0, 0].numel()

    outputs = 4 * (64 + 64) + 4 * (128 + 128) / 4 + 4 * (4 * 256) / 16 + 4 * 512 / 64  # of nine convolutions, a pixel
    pooled = (4 + 8) * (64 / 4 + 128 / 16 + 256 / 64)  # float32, and int64 for where it was taken from
    of_the_terms = 4 * (64 + 128 / 4 + 256 / 16 + 512 / 64)  # one gradient for each feature map that a term measures
    assert outputs + pooled < most < outputs + pooled + of_the_terms / 2


def test_terms_of_one_layer_and_of_several_are_added_as_their_losses_say():
    """Also where a layer has a content and a style and is not the deepest, with the gradient of differences."""
    picture = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(1)).double()
    objective = the_objective(picture.float(), content="relu2_1", pooling="average")  # smooth
    network = objective.backbone.double()
    exact = Objective(network, objective.terms, "float64")
    losses, gradient = exact.with_gradient(picture)
    features = dict(network.maps(picture))
    by_hand = sum(
        float(term.weights * term.loss(features[term.layer] if term.layer else picture)) for term in exact.terms
    )
    assert float(losses.total) == pytest.approx(by_hand, rel=1e-12)

    direction = torch.randn(picture.shape, generator=torch.Generator().manual_seed(2)).double()
    ahead, behind = (float(exact(picture + sign * 1e-6 * direction).total) for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / 2e-6, rel=1e-5)
