"""The photorealism loss: how far pictures are from local affine maps of the content's colours, per image.

Knows no backbone and no weight. The matting Laplacian is applied by box filters alone; no matrix is ever built.
Shape letters: B images, C channels, H rows, W columns; h = H - 2 and w = W - 2 count the windows of 3 x 3 pixels that
lie within the picture, each named by its first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

EPSILON: Final = 1e-7
"""Weight of the squared coefficients of an affine map against its squared errors in a window (1e-7 in Luan 2017)."""

ENERGY_FLOOR: Final = (1.0 / 255.0) ** 2
"""Smallest mean variance within windows that the loss is divided by, for contents that are flat nearly everywhere."""

_WINDOW: Final = 9


@dataclass(frozen=True, slots=True)
class LocalColors:
    """The colours of a content, and what an affine regression on them needs to know of each window, in float64.

    The inverses are as large as 9 / EPSILON and are multiplied by covariances near zero: float32 would not do.

    Attributes:
        colors: The content in [0, 1], shape (B, 3, H, W).
        means: Mean colour of each window, shape (B, 3, h, w).
        inverses: Inverse of each window's covariance of colours plus EPSILON / 9 on the diagonal, (B, 3, 3, h, w).
        energy: Squared distances of colours to the means of their windows, summed over all windows, shape (B,).
    """

    colors: Tensor
    means: Tensor
    inverses: Tensor
    energy: Tensor


def local_colors(content_B3HW: Tensor) -> LocalColors:
    """Return what the loss needs to know of contents in [0, 1].

    Example:
        >>> local_colors(torch.rand(1, 3, 5, 6)).inverses.shape
        torch.Size([1, 3, 3, 3, 4])
    """
    colors_B3HW = content_B3HW.double()
    means_B3hw = _sum_of_windows(colors_B3HW) / _WINDOW
    squares_B33hw = _sum_of_windows(colors_B3HW[:, :, None] * colors_B3HW[:, None]) / _WINDOW
    covariances_Bhw33 = (squares_B33hw - means_B3hw[:, :, None] * means_B3hw[:, None]).permute(0, 3, 4, 1, 2)
    variances_Bhw = covariances_Bhw33.diagonal(dim1=-2, dim2=-1).sum(-1)
    floor = 3.0 * ENERGY_FLOOR * max(variances_Bhw[0].numel(), 1)
    energy_B = _WINDOW * variances_Bhw.sum((1, 2)).clamp_min(floor)
    ridge_33 = (EPSILON / _WINDOW) * torch.eye(3, dtype=torch.float64, device=content_B3HW.device)
    inverses_B33hw = torch.linalg.inv(covariances_Bhw33 + ridge_33).permute(0, 3, 4, 1, 2).contiguous()
    return LocalColors(colors_B3HW, means_B3hw, inverses_B33hw, energy_B)


def matting_laplacian(images_BCHW: Tensor, content: LocalColors) -> Tensor:
    """Return the product L x of the content's matting Laplacian with each channel of pictures, shape (B, C, H, W).

    (L x)_i is the sum, over the windows k that hold pixel i, of x_i - a_k . I_i - b_k, with I the content's colours and
    (a_k, b_k) the affine map of colours that fits x best in window k, with a squared penalty EPSILON |a_k|^2. L is
    symmetric and positive semi-definite, and affine maps of the content's colours are all but its null space.

    Args:
        images_BCHW: Pictures with any number of channels, in float64.
        content: What is known of the content (`local_colors`); one for all pictures, or one for each.

    Source:
        Levin, Lischinski & Weiss 2008, "A closed-form solution to natural image matting", eq. 12; the regressions in
        place of the matrix by He, Sun & Tang 2013, "Guided image filtering", section 3.4.

    Example:
        >>> content = torch.rand(1, 3, 5, 6, dtype=torch.float64)
        >>> matting_laplacian(1.0 - content, local_colors(content)).abs().max() < 1e-4
        tensor(True)
    """
    means_BChw = _sum_of_windows(images_BCHW).div_(_WINDOW)
    covariances_BC3hw = _sum_of_windows(images_BCHW[:, :, None] * content.colors[:, None]).div_(_WINDOW)
    covariances_BC3hw.addcmul_(means_BChw[:, :, None], content.means[:, None], value=-1.0)
    inverses_B133hw = content.inverses[:, None]
    slopes_BC3hw = torch.zeros_like(covariances_BC3hw)
    for color in range(3):
        slopes_BC3hw.addcmul_(inverses_B133hw[:, :, color], covariances_BC3hw[:, :, color, None])
    offsets_BChw = means_BChw.sub_((slopes_BC3hw * content.means[:, None]).sum(2))
    fitted_BCHW = (_sum_at_pixels(slopes_BC3hw) * content.colors[:, None]).sum(2).add_(_sum_at_pixels(offsets_BChw))
    windows_11HW = _sum_at_pixels(torch.ones_like(offsets_BChw[:1, :1]))
    return (windows_11HW * images_BCHW).sub_(fitted_BCHW)


def photorealism_loss(images_BCHW: Tensor, content: LocalColors) -> Tensor:
    """Return each image's x^T L x, summed over channels, in relative units, shape (B,).

    In relative units it is the contrast within windows that no affine map of the content's colours explains, as a share
    of the content's own contrast within windows: 0 for the content under any affine map of its colours, and so for a
    flat picture; 5/8 to 1 for contrast as large as the content's that has nothing to do with it, since a map fits three
    of the eight differences in a window by chance.

    Args:
        images_BCHW: Pictures in [0, 1].
        content: What is known of the content (`local_colors`); one for all pictures, or one for each.

    Source:
        Luan, Paris, Shechtman & Bala 2017, "Deep photo style transfer", eq. 2; luanfujun/deep-photo-styletransfer.
        Differs: relative to the content's contrast; one descent instead of two.

    Example:
        >>> content = torch.rand(1, 3, 5, 6)
        >>> photorealism_loss(0.3 * content + 0.5, local_colors(content)) < 1e-5
        tensor([True])
    """
    loss_B: Tensor = _QuadraticForm.apply(images_BCHW, content)
    return loss_B


class _QuadraticForm(torch.autograd.Function):
    """x^T L x / energy, whose gradient 2 L x / energy is known with the loss, since L is symmetric and constant."""

    @staticmethod
    def forward(ctx: Any, images_BCHW: Tensor, content: LocalColors) -> Tensor:
        exact_BCHW = images_BCHW.double()
        product_BCHW = matting_laplacian(exact_BCHW, content) / content.energy[:, None, None, None]
        ctx.save_for_backward((2.0 * product_BCHW).to(images_BCHW.dtype))
        return (exact_BCHW * product_BCHW).sum((1, 2, 3)).to(images_BCHW.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B: Tensor) -> tuple[Tensor, None]:
        (gradient_BCHW,) = ctx.saved_tensors
        return gradient_B[:, None, None, None] * gradient_BCHW, None


def _sum_of_windows(pixels: Tensor) -> Tensor:
    """Return the sum over each window of 3 x 3 pixels within the picture, given (..., H, W), shape (..., h, w)."""
    rows = (pixels[..., :-2, :] + pixels[..., 1:-1, :]).add_(pixels[..., 2:, :])
    return (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:])


def _sum_at_pixels(windows: Tensor) -> Tensor:
    """Return the sum over the windows that hold each pixel, given (..., h, w), shape (..., H, W)."""
    return _sum_of_windows(functional.pad(windows, (2, 2, 2, 2)))
