"""Optimisers of pictures against torch's own; bounds, averages, pictures whose values are not finite, traces."""

import pytest
import torch

from nst.backbones import VGG, random_weights
from nst.config.optimizer import AdamConfig, LbfgsConfig
from nst.losses.objective import Losses, Objective
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.terms import content_terms, style_terms, tv_term
from nst.optimize.loop import BatchAdam, build_optimizer, optimize_images
from nst.optimize.trace import Trace


@pytest.fixture
def start(draw):
    """A function of a shape: random pictures."""
    return lambda *shape: draw(*shape, seed=12).sigmoid()


def bowl(images_BCHW):
    """Squared distance from a half, with its gradient."""
    distance = images_BCHW.detach() - 0.5
    loss_B = distance.square().sum((1, 2, 3))
    return Losses(loss_B, {"content": loss_B}), 2 * distance


def real_problem(backbone, seed, *, noise, device, dtype=torch.float32):
    """A content and a style of random blocks, measured at two layers; returns the objective and a start."""
    generator = torch.Generator().manual_seed(seed)
    content, style = (
        torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8, generator=generator), scale_factor=4, mode=mode).to(
            device, dtype
        )
        for mode in ("bilinear", "nearest")
    )
    backbone = backbone.to(device, dtype)
    with torch.no_grad():
        content_features, style_features = backbone(content), backbone(style)
    loss = STYLE_LOSSES["gram"]
    targets = {
        layer: style_target(loss, [([loss.statistics(feature)], (1.0,), "targets")])
        for layer, feature in style_features.items()
    }
    one = torch.ones(1, device=device, dtype=dtype)
    terms = [
        *content_terms(content_features, {"relu2_1": 1.0}, one),
        *style_terms(loss, targets, dict.fromkeys(targets, 1.0), 50.0 * one),
        tv_term(one),
    ]
    objective = Objective(backbone, terms)
    return objective, torch.rand(content.shape, generator=generator).to(content) if noise else content


def torch_lbfgs(objective, start, steps):
    """Return the last loss of torch's own L-BFGS with the same number of evaluations, unclamped and clamped."""
    image = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [image], lr=1, max_iter=steps, max_eval=steps, history_size=100, tolerance_grad=0, tolerance_change=0
    )

    def closure():
        losses, image.grad = objective.with_gradient(image)
        return losses.total.sum()

    optimizer.step(closure)
    with torch.no_grad():
        return objective(image).total.item(), objective(image.clamp(0, 1)).total.item()


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("kind", ["random", "vgg19"])
def test_lbfgs_ends_no_higher_than_torchs(kind, noise, request, device, dtype):
    if kind == "random":
        weights = random_weights("vgg19", 0, "relu2_1")
        inputs = "torchvision"
    else:
        load_file = pytest.importorskip("safetensors.torch").load_file
        weights = load_file(
            request.getfixturevalue("shared_data") / "weights" / "vgg19_caffe_to_conv3_1.f32.safetensors"
        )
        inputs = "caffe"
    backbone = VGG("vgg19", ["relu1_1", "relu2_1"], weights, inputs=inputs)
    objective, start = real_problem(backbone, 1, noise=noise, device=device, dtype=dtype)
    steps = 50
    free, saved = torch_lbfgs(objective, start, steps)
    ends = []
    for bounds in (None, (0.0, 1.0)):
        optimizer = build_optimizer(LbfgsConfig(history=100), start, bounds, steps=200)
        ends.append(optimize_images(optimizer, objective.with_gradient, steps=steps, trace=Trace()))
    with torch.no_grad():
        ours_free, ours_saved = (objective(end).total.item() for end in ends)
    assert ours_free <= 1.05 * free
    assert ours_saved <= 1.05 * saved


