"""The settings of photorealism: the weight of its loss, and the guided filter that may end it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nst.config.block import Block
from nst.config.fields import Weight

PhotorealismWeight = Annotated[
    Weight,
    Field(
        description="Weight of the photorealism loss, which lets the content's colours change only by maps that are "
        "affine within each 3 x 3 pixels (Luan et al. 2017). In relative units, beside a `style_weight` of 30, lines "
        "are still bent at 30; at 300 they are straight, with some texture; at 3000 the picture is a photograph (own "
        "trials with `gatys`). With `mrf`, 1000 beside a `style_weight` of 3 gave a photograph whose colours had moved "
        "less: patches are matched by their directions. In all other units it is that of "
        "luanfujun/deep-photo-styletransfer (1e4 there).",
    ),
]
"""Weight of the loss of `nst.losses.matting`."""


class GuidedFilterConfig(Block):
    """The finished picture is smoothed, but keeps every edge of the content (He, Sun & Tang 2013)."""

    radius: Annotated[int, Field(ge=1, le=256)] = 8
    """Half the side of the windows, in pixels of the picture, within which the picture becomes an affine map of the
    content's colours. Textures that are finer than a window disappear."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Smallest variance, in squared units of the [0, 1] range, at which an edge of the content counts as an edge."""


GuidedFilter = Annotated[
    GuidedFilterConfig | None,
    Field(
        description="Smooths the finished picture along the edges of the content: painted texture goes, lines and "
        "borders of the photograph come back. By default nothing is smoothed. `guided_filter: {}` takes its defaults."
    ),
]
"""The filter of `nst.pictures.guided_filter`."""
