"""The terms that several methods and trainings share, built from targets and weights. Knows no cell.

Targets have the batch in front: one target for all pictures, or one for each. Weights of a term have shape (B,); given
in float64, they are rounded only after the weights of the layers are multiplied in.
Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from nst.losses.content import content_energy, content_loss
from nst.losses.laplacian import laplacian_energy, laplacian_loss
from nst.losses.matting import photorealism_loss
from nst.losses.objective import Means, Term
from nst.losses.patches import PatchTarget, patch_energy
from nst.losses.style import ENERGY_FLOOR, compared, style_loss
from nst.losses.temporal import temporal_loss
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import content_factor, laplacian_factor, photorealism_factor, style_factor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nst.config.energies import AuthorNetwork
    from nst.losses.matting import LocalColors
    from nst.losses.patches import PatchGuides
    from nst.losses.style import StyleLoss, StyleTarget, Unit
    from nst.losses.temporal import Before
    from nst.losses.units import Units


def content_terms(
    features: Mapping[str, Tensor],
    layers: Mapping[str, float],
    weights: Tensor,
    units: Units = "relative",
    *,
    author: AuthorNetwork | None = None,
) -> list[Term]:
    """Return a term of the content loss for every layer.

    Args:
        features: Feature maps to match by layer, shape (1, C, H, W) or (B, C, H, W).
        layers: Weight of each layer.
        weights: Weight of the content for each image, shape (B,), in `units`.
        units: Units of the weights.
        author: The network whose energies convert the weights; None for those of `features`.

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
        known = author.layers[layer] if author else None
        factor_B = (
            content_factor(units, known.photographs, known.channels, rows * columns)
            if known
            else content_factor(units, energy_B, channels, rows * columns)
        )
        loss = partial(content_loss, target_1CHW=target_BCHW, energy=energy_B)
        weights_B = (share * factor_B * weights).to(target_BCHW.dtype)
        terms.append(Term("content", layer, loss, "positions", share, weights_B))
    return terms


def pixel_term(pictures_B3HW: Tensor, weights: Tensor) -> Term:
    """Return the term of the squared distance to pictures, relative to their mean square, as part of the content loss.

    Args:
        pictures_B3HW: The pictures to come near, RGB in [0, 1].
        weights: Weight of the loss for each image, shape (B,).

    Example:
        >>> pixel_term(torch.full((1, 3, 2, 2), 0.5), torch.ones(1)).loss(torch.ones(1, 3, 2, 2))
        tensor([1.])
    """
    energy_B = content_energy(pictures_B3HW).clamp_min(ENERGY_FLOOR)
    loss = partial(content_loss, target_1CHW=pictures_B3HW, energy=energy_B)
    return Term("content", None, loss, "positions", 1.0, weights)


def style_terms(
    loss: StyleLoss,
    targets: Mapping[str, StyleTarget],
    layers: Mapping[str, float],
    weights: Tensor,
    units: Units = "relative",
    *,
    author: AuthorNetwork | None = None,
) -> list[Term]:
    """Return a term of the style loss for every layer.

    Args:
        loss: The style loss.
        targets: Style to match by layer.
        layers: Weight of each layer.
        weights: Weight of the style for each image, shape (B,), in `units`.
        units: Units of the weights.
        author: The network whose energies convert the weights; None for those of `targets`.

    Example:
        >>> loss, gram = STYLE_LOSSES["gram"], (torch.tensor([[[3.0]]]),)
        >>> style_terms(loss, {"relu1_1": batch_target(loss, gram)}, {"relu1_1": 0.5}, torch.tensor([10.0]))[0].weights
        tensor([5.])
    """
    terms = []
    for layer, share in layers.items():
        target = targets[layer]
        factor_B = style_weight_factor(units, loss.unit, layer, (target.energy, target.channels), author)
        measure = partial(style_loss, loss, target=target)
        weights_B = (share * factor_B * weights).to(target.energy.dtype)
        means = Means(loss.statistics, partial(compared, loss, target=target)) if loss.are_means else None
        terms.append(Term("style", layer, measure, loss.scope, share, weights_B, means))
    return terms


def style_weight_factor(
    units: Units, unit: Unit, layer: str, target: tuple[Tensor, int], author: AuthorNetwork | None
) -> Tensor | float:
    """Return the weight of a style loss at a layer in relative units, divided by its weight in other units.

    Args:
        units: The other units.
        unit: Which rule converts the style loss.
        layer: The layer.
        target: Energy of each image's target, shape (B,), and number of filters of the layer.
        author: The network whose energy and number of filters are taken in place of these; None for these.

    Example:
        >>> style_weight_factor("gatys", "gram", "relu1_1", (torch.tensor([16.0]), 2), None)  # e / C^4
        tensor([1.])
    """
    if author is None:
        return style_factor(units, unit, *target)
    known = author.layers[layer]
    return style_factor(units, unit, known.of_style(unit), known.channels)


