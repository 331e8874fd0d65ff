"""The method as a whole on small pictures: exact batches, isolation of broken cells, memory of targets, colours."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import (
    CONTENT,
    LAYERS,
    STYLES,
    farthest,
    picture,
    request,
    run,
    seen_by_backbones,
    small,
    together_and_alone,
    workspace,
)

from nst.config.gatys import GatysConfig
from nst.errors import InputError, NumericalError
from nst.methods import stylize_batch
from nst.pictures.images import Pixels

settings = partial(small, GatysConfig, **LAYERS, steps=12, trace_every=5)


def batch_of_eight(**changes):
    configs = [
        settings(
            seed=seed,
            style_weight=10.0 * (seed + 1),
            content_weight=0.5 + seed,
            tv_weight=0.1 * seed,
            init="noise",
            **changes,
        )
        for seed in range(8)
    ]
    requests = [request(config, styles=[STYLES[seed]], cell_id=f"cell{seed}") for seed, config in enumerate(configs)]
    requests[3] = request(configs[3], CONTENT, STYLES[:3], (0.5, 0.3, 0.2), mix="losses", cell_id="cell3")
    requests[4] = request(configs[4], CONTENT, STYLES[:2], (2.0, 1.0), cell_id="cell4")
    return requests


@pytest.mark.parametrize("optimizer", [pytest.param("lbfgs", marks=pytest.mark.slow), "adam"])
@pytest.mark.parametrize(
    "style_loss", ["gram", *(pytest.param(name, marks=pytest.mark.slow) for name in ("moments", "sliced", "histogram"))]
)
def test_a_batch_of_eight_equals_its_cells_alone(optimizer, style_loss):
    layers = {"style_layers": ["relu1_1"]} if style_loss == "moments" else {}
    steps = 5  # ranks that change make gradients jump, so that L-BFGS multiplies rounding by ten at every step
    requests = batch_of_eight(
        optimizer=optimizer, precision="float64", style_representation=style_loss, size=24, steps=steps, **layers
    )
    for result, alone in together_and_alone(*requests):
        assert result.cell_id == alone.cell_id
        for ours, expected in zip(result.trace, alone.trace, strict=True):
            assert ours.loss == pytest.approx(expected.loss, rel=1e-6)
            assert ours.parts["style"] == pytest.approx(expected.parts["style"], rel=1e-6)
        assert result.trace[-1].step == steps
        assert farthest(result.image, alone.image) <= 1


def test_the_loss_falls_and_is_measured_on_the_picture_as_saved():
    (result,) = run(request(settings(precision="float64")))
    assert result.error is None
    assert result.image.shape == (32, 40, 3)
    assert result.image.dtype == np.uint8
    assert result.trace[-1].loss < 0.2 * result.trace[0].loss
    losses = result.losses
    config = settings()
    expected = (
        config.content_weight * losses.terms["content"].loss
        + config.style_weight * losses.terms["style"].loss
        + config.tv_weight * losses.terms["tv"].loss
    )
    assert losses.loss == pytest.approx(expected, rel=1e-9)
    assert losses.terms["style"].loss == pytest.approx(sum(losses.terms["style"].layers.values()) / 2, rel=1e-9)
    assert losses.loss == pytest.approx(result.trace[-1].loss, rel=0.2)
    down, right = (np.diff(result.image / 255.0, axis=axis) for axis in (0, 1))
    assert losses.terms["tv"].loss == pytest.approx(((down**2).sum() + (right**2).sum()) / result.image.size, rel=1e-6)


@pytest.mark.slow
def test_relative_weights_are_those_that_would_give_the_same_cell():
    layers = {"content_layers": ["relu2_1"], "style_layers": ["relu2_1"], "precision": "float64"}
    weights = {"content_weight": 5.0, "style_weight": 100.0, "tv_weight": 1e-3}
    (absolute,) = run(request(settings(units="jcjohnson", **weights, **layers)))
    converted = {
        "content_weight": absolute.losses.terms["content"].weight_relative,
        "style_weight": absolute.losses.terms["style"].weight_relative,
        "tv_weight": absolute.losses.terms["tv"].weight_relative,
    }
    (relative,) = run(request(settings(**converted, **layers)))
    assert [row.loss for row in relative.trace] == pytest.approx([row.loss for row in absolute.trace], rel=1e-6)
    assert absolute.losses.terms["tv"].weight_relative == pytest.approx(1e-3 * 0.5 * 255**2 * 32 * 40 * 3, rel=1e-12)


def test_a_cell_whose_loss_is_not_finite_fails_alone():
    requests = [request(settings(seed=seed, init="noise", steps=5), cell_id=f"cell{seed}") for seed in range(3)]
    absurd = requests[1].config.model_copy(update={"style_weight": float("inf")})
    broken = [requests[0], request(absurd, cell_id="cell1"), requests[2]]
    good, bad, also_good = run(*broken)
    assert isinstance(bad.error, NumericalError)
    assert "not finite" in str(bad.error)
    assert bad.image is None
    for ours, expected in zip((good, also_good), run(*requests)[::2], strict=True):
        assert np.array_equal(ours.image, expected.image)
        assert ours.losses == expected.losses


def test_weights_that_overflow_only_in_their_products_do_no_harm():
    huge = settings(style_weight=1e15, content_weight=1e15, tv_weight=1e15)
    (result,) = run(request(huge))
    (same,) = run(request(settings(style_weight=1.0, content_weight=1.0, tv_weight=1.0)))
    assert result.error is None
    assert np.abs(result.image.astype(int) - same.image).mean() < 2


def test_a_constant_picture_is_no_result():
    flat = Pixels("flat", np.full((32, 40, 3), 128, np.uint8))
    config = settings(tv_weight=1e6, steps=5)
    (result,) = run(request(config, flat, [flat]))
    assert isinstance(result.error, NumericalError)
    assert "constant" in str(result.error)


def test_black_and_white_content_is_not_called_saturated():
    drawing = Pixels(
        "drawing", (np.random.default_rng(5).random((32, 40, 1)) > 0.5).repeat(3, 2).astype(np.uint8) * 255
    )
    config = settings(style_weight=0.0, tv_weight=0.0, steps=3)
    (result,) = run(request(config, drawing))
    assert result.error is None


def test_a_cells_noise_depends_on_its_seed_alone():
    requests = [request(settings(seed=seed, init="noise", steps=1)) for seed in (1, 2, 1)]
    first, second, third = run(*requests)
    assert np.array_equal(first.image, third.image)
    assert not np.array_equal(first.image, second.image)


def test_starts_from_content_style_and_mixtures():
    unmoved = {"steps": 1, "style_weight": 0.0, "tv_weight": 0.0}  # the first step evaluates the start
    (content,) = run(request(settings(**unmoved)))
    assert np.array_equal(content.image, CONTENT.array)
    same_size = picture(1)
    (style,) = run(request(settings(init="style", **unmoved), styles=[same_size]))
    assert np.array_equal(style.image, same_size.array)
    (mixed,) = run(request(settings(noise=0.25, **unmoved)))
    change = mixed.image.astype(float) - 0.75 * CONTENT.array
    assert change.min() >= -1
    assert change.max() <= 65


def test_targets_are_computed_once_per_image():
    room = workspace()

    def targets_seen(styles, **changes):
        """How many targets a batch of two shows to the backbone, beside its own pictures."""
        with seen_by_backbones() as seen:
            stylize_batch([request(settings(seed=seed, steps=1, **changes), styles=styles) for seed in (0, 1)], room)
        assert set(seen) <= {1, 2}
        return seen.count(1)

    assert targets_seen(STYLES[:2]) == 3  # with the content
    assert targets_seen(STYLES[:2], style_weight=3.0) == 0
    assert targets_seen(STYLES[:3]) == 1
    assert targets_seen(STYLES[:1], style_scale=0.5) == 1  # the same style at another size
    assert targets_seen(STYLES[:3]) == 0


def test_a_pyramid_ends_at_the_wanted_size_and_counts_its_steps():
    config = settings(pyramid={"levels": 2, "factor": 0.5, "first_steps": 7}, steps=4, trace_every=1)
    heard = []
    (result,) = stylize_batch([request(config)], workspace(), lambda done, total: heard.append((done, total)))
    assert result.image.shape == (32, 40, 3)
    assert result.steps == 11
    assert [(row.step, row.level) for row in result.trace] == [(n, int(n > 7)) for n in range(1, 12)]
    assert heard == [(n, 11) for n in range(1, 12)]


def test_luminance_keeps_the_contents_chroma():
    (result,) = run(request(settings(color="luminance", style_weight=300.0)))
    chroma = [array.astype(float)[..., 0] - array.astype(float)[..., 2] for array in (result.image, CONTENT.array)]
    inside = ((result.image > 3) & (result.image < 252)).all(2)
    assert np.abs(chroma[0] - chroma[1])[inside].max() <= 2
    assert not np.array_equal(result.image, CONTENT.array)


def test_histogram_colors_move_the_result_towards_the_contents_mean():
    red = Pixels("red", (STYLES[0].array * (1.0, 0.1, 0.1)).astype(np.uint8))
    plain, matched = (
        run(request(settings(color=color, style_weight=1e4), styles=[red]))[0] for color in ("style", "histogram")
    )
    target = CONTENT.array.reshape(-1, 3).mean(0)
    distances = [np.abs(result.image.reshape(-1, 3).mean(0) - target).max() for result in (plain, matched)]
    assert distances[1] < 0.3 * distances[0]


def test_bfloat16_comes_near_float32():
    exact, rough = (
        run(request(settings(precision=precision, steps=4, size=24)))[0] for precision in ("float32", "bfloat16")
    )
    assert rough.losses.loss == pytest.approx(exact.losses.loss, rel=0.15)


def test_pictures_too_thin_for_the_backbone_fail_with_their_size():
    thin = Pixels("thin", np.zeros((400, 1, 3), np.uint8))
    ours, other = run(request(settings(), styles=[thin]), request(settings()))
    assert isinstance(ours.error, InputError)
    assert "1 x 40" in str(ours.error)
    assert other.error is None
    (result,) = run(request(settings(), thin))
    assert isinstance(result.error, InputError)


def test_a_missing_layer_is_the_users_error():
    weights = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    with pytest.raises(InputError, match="they hold conv1_1"):
        stylize_batch([request(settings(backbone={"weights": "file.safetensors"}))], workspace(weights))


def test_weights_that_are_not_finite_are_the_users_error():
    weights = {"features.0.weight": torch.full((64, 3, 3, 3), float("nan")), "features.0.bias": torch.zeros(64)}
    config = settings(backbone={"weights": "file.safetensors"}, content_layers=["relu1_1"], style_layers=["relu1_1"])
    with pytest.raises(InputError, match="not finite"):
        stylize_batch([request(config)], workspace(weights))
