"""The weighted sum of content, style and total variation of a batch. Knows no loss by name, no optimiser and no cell.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from nst.losses.tv import TOTAL_VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from nst.backbones import Backbone

    Precision = Literal["float32", "tf32", "bfloat16", "float64"]


@dataclass(frozen=True, slots=True)
class Term:
    """The loss of one layer with its weights.

    Attributes:
        loss: Returns each image's relative loss, shape (B,), of the layer's features, shape (B, C, H, W).
        share: The layer's weight as configured.
        weights: Shape (B,), the factor of the relative loss: layer, units and the cell's own weight together.
    """

    loss: Callable[[Tensor], Tensor]
    share: float
    weights: Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of a batch, shape (B,) each."""

    total: Tensor
    content: Tensor
    """Weighted, in the units of the weights."""
    style: Tensor
    tv: Tensor
    content_layers: dict[str, Tensor]
    """Relative and unweighted."""
    style_layers: dict[str, Tensor]
    tv_relative: Tensor
    laplacian: Tensor | None = None
    """Relative and unweighted; weighted it is part of `content`."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What a batch of pictures is measured by; calling it returns the losses of every image.

    Attributes:
        content: Per layer, what keeps the content. style: The same for style. Either may be empty.
        tv: Kind of total variation.
        tv_weight: Its factor, shape (B,).
        laplacian: What keeps the content's edges, if anything; its loss takes the pictures themselves.
    """

    backbone: Backbone
    content: Mapping[str, Term]
    style: Mapping[str, Term]
    tv: str
    tv_weight: Tensor
    precision: Precision = "float32"
    laplacian: Term | None = None

    def __call__(self, images_BCHW: Tensor) -> Losses:
        """Return the losses of pictures in [0, 1]; values outside are allowed.

        Source:
            Gatys, Ecker & Bethge 2016, eq. 7, with the total variation of Johnson, Alahi & Fei-Fei 2016.
        """
        features = extract(self.backbone, images_BCHW, self.precision)
        zero_B = torch.zeros_like(self.tv_weight)
        content = {layer: term.loss(features[layer]) for layer, term in self.content.items()}
        style = {layer: term.loss(features[layer]) for layer, term in self.style.items()}
        tv_B = TOTAL_VARIATIONS[self.tv](images_BCHW)
        content_B = sum((self.content[layer].weights * loss for layer, loss in content.items()), zero_B)
        style_B = sum((self.style[layer].weights * loss for layer, loss in style.items()), zero_B)
        laplacian_B = None
        if self.laplacian is not None:
            laplacian_B = self.laplacian.loss(images_BCHW)
            content_B = content_B + self.laplacian.weights * laplacian_B
        weighted_tv_B = self.tv_weight * tv_B
        total_B = content_B + style_B + weighted_tv_B
        return Losses(total_B, content_B, style_B, weighted_tv_B, content, style, tv_B, laplacian_B)

    def with_gradient(self, images_BCHW: Tensor) -> tuple[Losses, Tensor]:
        """Return the losses, cut from the graph, and each image's gradient of its own total."""
        images_BCHW = images_BCHW.detach().requires_grad_()
        with arithmetic(self.precision, images_BCHW.device):
            losses = self(images_BCHW)
            # No image enters another's loss, so the gradient of the sum holds every image's own.
            (gradient_BCHW,) = torch.autograd.grad(losses.total.sum(), images_BCHW)
        detached = Losses(
            losses.total.detach(), losses.content.detach(), losses.style.detach(), losses.tv.detach(), {}, {},
            losses.tv_relative.detach(),
        )  # fmt: skip
        return detached, gradient_BCHW


def extract(backbone: Backbone, images_BCHW: Tensor, precision: Precision) -> dict[str, Tensor]:
    """Return feature maps in the pictures' own type, computed in the given precision."""
    device = images_BCHW.device
    with arithmetic(precision, device), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        features = backbone(images_BCHW)
    return {layer: feature_BCHW.to(images_BCHW.dtype) for layer, feature_BCHW in features.items()}


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Allow TF32 inside the block if the precision says so, and forbid it otherwise; the old state comes back."""
    if device.type != "cuda":
        yield
        return
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision in {"tf32", "bfloat16"}
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
