"""What a style loss is: how to summarise features, mix targets and compare. The table of style losses by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch

from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.losses.histogram import (
    histogram_distance,
    histogram_energy,
    histogram_observe,
    histogram_prepare,
    histogram_statistics,
)
from nst.losses.moments import moments_distance, moments_energy, moments_prepare, moments_statistics
from nst.losses.sliced import sliced_distance, sliced_energy, sliced_observe, sliced_prepare, sliced_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.fields import Mix, Representation
    from nst.losses.objective import Scope

    Statistics = tuple[Tensor, ...]


ENERGY_FLOOR: Final = 1e-12
"""Smallest energy that a loss is divided by: a target without any (a picture of exactly zero features)."""


Unit = Literal["gram", "moments", "mean"]
"""How other implementations scale a style loss (`nst.losses.units.style_factor`)."""


@dataclass(frozen=True, slots=True)
class StyleLoss:
    """One way to compare the style of features.

    Attributes:
        statistics: Summarises a style's features: small, kept for long, the batch in front, mixed by averaging.
        distance: Compares what is observed of the pictures with a prepared target, per image.
        energy: Returns the distance of features that are all zero.
        scope: What it needs of a picture (`nst.losses.objective.Scope`).
        unit: How other implementations scale it.
        prepare: Computes ahead what the distance needs of a target; nothing by default.
        observe: Summarises the pictures' features; by default as `statistics`.
    """

    statistics: Callable[[Tensor], Statistics]
    distance: Callable[[Statistics, Statistics], Tensor]
    energy: Callable[[Statistics], Tensor]
    scope: Scope = "statistics"
    unit: Unit = "gram"
    prepare: Callable[[Statistics], Statistics] = tuple
    observe: Callable[[Tensor], Statistics] | None = None


STYLE_LOSSES: Final[dict[Representation, StyleLoss]] = {
    "gram": StyleLoss(gram_statistics, gram_distance, gram_energy),
    "moments": StyleLoss(moments_statistics, moments_distance, moments_energy, unit="moments", prepare=moments_prepare),
    "sliced": StyleLoss(
        sliced_statistics, sliced_distance, sliced_energy, "gather", "mean", sliced_prepare, sliced_observe
    ),
    "histogram": StyleLoss(
        histogram_statistics,
        histogram_distance,
        histogram_energy,
        "gather",
        "gram",
        histogram_prepare,
        histogram_observe,
    ),
}
"""`style_representation` to what compares it."""


@dataclass(frozen=True, slots=True)
class StyleTarget:
    """The style targets of one layer for a batch: K weighted targets per image, and the energy of their mean."""

    targets: tuple[Statistics, ...]
    weights: Tensor
    """Shape (B, K)."""
    energy: Tensor
    """Shape (B,)."""
    channels: int
    """Filters of the layer."""


def average(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Return the weighted average of statistics: Gram matrices; means and second raw moments; quantile functions.

    Source:
        jcjohnson/neural-style@07c4b82 for Gram matrices, crowsonkb/style-transfer-pytorch@e7e2c71 for raw moments
        (covariances must not be averaged). Weights are normalised, as there.

    Example:
        >>> average([(torch.tensor([[2.0]]),), (torch.tensor([[4.0]]),)], [3.0, 1.0])
        (tensor([[2.5000]]),)
    """
    total = sum(weights)
    return tuple(
        torch.stack([weight / total * part for weight, part in zip(weights, parts, strict=True)]).sum(0)
        for parts in zip(*styles, strict=True)
    )


def style_target(
    loss: StyleLoss, cells: Sequence[tuple[Sequence[Statistics], Sequence[float], Mix]], floor: float = ENERGY_FLOOR
) -> StyleTarget:
    """Return one layer's target for a batch.

    Args:
        loss: The style loss.
        cells: Per image its styles' statistics (batch of one each), their weights and how they mix.
        floor: Smallest energy, against styles without any.

    Both mixes are divided by the energy of the averaged target, so that with Gram matrices they have the same
    gradient: sum_k w_k |G - A_k|^2 and |G - sum_k w_k A_k|^2 differ by a constant.

    Example:
        >>> grams = [STYLE_LOSSES["gram"].statistics(torch.full((1, 1, 2, 2), value)) for value in (1.0, 3.0)]
        >>> style_target(STYLE_LOSSES["gram"], [(grams, [1.0, 1.0], "targets")]).energy  # of the mean of 1 and 9
        tensor([25.])
    """
    means = [average(styles, weights) for styles, weights, _ in cells]
    rows = [
        ([mean], [1.0]) if mix == "targets" else (list(styles), [weight / sum(weights) for weight in weights])
        for (styles, weights, mix), mean in zip(cells, means, strict=True)
    ]
    widest = max(len(styles) for styles, _ in rows)
    # Shorter rows repeat their first style with weight zero: a batch may mix different numbers of styles.
    padded = [(styles + styles[:1] * (widest - len(styles)), w + [0.0] * (widest - len(w))) for styles, w in rows]
    targets = tuple(loss.prepare(_stack([styles[k] for styles, _ in padded])) for k in range(widest))
    like = means[0][0]
    weights_BK = torch.tensor([weights for _, weights in padded], dtype=like.dtype, device=like.device)
    energy_B = loss.energy(_stack(means)).clamp_min(floor)
    return StyleTarget(targets, weights_BK, energy_B, channels=means[0][0].shape[1])


def batch_target(loss: StyleLoss, statistics: Statistics) -> StyleTarget:
    """Return one layer's target for a batch whose images have one style each, given the statistics of all of them.

    Example:
        >>> batch_target(STYLE_LOSSES["gram"], (torch.tensor([[[3.0]], [[4.0]]]),)).energy
        tensor([ 9., 16.])
    """
    energy_B = loss.energy(statistics).clamp_min(ENERGY_FLOOR)
    weights_B1 = torch.ones_like(energy_B)[:, None]
    return StyleTarget((loss.prepare(statistics),), weights_B1, energy_B, channels=statistics[0].shape[1])


def style_loss(loss: StyleLoss, features_BCHW: Tensor, target: StyleTarget) -> Tensor:
    """Return each image's style loss at one layer in relative units, shape (B,).

    Example:
        >>> loss, features = STYLE_LOSSES["gram"], torch.ones(1, 2, 3, 3)
        >>> style = style_target(loss, [([loss.statistics(features)], [1.0], "targets")])
        >>> style_loss(loss, torch.zeros(1, 2, 3, 3), style)  # features that are all zero are at distance 1
        tensor([1.])
    """
    observed = (loss.observe or loss.statistics)(features_BCHW)
    total_B = torch.zeros_like(target.energy)
    for k, one in enumerate(target.targets):
        total_B = total_B + target.weights[:, k] * loss.distance(observed, one)
    return total_B / target.energy


def _stack(rows: Sequence[Statistics]) -> Statistics:
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
