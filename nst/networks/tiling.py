"""Runs a network on a picture of any size in overlapping tiles, with memory bounded by the tile. Knows no family.

Further from the edge of a tile than the network's `margin`, convolutions cannot tell the tile from the whole picture,
and only that inner part of their result is kept. Norms depend on the whole picture: their statistics are gathered from
all tiles beforehand, one norm after the other, since each norm changes the input of the next. The result then equals
that of the whole picture up to rounding. With `scaled`, the statistics come from the picture shrunk to one tile, which
is an approximation.

Shape letters: H rows, W columns, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from nst.networks.norm import norms, statistics
from nst.ops import to_arrays, to_bytes
from nst.pictures.images import resize_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from nst.networks.network import Network
    from nst.networks.norm import Norm, Statistics

    Apply = Callable[[np.ndarray, "Tile | None"], Tensor]
    """Runs the network on an HWC uint8 picture and returns its picture in [0, 1], shape (1, 3, factor H, factor W). The
    picture is a tile of the whole one, or with None the whole one, shrunk."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a picture. Ranges are ((first row, last row + 1), (first column, last column + 1))."""

    outer: tuple[tuple[int, int], tuple[int, int]]
    """Range that the network sees."""
    inner: tuple[tuple[int, int], tuple[int, int]]
    """Range of the result that is kept."""
    size: tuple[int, int]
    """Number of rows and columns of the whole picture."""

    def cut(self, picture_HW3: np.ndarray) -> np.ndarray:
        """Return the part of a picture within `outer`."""
        (top, bottom), (left, right) = self.outer
        return picture_HW3[top:bottom, left:right]

    def keep(self, features: Tensor) -> Tensor:
        """Return the part of the tile's features, shape (1, C, h, w), that lies within `inner`."""
        for axis in (0, 1):
            (start, end), (first, last) = self.outer[axis], self.inner[axis]
            length = features.shape[2 + axis]
            scale = 2.0 ** round(math.log2(length / (end - start)))  # below 1 where the network shrinks
            begin = int((first - start) * scale)
            stop = length if last == self.size[axis] else int((last - start) * scale)
            features = features.narrow(2 + axis, begin, stop - begin)
        return features


def run_in_tiles(
    network: Network,
    apply: Apply,
    picture_HW3: np.ndarray,
    side: int,
    gather: Literal["exact", "scaled"] = "exact",
    *,
    calls: int = 1,
) -> np.ndarray:
    """Return the picture that the network makes of a picture of any size, HWC uint8, `network.factor` times as large.

    Args:
        network: The network that `apply` runs; it must have a `margin`.
        apply: Runs the network.
        picture_HW3: uint8 picture.
        side: Side in pixels of the tiles of this picture with their margins.
        gather: Where the statistics of the norms come from: the whole picture, or the picture shrunk to one tile.
        calls: How often a pass goes through each norm, each time with other weights of the positions.
    """
    tiles = list(plan_tiles(picture_HW3.shape[0], picture_HW3.shape[1], side, network))
    rows, columns = (network.factor * size for size in picture_HW3.shape[:2])
    result_HW3 = np.empty((rows, columns, 3), np.uint8)
    try:
        if gather == "exact":
            for norm in norms(network):
                norm.fixed = cycle(_gather(norm, apply, picture_HW3, tiles, calls))
        else:
            _fix_from_small(network, apply, picture_HW3, side)
        for tile in tiles:
            (top, bottom), (left, right) = ((network.factor * place for place in places) for places in tile.inner)
            result_HW3[top:bottom, left:right] = to_arrays(to_bytes(tile.keep(apply(tile.cut(picture_HW3), tile))))[0]
    finally:
        for norm in norms(network):
            norm.fixed = norm.watch = None
    return result_HW3


def plan_tiles(height: int, width: int, side: int, network: Network) -> Iterator[Tile]:
    """Yield tiles whose inner parts cover the picture once; all parts start at multiples of `network.multiple`.

    Args:
        height: Number of rows of the picture.
        width: Number of columns of the picture.
        side: Side in pixels of the tiles with their margins.
        network: The network, for its `margin` and `multiple`.
    """
    assert network.margin is not None, "networks that cannot work in tiles were refused"
    margin = -(-network.margin // network.multiple) * network.multiple
    step = max(network.multiple, (side - 2 * margin) // network.multiple * network.multiple)
    for top in range(0, height, step):
        rows = top, min(top + step, height)
        for left in range(0, width, step):
            columns = left, min(left + step, width)
            outer = tuple(
                (max(0, first - margin), min(total, last + margin))
                for (first, last), total in ((rows, height), (columns, width))
            )
            yield Tile((outer[0], outer[1]), (rows, columns), (height, width))


class _SeenError(Exception):
    """Ends a pass of the network once the watched norm has its input; the rest of the pass is not needed."""


def _gather(norm: Norm, apply: Apply, picture_HW3: np.ndarray, tiles: list[Tile], calls: int) -> list[Statistics]:
    """Return the mean and variance of a norm's input over the whole picture, of each of its calls in a pass."""
    totals: list[Tensor] = []  # of each call, the sums of weights, weighted values and their squares: shape (3, 1, C)
    dtype = torch.float32
    for tile in tiles:
        seen: list[Tensor] = []

        def watch(
            features_1CHW: Tensor, shares_11HW: Tensor | None, seen: list[Tensor] = seen, tile: Tile = tile
        ) -> None:
            kept_1CHW = tile.keep(features_1CHW).double()
            weights = torch.ones_like(kept_1CHW[:, :1]) if shares_11HW is None else tile.keep(shares_11HW).double()
            weighted_1CHW = weights * kept_1CHW
            parts = weights.expand_as(kept_1CHW), weighted_1CHW, weighted_1CHW * kept_1CHW
            seen.append(torch.stack([part.sum((2, 3)) for part in parts]))
            nonlocal dtype
            dtype = torch.float64 if features_1CHW.dtype == torch.float64 else torch.float32
            if len(seen) == calls:
                raise _SeenError

        norm.watch = watch
        try:
            apply(tile.cut(picture_HW3), tile)
        except _SeenError:
            pass
        finally:
            norm.watch = None
        totals = [total + part for total, part in zip(totals, seen, strict=True)] if totals else seen
    found = []
    for weight_1C, sum_1C, squares_1C in totals:
        mean_1C = sum_1C / weight_1C
        variance_1C = (squares_1C / weight_1C - mean_1C.square()).clamp_min(0.0)
        found.append((mean_1C[:, :, None, None].to(dtype), variance_1C[:, :, None, None].to(dtype)))
    return found


def _fix_from_small(network: Network, apply: Apply, picture_HW3: np.ndarray, side: int) -> None:
    """Fix the statistics of every norm to those of the picture shrunk to the size of one tile."""
    height, width = picture_HW3.shape[:2]
    scale = min(1.0, side / math.sqrt(height * width))
    found: dict[Norm, list[Statistics]] = {norm: [] for norm in norms(network)}
    for norm, own in found.items():
        norm.watch = lambda features, shares, own=own: own.append(statistics(features, shares))
    apply(resize_to(picture_HW3, max(1, round(width * scale)), max(1, round(height * scale))), None)
    for norm, own in found.items():
        norm.watch, norm.fixed = None, cycle(own)
