"""How wide the strokes of a painting become in the pictures of a sweep: what `style_scale` and the size come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.method import PixelMethod
from nst.pictures.fitting import size_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nst.planning.cells import Cells


def stroke_widths(cells: Cells, numbers: Iterable[int]) -> tuple[float, float] | None:
    """Return how many pixels of its picture one pixel of a painting becomes at least and at most.

    None where no method scales paintings, or no image's size is known.

    Args:
        cells: The cells of a sweep.
        numbers: Some of them, one of each batch; of each structure and style the first one counts.
    """
    found, seen = [], set()
    for number in numbers:
        content_index, style_index, _ = cells.indices(number)
        structure = cells.structure(number)
        config = cells.structure_config(structure)
        if (structure, style_index, content_index) in seen or not isinstance(config, PixelMethod):
            continue
        seen.add((structure, style_index, content_index))
        content, style = cells.images(number)
        share = getattr(config, "style_scale", None)
        if share is None or not (style and content and content.size):
            continue
        long_side = max(size_after(config, *content.size)) * share
        scales = style.scales or (1.0,) * len(style.images)
        sides = [(scale, max(image.size)) for scale, image in zip(scales, style.images, strict=True) if image.size]
        found += [scale * long_side / side for scale, side in sides]
    return (min(found), max(found)) if found else None
