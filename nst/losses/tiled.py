"""The objective of a picture that is too large for the memory, computed tile by tile: the same sum, the same gradient.

A feature map of the whole picture never exists at full depth with what its gradient needs. Two passes over the tiles
take its place:

1. Without gradients: every tile's features give what the terms compare. Of a term that compares means over positions,
   such as Gram matrices, only the means are kept; of any other term, such as ranks or patches, its whole feature map.
2. The terms are computed from these, and the gradient of the total with regard to them. With gradients now, each tile
   sends back its share, and the gradient of its pixels is added to that of the picture.

A tile sees a margin around its own part, within which its features would differ from those of the picture since a
convolution at the tile's edge sees zeros there; only its own part counts. Differs from the whole by rounding alone.

Source:
    The two passes: Galerne, Raad, Lezama & Morel 2024, "Scaling painting style transfer", section 3, for Gram matrices
    and means. Differs: tiles own positions of the feature maps and add up their gradients where margins overlap, so
    that a margin is half a receptive field; any term.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch

from nst.config.memory import SIDES, tile_within
from nst.losses.objective import Losses, Objective, arithmetic, feature_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.config.fields import Precision
    from nst.losses.objective import Term

    Observe = Callable[[Tensor], tuple[Tensor, ...]]
    """Returns means over the positions of feature maps, with the batch in front."""

    Range = tuple[int, int]
    """First row or column, and last one + 1."""

Key = TypeVar("Key")

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a picture, in pixels; ranges are of rows and of columns.

    Attributes:
        seen: What the network sees.
        own: The part whose features count.
        size: Rows and columns of the picture.
    """

    seen: tuple[Range, Range]
    own: tuple[Range, Range]
    size: tuple[int, int]

    def cut(self, images_BCHW: Tensor) -> Tensor:
        """Return what the network sees of pictures."""
        (top, bottom), (left, right) = self.seen
        return images_BCHW[:, :, top:bottom, left:right]

    def keep(self, features_BCHW: Tensor, stride: int) -> Tensor:
        """Return the tile's own part of its features, at a layer with so many pixels from one position to the next."""
        for axis in (0, 1):
            first, last = self._positions(axis, stride)
            begin = first - self.seen[axis][0] // stride
            length = features_BCHW.shape[2 + axis] - begin if last is None else last - first
            features_BCHW = features_BCHW.narrow(2 + axis, begin, length)
        return features_BCHW

    def place(self, stride: int) -> tuple[slice, slice]:
        """Return where the own part lies in the feature map of the picture."""
        rows, columns = (slice(*self._positions(axis, stride)) for axis in (0, 1))
        return rows, columns

    def _positions(self, axis: int, stride: int) -> tuple[int, int | None]:
        first, last = self.own[axis]
        # Pooling drops what is left over at the far border: there, the tile has whatever positions the picture has.
        return first // stride, None if last == self.size[axis] else last // stride


