"""Points of a sweep that make one picture: the first of them is the cell, and stands for the others.

Points make the same picture if they differ only in settings without effect on it (`nst.config.effects`), or in the
names of images with the same bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.planning.cells import Cells, Images

SAME_IMAGES: Final = "the same images under other names"
"""The reason for which points are one cell that differ in their content or style."""


def merge(pictures: Sequence[str], points: Sequence[int]) -> tuple[bytearray, dict[int, int]]:
    """Return for each point 1 if it is a cell, else 0; and the other points with the number of the cell for each.

    Args:
        pictures: For each point, a text that points share that make the same picture.
        points: The numbers of the points in the product.
    """
    cells: dict[str, int] = {}
    kept, merged = bytearray(len(pictures)), {}
    for index, (picture, point) in enumerate(zip(pictures, points, strict=True)):
        number = cells.get(picture)
        if number is None:
            cells[picture] = len(cells)
            kept[index] = 1
        else:
            merged[point] = number
    return kept, merged


def merge_reasons(cells: Cells) -> dict[str, int]:
    """Return why points are one cell with an earlier point, in words, with the number of points for each reason."""
    counts: Counter[str] = Counter()
    words: dict[tuple[int, int], str] = {}
    for point, number in cells.merged_points.items():
        *images, variant = cells.indices_of(point)
        *others, other = cells.indices(number)
        if images != others:
            counts[SAME_IMAGES] += 1
            continue
        if (variant, other) not in words:
            words[variant, other] = cells.variants.difference(variant, other) or "equal settings"
        counts[words[variant, other]] += 1
    return dict(counts)


def aliases(cells: Cells) -> dict[int, list[Images]]:
    """Return the cells that are asked for under further names, with the images of those names, each pair once."""
    found: dict[int, dict[tuple[str, str], Images]] = {}
    for point, number in cells.merged_points.items():
        images = cells.images_of(point)
        if _names(images) != _names(cells.images(number)):
            found.setdefault(number, {}).setdefault(_names(images), images)
    return {number: list(pairs.values()) for number, pairs in found.items()}


def _names(images: Images) -> tuple[str, str]:
    content, style = images
    return content.name if content else "", style.name if style else ""
