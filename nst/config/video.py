"""Settings of methods for contents that are clips. They have no effect on stills. Never imports torch."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from nst.config.block import Block
from nst.config.fields import Steps, Weight
from nst.config.flow import DEFAULT_FLOW, Flow

VERSION: Final = 3
"""Declared version of how frames follow from those before, part of the identity of every clip.

It is raised as well when a default of the settings in this file or of `temporal_weight` changes: defaults are left out
of ids, so that stills keep theirs (`Settings.ADDED_LATER`)."""

OF_CLIPS: Final = ("video", "temporal_weight")
"""Settings of methods that have no effect on stills, whose rows do not hold them."""

TemporalWeight = Annotated[
    Weight,
    Field(
        description="Weight, in relative units, of the temporal loss, which holds each frame of a clip to the frames "
        "before it, warped along the motion, wherever the motion is certain (Ruder, Dosovitskiy & Brox 2016, eq. 10). "
        "Without effect on stills and on the first frame of a shot."
    ),
]
"""Weight of the loss of `nst.losses.temporal`."""

Reach = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], ...],
    Field(
        min_length=1,
        max_length=8,
        description="How many frames back the frames lie that a frame is held to, in frames of the selection. A pixel "
        "is held to the closest of them that shows it ([1] in the short-term loss of Ruder et al. 2016; [1, 10, 20, "
        "40] in their long-term loss, eq. 12 and 13).",
    ),
]


class MotionBlock(Block):
    """How the motion of a clip is found."""

    flow: Flow = DEFAULT_FLOW


class PixelVideoConfig(MotionBlock):
    """How a method that optimises pixels goes on from one frame of a clip to the next."""

    flow: Flow = "dis_medium"

    reach: Reach = (1,)

    steps: Steps | None = None
    """Steps of every frame after the first one of a shot, at one level; by default half of the method's `steps`. They
    start from the frame before, warped along the motion, and where that shows nothing of a place from the content in
    its colours."""

    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """How often a shot is gone through, forwards and backwards in turn (Ruder et al. 2016, section 5.2, with 15 passes
    of 100 steps). From the second pass on a frame starts from its own last result, mixed half and half with the
    neighbour's, warped, where that shows the place."""


class NetworkVideoConfig(MotionBlock):
    """How a trained network goes on from one frame of a clip to the next."""

    blend: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """Share of the frame before, warped along the motion, wherever the motion is certain; 0 makes every frame by
    itself. More is steadier, and smears what changes in place (own trials: `docs/decisions.md`)."""

    hold_statistics: bool = True
    """Whether the means and variances by which the network normalises are those of the whole shot (of every eighth
    frame, at most eight of them) and not of each frame, which would change the brightness when something comes into
    view. Has no effect on pictures with masks and on pictures that pass in tiles. Source: the sequence-level feature
    sharing of Wang et al. 2020, "Consistent video style transfer via relaxation and regularization"."""
