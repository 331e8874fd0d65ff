"""The terms that several methods and trainings share, built from targets and weights. Knows no picture and no cell.

Targets have the batch in front: one for all pictures, or one for each. Weights are those of the whole term, shape (B,);
in float64 they are rounded only after the layers' own weights are multiplied in.
Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from nst.losses.content import content_energy, content_loss
from nst.losses.laplacian import laplacian_energy, laplacian_loss
from nst.losses.objective import Term
from nst.losses.patches import PatchTarget, patch_energy
from nst.losses.style import ENERGY_FLOOR, style_loss
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import content_factor, laplacian_factor, style_factor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nst.losses.patches import PatchGuides
    from nst.losses.style import StyleLoss, StyleTarget
    from nst.losses.units import Units


def content_terms(
    features: Mapping[str, Tensor], layers: Mapping[str, float], weights: Tensor, units: Units = "relative"
) -> list[Term]:
    """Return the content loss of every layer.

    Args:
        features: The features to match, by layer.
        layers: The layers with their weights.
        weights: Weight of the content, in `units`.
        units: Units of the weights.

    Example:
        >>> terms = content_terms({"relu1_1": torch.ones(1, 2, 3, 3)}, {"relu1_1": 1.0}, torch.tensor([5.0]))
        >>> terms[0].loss(torch.zeros(1, 2, 3, 3))  # features that are all zero are at distance 1
        tensor([1.])
    """
    terms = []
    for layer, share in layers.items():
        target_BCHW = features[layer]
        energy_B = content_energy(target_BCHW).clamp_min(ENERGY_FLOOR)
        _, channels, rows, columns = target_BCHW.shape
        factor_B = content_factor(units, energy_B, channels, rows * columns)
        loss = partial(content_loss, target_1CHW=target_BCHW, energy=energy_B)
        weights_B = (share * factor_B * weights).to(target_BCHW.dtype)
        terms.append(Term("content", layer, loss, "positions", share, weights_B))
    return terms


def style_terms(
    loss: StyleLoss,
    targets: Mapping[str, StyleTarget],
    layers: Mapping[str, float],
    weights: Tensor,
    units: Units = "relative",
) -> list[Term]:
    """Return the style loss of every layer.

    Args:
        loss: What of the features is compared.
        targets: The style to match, by layer.
        layers: The layers with their weights.
        weights: Weight of the style, in `units`.
        units: Units of the weights.

    Example:
        >>> loss, gram = STYLE_LOSSES["gram"], (torch.tensor([[[3.0]]]),)
        >>> style_terms(loss, {"relu1_1": batch_target(loss, gram)}, {"relu1_1": 0.5}, torch.tensor([10.0]))[0].weights
        tensor([5.])
    """
    terms = []
    for layer, share in layers.items():
        target = targets[layer]
        factor_B = style_factor(units, loss.unit, target.energy, target.channels)
        compare = partial(style_loss, loss, target=target)
        weights_B = (share * factor_B * weights).to(target.energy.dtype)
        terms.append(Term("style", layer, compare, loss.scope, share, weights_B))
    return terms


def patch_terms(
    maps: Mapping[str, tuple[tuple[Tensor, ...], ...]],
    layers: Mapping[str, float],
    weights: Tensor,
    *,
    size: int,
    stride: int,
    guides: Mapping[str, PatchGuides] | None = None,
) -> list[Term]:
    """Return the patch loss of every layer, in relative units.

    Args:
        maps: Per layer and image, the feature maps of the style's copies.
        layers: The layers with their weights.
        weights: Weight of the style.
        size: Side of a patch in feature positions.
        stride: Step between neighbouring patches.
        guides: Masks that are matched together with the features, by layer.

    Example:
        >>> style = torch.rand(1, 4, 5, 5)
        >>> terms = patch_terms({"relu3_1": ((style,),)}, {"relu3_1": 1.0}, torch.ones(1), size=3, stride=1)
        >>> terms[0].loss(style)  # every patch is found again
        tensor([0.])
    """
    terms = []
    for layer, share in layers.items():
        energies = [patch_energy(of_image, size, stride) for of_image in maps[layer]]
        energy_B = torch.stack(energies).clamp_min(ENERGY_FLOOR)
        target = PatchTarget(maps[layer], energy_B, size, stride, guides[layer] if guides else None)
        terms.append(Term("style", layer, target, "positions", share, share * weights))
    return terms


def tv_term(weights: Tensor, kind: str = "squared") -> Term:
    """Return the total variation of the pictures.

    Args:
        weights: Its factor.
        kind: A key of `nst.losses.tv.TOTAL_VARIATIONS`.

    Example:
        >>> tv_term(torch.ones(1)).loss(torch.zeros(1, 3, 4, 4))
        tensor([0.])
    """
    return Term("tv", None, TOTAL_VARIATIONS[kind], "positions", 1.0, weights)


def laplacian_term(target_BHW: Tensor, pool: int, weights: Tensor, units: Units = "relative") -> Term:
    """Return the loss of the content's edges.

    Args:
        target_BHW: Laplacian of the content (`nst.losses.laplacian.laplacian`).
        pool: Pixels of the squares that pictures are averaged over before.
        weights: Its weight, in `units`.
        units: Units of the weights.

    Example:
        >>> target = torch.full((1, 2, 2), 0.5)
        >>> laplacian_term(target, 2, torch.ones(1)).loss(torch.ones(1, 3, 8, 8))
        tensor([1.])
    """
    energy_B = laplacian_energy(target_BHW)
    loss = partial(laplacian_loss, pool=pool, target_BHW=target_BHW, energy=energy_B)
    return Term("laplacian", None, loss, "positions", 1.0, laplacian_factor(units, energy_B) * weights)
