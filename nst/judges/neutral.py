"""The neutral judge: SqueezeNet 1.1, through which pictures are not optimised unless a manifest says so.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from nst.judges.description import Describer
from nst.losses.gram import gram_distance, gram_energy
from nst.losses.moments import moments_distance, moments_energy, moments_prepare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.judges.description import Description, Statistics, Structure

STRUCTURE: Final = ("relu1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
"""The seven layers of LPIPS through SqueezeNet."""

STATISTICS: Final = ("relu1", "fire3", "fire5", "fire7")
"""Layers by which styles are compared."""

_NO_DIVISION_BY_ZERO: Final = 1e-10

_EQUAL: Final = 1e-4
"""Distance of a content and a style image below which they are one image, and nothing can be nearer to either."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What pictures of one content and style are compared with.

    Attributes:
        style: Statistics of the style.
        prepared: The same as `moments_distance` takes them.
        content_gap: `w2_gap` of the content image; 0 without one.
        unrelated: `lpips_distance` of the style image to the content image; 0 without one.
    """

    style: Statistics
    prepared: Statistics
    content_gap: float = 0.0
    unrelated: float = 0.0


class NeutralJudge(Describer):
    """Judges through SqueezeNet.

    Args:
        backbone: A SqueezeNet with torchvision's weights that returns the layers of `STRUCTURE`.
        heads: LPIPS's weight of each channel by layer, shape (1, C, 1, 1) each; None where they are not at hand.

    Raises:
        InputError: A head has another shape than its layer.
    """

    def __init__(self, backbone: Backbone, heads: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(backbone, STRUCTURE, STATISTICS)
        self._heads = heads

    def reference(
        self, content: Description | None, style: Statistics, copies: Sequence[tuple[float, Structure]]
    ) -> Reference:
        """Return what pictures of one content and style are compared with, computed once for all of them.

        Args:
            content: What was seen in the content image.
            style: In the styles.
            copies: In each style image, stretched to the size of the pictures, with its share.
        """
        prepared = {layer: moments_prepare(target) for layer, target in style.items()}
        if content is None:
            return Reference(style, prepared)
        unrelated = sum(share * lpips_distance(copy, content.structure) for share, copy in copies)
        return Reference(style, prepared, w2_gap(content.statistics, style, prepared), unrelated)

    def measure(
        self, picture: Description, content: Description | None, reference: Reference | None
    ) -> dict[str, float]:
        """Return the columns `NEUTRAL` of a picture by name, without those that lack an image.

        Args:
            picture: What was seen in the picture.
            content: In its content image.
            reference: What pictures of this content and style are compared with.

        Source:
            `transfer_score`, `style_gain` and `content_kept` are nst's own; the benchmark of scores counts how many
            pairs of a good and a bad picture each column puts in order.
        """
        found: dict[str, float] = {}
        if content and self._heads:
            found["lpips_content"] = lpips_distance(picture.structure, content.structure, self._heads)
        if reference:
            gap = w2_gap(picture.statistics, reference.style, reference.prepared)
            found["gram_distance_style"] = gram_gap(picture.statistics, reference.style)
            found["w2_distance_style"] = gap
            if content and min(reference.unrelated, reference.content_gap) > _EQUAL:
                kept = lpips_distance(picture.structure, content.structure)
                found["content_kept"] = max(0.0, 1.0 - kept / reference.unrelated)
                found["style_gain"] = max(0.0, 1.0 - gap / reference.content_gap)
                found["transfer_score"] = found["content_kept"] * found["style_gain"]
        return found


def lpips_distance(a: Structure, b: Structure, heads: Mapping[str, Tensor] | None = None) -> float:
    """Return the squared distance of unit features, mean over positions, summed over layers.

    Args:
        a: Feature maps by layer.
        b: Feature maps of the same shapes.
        heads: Weight of each channel by layer, shape (1, C, 1, 1); None weighs each channel by 1.

    Source:
        Zhang et al. 2018, eq. 1; richzhang/PerceptualSimilarity lpips/lpips.py, version 0.1.
    """
    total = 0.0
    for layer, map_1CHW in a.items():
        squares_1CHW = (_unit(map_1CHW) - _unit(b[layer])).square()
        weighted_1CHW = squares_1CHW if heads is None else squares_1CHW * heads[layer]
        total += float(weighted_1CHW.sum(1).mean())
    return total


def gram_gap(statistics: Statistics, style: Statistics) -> float:
    """Return the relative distance of Gram matrices, the mean over layers (`nst.losses.gram`)."""
    gaps = []
    for layer, (_, target_1CC) in style.items():
        own, target = (statistics[layer][1],), (target_1CC,)
        gaps.append(float(gram_distance(own, target) / gram_energy(target)))
    return sum(gaps) / len(gaps)


def w2_gap(statistics: Statistics, style: Statistics, prepared: Statistics) -> float:
    """Return the relative squared Wasserstein-2 distance of Gaussians, the mean over layers (`nst.losses.moments`).

    Args:
        statistics: Of the picture.
        style: Of the style.
        prepared: What `moments_prepare` returns of the style's statistics.
    """
    gaps = []
    for layer, target in style.items():
        distance = moments_distance(statistics[layer], prepared[layer])
        gaps.append(float((distance / moments_energy(target)).clamp_min(0.0)))
    return sum(gaps) / len(gaps)


def lpips_heads(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return LPIPS's weight of each channel by layer, from the tensors of the `lpips` package's `squeeze.pth`.

    Raises:
        InputError: The tensors are others.
    """
    try:
        heads = {layer: tensors[f"lin{i}.model.1.weight"].float() for i, layer in enumerate(STRUCTURE)}
    except KeyError as error:
        raise InputError(f"LPIPS's heads lack the tensor {error}", hint="is the package lpips damaged?") from error
    return heads


def _unit(map_1CHW: Tensor) -> Tensor:
    return map_1CHW / (map_1CHW.square().sum(1, keepdim=True).sqrt() + _NO_DIVISION_BY_ZERO)
