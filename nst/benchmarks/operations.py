"""Floating-point operations of the convolutions of a VGG, counted from its layers. Never imports torch.

A convolution of C channels to F filters with kernels of k x k, whose result has H x W positions, multiplies and adds
k k C F H W times: 2 k^2 C F H W operations. Its gradient with respect to its input takes as many. A step of a descent
on pixels is one pass forward and one gradient back to the picture, through every convolution; the weights are frozen,
so that their gradient is never computed. Hence

    operations of a step = 4 sum_i k_i^2 C_i F_i H_i W_i

for each picture. Products of Gram matrices, pooling, ReLU and the optimiser are not counted: the share of the ceiling
tells how much of a step the convolutions need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.config.architectures import ARCHITECTURES
from nst.config.convolutions import NARROWS, check_shapes, convolutions_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FORWARD_AND_BACK: Final = 2
"""A pass forward and the gradient to its input, in passes forward."""


def forward_operations(
    architecture: str,
    layers: Collection[str],
    width: int,
    height: int,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> int:
    """Return the operations of the convolutions of one pass of one picture, up to the deepest of some layers.

    Args:
        architecture: `vgg16` or `vgg19`: every convolution has as many positions as its input.
        layers: Names of layers.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        shapes: Shapes of the weights by torchvision's names, of a network that is narrower; None for full width.

    Raises:
        InputError: The weights lack a layer.

    Example:
        >>> forward_operations("vgg19", ["relu1_1"], 4, 2)  # 2 x 9 x 3 x 64 for each of 8 pixels
        27648
    """
    assert architecture in NARROWS
    if shapes is None:
        shapes = {key: shape for each in convolutions_of(architecture) for key, shape in each.shapes.items()}
    strides, total = ARCHITECTURES[architecture].strides, 0
    for convolution in check_shapes(architecture, layers, shapes):
        stride = strides[convolution.layer]
        positions = (width // stride) * (height // stride)
        total += 2 * convolution.side**2 * convolution.channels * convolution.filters * positions
    return total