def test_adam_is_torchs_adam(start, rounding):
    first = start(2, 3, 4, 5)
    image = first.clone().requires_grad_()
    reference = torch.optim.Adam([image], lr=0.02, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(15):
        image.grad = bowl(image)[1]
        reference.step()
    ours = optimize_images(BatchAdam(first, AdamConfig()), bowl, steps=15, trace=Trace())
    torch.testing.assert_close(ours, image.detach(), rtol=max(1e-6, rounding), atol=max(1e-7, 0.1 * rounding))


def test_average_of_iterates_is_corrected_for_its_start(start):
    first = start(1, 3, 4, 5)
    optimizer = BatchAdam(first, AdamConfig(ema=0.9))
    points, weights = [], []
    for step in range(6):
        losses, gradient = bowl(optimizer.propose())
        optimizer.observe(losses.total, gradient)
        points.append(optimizer.point)
        weights.append(0.9 ** (5 - step))
    expected = sum(w * p for w, p in zip(weights, points, strict=True)) / sum(weights)
    torch.testing.assert_close(optimizer.result(), expected)
    torch.testing.assert_close(BatchAdam(first, AdamConfig(ema=0.9)).result(), first)


@pytest.mark.parametrize("config", [AdamConfig(learning_rate=0.3), LbfgsConfig(max_move=0.5)])
def test_values_never_leave_the_bounds(config, start):
    def pull(images):
        losses, gradient = bowl(images - 3.0)  # the minimum lies far outside
        assert 0.0 <= images.min() <= images.max() <= 1.0
        return losses, gradient

    end = optimize_images(
        build_optimizer(config, start(1, 3, 4, 5), (0.0, 1.0), steps=20), pull, steps=20, trace=Trace()
    )
    torch.testing.assert_close(end, torch.ones_like(end))


def test_adam_holds_a_picture_whose_gradient_is_not_finite(start):
    first = start(2, 3, 4, 5)
    optimizer = BatchAdam(first, AdamConfig())
    losses, gradient = bowl(first)
    gradient[1, 0, 0, 0] = float("nan")
    optimizer.observe(losses.total, gradient)
    assert torch.equal(optimizer.point[1], first[1])
    assert not torch.equal(optimizer.point[0], first[0])


def test_moments_carried_to_the_next_level_keep_their_size_and_step(start):
    coarse = BatchAdam(start(1, 3, 8, 8), AdamConfig())
    losses, gradient = bowl(coarse.propose())
    coarse.observe(losses.total, torch.ones_like(gradient))
    fine = BatchAdam(start(1, 3, 16, 12), AdamConfig())
    coarse.carry_to(fine)
    assert fine.steps == 1
    torch.testing.assert_close(fine.mean, torch.full_like(fine.mean, coarse.mean.mean().item()))
    torch.testing.assert_close(fine.square, torch.full_like(fine.square, coarse.square.mean().item()))
    assert fine.square.min() >= 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("config", [AdamConfig(ema=0.9), LbfgsConfig(history=5)])
def test_no_step_waits_for_the_device(config):
    backbone = VGG("vgg19", ["relu1_1", "relu2_1"], random_weights("vgg19", 0, "relu2_1"))
    objective, start = real_problem(backbone, 1, noise=True, device="cuda")
    optimizer = build_optimizer(config, start, (0.0, 1.0), steps=10)
    optimize_images(optimizer, objective.with_gradient, steps=2, trace=Trace())  # libraries load and tune here
    torch.cuda.set_sync_debug_mode("error")
    try:
        optimize_images(optimizer, objective.with_gradient, steps=8, trace=Trace(), trace_every=2)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_trace_keeps_the_first_the_last_and_every_nth_step_of_each_image(start):
    trace, pictures = Trace(), start(2, 3, 4, 4)
    coarse, fine = (build_optimizer(AdamConfig(), pictures, None, steps=steps) for steps in (10, 7))
    optimize_images(coarse, bowl, steps=10, trace=trace, trace_every=0)
    optimize_images(fine, bowl, steps=7, trace=trace, trace_every=3, level=1)
    first, second = trace.read()
    assert [(row.step, row.level) for row in first] == [(11, 1), (13, 1), (16, 1), (17, 1)]
    assert first[0].loss == pytest.approx(bowl(pictures)[0].total[0].item())
    assert second[0].loss == pytest.approx(bowl(pictures)[0].total[1].item())
    assert Trace().read() == []
