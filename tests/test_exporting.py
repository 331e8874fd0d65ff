"""Exported graphs against the networks that they come from, by another program (ONNX Runtime).

A johnson network is exported and run as a user would in test_train_run.py. Each export takes some seconds.
"""

import numpy as np
import pytest
import torch

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.training import AdainTraining, ConditionalTraining, DoodleNetTraining, SuperResolutionTraining
from nst.networks import Origin, build_network
from nst.networks.adain import moments
from nst.networks.exporting import to_onnx

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("train_run")]  # which exports too: the exporter loads once


def network_of(config):
    torch.manual_seed(3)
    encoder = build_backbone(config.backbone, [config.layer], None) if config.family == "adain" else None
    network = build_network(config, Origin(3, encoder, ("#ff0000", "#00ff00", "#0000ff"))).eval()
    for key, parameter in network.named_parameters():
        if "norm" in key:
            torch.nn.init.normal_(parameter, mean=0.7, std=0.3)
    return network


def answers(network, *given):
    """Return what ONNX Runtime makes of the graph with these inputs."""
    data, told = to_onnx(network, {"family": network.family})
    assert b".py" not in data  # no places of this machine
    import onnxruntime  # where it is needed: quick tests do without

    session = onnxruntime.InferenceSession(data)
    assert all(f"`{one.name}`" in told for one in session.get_inputs())
    names = [one.name for one in session.get_inputs()]
    fed = [dict(zip(names, (one.numpy() for one in each), strict=True)) for each in given]
    return [session.run(["pictures"], each)[0] for each in fed]


def same(found, expected, atol=1e-4):
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=atol)


def test_conditional_blends_styles_by_their_shares():
    network = network_of(ConditionalTraining(width=4, residual_blocks=0))
    images = torch.rand(2, 3, 37, 42)
    shares = [{0: 1.0}, {1: 3.0, 2: 1.0}]
    (found,) = answers(network, [images, torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 1.0]])])
    same(found, network(images, network.rows(shares)))


def test_super_resolution_enlarges_pictures_of_any_size():
    network = network_of(SuperResolutionTraining(width=4, residual_blocks=1, factor=2))
    images = torch.rand(2, 3, 37, 42)
    (found,) = answers(network, [images])
    assert found.shape == (2, 3, 74, 84)
    same(found, network(images))


def test_adain_takes_a_painting_of_another_size_and_alpha():
    network = network_of(AdainTraining(layer="relu2_1", backbone=BackboneConfig(weights="random")))
    images, style, alpha = torch.rand(2, 3, 33, 47), torch.rand(2, 3, 51, 35), torch.tensor([1.0, 0.3])
    mixes = [[(moments(network.encode(one[None])), 1.0)] for one in style]
    (found,) = answers(network, [images, style, alpha])
    same(found, network(images, mixes, alpha[:, None, None, None]))


def test_doodle_net_takes_its_masks_and_noise():
    network = network_of(DoodleNetTraining(scales=2, width=4, padding="circular"))
    noise, masks = network.draw(20, 36, [5]), torch.rand(1, 3, 20, 36)
    (found,) = answers(network, [masks, *noise])
    same(found, network(noise, masks))
