"""What a network sees in a picture: a structure, which contents are compared by, and statistics, which styles are.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.config.architectures import least_side
from nst.losses.moments import moments_statistics
from nst.losses.style import average

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone

    Structure = Mapping[str, Tensor]
    """Feature maps by layer, shape (1, C, H, W) each."""

    Statistics = Mapping[str, tuple[Tensor, ...]]
    """(mean_BC, second_raw_moment_BCC) of the features by layer."""


@dataclass(frozen=True, eq=False)
class Description:
    """What one network sees in one picture."""

    structure: Structure
    statistics: Statistics


class Describer:
    """A network with the layers whose structure and whose statistics are looked at.

    Args:
        backbone: Returns at least these layers.
        structure: Layers by whose feature maps contents are compared.
        statistics: Layers by whose statistics styles are compared.
    """

    def __init__(self, backbone: Backbone, structure: Collection[str], statistics: Collection[str]) -> None:
        self._backbone = backbone
        self._structure, self._statistics = tuple(structure), tuple(statistics)

    def fits(self, size: tuple[int, int]) -> bool:
        """Return whether a picture of this (width, height) in pixels is large enough for all layers."""
        layers = {*self._structure, *self._statistics}
        return min(size) >= max(least_side(self._backbone.architecture, layer, 2) for layer in layers)

    def describe(self, picture_13HW: Tensor) -> Description:
        """Return what the network sees in RGB in [0, 1], shape (1, 3, H, W)."""
        features = self._backbone(picture_13HW)
        return Description(
            {layer: features[layer] for layer in self._structure},
            {layer: moments_statistics(features[layer]) for layer in self._statistics},
        )


def mixed(statistics: Sequence[Statistics], shares: Sequence[float]) -> Statistics:
    """Return the statistics of several styles together: their averages by their shares (`nst.losses.style.average`)."""
    return {layer: average([parts[layer] for parts in statistics], shares) for layer in statistics[0]}
