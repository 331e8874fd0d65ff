"""The judge through VGG-19: structure by self-similarities, style by people's calibrated statistic.

It is not neutral on pictures that were optimised through a VGG. Shape letters: C channels, H rows, W columns, M = H * W
positions, K principal directions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from nst.judges.description import Describer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.judges.description import Description, Statistics, Structure

    Gaussians = Mapping[str, tuple[Tensor, Tensor]]
    """(mean_K, covariance_KK) by layer."""

STRUCTURE: Final = ("relu3_1",)

DIRECTIONS: Final = {"relu1_1": 32, "relu2_1": 48, "relu3_1": 128}
"""Number of principal directions by layer (Yeh et al. 2020)."""

WEIGHTS: Final = {"relu1_1": 0.7468, "relu2_1": 0.2557, "relu3_1": 2.3768}
"""Weights of the statistics of the layers, fitted to people's choices (Yeh et al. 2020)."""

_LEAST_DIVERGENCE: Final = 1e-6
"""Smallest divergence whose logarithm is taken: that of a copy of the style is zero."""

_ROWS: Final = 1024
"""Rows of the self-similarities that are in memory at a time."""


class VggJudge(Describer):
    """Judges through VGG-19.

    Args:
        backbone: A VGG-19 that returns relu1_1, relu2_1 and relu3_1.
        references_13HW: Photographs, RGB in [0, 1], whose features say which directions are the principal ones.
        structure: Whether contents are compared. The self-similarities depend on the scale of the features, and mean
            what the literature means by them with torchvision's weights alone.
    """

    def __init__(self, backbone: Backbone, references_13HW: Iterable[Tensor], *, structure: bool = True) -> None:
        super().__init__(backbone, STRUCTURE, tuple(DIRECTIONS))
        self._compares_structure = structure
        with torch.no_grad():
            self._bases = principal_directions([self.describe(picture).statistics for picture in references_13HW])

    def reference(
        self, content: Description | None, style: Statistics, copies: Sequence[tuple[float, Structure]]
    ) -> Gaussians:
        """Return what pictures of one style are compared with: the style's projected Gaussians by layer.

        Args:
            content: What was seen in the content image; not used.
            style: In the styles.
            copies: In copies of the styles; not used.
        """
        del content, copies
        return projected(style, self._bases)

    def measure(
        self, picture: Description, content: Description | None, reference: Gaussians | None
    ) -> dict[str, float]:
        """Return the columns `VGG` of a picture by name, without those that lack an image.

        Args:
            picture: What was seen in the picture.
            content: In its content image.
            reference: The style's projected Gaussians.
        """
        found: dict[str, float] = {}
        if content and self._compares_structure:
            maps = (content.structure["relu3_1"], picture.structure["relu3_1"])
            found["cfsd_content"] = self_similarity_divergence(*maps)
        if reference:
            effectiveness = e_statistic(projected(picture.statistics, self._bases), reference)
            if effectiveness is not None:
                found["e_statistic"] = effectiveness
        return found


def self_similarity_divergence(content_1CHW: Tensor, picture_1CHW: Tensor) -> float:
    """Return the KL divergence of two feature maps' self-similarities, summed over positions, at least 0.

    Row i of the self-similarities is the softmax over j of f_i . f_j / C^2.

    Source:
        Chung, Hyun & Heo 2024 (StyleID), section 4.1; jiwoogit/StyleID evaluation/image_metrics.py PatchSimi.
    """
    total = 0.0
    content_MC, picture_MC = (map_1CHW[0].flatten(1).T / map_1CHW.shape[1] for map_1CHW in (content_1CHW, picture_1CHW))
    for first in range(0, len(content_MC), _ROWS):
        rows = slice(first, first + _ROWS)
        expected, found = (
            (features_MC[rows] @ features_MC.T).log_softmax(-1) for features_MC in (content_MC, picture_MC)
        )
        total += float((expected.exp() * (expected - found)).sum(dtype=torch.float64))
    return max(0.0, total)


def principal_directions(references: Sequence[Statistics]) -> dict[str, Tensor]:
    """Return the principal directions of the mean covariance of photographs by layer, float64, shape (C, K) each.

    Source:
        Yeh et al. 2020, section 3.1; stringtron/quantative_style E_base.ipynb. Differs: the authors take the 200 test
        photographs of BSDS500, which may not be passed on.
    """
    bases = {}
    for layer, count in DIRECTIONS.items():
        covariance_CC = sum(_moments(statistics[layer])[1] for statistics in references) / len(references)
        vectors_CC = torch.linalg.eigh(covariance_CC).eigenvectors  # eigenvalues ascend
        bases[layer] = vectors_CC[:, -count:]
    return bases


def projected(statistics: Statistics, bases: Mapping[str, Tensor]) -> Gaussians:
    """Return (mean_K, covariance_KK) of the features on the principal directions by layer, float64."""
    gaussians = {}
    for layer, basis_CK in bases.items():
        mean_C, covariance_CC = _moments(statistics[layer])
        gaussians[layer] = (basis_CK.T @ mean_C, basis_CK.T @ covariance_CC @ basis_CK)
    return gaussians


def e_statistic(picture: Gaussians, style: Gaussians) -> float | None:
    """Return the calibrated effectiveness of a style: the weighted sum over layers of minus the log divergence.

    The divergence is that of the picture's Gaussian from the style's, both projected on the principal directions.

    Returns:
        The statistic, higher for more of the style; None where a covariance has no inverse, as of a flat picture.

    Source:
        Yeh et al. 2020, section 3 and table 1; stringtron/quantative_style E_base.ipynb.
    """
    total = 0.0
    for layer, weight in WEIGHTS.items():
        divergence = gaussian_divergence(picture[layer], style[layer])
        if not math.isfinite(divergence):
            return None
        total -= weight * math.log(max(divergence, _LEAST_DIVERGENCE))
    return total


def gaussian_divergence(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    """Return the KL divergence of the first Gaussian from the second, given (mean_K, covariance_KK) in float64.

    It is not finite where a covariance has no inverse.
    """
    (mean_K, covariance_KK), (target_K, target_KK) = first, second
    factor_KK, fault = torch.linalg.cholesky_ex(target_KK)
    own_KK, own_fault = torch.linalg.cholesky_ex(covariance_KK)
    if fault or own_fault:
        return math.inf
    ratio_KK = torch.cholesky_solve(covariance_KK, factor_KK)
    away_K = target_K - mean_K
    shift = away_K @ torch.cholesky_solve(away_K[:, None], factor_KK)[:, 0]
    log_determinants = 2 * (factor_KK.diagonal().log().sum() - own_KK.diagonal().log().sum())
    return float(0.5 * (ratio_KK.trace() + shift - len(mean_K) + log_determinants))


def _moments(statistics: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return (mean_C, covariance_CC) in float64 of one picture's (mean_BC, second_raw_moment_BCC)."""
    mean_C, second_CC = (part[0].double() for part in statistics)
    return mean_C, second_CC - torch.outer(mean_C, mean_C)
