"""Style losses by name: how each summarises features, mixes targets and compares. Knows no picture and no layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch

from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.losses.histogram import (
    histogram_distance,
    histogram_energy,
    histogram_fit,
    histogram_observe,
    histogram_prepare,
    histogram_statistics,
)
from nst.losses.moments import moments_distance, moments_energy, moments_prepare, moments_statistics
from nst.losses.sliced import (
    sliced_distance,
    sliced_energy,
    sliced_fit,
    sliced_observe,
    sliced_prepare,
    sliced_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.fields import Mix, Representation
    from nst.losses.objective import Scope

    Statistics = tuple[Tensor, ...]


ENERGY_FLOOR: Final = 1e-12
"""Smallest energy that a loss is divided by, for a target whose features are exactly zero."""


Unit = Literal["gram", "moments", "mean"]
"""Which rule `nst.losses.units.style_factor` converts a style loss by."""


@dataclass(frozen=True, slots=True)
class StyleLoss:
    """One way to compare the style of features. All tensors have the batch in front.

    Attributes:
        statistics: Returns the statistics of a style's features. They are kept from batch to batch, and styles are
            mixed by averaging them, or by adding them (Gram matrices).
        distance: Compares the result of `observe` with the result of `prepare`; returns shape (B,).
        energy: Returns each target's distance of features that are all zero, given its statistics, shape (B,).
        scope: How much of a picture the loss needs (`nst.losses.objective.Scope`).
        are_means: Whether the statistics, which are all that the distance compares, are means over positions, so that
            those of the tiles of a picture add up to those of the picture.
        unit: Which rule converts its units.
        fit: Changes the statistics of a style, given the number of positions of the pictures' feature maps, so that
            those of styles of different sizes can be averaged; by default nothing is to be changed.
        prepare: Computes from a target's statistics, once, what the distance needs; by default the statistics.
        observe: Returns what the distance compares of the pictures' features; by default the result of `statistics`.
    """

    statistics: Callable[[Tensor], Statistics]
    distance: Callable[[Statistics, Statistics], Tensor]
    energy: Callable[[Statistics], Tensor]
    scope: Scope = "statistics"
    unit: Unit = "gram"
    fit: Callable[[Statistics, int], Statistics] | None = None
    prepare: Callable[[Statistics], Statistics] = tuple
    observe: Callable[[Tensor], Statistics] | None = None
    are_means: bool = False


STYLE_LOSSES: Final[dict[Representation, StyleLoss]] = {
    "gram": StyleLoss(gram_statistics, gram_distance, gram_energy, are_means=True),
    "moments": StyleLoss(
        moments_statistics,
        moments_distance,
        moments_energy,
        unit="moments",
        prepare=moments_prepare,
        are_means=True,
    ),
    "sliced": StyleLoss(
        sliced_statistics, sliced_distance, sliced_energy, "gather", "mean", sliced_fit, sliced_prepare, sliced_observe
    ),
    "histogram": StyleLoss(
        histogram_statistics,
        histogram_distance,
        histogram_energy,
        "gather",
        "gram",
        histogram_fit,
        histogram_prepare,
        histogram_observe,
    ),
}
"""The style losses by `style_representation`."""


@dataclass(frozen=True, slots=True)
class StyleTarget:
    """The style targets of a batch at one layer: K weighted targets for each image."""

    targets: tuple[Statistics, ...]
    """K prepared targets, each with the batch in front."""
    weights: Tensor
    """Weight of each image's targets, shape (B, K)."""
    energy: Tensor
    """Energy of the mean, or of the sum, of each image's targets, which the loss is divided by, shape (B,)."""
    channels: int
    """Number of filters of the layer."""


