"""Tensor operations that several losses share. Knows no method and no weight.

Shape letters: B images, C channels, H rows, W columns, M = H * W positions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def gram_matrix(features_BCHW: Tensor) -> Tensor:
    """Return each image's channel correlations, averaged over positions: F F^T / (H W).

    Args:
        features_BCHW: Feature maps of one layer.

    Returns:
        gram_BCC, symmetric and positive semi-definite.

    Source:
        Gatys, Ecker & Bethge 2016, eq. 3. Differs: the paper sums over positions and divides in the loss (eq. 4);
        averaging lets a style of another size be the target.
    """
    features_BCM = features_BCHW.flatten(2)
    return features_BCM @ features_BCM.transpose(1, 2) / features_BCM.shape[2]


def trace(matrices_BCC: Tensor) -> Tensor:
    """Return each matrix's trace, shape (B,)."""
    return matrices_BCC.diagonal(dim1=-2, dim2=-1).sum(-1)


def sqrt_newton_schulz(matrices_BCC: Tensor, *, iterations: int = 14) -> Tensor:
    """Return the square roots of symmetric positive semi-definite matrices, by matrix products alone.

    An eigenvalue below about 2.25^-iterations of the Frobenius norm has not converged and comes out too small.
    Gradients flow through the iterations, so they belong to exactly the value that is returned.

    Source:
        Higham 1997, "Stable iterations for the matrix square root", coupled Newton-Schulz; used for style transfer by
        crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/sqrtm.py. Differs: 14 iterations for its 12, and plain
        back-propagation for its Lyapunov iteration (as in Li et al. 2018, iSQRT-COV).
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


def resize(images_BCHW: Tensor, height: int, width: int, *, mode: str = "bicubic") -> Tensor:
    """Return the images at another size, antialiased where they shrink; the same tensor if the size is right."""
    if images_BCHW.shape[-2:] == (height, width):
        return images_BCHW
    return functional.interpolate(images_BCHW, (height, width), mode=mode, align_corners=False, antialias=True)
