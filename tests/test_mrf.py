"""Transfer and synthesis by patches on small pictures: truthful losses, exact batches, copies of the style."""

from functools import partial

import numpy as np
import pytest
from cells import CONTENT, LAYERS, STYLES, farthest, losses_of, request, run, small, together_and_alone

from nst.config.mrf import MrfConfig
from nst.errors import InputError
from nst.methods.mrf import style_copies
from nst.pictures.images import Pixels, rotate

settings = partial(small, MrfConfig, **LAYERS, steps=15, pyramid={"levels": 1})


@pytest.mark.slow
def test_the_loss_is_told_and_falls():
    (result,) = run(request(settings(precision="float64", content_weight=0.5, style_weight=2.0, tv_weight=0.25)))
    losses = result.losses
    assert result.trace[0].parts["style"] > 0
    assert result.trace[-1].loss < 0.8 * result.trace[0].loss
    expected = 0.5 * losses.terms["content"].loss + 2.0 * losses.terms["style"].loss + 0.25 * losses.terms["tv"].loss
    assert losses.loss == pytest.approx(expected, rel=1e-9)
    assert losses.terms["style"].layers.keys() == {"relu1_1", "relu2_1"}


@pytest.mark.slow
def test_a_batch_equals_its_cells_alone():
    brief = {"precision": "float64", "init": "noise", "steps": 4, "size": 24}
    configs = [settings(**brief, style_weight=1.0 + n, seed=n) for n in range(3)]
    requests = [request(config, styles=STYLES[n : n + 2]) for n, config in enumerate(configs)]
    for together, alone in together_and_alone(*requests):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-6)
        assert farthest(together.image, alone.image) <= 1


def test_a_style_laid_over_itself_stays_itself():
    style = Pixels("content", CONTENT.array)
    (result,) = run(request(settings(tv_weight=0.0, steps=5, stride=1), styles=[style]))
    assert farthest(result.image, CONTENT.array) <= 1
    assert result.losses.loss < 1e-4


@pytest.mark.slow
def test_a_synthesis_needs_no_content_and_starts_from_its_noise():
    first, again, other = run(*(request(settings(what="synthesis", seed=seed, steps=5), None) for seed in (1, 1, 2)))
    assert first.image.shape == (40, 40, 3)
    assert "content" not in first.losses.terms
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_the_steps_of_angles_and_scales_are_cnnmrfs():
    """chuanli11/CNNMRF run_trans.lua: target_step_rotation = math.pi / 24 and target_step_scale = 1.05."""
    copies = settings(rotations=2, scales=1).copies
    assert sorted({angle for angle, _ in copies}) == pytest.approx([np.degrees(n * np.pi / 24) for n in range(-2, 3)])
    assert sorted({scale for _, scale in copies}) == pytest.approx([1 / 1.05, 1, 1.05])


def test_copies_are_every_angle_at_every_scale_without_corners():
    white = Pixels("white", np.full((60, 90, 3), 255, np.uint8))
    config = settings(rotations=2, scales=1)
    assert len(config.copies) == 15
    assert (0.0, 1.0) in config.copies
    copies = style_copies(white, 60, config)
    assert len(copies) == 15
    assert all(copy.min() >= 254 for copy in copies)
    assert max(max(copy.shape) for copy in copies) == 63


def test_turning_is_counter_clockwise_and_keeps_the_middle():
    array = np.zeros((41, 41, 3), np.uint8)
    array[18:23, 30:] = 255  # to the right of the middle
    turned = rotate(array, 45)
    middle = turned.shape[0] // 2
    assert turned[middle - 9, middle + 9].min() > 200
    assert turned[middle + 9, middle + 9].max() < 50


def test_what_is_missing_or_too_small_for_a_patch_is_refused():
    tiny = Pixels("small", np.zeros((40, 5, 3), np.uint8))
    missing, refused, fine = run(
        request(settings(), None), request(settings(), styles=[tiny]), request(settings(steps=1))
    )
    assert isinstance(missing.error, InputError)
    assert "relu2_1 needs 6" in str(refused.error)
    assert fine.error is None
