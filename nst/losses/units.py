"""Units of weights: what one unit of each loss means. Plain arithmetic; no tensor is made here.

The canonical unit is **relative**: every loss is divided by the energy of its target, so that 1 means "as far away as
features that are all zero", on every backbone, layer, size and input range:

    content    mean (F - P)^2 / mean P^2                       P the content image's features
    gram       |G - A|_F^2 / |A|_F^2                           G, A = F F^T / (H W)
    moments    W2^2(N(m, S), N(m_t, S_t)) / (|m_t|^2 + tr S_t)
    deviations (|m - m_t|^2 + |s - s_t|^2) / (|m_t|^2 + |s_t|^2)    m, s means and deviations of channels (AdaIN)
    sliced     mean W2^2 along directions / (mean square of the target along them / 3)
    histogram  half gram, half mean (F - R(F))^2 / mean S^2    S the style's features, R gives F their histograms
    laplacian  mean (D(x) - D(p))^2 / mean D(p)^2              D the Laplacian of the pooled picture
    tv         sum of differences / (C H W), of the picture in [0, 1]; its own range is its energy

The absolute units of other implementations are these times a factor that depends on the target (its energy e, its
C filters and, for the paper, H W positions), so a weight in their units is a relative weight times that factor:

    units      content     gram         moments   tv: squared     tv: others      read from
    paper      C H W e / 2 e / (4 C^2)  e / C     255^2 n         255 n           Gatys, Ecker & Bethge 2016 eq. 1, 4
    gatys      e           e / C^4      e / C     255^2 n         255 n           leongatys/PytorchNeuralStyleTransfer
    jcjohnson  e           e / C^4      e / C     255^2 n / 2     255 n           jcjohnson/neural-style
    pytorch    e           e / C^4      e / C     255^2 n         255 n           pytorch/examples fast_neural_style
    crowsonkb  e           e / C^2      e / C     1               1               crowsonkb/style-transfer-pytorch

    sliced     e in all of them, a mean over directions and positions (Heitz et al. 2021)
    histogram  as gram, which is its one half
    laplacian  e of the picture in 0..255 (askerlee/lapstyle), in 0..1 with crowsonkb

with n = 3 H W values of the picture and `e` what the relative loss is divided by: the mean square of P (content),
|A|_F^2 (gram), |m|^2 + tr S (moments), ... Sliced distances are smaller by nature: of features that are all zero, 3.

Algebra: leongatys takes F F^T / (H W), the mean over C^2 entries and 1 / C^2 (his weights 1e3 / C^2, the 1e3 left to
`style_weight`); jcjohnson and pytorch/examples take F F^T / (C H W) and the mean over C^2 entries: all e / C^4. The
paper's 1 / (4 N^2 M^2) |F F^T - ...|^2 is e / (4 C^2) once each Gram matrix is divided by its own M. crowsonkb's Gram
loss is the mean over C^2 entries of F F^T / (H W). jcjohnson's TV exists only as a gradient, that of half the sum of
squares on the 0..255 picture. Where an author has no such loss (TV of the paper, of leongatys and pytorch/examples;
moments of all but crowsonkb) the entry is a sum, or a mean, as his other losses are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from nst.losses.style import Unit

    Number = TypeVar("Number", float, Tensor)
else:
    Number = TypeVar("Number")

Units = Literal["relative", "paper", "gatys", "jcjohnson", "crowsonkb", "pytorch"]


def content_factor(units: Units, energy: Number, channels: int, positions: int) -> Number | float:
    """Return the content loss in these units over the relative one.

    Args:
        units: Unit system.
        energy: Mean square of the target's features.
        channels: Filters of the layer.
        positions: H W of the layer.

    Example:
        >>> content_factor("paper", 2.0, channels=4, positions=100)  # C H W e / 2
        400.0
    """
    if units == "relative":
        return 1.0
    return energy * (0.5 * channels * positions) if units == "paper" else energy


def style_factor(units: Units, unit: Unit, energy: Number, channels: int) -> Number | float:
    """Return the style loss in these units over the relative one.

    Args:
        units: Unit system.
        unit: How other implementations scale this style loss (`nst.losses.style.StyleLoss`).
        energy: What the relative loss is divided by.
        channels: Filters of the layer.

    Example:
        >>> style_factor("gatys", "gram", 16.0, channels=2)  # e / C^4
        1.0
    """
    if units == "relative":
        return 1.0
    if unit == "mean":
        return energy
    if unit == "moments":
        return energy / channels
    if units == "paper":
        return energy / (4.0 * channels**2)
    return energy / channels**2 if units == "crowsonkb" else energy / channels**4


def laplacian_factor(units: Units, energy: Number) -> Number | float:
    """Return the Laplacian loss in these units over the relative one; `energy` is that of the picture in [0, 1].

    Example:
        >>> laplacian_factor("gatys", 2.0)  # of the picture in 0..255
        130050.0
    """
    if units == "relative":
        return 1.0
    return energy if units == "crowsonkb" else energy * 255.0**2


def tv_factor(units: Units, tv: str, values: int) -> float:
    """Return the total variation in these units over the relative one.

    Args:
        units: Unit system.
        tv: Kind of total variation.
        values: 3 H W, the number of values of the picture.

    Example:
        >>> tv_factor("jcjohnson", "squared", 3 * 10 * 10)
        9753750.0
    """
    if units in {"relative", "crowsonkb"}:
        return 1.0
    if tv not in {"squared", "nine_point"}:
        return 255.0 * values
    return 255.0**2 * values * (0.5 if units == "jcjohnson" else 1.0)
