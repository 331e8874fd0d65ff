"""AdaIN of naoto0804/pytorch-AdaIN: a decoder, and the "normalised" VGG-19 as its encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from nst.backbones import VGG
from nst.backbones.backbone import INPUTS
from nst.networks.adain import AdainNet
from nst.networks.importing.taking import take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

DECODER_KEYS: Final = ("1", "5", "8", "11", "14", "18", "21", "25", "28")
"""Indices of the decoder's convolutions in the `nn.Sequential` of `net.py`."""

ENCODER_KEYS: Final = {
    "2": "0", "5": "2", "9": "5", "12": "7", "16": "10", "19": "12", "22": "14", "25": "16", "29": "19",
}  # fmt: skip
"""Indices of the encoder's convolutions up to relu4_1 in the `nn.Sequential` of `net.py`, and their indices in
torchvision's VGG-19. The convolution of index 0, of 1 x 1 positions, stands in place of the subtraction of the mean."""


def adain(tensors: Mapping[str, Tensor]) -> AdainNet:
    """Return the network of a decoder, `1.weight` ... `28.weight`, with its encoder under torchvision's names.

    Args:
        tensors: Tensors of the decoder, and of VGG-19 in the Caffe input convention with channels R, G, B.

    Raises:
        InputError: A tensor is missing, of another shape, or not finite.

    Source:
        naoto0804/pytorch-AdaIN `net.py`. Differs: as `AdainNet` does.
    """
    encoder = VGG("vgg19", ["relu4_1"], tensors, inputs="caffe", padding="reflect")
    network = AdainNet(encoder)
    for conv, key in zip(network.decoder, DECODER_KEYS, strict=True):
        for part in ("weight", "bias"):
            parameter = conv.get_parameter(f"conv.{part}")
            parameter.data.copy_(take(tensors, f"{key}.{part}", tuple(parameter.shape)))
    return network


def is_encoder(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of the encoder's file, which begins with a convolution of 1 x 1 positions."""
    return "2.weight" in tensors and "0.weight" in tensors and tuple(tensors["0.weight"].shape) == (3, 3, 1, 1)


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder up to relu4_1 under torchvision's names, for pictures in the Caffe input convention.

    The first convolution, y = W x + b, takes RGB pictures x in [0, 1]; those of the convention are u = 255 x - m. So
    y = (W / 255) u + W m / 255 + b, which goes into the weights of the convolution after it; reflection continues the
    constant part by itself.

    Raises:
        InputError: A tensor is missing, of another shape, or not finite.
    """
    white, mean, _ = INPUTS["caffe"]
    matrix_33 = take(tensors, "0.weight", (3, 3, 1, 1))[:, :, 0, 0].double() / white
    constant_3 = matrix_33 @ torch.tensor(mean, dtype=torch.float64) + take(tensors, "0.bias", (3,)).double()
    weight = take(tensors, "2.weight", (64, 3, 3, 3)).double()
    bias = take(tensors, "2.bias", (64,)).double() + torch.einsum("fchw,c->f", weight, constant_3)
    found = {
        f"features.{own}.{part}": _given(tensors, f"{key}.{part}")
        for key, own in ENCODER_KEYS.items()
        for part in ("weight", "bias")
    }
    first = torch.einsum("fchw,cd->fdhw", weight, matrix_33)
    return {**found, "features.0.weight": first.float().contiguous(), "features.0.bias": bias.float()}


def _given(tensors: Mapping[str, Tensor], key: str) -> Tensor:
    return take(tensors, key, tuple(tensors[key].shape) if key in tensors else ())