def plan_tiles(height: int, width: int, side: int, backbone: Backbone) -> list[Tile]:
    """Return tiles whose own parts cover a picture once.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        side: Side in pixels of the part that a tile sees, at most; more where the margins alone take as much.
        backbone: The network, for its `reach`.

    Example:
        >>> class Net:
        ...     reach = (1, 2)  # sees two pixels beyond a tile
        >>> [(tile.own[1], tile.seen[1]) for tile in plan_tiles(4, 12, 8, Net())]
        [((0, 4), (0, 6)), ((4, 8), (2, 10)), ((8, 12), (6, 12))]
    """
    assert backbone.reach is not None, "networks that cannot work in tiles are not asked to"
    stride, reach = backbone.reach
    margin = -(-reach // stride) * stride
    step = max(stride, (side - 2 * margin) // stride * stride)

    def ranges(total: int) -> list[tuple[Range, Range]]:
        # A last part without a whole position of the deepest layer would be a tile without features.
        starts = [start for start in range(0, total, step) if start == 0 or total - start >= stride]
        own = list(zip(starts, [*starts[1:], total], strict=True))
        return [((max(0, first - margin), min(total, last + margin)), (first, last)) for first, last in own]

    return [
        Tile((seen_rows, seen_columns), (rows, columns), (height, width))
        for seen_rows, rows in ranges(height)
        for seen_columns, columns in ranges(width)
    ]


@dataclass(frozen=True, slots=True)
class Tiled:
    """A network that sees pictures tile by tile where they need more memory than there is.

    Attributes:
        backbone: The network, with a `reach`.
        precision: Its arithmetic.
        side: Largest side of the tiles in pixels, margins included.
        room: Bytes of memory that there are, infinite where nobody has looked; 0 where they are known to be too few.
        gathers: Whether the style compares all values of its feature maps by their ranks.
    """

    backbone: Backbone
    precision: Precision
    side: int
    room: float = 0.0
    gathers: bool = False

    def side_for(self, shape: Sequence[int]) -> int | None:
        """Return the side of the tiles in which a picture passes; None for one that passes whole.

        Args:
            shape: Shape of the pictures, (B, C, H, W).

        Raises:
            MemoryError: There are several pictures, which take less one by one than in tiles.
        """
        if self.room == math.inf:
            return None
        batch, _, height, width = shape
        each = self.backbone.bytes_per_pixel(gathers=self.gathers)
        if batch * height * width * each <= self.room:
            return None
        if batch > 1:
            raise MemoryError(f"there is too little memory for {batch} pictures of {width} x {height} together")
        sides = [self.side, *(side for side in SIDES if side < self.side)]
        side = tile_within(self.room, each, sides) if self.room else self.side
        return side if len(plan_tiles(height, width, side, self.backbone)) > 1 else None

    def observe(
        self, images_BCHW: Tensor, layers: Iterable[str], observed: Mapping[Key, tuple[str, Observe]] = NOTHING
    ) -> tuple[dict[str, Tensor], dict[Key, tuple[Tensor, ...]]]:
        """Return whole feature maps by layer, and means over all positions, both without their graph, after one pass.

        Args:
            images_BCHW: The pictures.
            layers: The layers whose feature maps are wanted whole.
            observed: A layer, and what is observed of it, by the key of the means in the result.
        """
        whole: dict[str, Tensor] = {}
        sums: dict[Key, tuple[Tensor, ...]] = {}
        wanted = tuple(layers)
        for tile in self._tiles(images_BCHW):
            for layer, own_BCHW in self._own(tile, tile.cut(images_BCHW).detach().contiguous()):
                if layer in wanted:
                    if layer not in whole:
                        grid = self._grid(layer, images_BCHW)
                        whole[layer] = own_BCHW.new_empty((*own_BCHW.shape[:2], *grid))
                    whole[layer][(..., *tile.place(self.backbone.strides[layer]))] = own_BCHW
                share = self._share(own_BCHW, layer, images_BCHW)
                for key, observe in ((key, observe) for key, (at, observe) in observed.items() if at == layer):
                    parts = tuple(share * part for part in observe(own_BCHW))
                    sums[key] = tuple(a + b for a, b in zip(sums[key], parts, strict=True)) if key in sums else parts
        return {layer: whole[layer] for layer in wanted}, {key: sums[key] for key in observed}

    def gradient(
        self,
        images_BCHW: Tensor,
        terms: Sequence[tuple[str, Observe, tuple[Tensor, ...]]],
        maps: Mapping[str, Tensor],
    ) -> Tensor:
        """Return the gradient of pictures, shape (B, C, H, W), given those of what was computed of their features.

        Args:
            images_BCHW: The pictures.
            terms: A layer, what is observed of it, and the gradient of its means.
            maps: The gradient of whole feature maps by layer.
        """
        gradient_BCHW = torch.zeros_like(images_BCHW)
        for tile in self._tiles(images_BCHW):
            crop_BCHW = tile.cut(images_BCHW).detach().contiguous().requires_grad_()
            sent: list[tuple[Tensor, Tensor]] = []
            with torch.enable_grad():
                for layer, own_BCHW in self._own(tile, crop_BCHW):
                    if layer in maps:
                        sent.append((own_BCHW, maps[layer][(..., *tile.place(self.backbone.strides[layer]))]))
                    share = self._share(own_BCHW, layer, images_BCHW)
                    for observe, gradients in ((observe, given) for at, observe, given in terms if at == layer):
                        parts = zip(observe(own_BCHW), gradients, strict=True)
                        sent += [(part, share * gradient) for part, gradient in parts]
            values, gradients_of_values = zip(*sent, strict=True)
            (part_BCHW,) = torch.autograd.grad(values, crop_BCHW, gradients_of_values)
            tile.cut(gradient_BCHW).add_(part_BCHW)
        return gradient_BCHW

    def _tiles(self, images_BCHW: Tensor) -> list[Tile]:
        height, width = images_BCHW.shape[2:]
        return plan_tiles(height, width, self.side_for(images_BCHW.shape) or max(height, width), self.backbone)

    def _own(self, tile: Tile, crop_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the tile's own part of the features of each layer, given what the network sees of the pictures."""
        for layer, map_BCHW in feature_maps(self.backbone, crop_BCHW, self.precision):
            yield layer, tile.keep(map_BCHW, self.backbone.strides[layer])

    def _grid(self, layer: str, images_BCHW: Tensor) -> tuple[int, int]:
        width, height = self.backbone.grids(images_BCHW.shape[3], images_BCHW.shape[2])[layer]
        return height, width

    def _share(self, own_BCHW: Tensor, layer: str, images_BCHW: Tensor) -> float:
        """Return which share of the picture's positions a tile has."""
        rows, columns = self._grid(layer, images_BCHW)
        return own_BCHW.shape[2] * own_BCHW.shape[3] / (rows * columns)


@dataclass(frozen=True, slots=True)
class TiledObjective(Objective):
    """An objective that is computed in tiles where that is needed; the same up to rounding.

    Attributes:
        tiled: Its network; None for none.

    Example:
        >>> from nst.losses.objective import Term
        >>> term = Term("tv", None, torch.ones_like, "positions", 1.0, torch.tensor([2.0]))
        >>> class Net:
        ...     def maps(self, images):
        ...         return iter([])
        >>> TiledObjective(Net(), [term])(torch.zeros(1)).total
        tensor([2.])
    """

    tiled: Tiled | None = None

    def tile_of(self, images_BCHW: Tensor) -> int | None:
        """Return the side in pixels of the tiles that pictures of this size pass in; None if they pass whole."""
        return self.tiled.side_for(images_BCHW.shape) if self.tiled else None

    def __call__(self, images_BCHW: Tensor) -> Losses:
        """Return the losses of pictures in [0, 1]; in tiles without their graph."""
        if not (self.tiled and self.tiled.side_for(images_BCHW.shape)):
            return Objective.__call__(self, images_BCHW)
        with torch.no_grad(), arithmetic(self.precision, images_BCHW.device):
            return self._losses(images_BCHW, *self._observe(self.tiled, images_BCHW))

    def with_gradient(self, images_BCHW: Tensor) -> tuple[Losses, Tensor]:
        """Return the total and its parts, without their graph, and the gradient of each image's total, (B, C, H, W)."""
        if not (self.tiled and self.tiled.side_for(images_BCHW.shape)):
            return Objective.with_gradient(self, images_BCHW)
        images_BCHW = images_BCHW.detach().requires_grad_()
        with arithmetic(self.precision, images_BCHW.device):
            maps, means = self._observe(self.tiled, images_BCHW.detach())
            leaves = [*maps.values(), *(part for parts in means.values() for part in parts)]
            for leaf in leaves:
                leaf.requires_grad_()
            losses = self._losses(images_BCHW, maps, means)
            of_images, *found = torch.autograd.grad(
                losses.total.sum(), [images_BCHW, *leaves], allow_unused=True, materialize_grads=True
            )
            rest = iter(found)
            of_maps = {layer: next(rest) for layer in maps}
            of_means = [(*self._observed[number], tuple(next(rest) for _ in parts)) for number, parts in means.items()]
            of_features = self.tiled.gradient(images_BCHW.detach(), of_means, of_maps)
        parts = {name: part_B.detach() for name, part_B in losses.parts.items()}
        return Losses(losses.total.detach(), parts), of_images + of_features

    @property
    def _observed(self) -> dict[int, tuple[str, Observe]]:
        """The layer of each term that compares means, and what it observes, by the number of the term."""
        return {n: (term.layer, term.means.observe) for n, term in enumerate(self.terms) if term.layer and term.means}

    def _observe(self, tiled: Tiled, images_BCHW: Tensor) -> tuple[dict[str, Tensor], dict[int, tuple[Tensor, ...]]]:
        layers = dict.fromkeys(term.layer for term in self.terms if term.layer and not term.means)
        return tiled.observe(images_BCHW, layers, self._observed)

    def _losses(
        self, images_BCHW: Tensor, maps: Mapping[str, Tensor], means: Mapping[int, tuple[Tensor, ...]]
    ) -> Losses:
        def relative(number: int, term: Term) -> Tensor:
            if term.means and term.layer:
                return term.means.compare(means[number])
            return term.loss(maps[term.layer] if term.layer else images_BCHW)

        return self.weighted(tuple(relative(number, term) for number, term in enumerate(self.terms)))
