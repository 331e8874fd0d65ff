"""Super-resolution against scipy, Pillow and scikit-image: degradation, network, tiles, histograms, measures."""

import numpy as np
import pytest
import torch
from cells import RANDOM, blocks, farthest, picture, pictures_of, request, run, workspace
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage
from skimage.color import rgb2ycbcr
from skimage.exposure import match_histograms
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from nst.config.feedforward import FeedforwardConfig
from nst.config.training import SuperResolutionTraining
from nst.errors import InputError, UserError
from nst.networks import build_network, metadata_of, network_from
from nst.ops import to_bytes
from nst.pictures.color import match_levels
from nst.pictures.degradation import blur, degrade
from nst.pictures.fidelity import FIDELITY, fidelity
from nst.pictures.images import Pixels
from nst.training import Trainer
from nst.workspace import NetworkFile

SMALL = {"width": 4, "residual_blocks": 1, "backbone": RANDOM}


def model(**changes):
    """A network with lively weights, and running statistics that are not 0 and 1, as its file."""
    torch.manual_seed(7)
    config = SuperResolutionTraining(**{**SMALL, **changes})
    network = build_network(config)
    for key, tensor in network.state_dict().items():
        if "norm" in key and tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape))
        elif key == "last.conv.weight":
            tensor.mul_(10.0)
    tensors = network.state_dict()
    return NetworkFile(f"sr {changes}", lambda: (metadata_of(config, [], 1), tensors))


def of(shown, given, size=48, **changes):
    config = FeedforwardConfig(family="super_resolution", model="some", size=size, **changes)
    return request(config, shown, model=given)


