"""A VGG of fewer filters that computes nearly what a given one does, in closed form. Knows no file.

The problem: most of what a VGG's filters say is said by fewer of them, but a network that is cut at random says
something else, and training a small one from random weights takes days.

The method, layer by layer from the picture on: keep the filters whose rectified values explain those of all filters
best, and fit the convolution that computes them from what the small network itself has computed so far. Errors of one
layer are thus made good by the next as far as possible, and nothing is trained.

Shape letters: N pictures, C channels, K kept channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from nst.config.architectures import layers_of
from nst.config.convolutions import convolutions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nst.backbones.backbone import Padding, Pooling

RIDGE: Final = 1e-4
"""Penalty of the squared weights of a convolution, relative to the mean square of its inputs."""

_BATCH: Final = 8
"""Pictures whose neighbourhoods are in memory at one time."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """A small network.

    Attributes:
        weights: Its tensors, under torchvision's names.
        kept: For each convolution, the filters of the teacher that its own filters stand for.
    """

    weights: dict[str, Tensor]
    kept: dict[str, list[int]]


def distil(
    architecture: str,
    teacher: Mapping[str, Tensor],
    pictures_NCHW: Tensor,
    filters: Mapping[str, int],
    *,
    pooling: Pooling = "max",
    padding: Padding = "zeros",
) -> Distilled:
    """Return a VGG with fewer filters.

    Args:
        architecture: `vgg16` or `vgg19`.
        teacher: The weights of the full network, under torchvision's names.
        pictures_NCHW: Pictures by the teacher's input convention; what the small network is to agree on.
        filters: Number of filters of each convolution, from the first one without a gap: `conv1_1`, `conv1_2`, ...
            A convolution that keeps all filters, after layers that keep all theirs, is the teacher's up to rounding.
        pooling: Whether pooling layers take the maximum or the average.
        padding: How convolutions continue their input beyond its border.

    Source:
        Channels chosen by pivoted Cholesky decomposition (Harbrecht, Peters & Schneider 2012); layers refitted to a
        teacher's by least squares: He, Zhang & Sun 2017 ("Channel pruning"), who choose channels by LASSO. Differs:
        the targets are the teacher's values before the ReLU, the inputs those of the small network.
    """
    convolutions = {convolution.layer: convolution for convolution in convolutions_of(architecture)}
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    mode = "constant" if padding == "zeros" else padding
    wide_NCHW = slim_NCHW = pictures_NCHW
    weights: dict[str, Tensor] = {}
    chosen: dict[str, list[int]] = {}
    for layer in layers_of(architecture):
        if layer.startswith("pool"):
            wide_NCHW, slim_NCHW = pool(wide_NCHW, 2), pool(slim_NCHW, 2)
        if not layer.startswith("conv"):
            continue
        if layer not in filters:
            break
        key = convolutions[layer].key
        wide_NCHW = _convolved(wide_NCHW, teacher[f"{key}.weight"], teacher[f"{key}.bias"], mode)
        kept = chosen[layer] = most_telling(_second_moments(wide_NCHW.relu()), filters[layer])
        weight, bias = _fitted(slim_NCHW, wide_NCHW[:, kept], mode)
        weights[f"{key}.weight"], weights[f"{key}.bias"] = weight, bias
        wide_NCHW, slim_NCHW = wide_NCHW.relu(), _convolved(slim_NCHW, weight, bias, mode).relu()
    return Distilled(weights, chosen)


def most_telling(moments_CC: Tensor, count: int) -> list[int]:
    """Return the channels whose linear combinations explain the most of all channels, in order of their number.

    One channel after the other is taken, always the one of which those before explain the least.

    Args:
        moments_CC: Second moments of the channels, symmetric and not negative definite.
        count: Number of channels, at most all; fewer are returned if fewer explain all of the rest.
    """
    left_C = moments_CC.diagonal().clone()
    smallest = float(left_C.max()) * moments_CC.shape[0] * torch.finfo(moments_CC.dtype).eps
    factor_CK = moments_CC.new_zeros(len(moments_CC), count)
    taken: list[int] = []
    for column in range(count):
        pivot = int(left_C.argmax())
        if left_C[pivot] <= smallest:
            break
        explained_C = factor_CK[:, :column] @ factor_CK[pivot, :column]
        factor_CK[:, column] = (moments_CC[:, pivot] - explained_C) / left_C[pivot].sqrt()
        left_C = left_C - factor_CK[:, column].square()
        taken.append(pivot)
        left_C[taken] = -torch.inf
    return sorted(taken)


def _convolved(map_NCHW: Tensor, weight: Tensor, bias: Tensor, mode: str) -> Tensor:
    parts = torch.split(map_NCHW, _BATCH)
    return torch.cat([functional.conv2d(_continued(part, mode), weight, bias) for part in parts])


def _continued(map_NCHW: Tensor, mode: str) -> Tensor:
    """Return a map that is continued by one position beyond its border."""
    return functional.pad(map_NCHW, (1, 1, 1, 1), mode=mode)


def _second_moments(map_NCHW: Tensor) -> Tensor:
    """Return the mean products of all pairs of channels, float64 of shape (C, C)."""
    total = sum((_product(rows, rows) for rows in map(_rows, torch.split(map_NCHW, _BATCH))), start=torch.zeros(()))
    return total / (map_NCHW.numel() // map_NCHW.shape[1])


def _fitted(inputs_NCHW: Tensor, targets_NKHW: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the 3 x 3 convolution of the inputs that comes closest to the targets."""
    squares, products = torch.zeros(()), torch.zeros(())
    for inputs, targets in zip(torch.split(inputs_NCHW, _BATCH), torch.split(targets_NKHW, _BATCH), strict=True):
        patches = _rows(functional.unfold(_continued(inputs, mode), 3)[..., None])
        patches = torch.cat([patches, torch.ones_like(patches[:1])])  # the last input is the bias's
        squares = squares + _product(patches, patches)
        products = products + _product(patches, _rows(targets))
    penalty = squares.diagonal()[:-1].mean() * RIDGE
    solved = torch.linalg.solve(
        squares + torch.diag(torch.cat([penalty.expand(len(squares) - 1), penalty.new_zeros(1)])), products
    )
    weight = solved[:-1].T.reshape(targets_NKHW.shape[1], inputs_NCHW.shape[1], 3, 3)
    return weight.to(inputs_NCHW.dtype).contiguous(), solved[-1].to(inputs_NCHW.dtype)


def _rows(map_NCHW: Tensor) -> Tensor:
    """Return the values of each channel at all positions of all pictures, one row per channel."""
    return map_NCHW.transpose(0, 1).flatten(1)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return (left @ right.T).double()
