"""What a style loss is: how to summarise features, mix targets and compare. The table of style losses by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from nst.losses.gram import gram_distance, gram_energy, gram_prepare, gram_statistics
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

    Statistics = tuple[Tensor, ...]


ENERGY_FLOOR: Final = 1e-12
"""Smallest energy that a loss is divided by: a target without any (a picture of exactly zero features)."""


@dataclass(frozen=True, slots=True)
class StyleLoss:
    """One way to compare the style of features.

    Attributes:
        statistics: Summarises a style's features: small, kept for long, the batch in front, mixed by averaging.
        prepare: Computes ahead what the distance needs of a target.
        distance: Compares what is observed of the pictures with a prepared target, per image.
        energy: Returns the distance of features that are all zero.
        observe: Summarises the pictures' features, where that is not done by `statistics`.
    """

    statistics: Callable[[Tensor], Statistics]
    prepare: Callable[[Statistics], Statistics]
    distance: Callable[[Statistics, Statistics], Tensor]
    energy: Callable[[Statistics], Tensor]
    observe: Callable[[Tensor], Statistics] | None = None


STYLE_LOSSES: Final[dict[Representation, StyleLoss]] = {
    "gram": StyleLoss(gram_statistics, gram_prepare, gram_distance, gram_energy),
    "moments": StyleLoss(moments_statistics, moments_prepare, moments_distance, moments_energy),
    "sliced": StyleLoss(sliced_statistics, sliced_prepare, sliced_distance, sliced_energy, sliced_observe),
    "histogram": StyleLoss(
        histogram_statistics, histogram_prepare, histogram_distance, histogram_energy, histogram_observe
    ),
}


@dataclass(frozen=True, slots=True)
class StyleTarget:
    """The style targets of one layer for a batch: K weighted targets per image, and the energy of their mean."""

    targets: tuple[Statistics, ...]
    weights: Tensor
    """Shape (B, K)."""
    energy: Tensor
    """Shape (B,)."""


def average(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Return the weighted average of statistics: Gram matrices; means and second raw moments; quantile functions.

    Source:
        jcjohnson/neural-style@07c4b82 for Gram matrices, crowsonkb/style-transfer-pytorch@e7e2c71 for raw moments
        (covariances must not be averaged). Weights are normalised, as there.
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
    return StyleTarget(targets, weights_BK, loss.energy(_stack(means)).clamp_min(floor))


def style_loss(loss: StyleLoss, features_BCHW: Tensor, target: StyleTarget) -> Tensor:
    """Return each image's style loss at one layer in relative units, shape (B,)."""
    observed = (loss.observe or loss.statistics)(features_BCHW)
    total_B = torch.zeros_like(target.energy)
    for k, one in enumerate(target.targets):
        total_B = total_B + target.weights[:, k] * loss.distance(observed, one)
    return total_B / target.energy


def _stack(rows: Sequence[Statistics]) -> Statistics:
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
