"""Units of weights: what one unit of each loss means, and the factors that convert units. Knows no layer and no method.

The canonical unit is **relative**: every loss is divided by the energy of its target, so that 1 means "as far away as
features that are all zero", on every backbone, layer, size and input range:

    content    mean (F - P)^2 / mean P^2                       P the content image's features
    gram       |G - A|_F^2 / |A|_F^2                           G, A = F F^T / (H W)
    moments    W2^2(N(m, S), N(m_t, S_t)) / (|m_t|^2 + tr S_t)
    deviations (|m - m_t|^2 + |s - s_t|^2) / (|m_t|^2 + |s_t|^2)    m, s means and deviations of channels (AdaIN)
    sliced     mean W2^2 along directions / (mean square of the target along them / 3)
    histogram  half gram, half mean (F - R(F))^2 / mean S^2    S the style's features, R gives F their histograms
    laplacian  mean (D(x) - D(p))^2 / mean D(p)^2              D the Laplacian of the pooled picture
    photorealism   x^T L x / sum over windows |I - mean I|^2    L the matting Laplacian of the content I
    tv         sum of differences / (C H W), of the picture in [0, 1]; its own range is its energy

A loss in the absolute units of another implementation is the relative loss times a factor that depends on the target:
on its energy e, its C filters and, for the paper, its H W positions. A weight in those units, times that factor, is
therefore the weight in relative units:

    units      content     gram         moments   tv: squared     tv: others      read from
    paper      C H W e / 2 e / (4 C^2)  e / C     255^2 n         255 n           Gatys, Ecker & Bethge 2016 eq. 1, 4
    gatys      e           e / C^4      e / C     255^2 n         255 n           leongatys/PytorchNeuralStyleTransfer
    jcjohnson  e           e / C^4      e / C     255^2 n / 2     255 n           jcjohnson/neural-style
    pytorch    e           e / C^4      e / C     255^2 n         255 n           pytorch/examples fast_neural_style
    crowsonkb  e           e / C^2      e / C     1               1               crowsonkb/style-transfer-pytorch

    sliced     e in all units: the loss is a mean over directions and positions (Heitz et al. 2021)
    histogram  as gram, which is one half of it
    laplacian  e of the picture in 0..255 (askerlee/lapstyle); with crowsonkb, e of the picture in 0..1
    photorealism   e in all units: x^T L x of the picture in 0..1 (luanfujun/deep-photo-styletransfer)

Here n = 3 H W is the number of values of the picture, and e is what the relative loss is divided by: the mean square of
P (content), |A|_F^2 (gram), |m|^2 + tr S (moments), ... Sliced distances are smaller by nature: the relative sliced
loss of features that are all zero is 3. The total variation `nine_point` is converted as `squared` is.

With `energies: author`, e and C are not those of the target but those of the author's network, measured once
(`nst.config.energies`): the weight in relative units is then the same for all pictures and networks.

Algebra: leongatys takes F F^T / (H W), the mean over C^2 entries and 1 / C^2 (the layer weights are 1e3 / C^2, of which
`style_weight` holds the 1e3); jcjohnson and pytorch/examples take F F^T / (C H W) and the mean over C^2 entries: all
three give e / C^4. The paper's 1 / (4 N^2 M^2) |F F^T - ...|^2 is e / (4 C^2) once each Gram matrix is divided by its
own number of positions M. crowsonkb's Gram loss is the mean over C^2 entries of F F^T / (H W). jcjohnson's total
variation exists only as a gradient: that of half the sum of squares on the picture in 0..255. Where an implementation
has no such loss (total variation in the paper, leongatys and pytorch/examples; moments in all but crowsonkb), the entry
is a sum or a mean like its other losses.
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
    """Return the content loss in these units divided by the relative content loss.

    Args:
        units: The units.
        energy: Mean square of the target's features.
        channels: Number of filters of the layer.
        positions: H W, the number of positions of the layer's feature map.

    Example:
        >>> content_factor("paper", 2.0, channels=4, positions=100)  # C H W e / 2
        400.0
    """
    if units == "relative":
        return 1.0
    return energy * (0.5 * channels * positions) if units == "paper" else energy


def style_factor(units: Units, unit: Unit, energy: Number, channels: int) -> Number | float:
    """Return the style loss in these units divided by the relative style loss.

    Args:
        units: The units.
        unit: Which rule converts this style loss (`nst.losses.style.StyleLoss.unit`).
        energy: What the relative loss is divided by.
        channels: Number of filters of the layer.

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
    """Return the Laplacian loss in these units divided by the relative Laplacian loss.

    Args:
        units: The units.
        energy: Energy of the content's Laplacian, for the picture in [0, 1].

    Example:
        >>> laplacian_factor("gatys", 2.0)  # for the picture in 0..255
        130050.0
    """
    if units == "relative":
        return 1.0
    return energy if units == "crowsonkb" else energy * 255.0**2


def photorealism_factor(units: Units, energy: Number) -> Number | float:
    """Return the photorealism loss in these units divided by the relative photorealism loss.

    Args:
        units: The units.
        energy: Energy of the content's colours within windows, for the content in [0, 1].

    Example:
        >>> photorealism_factor("gatys", 2.0)
        2.0
    """
    return 1.0 if units == "relative" else energy


def tv_factor(units: Units, tv: str, values: int) -> float:
    """Return the total variation in these units divided by the relative total variation.

    Args:
        units: The units.
        tv: A key of `nst.losses.tv.TOTAL_VARIATIONS`.
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
