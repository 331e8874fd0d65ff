"""What the methods that optimise pixels share: refusals cell by cell, the walk down the pyramid, the finish.

Knows no loss. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nst.methods.finish import finish
from nst.methods.start import plan_levels, starting_pictures
from nst.ops import resize
from nst.optimize.loop import BatchAdam, Trace, build_optimizer, optimize_images
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

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
        size: Width and height of the pictures.
        start: Per cell an image, the share of noise mixed into it, and its seed.
        objective: Returns what the pictures are measured by at a width and height.
        touch: What is done to the optimised pictures at the end, at their size.
    """

    targets: Targets
    size: tuple[int, int]
    start: Sequence[tuple[Pixels, float, int]]
    objective: Callable[[int, int], Objective]
    touch: Callable[[Tensor], Tensor] | None = None

    def run(self, on_step: OnStep | None = None) -> list[Stylized]:
        """Return one result per request, optimised from coarse to fine."""
        requests, targets = self.targets.requests, self.targets
        config = requests[0].config
        assert hasattr(config, "optimizer"), "methods that descend have one"
        assert config.name != "feedforward"
        schedule = plan_levels(config, *self.size)
        total = sum(steps for _, _, steps in schedule)
        report = None if on_step is None else lambda count: on_step(count, total)
        trace, done, previous = Trace(), 0, None
        start_B3HW = starting_pictures(self.start, *schedule[0][:2], targets.workspace.device, targets.dtype)
        picture_B3HW = start_B3HW
        for level, (width, height, steps) in enumerate(schedule):
            objective = self.objective(width, height)
            picture_B3HW = resize(picture_B3HW, height, width).clamp(*RANGE)
            optimizer = build_optimizer(config.optimizer, picture_B3HW, RANGE)
            if config.pyramid.warm_start and isinstance(optimizer, BatchAdam) and isinstance(previous, BatchAdam):
                previous.carry_to(optimizer)
            picture_B3HW = optimize_images(
                optimizer, objective.with_gradient, steps=steps, trace=trace, level=level, done=done,
                trace_every=config.trace_every, on_step=report,
            )  # fmt: skip
            previous, done = optimizer, done + steps
        return finish(
            requests, picture_B3HW, start_B3HW, touch=self.touch, objective=objective, trace=trace, steps=done
        )


def each_that_can(
    requests: Sequence[Request],
    refusal: Callable[[Request], NstError | None],
    run: Callable[[Sequence[Request]], list[Stylized]],
) -> list[Stylized]:
    """Return the results of the requests that nothing speaks against, and the reasons of the others, in order."""
    refused = {index: error for index, one in enumerate(requests) if (error := refusal(one)) is not None}
    accepted = [one for index, one in enumerate(requests) if index not in refused]
    made = iter(run(accepted) if accepted else [])
    return [
        Stylized(one.cell_id, None, None, (), 0, refused[index]) if index in refused else next(made)
        for index, one in enumerate(requests)
    ]


def configs_of(requests: Sequence[Request], kind: type[Config]) -> list[Config]:
    """Return the settings of every request, which are of this method."""
    configs = [one.config for one in requests]
    return [config for config in configs if isinstance(config, kind)]
