"""Tensor operations that losses, methods and trainings share. Knows no method and no loss.

Shape letters: B images, C channels, H rows, W columns, M = H * W positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from nst.config.fields import Precision


def gram_matrix(features_BCHW: Tensor) -> Tensor:
    """Return the Gram matrix of each image, averaged over positions: F F^T / (H W), shape (B, C, C).

    The matrices are symmetric and positive semi-definite.

    Args:
        features_BCHW: Feature maps of one layer.

    Source:
        Gatys, Ecker & Bethge 2016, eq. 3. Differs: the paper sums over positions and divides in the loss (eq. 4);
        averaging lets a style of another size be the target.
    """
    gram_BCC: Tensor = _Gram.apply(features_BCHW)
    return gram_BCC


class _Gram(torch.autograd.Function):
    """The Gram matrix, whose gradient (D + D^T) F / (H W), with D that of the matrix, is one product.

    What autograd derives from F F^T are two products, one for each F, which are equal for a symmetric D. Features are
    read where they lie, whichever of channels and positions comes first in memory.
    """

    @staticmethod
    def forward(context: Any, features_BCHW: Tensor) -> Tensor:
        context.save_for_backward(features_BCHW)
        rows_BMC = _by_position(features_BCHW)
        return rows_BMC.transpose(1, 2) @ rows_BMC / rows_BMC.shape[1]

    @staticmethod
    def backward(context: Any, gradient_BCC: Tensor) -> Tensor:
        (features_BCHW,) = context.saved_tensors
        rows_BMC = _by_position(features_BCHW)
        symmetric_BCC = (gradient_BCC + gradient_BCC.transpose(1, 2)) / rows_BMC.shape[1]
        batch, channels, height, width = features_BCHW.shape
        return (rows_BMC @ symmetric_BCC).view(batch, height, width, channels).permute(0, 3, 1, 2)


def _by_position(features_BCHW: Tensor) -> Tensor:
    """Return features with a row for each position, shape (B, M, C), without a copy."""
    return features_BCHW.permute(0, 2, 3, 1).flatten(1, 2)


def trace(matrices_BCC: Tensor) -> Tensor:
    """Return the trace of each matrix, shape (B,)."""
    return matrices_BCC.diagonal(dim1=-2, dim2=-1).sum(-1)


def sqrt_symmetric(matrices_BCC: Tensor) -> Tensor:
    """Return the square roots of symmetric positive semi-definite matrices, computed by eigenvalues in float64.

    For targets, which need no gradient.
    """
    values_BC, vectors_BCC = torch.linalg.eigh(matrices_BCC.double())
    roots_BC = values_BC.clamp_min(0.0).sqrt()
    square_roots_BCC: Tensor = vectors_BCC * roots_BC[:, None, :] @ vectors_BCC.transpose(1, 2)
    return square_roots_BCC.to(matrices_BCC.dtype)


def trace_sqrt(matrices_BCC: Tensor, least: float = 1e-30) -> Tensor:
    """Return the trace of the square root of each symmetric positive semi-definite matrix, shape (B,).

    Its gradient is stable. On a CPU, and for matrices in float64, it is computed by eigenvalues in float64, which is
    exact, and several times faster on a CPU; for other matrices on other devices by Newton-Schulz iterations, which do
    not wait for the device. The two differ by up to 0.4 % in the style loss of real features, and by up to 4 % in that
    of `random` weights. A matrix that is not finite has the trace NaN.

    Args:
        matrices_BCC: The matrices.
        least: Smallest eigenvalue, by which smaller ones are replaced. The iterations do without it.
    """
    if matrices_BCC.device.type == "cpu" or matrices_BCC.dtype == torch.float64:
        # A matrix that is not finite must not raise an error for the whole batch.
        finite_B = matrices_BCC.isfinite().all(2).all(1)
        values_BC: Tensor = torch.linalg.eigvalsh(torch.where(finite_B[:, None, None], matrices_BCC.double(), 0.0))
        traces_B = values_BC.clamp_min(least).sqrt().sum(-1)
        return torch.where(finite_B, traces_B, torch.nan).to(matrices_BCC.dtype)
    return trace(sqrt_newton_schulz(matrices_BCC))


def sqrt_newton_schulz(matrices_BCC: Tensor, *, iterations: int = 20) -> Tensor:
    """Return the square roots of symmetric positive semi-definite matrices, computed by matrix products alone.

    Eigenvalues below about 2.25^-iterations of the Frobenius norm do not converge and come out too small. Gradients
    flow through the iterations, so that they are exactly those of the returned values.

    Source:
        Higham 1997, "Stable iterations for the matrix square root", coupled Newton-Schulz; used for style transfer by
        crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/sqrtm.py. Differs: 20 iterations instead of 12
        (on real features 14 were 2 to 5 % off), and plain back-propagation, as in Li et al. 2018, instead of a Lyapunov
        iteration.
    """
    tiny = torch.finfo(matrices_BCC.dtype).tiny
    norm_B11 = matrices_BCC.square().sum((-2, -1), keepdim=True).clamp_min(tiny).sqrt()
    root_BCC = matrices_BCC / norm_B11
    three_CC = 3.0 * torch.eye(matrices_BCC.shape[-1], dtype=matrices_BCC.dtype, device=matrices_BCC.device)
    inverse_BCC = three_CC.div(3.0).expand_as(root_BCC)
    for _ in range(iterations):
        step_BCC = 0.5 * (three_CC - inverse_BCC @ root_BCC)
        root_BCC = root_BCC @ step_BCC
        inverse_BCC = step_BCC @ inverse_BCC
    return root_BCC * norm_B11.sqrt()


def dtype_of(precision: Precision) -> torch.dtype:
    """Return the type of pictures and losses with this precision: float64 with `float64`, else float32."""
    return torch.float64 if precision == "float64" else torch.float32


def to_tensor(arrays_BHW3: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return uint8 pictures as RGB in [0, 1], shape (B, 3, H, W), on the device; channels are last in memory."""
    tensor_BHW3 = torch.from_numpy(np.require(arrays_BHW3, requirements=("C", "W"))).to(device)
    return tensor_BHW3.permute(0, 3, 1, 2).to(dtype).div(255.0)


def resize(images_BCHW: Tensor, height: int, width: int, *, mode: str = "bicubic") -> Tensor:
    """Return the images resized to `height` x `width`, antialiased; the same tensor if they have this size already."""
    if images_BCHW.shape[-2:] == (height, width):
        return images_BCHW
    return functional.interpolate(images_BCHW, (height, width), mode=mode, align_corners=False, antialias=True)


def to_bytes(pictures_B3HW: Tensor) -> Tensor:
    """Return pictures in [0, 1] as uint8, halves rounded to even; values outside are clamped, NaN becomes 0."""
    exact_B3HW = pictures_B3HW.detach().to(torch.promote_types(pictures_B3HW.dtype, torch.float32))
    return exact_B3HW.clamp(0.0, 1.0).nan_to_num(0.0).mul(255.0).round().to(torch.uint8)


def to_arrays(bytes_B3HW: Tensor) -> np.ndarray:
    """Return uint8 pictures as an array on the host, shape (B, H, W, 3)."""
    arrays_BHW3: np.ndarray = bytes_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return arrays_BHW3
