"""Shared by the methods: running the accepted requests of a batch, and the descent through a pyramid of sizes.

Knows no loss by name. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nst.errors import InputError
from nst.methods.finish import finish
from nst.methods.previews import previews_of
from nst.methods.start import plan_levels, start_detail, starting_pictures
from nst.ops import resize
from nst.optimize.loop import BatchAdam, build_optimizer, optimize_images
from nst.optimize.trace import Trace
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
"""Bounds of the pictures' values. They hold at every step, so that what is optimised is what is saved."""


@dataclass(frozen=True, slots=True)
class Descent:
    """The descent of a batch: where it starts, what it minimises, and how.

    Attributes:
        targets: The targets of the batch.
        optimizer: Settings of the optimiser of the pixels.
        start: For each cell, the image it starts from, the share of noise mixed into the image, and the seed.
        objective: Returns the objective of pictures of a width and height.
        retouch: Changes the optimised pictures before they are saved; None for no change.
    """

    targets: Targets
    optimizer: OptimizerConfig
    start: Sequence[tuple[Pixels, float, int]]
    objective: Callable[[int, int], Objective]
    retouch: Callable[[Tensor], Tensor] | None = None

    def run(self, on_step: OnStep | None = None) -> list[Stylized]:
        """Return one result per request, optimised from coarse to fine."""
        requests, targets, config = self.targets.requests, self.targets, self.targets.config
        schedule = plan_levels(requests[0])
        if targets.tiled:  # a batch that does not fit at the last level is halved before the first one is computed
            targets.tiled.side_for((len(requests), 3, schedule[-1][1], schedule[-1][0]))
        report = progress(on_step, schedule)
        previews = previews_of(targets.workspace.onlooker, requests, schedule, self.retouch)
        trace, done, previous = Trace(), 0, None
        start_B3HW = starting_pictures(self.start, *schedule[0][:2], targets.workspace.device, targets.dtype)
        picture_B3HW = start_B3HW
        for level, (width, height, steps) in enumerate(schedule):
            objective = self.objective(width, height)
            picture_B3HW = resize(picture_B3HW, height, width)
            if level and config.carries_detail:
                sizes = (width, height), schedule[level - 1][:2]
                picture_B3HW = picture_B3HW + start_detail(self.start, *sizes, targets.workspace.device, targets.dtype)
            picture_B3HW = picture_B3HW.clamp(*RANGE)
            optimizer = build_optimizer(self.optimizer, picture_B3HW, RANGE, steps=steps)
            if config.pyramid.warm_start and isinstance(optimizer, BatchAdam) and isinstance(previous, BatchAdam):
                previous.carry_to(optimizer)
            picture_B3HW = optimize_images(
                optimizer,
                objective.with_gradient,
                steps=steps,
                trace=trace,
                level=level,
                done=done,
                trace_every=config.trace_every,
                early_stop=config.stop,
                on_step=report,
                previews=previews,
            )
            previous, done = optimizer, done + steps
        return finish(
            requests,
            picture_B3HW,
            start_B3HW,
            retouch=self.retouch,
            objective=objective,
            trace=trace,
        )


def progress(on_step: OnStep | None, schedule: Sequence[tuple[int, int, int]]) -> Callable[[int], None] | None:
    """Return a function that takes the number of steps done and reports it to `on_step`; None without `on_step`.

    Args:
        on_step: Called with (number of steps done, number of all steps).
        schedule: (width, height, steps) of every level.

    Example:
        >>> progress(lambda done, total: print(f"{done} of {total}"), [(32, 24, 10), (64, 48, 20)])(12)
        12 of 30
    """
    total = sum(steps for _, _, steps in schedule)
    return None if on_step is None else lambda done: on_step(done, total)


def run_accepted(
    requests: Sequence[Request],
    refusal: Callable[[Request], NstError | None],
    run: Callable[[Sequence[Request]], list[Stylized]],
) -> list[Stylized]:
    """Run the requests that `refusal` accepts, and return one result per request, in order.

    The result of a request that is refused holds the error with which it was refused.

    Args:
        requests: The batch.
        refusal: Returns an error for a request that cannot run, or None.
        run: Returns the results of the accepted requests, in order; not called without any.

    Example:
        >>> request = Request("cell", content, (), (), "targets", GatysConfig())
        >>> run_accepted([request], lambda request: InputError("no style"), run=list)[0].error.message
        'no style'
    """
    refused = {index: error for index, request in enumerate(requests) if (error := _refused(request, refusal))}
    accepted = [request for index, request in enumerate(requests) if index not in refused]
    results = iter(run(accepted) if accepted else [])
    return [
        Stylized(request.cell_id, None, None, (), 0, refused[index]) if index in refused else next(results)
        for index, request in enumerate(requests)
    ]


def _refused(request: Request, refusal: Callable[[Request], NstError | None]) -> NstError | None:
    """Return the error with which a request is refused, or None; a size that is refused is a fault of this request."""
    try:
        return refusal(request)
    except InputError as error:
        return error


def configs_of(requests: Sequence[Request], kind: type[Config]) -> list[Config]:
    """Return the settings of every request, given the class of settings that all of them have.

    Example:
        >>> configs_of([Request("cell", content, (), (), "targets", GatysConfig(size=64))], GatysConfig)[0].size
        64
    """
    configs = [request.config for request in requests]
    return [config for config in configs if isinstance(config, kind)]