def patch_terms(
    maps: Mapping[str, tuple[tuple[Tensor, ...], ...]],
    layers: Mapping[str, float],
    weights: Tensor,
    *,
    size: int,
    stride: int,
    guides: Mapping[str, PatchGuides] | None = None,
) -> list[Term]:
    """Return a term of the patch loss for every layer, in relative units.

    Args:
        maps: For each layer and image, the feature maps of the style's copies, shape (1, C, H, W) each.
        layers: Weight of each layer.
        weights: Weight of the style for each image, shape (B,).
        size: Side of a patch in positions of the feature map.
        stride: Distance between neighbouring patches in positions of the feature map.
        guides: Masks that are matched together with the features, by layer.

    Example:
        >>> style = torch.rand(1, 4, 5, 5)
        >>> terms = patch_terms({"relu3_1": ((style,),)}, {"relu3_1": 1.0}, torch.ones(1), size=3, stride=1)
        >>> terms[0].loss(style)  # every patch finds itself
        tensor([0.])
    """
    terms = []
    for layer, share in layers.items():
        energies = [patch_energy(copies, size, stride) for copies in maps[layer]]
        energy_B = torch.stack(energies).clamp_min(ENERGY_FLOOR)
        target = PatchTarget(maps[layer], energy_B, size, stride, guides[layer] if guides else None)
        terms.append(Term("style", layer, target, "positions", share, share * weights))
    return terms


def tv_term(weights: Tensor, kind: str = "squared") -> Term:
    """Return the term of the total variation of the pictures.

    Args:
        weights: Weight of the total variation for each image in relative units, shape (B,).
        kind: A key of `nst.losses.tv.TOTAL_VARIATIONS`.

    Example:
        >>> tv_term(torch.ones(1)).loss(torch.zeros(1, 3, 4, 4))
        tensor([0.])
    """
    return Term("tv", None, TOTAL_VARIATIONS[kind], "positions", 1.0, weights)


def laplacian_term(target_BHW: Tensor, pool: int, weights: Tensor, units: Units = "relative") -> Term:
    """Return the term of the Laplacian loss, which keeps the content's edges.

    Args:
        target_BHW: Laplacian of the content (`nst.losses.laplacian.laplacian`).
        pool: Side in pixels of the squares over which pictures are averaged before their Laplacian is taken.
        weights: Weight of the loss for each image, shape (B,), in `units`.
        units: Units of the weights.

    Example:
        >>> target = torch.full((1, 2, 2), 0.5)
        >>> laplacian_term(target, 2, torch.ones(1)).loss(torch.ones(1, 3, 8, 8))
        tensor([1.])
    """
    energy_B = laplacian_energy(target_BHW)
    loss = partial(laplacian_loss, pool=pool, target_BHW=target_BHW, energy=energy_B)
    return Term("laplacian", None, loss, "positions", 1.0, laplacian_factor(units, energy_B) * weights)


def photorealism_term(content: LocalColors, weights: Tensor, units: Units = "relative") -> Term:
    """Return the term of the photorealism loss, which lets the content's colours change by local affine maps alone.

    Args:
        content: What is known of the content (`nst.losses.matting.local_colors`).
        weights: Weight of the loss for each image, shape (B,), in `units`.
        units: Units of the weights.

    Example:
        >>> from nst.losses.matting import local_colors
        >>> term = photorealism_term(local_colors(torch.rand(1, 3, 8, 8)), torch.ones(1))
        >>> term.loss(torch.zeros(1, 3, 8, 8))  # a flat picture is an affine map of any content
        tensor([0.])
    """
    loss = partial(photorealism_loss, content=content)
    weights_B = (photorealism_factor(units, content.energy) * weights).to(weights.dtype)
    return Term("photorealism", None, loss, "positions", 1.0, weights_B)


def temporal_term(before: Before, weights: Tensor) -> Term:
    """Return the term of the temporal loss, which holds a frame of a clip to the frames before it.

    Args:
        before: The frames before, warped along the motion.
        weights: Weight of the loss for each image in relative units, shape (B,).

    Example:
        >>> from nst.losses.temporal import Before
        >>> frame = torch.rand(1, 3, 4, 4)
        >>> temporal_term(Before([frame], [torch.ones(4, 4)], torch.tensor(0.1)), torch.ones(1)).loss(frame)
        tensor([0.])
    """
    return Term("temporal", None, partial(temporal_loss, before=before), "positions", 1.0, weights)
