"""The objective of a batch: a list of named terms, each a loss of the features of one layer or of the pictures.

Knows no term by name, no optimiser and no cell. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from nst.config.terms import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.config.fields import Precision

Scope = Literal["positions", "statistics", "gather"]
"""How much of a picture a term needs for its gradient at one position. It says how the term could be computed in tiles:

- `positions`: the neighbours of the position; the loss is a mean over positions. The losses of tiles can be averaged.
- `statistics`: means over the whole picture, such as Gram matrices. A second pass over the tiles can use them.
- `gather`: all values of the whole picture, such as their ranks. The features of all tiles have to be gathered.
"""


@dataclass(frozen=True, slots=True)
class Means:
    """What a loss compares of a feature map, where these are means over its positions: they can be taken in tiles.

    Attributes:
        observe: Returns means over the positions of feature maps, with the batch in front.
        compare: Returns each image's relative loss, shape (B,), given the means over all positions.
    """

    observe: Callable[[Tensor], tuple[Tensor, ...]]
    compare: Callable[[tuple[Tensor, ...]], Tensor]


@dataclass(frozen=True, slots=True)
class Term:
    """One weighted loss.

    Attributes:
        name: Name of the term; the catalog has columns for the names in `nst.config.terms.TERMS`.
        layer: Layer whose features the loss measures; None for a loss of the pictures in [0, 1].
        loss: Returns each image's relative loss, shape (B,), given features or pictures of shape (B, C, H, W).
        scope: How much of a picture the term needs.
        share: Weight of the layer as configured; 1 for a term without several layers.
        weights: Factor of the relative loss, shape (B,): the weight of the layer, the conversion of units and the
            weight of the cell, multiplied.
        means: How the loss follows from means over positions; None for a loss that does not, or not only.
    """

    name: str
    layer: str | None
    loss: Callable[[Tensor], Tensor]
    scope: Scope
    share: float
    weights: Tensor
    means: Means | None = None

    @property
    def part(self) -> str:
        """The part of the weighted sum that the term belongs to."""
        return TERMS[self.name].part if self.name in TERMS else self.name


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of a batch, shape (B,) each.

    Attributes:
        total: Weighted sum of all terms, in the units of the weights.
        parts: Weighted sum of the terms of each part (`Term.part`); `total` is the sum of the parts.
        relative: Relative, unweighted loss of each term, in the order of the objective's terms.
    """

    total: Tensor
    parts: dict[str, Tensor]
    relative: tuple[Tensor, ...] = ()

    def part(self, name: str) -> Tensor:
        """Return a part of the weighted sum, shape (B,); zero if no term belongs to it."""
        return self.parts[name] if name in self.parts else torch.zeros_like(self.total)


@dataclass(frozen=True, slots=True)
class Objective:
    """The weighted sum of losses that a batch of pictures minimises; calling it returns the losses of every image.

    Attributes:
        backbone: Returns the features of all layers that the terms name.
        terms: At least one term, in the order in which they are computed and added.
        precision: Arithmetic of the backbone.

    Example:
        >>> term = Term("tv", None, torch.ones_like, "positions", 1.0, torch.tensor([2.0]))
        >>> class Net:
        ...     def maps(self, images):
        ...         return iter([])
        >>> Objective(Net(), [term])(torch.zeros(1)).total
        tensor([2.])
    """

    backbone: Backbone
    terms: Sequence[Term]
    precision: Precision = "float32"

    def __call__(self, images_BCHW: Tensor) -> Losses:
        """Return the losses of pictures in [0, 1]; values outside this range are allowed.

        The terms of a layer are computed as soon as its features are, so that the gradient goes through them when it
        comes by their layer, in the reverse order. Were they computed after the deepest layer, the gradients of all of
        them would wait in memory, as large as all the feature maps that they measure.

        Source:
            Gatys, Ecker & Bethge 2016, eq. 7. Differs: any number of terms.
        """
        losses: dict[int, Tensor] = {}

        def measure(layer: str | None, map_BCHW: Tensor) -> None:
            losses.update({n: term.loss(map_BCHW) for n, term in enumerate(self.terms) if term.layer == layer})

        for layer, map_BCHW in feature_maps(self.backbone, images_BCHW, self.precision):
            # Of the view, gradients of several terms are added up before that of the deeper layers comes to them.
            measure(layer, map_BCHW.view_as(map_BCHW))
        measure(None, images_BCHW)
        return self.weighted(tuple(losses[number] for number in range(len(self.terms))))

    def tile_of(self, images_BCHW: Tensor) -> int | None:  # noqa: ARG002  `nst.losses.tiled` looks at it
        """Return the side in pixels of the tiles that pictures of this size pass in; None if they pass whole."""
        return None

    def weighted(self, relative: tuple[Tensor, ...]) -> Losses:
        """Return the losses of pictures, given the relative loss of each term, shape (B,)."""
        parts: dict[str, Tensor] = {}
        for term, loss_B in zip(self.terms, relative, strict=True):
            weighted_B = term.weights * loss_B
            parts[term.part] = parts[term.part] + weighted_B if term.part in parts else weighted_B
        first_B, *others = parts.values()
        total_B = first_B
        for part_B in others:
            total_B = total_B + part_B
        return Losses(total_B, parts, relative)

    def with_gradient(self, images_BCHW: Tensor) -> tuple[Losses, Tensor]:
        """Return the total and its parts, without their graph, and the gradient of each image's total, (B, C, H, W)."""
        images_BCHW = images_BCHW.detach().requires_grad_()
        with arithmetic(self.precision, images_BCHW.device):
            losses = self(images_BCHW)
            # No image enters the loss of another image, so the gradient of the sum holds the gradient of each image.
            (gradient_BCHW,) = torch.autograd.grad(losses.total.sum(), images_BCHW)
        parts = {name: part_B.detach() for name, part_B in losses.parts.items()}
        return Losses(losses.total.detach(), parts), gradient_BCHW


def extract(backbone: Backbone, images_BCHW: Tensor, precision: Precision) -> dict[str, Tensor]:
    """Return feature maps by layer, computed in the given precision and converted to the type of the pictures.

    Example:
        >>> class Net:
        ...     def maps(self, images):
        ...         yield "relu1_1", images.float()
        >>> extract(Net(), torch.ones(1, 3, 2, 2).double(), "float64")["relu1_1"].dtype
        torch.float64
    """
    return dict(feature_maps(backbone, images_BCHW, precision))


def feature_maps(backbone: Backbone, images_BCHW: Tensor, precision: Precision) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the feature map of each layer as soon as it is computed, as `extract` returns them.

    Example:
        >>> class Net:
        ...     def maps(self, images):
        ...         yield "relu1_1", images + 1.0
        >>> [(layer, float(image)) for layer, image in feature_maps(Net(), torch.ones(1), "float32")]
        [('relu1_1', 2.0)]
    """
    device = images_BCHW.device
    found = backbone.maps(images_BCHW)
    while True:
        # Ended before each map is given away: what is done with it is not computed in this precision.
        with (
            arithmetic(precision, device),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"),
        ):
            layer, map_BCHW = next(found, ("", None))
        if map_BCHW is None:
            return
        yield layer, map_BCHW.to(images_BCHW.dtype)


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Allow TF32 inside the block with `tf32` and `bfloat16`, forbid it otherwise, and restore the old state after it.

    Example:
        >>> with arithmetic("float32", torch.device("cpu")):
        ...     torch.ones(2) + 1.0
        tensor([2., 2.])
    """
    if device.type != "cuda":
        yield
        return
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision in {"tf32", "bfloat16"}
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