def photograph(height=96, width=80, seed=0):
    """Smooth forms with edges and noise, HWC uint8."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(blocks(seed, height, width, side=16).astype(float), (2, 2, 0))
    return (smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def content(height, width, seed=0):
    return Pixels(f"photograph-{seed}-{height}x{width}", photograph(height, width, seed))


def test_the_blur_is_scipys():
    array = photograph()
    expected = ndimage.gaussian_filter(array / 255.0, (1, 1, 0), mode="mirror")
    found = blur(torch.from_numpy(array / 255.0).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_degradation_is_scipys_blur_and_pillows_bicubic(factor):
    array = photograph()
    blurred = ndimage.gaussian_filter(array.astype(np.float32), (1, 1, 0), mode="mirror")
    size = array.shape[1] // factor, array.shape[0] // factor
    channels = [Image.fromarray(blurred[..., c]).resize(size, Image.Resampling.BICUBIC) for c in range(3)]
    expected = np.stack([np.asarray(channel) for channel in channels], 2).clip(0, 255)
    found = degrade(torch.from_numpy(array / 255.0).permute(2, 0, 1)[None], factor)[0].permute(1, 2, 0) * 255.0
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, found.round(), atol=1e-9)  # 8 bits
    assert np.abs(found.numpy() - expected).max() <= 0.501


@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_network_enlarges_by_the_factor_with_the_filters_of_the_paper(factor, upsampling):
    network = build_network(SuperResolutionTraining(factor=factor, upsampling=upsampling)).eval()
    # Supplementary table 2: 64 filters, four residual blocks, a convolution for each doubling, 9 x 9 at both ends.
    kernels = [tensor for key, tensor in network.state_dict().items() if key.endswith("conv.weight")]
    doublings = {2: 1, 4: 2, 8: 3}[factor]
    assert sum(kernel.numel() for kernel in kernels) == 2 * 81 * 3 * 64 + (8 + doublings) * 9 * 64 * 64
    with torch.no_grad():
        assert network(torch.rand(2, 3, 17, 20)).shape == (2, 3, factor * 17, factor * 20)


def test_defaults_are_those_of_the_paper():
    config = SuperResolutionTraining()
    assert (config.size, config.batch_size, config.steps, config.learning_rate) == (288, 4, 200_000, 1e-3)
    assert (config.backbone.name, config.content_layers) == ("vgg16", {"relu2_2": 1.0})
    assert (config.tv_weight, config.norm, config.width, config.residual_blocks) == (0.0, "batch", 64, 4)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_tiles_equal_the_whole_picture(norm):
    given, large = model(norm=norm, factor=4), content(41, 60)
    (whole,), (pieces,) = pictures_of(of(large, given, 60)), pictures_of(of(large, given, 60, tile=112))  # 8 are new
    assert whole.shape == (164, 240, 3)
    assert farthest(whole, pieces) <= 1


def test_a_batch_equals_its_cells_alone_and_the_pictures_have_the_histograms_of_the_contents():
    given = model(factor=2)
    network, contents = network_from(*given.load()).eval(), [content(36, 48, 1), content(36, 48, 2), content(40, 30, 3)]
    together = pictures_of(*(of(content, given, "original") for content in contents))
    for shown, made in zip(contents, together, strict=True):
        assert made.shape == (2 * shown.array.shape[0], 2 * shown.array.shape[1], 3)
        assert farthest(made, pictures_of(of(shown, given, "original"))[0]) <= 1
        with torch.no_grad():
            painted = network(torch.from_numpy(shown.array / np.float32(255)).permute(2, 0, 1)[None])[0]
        expected = match_histograms(to_bytes(painted).permute(1, 2, 0).numpy(), shown.array, channel_axis=2)
        # Matching stretches rare levels: where another processor rounds one of them otherwise, it may end far off.
        assert (np.abs(made - expected) <= 1).mean() > 0.999


def test_levels_are_matched_as_by_scikit_image():
    made, example = photograph(seed=1), photograph(40, 30, seed=2)
    expected = match_histograms(made, example, channel_axis=2)
    assert np.abs(match_levels(made, example) - expected.astype(float)).max() <= 1
    assert np.abs(match_levels(example, example).astype(int) - example).max() == 0


def test_too_large_and_too_small_pictures_are_refused():
    given = model(factor=8)
    large, small = run(of(picture(0, 48, 64), given, 2056), of(picture(0, 48, 64), given, 16))
    assert "the picture would be 16448 x 12336 pixels, more than 16,384 on a side" in str(large.error)
    assert "the picture would be 128 x 96 pixels; this super_resolution network needs 128" in str(small.error)


def test_measures_are_those_of_scikit_image_on_y():
    truth, made, bicubic = photograph(seed=3), photograph(seed=4) // 2 + 60, photograph(seed=3) // 2 + 60
    found = fidelity(made, bicubic, truth)
    assert found.keys() == FIDELITY.keys()
    wanted = rgb2ycbcr(truth)[..., 0]
    for suffix, array in (("", made), ("_bicubic", bicubic)):
        ours = rgb2ycbcr(array)[..., 0]
        assert found[f"psnr_y{suffix}"] == pytest.approx(
            peak_signal_noise_ratio(wanted, ours, data_range=255), abs=1e-4
        )
        similarity = structural_similarity(
            wanted, ours, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert found[f"ssim_y{suffix}"] == pytest.approx(similarity, abs=1e-5)


def training(photographs, **changes):
    settings = {"size": 32, "batch_size": 2, "steps": 10, "factor": 2, "learning_rate": 1e-3, **SMALL, **changes}
    return Trainer(SuperResolutionTraining(**settings), [], workspace(), photographs)


def test_a_step_reduces_the_loss_of_its_photographs():
    one = np.stack([photograph(32, 32)] * 2)  # every batch is this one
    learner = training(one)
    losses = [learner.step() for _ in range(3)]
    assert losses[0].loss > losses[1].loss > losses[2].loss
    assert losses[0].loss == pytest.approx(losses[0].content_loss)


def test_validation_measures_beside_bicubic_interpolation_and_cuts_to_a_multiple_of_the_factor():
    array = photograph(43, 38)
    found = training(np.stack([photograph(40, 40, seed) for seed in range(4)]), factor=4).validate([array])
    assert found.images[0].shape == (40, 36, 3)
    whole = array[:40, :36]
    small = degrade(torch.from_numpy(whole / 255.0).permute(2, 0, 1)[None], 4)[0].permute(1, 2, 0).numpy()
    shrunk = Image.fromarray(np.rint(small * 255.0).astype(np.uint8))
    large = np.asarray(shrunk.resize((36, 40), Image.Resampling.BICUBIC))
    luma = [rgb2ycbcr(each)[..., 0] for each in (whole, large, found.images[0])]
    expected = [peak_signal_noise_ratio(luma[0], each, data_range=255) for each in luma[1:]]
    assert found.measures["psnr_y_bicubic"] == pytest.approx(expected[0], abs=0.05)  # Pillow rounds between its passes
    assert found.measures["psnr_y"] == pytest.approx(expected[1], abs=1e-4)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValidationError, match="size is 100; expected a multiple of factor, 8"):
        SuperResolutionTraining(size=100, factor=8)
    with pytest.raises(UserError, match="learns from no style image; found 1"):
        Trainer(SuperResolutionTraining(**SMALL), [picture(1)], workspace(), np.zeros((1, 288, 288, 3), np.uint8))
    with pytest.raises(InputError, match="needs photographs"):
        Trainer(SuperResolutionTraining(**SMALL), [], workspace())
