"""The guided filter: a picture smoothed so that its edges are those of another picture.

Knows no backbone and no weight. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def guided_filter(pictures_BCHW: Tensor, guides_B3HW: Tensor, radius: int, epsilon: float) -> Tensor:
    """Return pictures that are, near every pixel, an affine map of the guide's colours.

    In each window of 2 `radius` + 1 pixels' side the picture p is fitted by a . I + b, with I the guide's colours, by
    least squares with the penalty `epsilon` |a|^2; a pixel takes the mean of the maps of all windows that hold it.
    Windows end at the border of the picture.

    Args:
        pictures_BCHW: Pictures in [0, 1].
        guides_B3HW: RGB in [0, 1] of the same height and width; one for all pictures, or one for each.
        radius: In pixels, at least 1.
        epsilon: In squared units of the [0, 1] range: edges of the guide with a smaller variance are smoothed away.

    Returns:
        Pictures of the same shape and type, computed in float64; values may leave [0, 1] a little.

    Source:
        He, Sun & Tang 2013, "Guided image filtering", eq. 14 to 16 (guides with colours).

    Example:
        >>> guide = torch.rand(1, 3, 8, 8, dtype=torch.float64)
        >>> torch.allclose(guided_filter(0.5 - 0.2 * guide, guide, 2, 1e-12), 0.5 - 0.2 * guide)
        True
    """
    pictures, guides = pictures_BCHW.double(), guides_B3HW.double()
    means_B3HW, means_BCHW = _mean(guides, radius), _mean(pictures, radius)
    squares_B33HW = _mean(guides[:, :, None] * guides[:, None], radius) - means_B3HW[:, :, None] * means_B3HW[:, None]
    products_BC3HW = (
        _mean(pictures[:, :, None] * guides[:, None], radius) - means_BCHW[:, :, None] * means_B3HW[:, None]
    )
    ridge_33 = epsilon * torch.eye(3, dtype=torch.float64, device=pictures.device)
    squares_BHW33 = squares_B33HW.permute(0, 3, 4, 1, 2) + ridge_33
    slopes_BHW3C = torch.linalg.solve(squares_BHW33, products_BC3HW.permute(0, 3, 4, 2, 1))
    slopes_BC3HW = slopes_BHW3C.permute(0, 4, 3, 1, 2)
    offsets_BCHW = means_BCHW - (slopes_BC3HW * means_B3HW[:, None]).sum(2)
    filtered_BCHW = (_mean(slopes_BC3HW, radius) * guides[:, None]).sum(2) + _mean(offsets_BCHW, radius)
    return filtered_BCHW.to(pictures_BCHW.dtype)


def _mean(maps: Tensor, radius: int) -> Tensor:
    """Return the mean of maps of shape (..., H, W) over the window around each pixel, without what is beyond them."""
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    for size in ((2 * radius + 1, 1), (1, 2 * radius + 1)):  # windows are rectangles everywhere: rows, then columns
        padding = (size[0] // 2, size[1] // 2)
        flat = functional.avg_pool2d(flat, size, 1, padding, count_include_pad=False)
    return flat.reshape(maps.shape)
