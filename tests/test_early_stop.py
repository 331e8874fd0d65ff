"""`early_stop`: a picture whose loss stands still is left as it is, at the same step in every batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import losses_of, request, run, small, together_and_alone

from nst.config import DoodleConfig, GatysConfig, InvertConfig, MrfConfig, TextureConfig
from nst.config.optimizer import EarlyStopConfig
from nst.losses.objective import Losses
from nst.optimize.standstill import Standstill
from nst.pictures.masks import plain_labels

pytestmark = pytest.mark.slow

STOP = {"tolerance": 0.05, "patience": 4}
ADAM = {"name": "adam", "learning_rate": 0.02}
SETTINGS = {
    "steps": 60, "trace_every": 1, "content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"],
    "precision": "float64",
}  # fmt: skip


def gatys(**changes):
    return small(GatysConfig, **{**SETTINGS, "size": 24, "early_stop": STOP, **changes})


def first_standstill(losses, tolerance, patience):
    """Return the number of the step at which a series of losses stands still, counted from 1; its length if never."""
    lowest = np.minimum.accumulate(losses)
    for step in range(patience + 1, len(losses) + 1):
        before = lowest[step - 1 - patience]
        if before - lowest[step - 1] <= tolerance * abs(before):
            return step
    return len(losses)


@pytest.mark.parametrize("optimizer", ["lbfgs", ADAM])
def test_a_picture_stops_at_the_first_step_that_meets_the_criterion_and_is_the_one_of_that_step(optimizer):
    (whole,) = run(request(gatys(early_stop=None, optimizer=optimizer)))
    (stopped,) = run(request(gatys(optimizer=optimizer)))
    end = first_standstill(losses_of(whole), **STOP)
    assert 4 < end < 60, "the problem must stop neither at once nor never"
    assert whole.steps == 60
    assert stopped.steps == end
    assert losses_of(stopped) == losses_of(whole)[:end]
    (same,) = run(request(gatys(early_stop=None, optimizer=optimizer, steps=end)))
    assert (stopped.image == same.image).all()
    assert stopped.losses == same.losses


@pytest.mark.parametrize("optimizer", ["lbfgs", {**ADAM, "ema": 0.9}])
def test_each_picture_of_a_batch_stops_as_it_would_alone(optimizer):
    weights = (0.1, 10.0, 3000.0)
    cells = [request(gatys(style_weight=weight, optimizer=optimizer), cell_id=str(weight)) for weight in weights]
    pairs = list(together_and_alone(*cells))
    assert [together.steps for together, _ in pairs] == [alone.steps for _, alone in pairs]
    assert len({together.steps for together, _ in pairs}) > 1, "the pictures must stop at different steps"
    for together, alone in pairs:
        assert np.abs(together.image.astype(int) - alone.image).max() <= 1
        assert [row.step for row in together.trace] == [row.step for row in alone.trace]
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-6)


def test_every_level_of_a_pyramid_stops_by_itself_and_steps_are_counted_through_all_of_them():
    (result,) = run(request(gatys(pyramid={"levels": 2})))
    by_level = [[row.loss for row in result.trace if row.level == level] for level in (0, 1)]
    ends = [first_standstill(losses, **STOP) for losses in by_level]
    assert [len(losses) for losses in by_level] == ends
    assert [row.step for row in result.trace] == list(range(1, sum(ends) + 1))
    assert result.steps == sum(ends)
    assert max(ends) < 60


def test_the_last_step_is_on_record_however_seldom_losses_are():
    (often,), (seldom,), (never,) = (run(request(gatys(trace_every=every))) for every in (1, 1000, 0))
    assert [row.step for row in seldom.trace] == [1, often.steps]
    assert seldom.trace[-1] == often.trace[-1]
    assert never.trace == ()
    assert never.steps == often.steps


RED = plain_labels("#ff0000")


@pytest.mark.parametrize(
    ("method", "changes", "inputs"),
    [
        (MrfConfig, {}, {}),
        (TextureConfig, {"style_layers": ["relu1_1"]}, {"content": None}),
        (InvertConfig, {"layer": "relu1_1"}, {"styles": ()}),
        (DoodleConfig, {}, {"mask": RED, "style_masks": (RED,)}),
    ],
)
def test_all_methods_that_descend_stop(method, changes, inputs):
    stop = {"tolerance": 0.5, "patience": 2}
    config = small(method, steps=40, pyramid={"levels": 1}, early_stop=stop, **changes)
    (result,) = run(request(config, **inputs))
    assert result.error is None
    assert 2 < result.steps < 40


def test_a_loss_that_is_not_finite_never_stands_still():
    standstill = Standstill(EarlyStopConfig(patience=1))
    for step, loss in enumerate(([float("nan"), 4.0], [float("nan"), 2.0], [float("nan"), 2.0]), start=1):
        losses_B = torch.tensor(loss)
        standstill.observe(step, Losses(losses_B, {"content": losses_B}), torch.full((2, 3, 1, 1), float(step)))
    assert standstill.ends().tolist() == [3, 3]
    assert not standstill.is_complete()
    losses_B = torch.tensor([float("nan"), 1.0])
    standstill.observe(4, Losses(losses_B, {"content": losses_B}), torch.full((2, 3, 1, 1), 4.0))
    assert standstill.ends().tolist() == [4, 3]
    assert standstill.pictures[:, 0, 0, 0].tolist() == [4.0, 3.0]
