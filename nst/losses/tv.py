"""Total variation of pictures, per image. Knows no backbone and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def tv_squared(images_BCHW: Tensor) -> Tensor:
    """Return each image's sum of squared differences of neighbours, divided by its number of values, shape (B,).

    Source:
        Johnson, Alahi & Fei-Fei 2016 section 3.2; jcjohnson/neural-style@07c4b82 neural_style.lua TVLoss (which
        has only the gradient). Differs: divided by C H W; with the differences within the last row and column, which
        jcjohnson leaves out.

    Example:
        >>> tv_squared(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]))
        tensor([0.5000])
    """
    down_BCHW, right_BCHW = _differences(images_BCHW)
    return (down_BCHW.square().sum((1, 2, 3)) + right_BCHW.square().sum((1, 2, 3))) / images_BCHW[0].numel()


def tv_absolute(images_BCHW: Tensor) -> Tensor:
    """Return each image's sum of absolute differences of neighbours, divided by its number of values, shape (B,).

    Source:
        ProGamerGov/neural-style-pt@7251405 neural_style.py TVLoss. Differs: divided by C H W.

    Example:
        >>> tv_absolute(torch.tensor([[[[0.0, 0.5], [0.0, 0.5]]]]))
        tensor([0.2500])
    """
    down_BCHW, right_BCHW = _differences(images_BCHW)
    return (down_BCHW.abs().sum((1, 2, 3)) + right_BCHW.abs().sum((1, 2, 3))) / images_BCHW[0].numel()


def tv_euclidean(images_BCHW: Tensor) -> Tensor:
    """Return each image's sum of gradient lengths, divided by its number of values, shape (B,).

    Source:
        Rudin, Osher & Fatemi 1992, isotropic total variation. Differs: divided by C H W; lengths are smoothed by 1e-4
        of the range, so that flat regions have a gradient.

    Example:
        >>> tv_euclidean(torch.tensor([[[[0.0, 0.5], [0.0, 0.5]]]])).round(decimals=3)
        tensor([0.2500])
    """
    down_BCHW = functional.pad(images_BCHW[:, :, 1:] - images_BCHW[:, :, :-1], (0, 0, 0, 1))
    right_BCHW = functional.pad(images_BCHW[..., 1:] - images_BCHW[..., :-1], (0, 1))
    lengths_BCHW = (down_BCHW.square() + right_BCHW.square() + 1e-8).sqrt() - 1e-4
    return lengths_BCHW.mean((1, 2, 3))


def tv_nine_point(images_BCHW: Tensor) -> Tensor:
    """Return each image's mean squared gradient by a nine-point stencil, which favours the axes less, shape (B,).

    Source:
        crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/style_transfer.py TVLoss: weight 2/3 for the axes and
        1/6 for the diagonals, over the picture continued by its border.

    Example:
        >>> tv_nine_point(torch.zeros(1, 3, 4, 4))
        tensor([0.])
    """
    padded_BCHW = functional.pad(images_BCHW, (1, 1, 1, 1), mode="replicate")
    middle_BCHW = images_BCHW
    right_BCHW = padded_BCHW[:, :, 1:-1, 2:] - middle_BCHW
    down_BCHW = padded_BCHW[:, :, 2:, 1:-1] - middle_BCHW
    falling_BCHW = padded_BCHW[:, :, 1:, 1:] - padded_BCHW[:, :, :-1, :-1]
    rising_BCHW = padded_BCHW[:, :, 1:, :-1] - padded_BCHW[:, :, :-1, 1:]
    axes_B = right_BCHW.square().mean((1, 2, 3)) + down_BCHW.square().mean((1, 2, 3))
    diagonals_B = falling_BCHW.square().mean((1, 2, 3)) + rising_BCHW.square().mean((1, 2, 3))
    return axes_B * (2 / 3) + diagonals_B / 6


TOTAL_VARIATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "squared": tv_squared,
    "absolute": tv_absolute,
    "euclidean": tv_euclidean,
    "nine_point": tv_nine_point,
}
"""The kinds of total variation by the setting `tv`."""


def _differences(images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    return images_BCHW[:, :, 1:] - images_BCHW[:, :, :-1], images_BCHW[..., 1:] - images_BCHW[..., :-1]
