"""Gradient ascent with jitter through octaves, shared by the methods that maximise a reward.

Knows no reward by name. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nst.methods.descent import RANGE, progress
from nst.methods.finish import finish
from nst.methods.previews import previews_of
from nst.methods.start import picture_size, plan_levels, starting_pictures
from nst.ops import resize
from nst.optimize.loop import optimize_images
from nst.optimize.trace import Trace

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
    """The ascent of a batch: where it starts, what it maximises, and how.

    Attributes:
        targets: The targets of the batch.
        start: For each cell, the image it starts from, the share of noise mixed into the image, and the seed.
        objective: Returns the objective of an octave, given the starting pictures at the size of that octave.
        step_size: Mean absolute change of a picture's values in one step, in units of the [0, 1] range.
        jitter: Largest shift of a picture before each step, in pixels; the seed of each cell draws its shifts.
        retouch: Changes the finished pictures before they are saved; None for no change.

    Source:
        Mordvintsev, Olah & Tyka 2015, "Inceptionism" and its notebook google/deepdream dream.ipynb: normalised
        gradients, jitter, and octaves that carry over what was added to the starting picture instead of the picture,
        so that the details of the start stay sharp.
    """

    targets: Targets
    start: Sequence[tuple[Pixels, float, int]]
    objective: Callable[[Tensor], Objective]
    step_size: float
    jitter: int
    retouch: Callable[[Tensor], Tensor] | None = None

    def run(self, on_step: OnStep | None = None) -> list[Stylized]:
        """Return one result per request, optimised from the coarsest octave to the finest."""
        requests, targets = self.targets.requests, self.targets
        schedule = plan_levels(requests[0])
        report = progress(on_step, schedule)
        previews = previews_of(targets.workspace.onlooker, requests, schedule, self.retouch)
        start_B3HW = starting_pictures(self.start, *picture_size(requests[0]), targets.workspace.device, targets.dtype)
        shifts = Shifts([seed for _, _, seed in self.start], self.jitter)
        trace, done = Trace(), 0
        added_B3HW = torch.zeros_like(start_B3HW)
        for octave, (width, height, steps) in enumerate(schedule):
            base_B3HW = resize(start_B3HW, height, width).clamp(*RANGE)
            objective = self.objective(base_B3HW)
            picture_B3HW = (base_B3HW + resize(added_B3HW, height, width)).clamp(*RANGE)
            picture_B3HW = optimize_images(
                NormalisedSteps(picture_B3HW, self.step_size),
                shifts.around(objective.with_gradient),
                steps=steps,
                trace=trace,
                level=octave,
                done=done,
                trace_every=targets.config.trace_every,
                on_step=report,
                previews=previews,
            )
            added_B3HW, done = picture_B3HW - base_B3HW, done + steps
        return finish(requests, picture_B3HW, start_B3HW, retouch=self.retouch, objective=objective, trace=trace)


class NormalisedSteps:
    """Steps against the gradient, divided by its mean absolute value in each image; values are held in [0, 1].

    A picture whose loss or gradient is not finite does not change.

    Args:
        start_BCHW: Pictures to start from.
        step_size: Mean absolute change of a picture's values in one step.
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
        tiny = torch.finfo(mean_B111.dtype).tiny
        moved_BCHW = self.point - self.step_size * gradient_BCHW / mean_B111.clamp_min(tiny)
        finite_B111 = (loss_B.isfinite() & mean_B111.flatten().isfinite())[:, None, None, None]
        self.point = torch.where(finite_B111, moved_BCHW.clamp(*RANGE), self.point)

    def result(self) -> Tensor:
        """Return the current pictures."""
        return self.point


class Shifts:
    """Random shifts of pictures, drawn by one seed per picture so that they are equal alone and in any batch.

    What leaves a picture at one border enters it at the opposite one.

    Args:
        seeds: Seed of each picture.
        largest: Largest shift in pixels along each axis; 0 for none.
    """

    def __init__(self, seeds: Sequence[int], largest: int) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.largest = largest

    def around(self, objective: Callable[[Tensor], tuple[Losses, Tensor]]) -> Callable[[Tensor], tuple[Losses, Tensor]]:
        """Return the objective of pictures that are shifted anew at every call; its gradient is shifted back."""
        if not self.largest:
            return objective

        def shifted(images_BCHW: Tensor) -> tuple[Losses, Tensor]:
            bounds = -self.largest, self.largest + 1
            shifts = [torch.randint(*bounds, (2,), generator=generator).tolist() for generator in self.generators]
            moved = [torch.roll(image, shift, (1, 2)) for image, shift in zip(images_BCHW, shifts, strict=True)]
            losses, gradient_BCHW = objective(torch.stack(moved))
            pairs = zip(gradient_BCHW, shifts, strict=True)
            return losses, torch.stack([torch.roll(gradient, [-y, -x], (1, 2)) for gradient, (y, x) in pairs])

        return shifted
