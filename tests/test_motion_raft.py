"""RAFT with random weights: the shape of its flow, padding, equal bits. Its trained weights were not to be had."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nst.errors import InputError
from nst.motion.flow import estimator


@pytest.fixture(scope="module")
def small(torchvision):
    torch.manual_seed(3)
    return torchvision.models.optical_flow.raft_small(weights=None).eval()


def frames(height, width):
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (20, 33), (128, 129), (137, 136)])
def test_frames_of_any_size_have_a_finite_flow_with_the_same_bits_each_time(small, size):
    first, second = frames(*size)
    find = estimator("raft_small", small.state_dict())
    flow = find(first, second)
    assert (flow.shape, flow.dtype) == ((*size, 2), np.float32)
    assert np.isfinite(flow).all()
    assert np.array_equal(find(first, second), flow)


@pytest.mark.slow
def test_a_frame_that_needs_no_padding_has_the_flow_of_torchvision_itself(small, torchvision):
    first, second = frames(128, 136)
    weights = torchvision.models.optical_flow.Raft_Small_Weights.DEFAULT
    tensors = weights.transforms()(*(torch.from_numpy(one).permute(2, 0, 1)[None] for one in (first, second)))
    with torch.inference_mode():
        expected = small(*tensors)[-1][0].permute(1, 2, 0).numpy()
    found = estimator("raft_small", small.state_dict())(first, second)
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.slow
def test_weights_of_another_network_are_refused(small):
    with pytest.raises(InputError, match="the weights are not those of raft_large"):
        estimator("raft_large", small.state_dict())
