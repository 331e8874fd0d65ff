"""Gradient ascent with jitter through octaves, shared by the methods that maximise something.

Knows no reward. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nst.config.method import PixelMethod
from nst.methods.descent import RANGE
from nst.methods.finish import finish
from nst.methods.start import picture_size, plan_levels, starting_pictures
from nst.ops import resize
from nst.optimize.loop import Trace, optimize_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.losses.objective import Losses, Objective
    from nst.methods.descent import OnStep
    from nst.methods.targets import Targets
    from nst.pictures.images import Pixels
    from nst.workspace import Stylized


@dataclass(frozen=True, slots=True)
class Ascent:
    """What a method says about a batch.

    Attributes:
        start: Per cell an image, the share of noise mixed into it, and its seed.
        objective: Returns what the pictures are measured by, given the starting pictures of an octave.
        step_size: Mean absolute change of a picture's values in one step, in units of the [0, 1] range.
        jitter: Largest shift of a picture before a step, in pixels; drawn by each cell's seed.

    Source:
        Mordvintsev, Olah & Tyka 2015, "Inceptionism" and its notebook google/deepdream dream.ipynb: normalised
        gradients, jitter, and octaves that carry over what was added, not the picture, so that the start's own details
        stay sharp.
    """

    targets: Targets
    start: Sequence[tuple[Pixels, float, int]]
    objective: Callable[[Tensor], Objective]
    step_size: float
    jitter: int

    def run(self, on_step: OnStep | None = None) -> list[Stylized]:
        """Return one result per request, from the coarsest octave to the finest."""
        requests, targets = self.targets.requests, self.targets
        config = requests[0].config
        assert isinstance(config, PixelMethod)
        schedule = plan_levels(requests[0])
        total = sum(steps for _, _, steps in schedule)
        report = None if on_step is None else lambda count: on_step(count, total)
        start_B3HW = starting_pictures(self.start, *picture_size(requests[0]), targets.workspace.device, targets.dtype)
        shifts = Shifts([seed for _, _, seed in self.start], self.jitter)
        trace, done = Trace(), 0
        added_B3HW = torch.zeros_like(start_B3HW)
        for octave, (width, height, steps) in enumerate(schedule):
            base_B3HW = resize(start_B3HW, height, width).clamp(*RANGE)
            objective = self.objective(base_B3HW)
            picture_B3HW = (base_B3HW + resize(added_B3HW, height, width)).clamp(*RANGE)
            picture_B3HW = optimize_images(
                NormalisedSteps(picture_B3HW, self.step_size), shifts.around(objective.with_gradient), steps=steps,
                trace=trace, level=octave, done=done, trace_every=config.trace_every, on_step=report,
            )  # fmt: skip
            added_B3HW, done = picture_B3HW - base_B3HW, done + steps
        return finish(
            requests, picture_B3HW, start_B3HW, finish_colors=None, objective=objective, trace=trace, steps=done
        )


class NormalisedSteps:
    """Steps against the gradient over its mean absolute value, per image; values are held in their range.

    A picture whose loss or gradient is not finite stays as it is.
    """

    def __init__(self, start_BCHW: Tensor, step_size: float) -> None:
        self.point = start_BCHW
        self.step_size = step_size

    def propose(self) -> Tensor:
        """Return the current pictures."""
        return self.point

    def observe(self, loss_B: Tensor, gradient_BCHW: Tensor) -> None:
        """Take one step."""
        mean_B111 = gradient_BCHW.abs().mean((1, 2, 3), keepdim=True)
        moved = self.point - self.step_size * gradient_BCHW / mean_B111.clamp_min(torch.finfo(mean_B111.dtype).tiny)
        finite_B111 = (loss_B.isfinite() & mean_B111.flatten().isfinite())[:, None, None, None]
        self.point = torch.where(finite_B111, moved.clamp(*RANGE), self.point)

    def result(self) -> Tensor:
        """Return the current pictures."""
        return self.point


class Shifts:
    """Random shifts of every picture round its borders, by a seed of its own: equal alone and in any batch."""

    def __init__(self, seeds: Sequence[int], largest: int) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.largest = largest

    def around(self, objective: Callable[[Tensor], tuple[Losses, Tensor]]) -> Callable[[Tensor], tuple[Losses, Tensor]]:
        """Return the objective seen through a new shift at every call."""
        if not self.largest:
            return objective

        def shifted(images_BCHW: Tensor) -> tuple[Losses, Tensor]:
            draws = [
                torch.randint(-self.largest, self.largest + 1, (2,), generator=g).tolist() for g in self.generators
            ]
            moved = [torch.roll(image, draw, (1, 2)) for image, draw in zip(images_BCHW, draws, strict=True)]
            losses, gradient_BCHW = objective(torch.stack(moved))
            back = [
                torch.roll(gradient, [-y, -x], (1, 2)) for gradient, (y, x) in zip(gradient_BCHW, draws, strict=True)
            ]
            return losses, torch.stack(back)

        return shifted
