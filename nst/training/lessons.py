"""What a lesson is, and the terms that lessons share: targets that change with every step. Knows no family.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from nst.losses.content import content_energy, content_loss
from nst.losses.objective import Term
from nst.losses.style import ENERGY_FLOOR, StyleTarget, style_loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.losses.objective import Objective
    from nst.losses.style import Statistics, StyleLoss
    from nst.networks import Network


class Lesson(Protocol):
    """What a network learns from."""

    @property
    def network(self) -> Network:
        """The network in training."""
        ...

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures of the network and what they are measured by.

        Args:
            photographs_B3HW: RGB in [0, 1], or None.
            styles: Index of each picture's style.
            seeds: Of each picture's noise.
            whole: Show style images whole where squares of them are cut at random otherwise.
        """
        ...


def content_terms(features: Mapping[str, Tensor], layers: Mapping[str, float], weight: float) -> dict[str, Term]:
    """Return the content loss of every layer against these features, one target per picture.

    Args:
        features: Targets, shape (B, C, H, W).
        layers: Their weights.
        weight: Of all together, in relative units.
    """
    terms = {}
    for layer, share in layers.items():
        target_BCHW = features[layer]
        energy_B = content_energy(target_BCHW).clamp_min(ENERGY_FLOOR)
        loss = partial(content_loss, target_1CHW=target_BCHW, energy=energy_B)
        terms[layer] = Term(loss, share, torch.full_like(energy_B, share * weight))
    return terms


def style_terms(
    loss: StyleLoss, statistics: Mapping[str, Statistics], layers: Mapping[str, float], weight: float
) -> dict[str, Term]:
    """Return the style loss of every layer against these statistics, one target per picture.

    Args:
        loss: What of the features is compared.
        statistics: Targets by layer, with the batch in front.
        layers: Their weights.
        weight: Of all together, in relative units.
    """
    terms = {}
    for layer, share in layers.items():
        energy_B = loss.energy(statistics[layer]).clamp_min(ENERGY_FLOOR)
        target = StyleTarget((loss.prepare(statistics[layer]),), torch.ones_like(energy_B)[:, None], energy_B)
        terms[layer] = Term(partial(style_loss, loss, target=target), share, torch.full_like(energy_B, share * weight))
    return terms


def as_tensor(pictures: np.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return BHWC uint8 pictures as RGB in [0, 1], shape (B, 3, H, W)."""
    tensor = torch.from_numpy(np.require(pictures, requirements=("C", "W"))).to(device).permute(0, 3, 1, 2)
    return tensor.to(dtype).div(255.0).contiguous()
