"""Which cells of a sweep are optimised together.

The batches are composed over the whole sweep, and cells that are done are dropped from them afterwards: which cells
are optimised together follows from the manifest alone, so that a resumed sweep gives the same pixels. So does a batch's
place in that composition, by which several runs divide a sweep among themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

    from nst.config.method import Method
    from nst.planning.cells import Cells

_BATCH_PIXELS: Final = 2**20
_BATCH_CELLS: Final = 8
"""Most pixels and most cells of a batch, unless the manifest says how many cells."""


def compose(cells: Cells, done: Container[str]) -> tuple[list[list[int]], list[int], int]:
    """Return the numbers of the cells of each batch that is to be run, its place among all, and the number of all.

    Args:
        cells: All cells of the sweep.
        done: Ids of cells that are dropped from their batches.
    """
    batches, places, place = [], [], 0
    for group in _groups(cells):
        size = _batch_size(cells, group[0])
        for start in range(0, len(group), size):
            to_do = [number for number in group[start : start + size] if cells.ids[number] not in done]
            if to_do:
                batches.append(to_do)
                places.append(place)
            place += 1
    return batches, places, place


def _groups(cells: Cells) -> list[list[int]]:
    """Return the numbers of the cells that may share batches: of one structure, and of one content if that matters."""
    width, structures = len(cells.variants), cells.variants.structure
    row = len(cells.styles) * width
    count = len(cells.variants.first)
    groups: dict[int, list[int]] = {}
    has_clips = cells.has_clips
    of_any_content = {s for s in range(count) if not _shares_content(cells.structure_config(s))}
    for number, point in enumerate(cells.points):
        structure = structures[point % width]
        free = structure in of_any_content and not (has_clips and cells.frames(number))
        key = structure if free else count + point // row * count + structure
        if key in groups:
            groups[key].append(number)
        else:
            groups[key] = [number]
    return list(groups.values())


def _shares_content(config: Method) -> bool:
    """Return whether the cells of a batch must have the same content, by which they also have the same size."""
    return config.SHARES_CONTENT or config.takes_original_size


def _batch_size(cells: Cells, number: int) -> int:
    """Return the most cells of a batch, given the number of one of its cells; it follows from the manifest alone."""
    side = cells.structure_config(cells.structure(number)).side
    default = min(_BATCH_CELLS, max(1, _BATCH_PIXELS // side**2))
    return cells.batch_size or default
