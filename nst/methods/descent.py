"""What the methods that optimise pixels share: refusals cell by cell, the walk down the pyramid, the finish.

Knows no loss. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nst.config.method import PixelMethod
from nst.methods.finish import finish
from nst.methods.start import plan_levels, starting_pictures
from nst.ops import resize
from nst.optimize.loop import BatchAdam, Trace, build_optimizer, optimize_images
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.optimizer import OptimizerConfig
    from nst.errors import NstError
    from nst.losses.objective import Objective
    from nst.methods.targets import Targets
    from nst.pictures.images import Pixels
    from nst.workspace import Request

    OnStep = Callable[[int, int], None]

Config = TypeVar("Config")

RANGE = (0.0, 1.0)
"""Bounds of every value, held at every step: what is optimised is what is saved."""


@dataclass(frozen=True, slots=True)
class Descent:
    """What a method says about a batch.

    Attributes:
        optimizer: What moves the pixels.
        start: Per cell an image, the share of noise mixed into it, and its seed.
        objective: Returns what the pictures are measured by at a width and height.
        finish_colors: Last change of the optimised pictures, at their size.
    """

    targets: Targets
    optimizer: OptimizerConfig
    start: Sequence[tuple[Pixels, float, int]]
    objective: Callable[[int, int], Objective]
    finish_colors: Callable[[Tensor], Tensor] | None = None

    def run(self, on_step: OnStep | None = None) -> list[Stylized]:
        """Return one result per request, optimised from coarse to fine."""
        requests, targets = self.targets.requests, self.targets
        config = requests[0].config
        assert isinstance(config, PixelMethod)
        schedule = plan_levels(requests[0])
        total = sum(steps for _, _, steps in schedule)
        report = None if on_step is None else lambda count: on_step(count, total)
        trace, done, previous = Trace(), 0, None
        start_B3HW = starting_pictures(self.start, *schedule[0][:2], targets.workspace.device, targets.dtype)
        picture_B3HW = start_B3HW
        for level, (width, height, steps) in enumerate(schedule):
            objective = self.objective(width, height)
            picture_B3HW = resize(picture_B3HW, height, width).clamp(*RANGE)
            optimizer = build_optimizer(self.optimizer, picture_B3HW, RANGE)
            if config.pyramid.warm_start and isinstance(optimizer, BatchAdam) and isinstance(previous, BatchAdam):
                previous.carry_to(optimizer)
            picture_B3HW = optimize_images(
                optimizer, objective.with_gradient, steps=steps, trace=trace, level=level, done=done,
                trace_every=config.trace_every, on_step=report,
            )  # fmt: skip
            previous, done = optimizer, done + steps
        return finish(
            requests,
            picture_B3HW,
            start_B3HW,
            finish_colors=self.finish_colors,
            objective=objective,
            trace=trace,
            steps=done,
        )


def run_accepted(
    requests: Sequence[Request],
    refusal: Callable[[Request], NstError | None],
    run: Callable[[Sequence[Request]], list[Stylized]],
) -> list[Stylized]:
    """Run the requests that `refusal` accepts; return one result per request, in order.

    A result is a picture, or the error with which the request was refused.

    Example:
        >>> request = Request("cell", content, (), (), "targets", GatysConfig())
        >>> run_accepted([request], lambda request: InputError("no style"), run=list)[0].error.message
        'no style'
    """
    refused = {index: error for index, request in enumerate(requests) if (error := refusal(request)) is not None}
    accepted = [request for index, request in enumerate(requests) if index not in refused]
    made = iter(run(accepted) if accepted else [])
    return [
        Stylized(request.cell_id, None, None, (), 0, refused[index]) if index in refused else next(made)
        for index, request in enumerate(requests)
    ]


def configs_of(requests: Sequence[Request], kind: type[Config]) -> list[Config]:
    """Return the settings of every request, which are all of this method.

    Example:
        >>> configs_of([Request("cell", content, (), (), "targets", GatysConfig(size=64))], GatysConfig)[0].size
        64
    """
    configs = [request.config for request in requests]
    return [config for config in configs if isinstance(config, kind)]
