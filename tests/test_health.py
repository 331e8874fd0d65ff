"""When a training's losses say that it cannot go on, and when they do not."""

import pytest
import torch

from nst.records import TrainingRecord
from nst.training import Unhealthy
from nst.training.health import Guard


def check(guard, step, style_loss, diversity=0.0):
    """Show a guard one step, with a picture that is neither black nor constant."""
    record = TrainingRecord(step, style_loss + diversity, 0.0, style_loss, 0.0, diversity, 1e-3)
    guard.check(record, 1.0, 1.0, torch.rand(1, 3, 4, 4))


def test_a_loss_that_explodes_stops_a_training_and_a_wild_start_does_not():
    guard = Guard()
    for step, loss in enumerate([1e6, 1.0, 1e6, *[1.0] * 300], start=1):
        check(guard, step, loss)
    check(guard, 400, 50.0)  # one bad batch
    with pytest.raises(Unhealthy, match="step 401: the loss exploded"):
        check(guard, 401, 1e4)


def test_a_diversity_term_below_zero_is_no_explosion():
    guard = Guard()
    for step in range(1, 300):
        check(guard, step, 0.5, -1.0 + 0.001 * step)


def test_an_adversarial_loss_that_rises_is_no_explosion_and_one_without_bound_is():
    plain, guard = Guard(), Guard(undecided=1.0)
    for step in range(1, 400):
        check(plain, step, 0.001)
        check(guard, step, 0.001)  # the critic is fooled
    with pytest.raises(Unhealthy, match="exploded"):
        check(plain, 400, 8.0)
    for step in range(400, 800):
        check(guard, step, 8.0)  # it has learned
    with pytest.raises(Unhealthy, match="step 800: the loss exploded"):
        check(guard, 800, 1e4)
