"""The objective of a batch: a list of named terms, each a loss of one layer's features or of the pictures themselves.

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
"""What a term needs of a picture in order to know its gradient at one position, so that pictures can be cut into tiles:

- `positions`: a mean over positions, each with its neighbours. Tiles add up.
- `statistics`: means over the whole picture first (Gram matrices, moments). Tiles are seen twice.
- `gather`: the values of the whole picture at once (their ranks). Features are gathered from all tiles.
"""


@dataclass(frozen=True, slots=True)
class Term:
    """One weighted loss.

    Attributes:
        name: What the catalog calls it: a key of `nst.config.terms.TERMS` has columns.
        layer: The layer whose features it is a loss of; None for the pictures in [0, 1] themselves.
        loss: Returns each image's relative loss, shape (B,), given features or pictures, shape (B, C, H, W).
        scope: What it needs of a picture.
        share: The layer's weight as configured, 1 where there is only one.
        weights: Shape (B,), the factor of the relative loss: layer, units and the cell's own weight together.
    """

    name: str
    layer: str | None
    loss: Callable[[Tensor], Tensor]
    scope: Scope
    share: float
    weights: Tensor

    @property
    def part(self) -> str:
        """The part of the weighted sum that it belongs to."""
        return TERMS[self.name].part if self.name in TERMS else self.name


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of a batch, shape (B,) each.

    Attributes:
        total: The weighted sum, in the units of the weights.
        parts: The same by part: `total` is their sum.
        relative: Each term's own loss, relative and unweighted, in the order of the objective's terms.
    """

    total: Tensor
    parts: dict[str, Tensor]
    relative: tuple[Tensor, ...] = ()

    def part(self, name: str) -> Tensor:
        """Return a part of the weighted sum, zero where no term belongs to it."""
        return self.parts[name] if name in self.parts else torch.zeros_like(self.total)


@dataclass(frozen=True, slots=True)
class Objective:
    """What a batch of pictures is measured by; calling it returns the losses of every image.

    Attributes:
        backbone: Returns the features that the terms ask for.
        terms: The terms, in the order in which they are computed.
        precision: Arithmetic of the backbone.

    Example:
        >>> term = Term("tv", None, torch.ones_like, "positions", 1.0, torch.tensor([2.0]))
        >>> Objective(lambda images: {}, [term])(torch.zeros(1)).total
        tensor([2.])
    """

    backbone: Backbone
    terms: Sequence[Term]
    precision: Precision = "float32"

    def __call__(self, images_BCHW: Tensor) -> Losses:
        """Return the losses of pictures in [0, 1]; values outside are allowed.

        Source:
            Gatys, Ecker & Bethge 2016, eq. 7, for any number of terms.
        """
        features = extract(self.backbone, images_BCHW, self.precision)
        relative = tuple(term.loss(features[term.layer] if term.layer else images_BCHW) for term in self.terms)
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
        """Return the weighted sum and its parts, cut from the graph, and each image's gradient of its own sum."""
        images_BCHW = images_BCHW.detach().requires_grad_()
        with arithmetic(self.precision, images_BCHW.device):
            losses = self(images_BCHW)
            # No image enters another's loss, so the gradient of the sum holds every image's own.
            (gradient_BCHW,) = torch.autograd.grad(losses.total.sum(), images_BCHW)
        parts = {name: part_B.detach() for name, part_B in losses.parts.items()}
        return Losses(losses.total.detach(), parts), gradient_BCHW


def extract(backbone: Backbone, images_BCHW: Tensor, precision: Precision) -> dict[str, Tensor]:
    """Return feature maps in the pictures' own type, computed in the given precision.

    Example:
        >>> features = extract(lambda images: {"relu1_1": images.float()}, torch.ones(1, 3, 2, 2).double(), "float64")
        >>> features["relu1_1"].dtype
        torch.float64
    """
    device = images_BCHW.device
    with arithmetic(precision, device), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        features: dict[str, Tensor] = backbone(images_BCHW)
    return {layer: feature_BCHW.to(images_BCHW.dtype) for layer, feature_BCHW in features.items()}


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Allow TF32 inside the block if the precision says so, and forbid it otherwise; the old state comes back.

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
