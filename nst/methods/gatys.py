"""Image style transfer by optimising pixels (Gatys, Ecker & Bethge 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns, N = 3 H W values of a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.images import resize_to
from nst.methods.finish import finish
from nst.methods.start import plan_levels, refusal, starting_pictures
from nst.methods.targets import Targets
from nst.ops import resize
from nst.optimize import BatchAdam, Trace, build_optimizer, optimize_images
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.config.gatys import GatysConfig
    from nst.workspace import Request, Workspace

RANGE = (0.0, 1.0)
"""Bounds of every value, held at every step: what is optimised is what is saved."""


def stylize_batch(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None = None
) -> list[Stylized]:
    """Return one stylized image or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_style(x, a) + tv_weight L_tv(x)

    with p the content image and a the style, each image of the batch by itself.

    Source:
        Gatys, Ecker & Bethge 2016, section 2. Differs: relative units, TV, values held in [0, 1], pyramid; the paper's
        settings can be had by name.
    """
    refused = {index: error for index, one in enumerate(requests) if (error := refusal(one)) is not None}
    accepted = [one for index, one in enumerate(requests) if index not in refused]
    made = iter(_stylize(accepted, workspace, on_step) if accepted else [])
    return [
        Stylized(one.cell_id, None, None, (), 0, refused[index]) if index in refused else next(made)
        for index, one in enumerate(requests)
    ]


def _stylize(
    requests: Sequence[Request], workspace: Workspace, on_step: Callable[[int, int], None] | None
) -> list[Stylized]:
    """Return the results of requests that can be run."""
    config: GatysConfig = requests[0].config
    targets = Targets(requests, workspace)
    schedule = plan_levels(config, targets.content)
    total = sum(steps for _, _, steps in schedule)
    report = None if on_step is None else lambda count: on_step(count, total)
    trace, done, previous = Trace(), 0, None
    start_B3HW = starting_pictures(requests, *schedule[0][:2], workspace.device, targets.dtype)
    picture_B3HW = start_B3HW
    for level, (width, height, steps) in enumerate(schedule):
        objective = targets.objective(width, height)
        picture_B3HW = resize(picture_B3HW, height, width).clamp(*RANGE)
        optimizer = build_optimizer(config.optimizer, picture_B3HW, RANGE)
        if config.pyramid.warm_start and isinstance(optimizer, BatchAdam) and isinstance(previous, BatchAdam):
            previous.carry_to(optimizer)
        picture_B3HW = optimize_images(
            optimizer, objective.with_gradient, steps=steps, trace=trace, level=level, done=done,
            trace_every=config.trace_every, on_step=report,
        )  # fmt: skip
        previous, done = optimizer, done + steps
    content_13HW = targets.tensor(resize_to(targets.content.array, width, height))
    return finish(
        requests, picture_B3HW, start_B3HW, content_13HW=content_13HW, objective=objective, trace=trace, steps=done
    )