def add(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Return the sum of several styles' statistics, each multiplied by its weight.

    Example:
        >>> add([(torch.tensor([[2.0]]),), (torch.tensor([[4.0]]),)], [3.0, 1.0])
        (tensor([[10.]]),)
    """
    return tuple(
        torch.stack([weight * part for weight, part in zip(weights, parts, strict=True)]).sum(0)
        for parts in zip(*styles, strict=True)
    )


def average(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Return the weighted average of several styles' statistics; the weights may have any positive sum.

    The average of one style is that style, without a copy.

    Source:
        jcjohnson/neural-style@07c4b82 for Gram matrices, crowsonkb/style-transfer-pytorch@e7e2c71 for raw moments
        (covariances must not be averaged). Both also normalise the weights.

    Example:
        >>> average([(torch.tensor([[2.0]]),), (torch.tensor([[4.0]]),)], [3.0, 1.0])
        (tensor([[2.5000]]),)
    """
    if len(styles) == 1:
        return styles[0]
    total = sum(weights)
    return add(styles, [weight / total for weight in weights])


def style_target(
    loss: StyleLoss, cells: Sequence[tuple[Sequence[Statistics], Sequence[float], Mix]], floor: float = ENERGY_FLOOR
) -> StyleTarget:
    """Return the target of one layer for a batch.

    Weights are divided by their sum, and `targets` and `losses` by the energy of the averaged target, so that with Gram
    matrices they have the same gradient: sum_k w_k |G - A_k|^2 and |G - sum_k w_k A_k|^2 differ by a constant. With
    `sum`, weights are divided by nothing, and the loss by the energy of the target sum_k w_k A_k: two styles of weight
    1 ask for features with the energy of both.

    A sum is defined for Gram matrices alone, since they are second moments, and those of two maps with nothing in
    common add up. Added means and added second moments are in general those of no distribution (`moments`), and added
    quantiles double features where an added Gram matrix makes them sqrt(2) times as large (`sliced`, `histogram`).

    Args:
        loss: The style loss.
        cells: For each image, the statistics of its styles (for one picture each), their weights, and how they mix.
        floor: Smallest energy that the loss is divided by.

    Example:
        >>> grams = [STYLE_LOSSES["gram"].statistics(torch.full((1, 1, 2, 2), value)) for value in (1.0, 3.0)]
        >>> style_target(STYLE_LOSSES["gram"], [(grams, [1.0, 1.0], "targets")]).energy  # of the mean of 1 and 9
        tensor([25.])
    """
    assert loss is STYLE_LOSSES["gram"] or all(mix != "sum" for _, _, mix in cells), "planning refuses other sums"
    means = [(add if mix == "sum" else average)(styles, weights) for styles, weights, mix in cells]
    rows = [
        (list(styles), [weight / sum(weights) for weight in weights]) if mix == "losses" else ([mean], [1.0])
        for (styles, weights, mix), mean in zip(cells, means, strict=True)
    ]
    widest = max(len(styles) for styles, _ in rows)
    # The images of a batch may mix different numbers of styles: shorter rows repeat their first style with weight 0.
    padded = [(styles + styles[:1] * (widest - len(styles)), w + [0.0] * (widest - len(w))) for styles, w in rows]
    targets = tuple(loss.prepare(_stack([styles[k] for styles, _ in padded])) for k in range(widest))
    like = means[0][0]
    weights_BK = torch.tensor([weights for _, weights in padded], dtype=like.dtype, device=like.device)
    energy_B = loss.energy(_stack(means)).clamp_min(floor)
    return StyleTarget(targets, weights_BK, energy_B, channels=means[0][0].shape[1])


def batch_target(loss: StyleLoss, statistics: Statistics) -> StyleTarget:
    """Return the target of one layer for a batch whose images have one style each.

    Args:
        loss: The style loss.
        statistics: Statistics of the style of each image, with the batch in front.

    Example:
        >>> batch_target(STYLE_LOSSES["gram"], (torch.tensor([[[3.0]], [[4.0]]]),)).energy
        tensor([ 9., 16.])
    """
    energy_B = loss.energy(statistics).clamp_min(ENERGY_FLOOR)
    weights_B1 = torch.ones_like(energy_B)[:, None]
    return StyleTarget((loss.prepare(statistics),), weights_B1, energy_B, channels=statistics[0].shape[1])


def style_loss(loss: StyleLoss, features_BCHW: Tensor, target: StyleTarget) -> Tensor:
    """Return each image's style loss at one layer in relative units, shape (B,).

    Args:
        loss: The style loss.
        features_BCHW: Feature maps of the pictures at the layer.
        target: Target of the layer.

    Example:
        >>> loss, features = STYLE_LOSSES["gram"], torch.ones(1, 2, 3, 3)
        >>> style = style_target(loss, [([loss.statistics(features)], [1.0], "targets")])
        >>> style_loss(loss, torch.zeros(1, 2, 3, 3), style)  # features that are all zero are at distance 1
        tensor([1.])
    """
    return compared(loss, (loss.observe or loss.statistics)(features_BCHW), target)


def compared(loss: StyleLoss, observed: Statistics, target: StyleTarget) -> Tensor:
    """Return each image's style loss, shape (B,), as `style_loss` does, given what the loss compares of the pictures.

    Args:
        loss: The style loss.
        observed: Result of `loss.observe` for the pictures, or for one region of them.
        target: Target of the layer.

    Example:
        >>> loss, features = STYLE_LOSSES["gram"], torch.ones(1, 2, 3, 3)
        >>> target = batch_target(loss, loss.statistics(features))
        >>> compared(loss, loss.statistics(torch.zeros(1, 2, 3, 3)), target)
        tensor([1.])
    """
    total_B = torch.zeros_like(target.energy)
    for k, prepared in enumerate(target.targets):
        total_B = total_B + target.weights[:, k] * loss.distance(observed, prepared)
    return total_B / target.energy


def _stack(rows: Sequence[Statistics]) -> Statistics:
    """Return statistics of one picture each with the batch in front; a style that all have is there only once."""
    if all(row is rows[0] for row in rows):
        return tuple(part.expand(len(rows), *part.shape[1:]) for part in rows[0])
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
