"""The transform network of lengstrom/fast-style-transfer, whose weights carry TensorFlow's names.

The names are `conv1.weight` ... `conv_out.weight`, with `.scale` and `.shift` of every norm. RGB in [0, 255], zero
padding like TensorFlow's SAME, strided transposed convolutions stored as (in, out, H, W), instance norm with epsilon
1e-3 after every convolution, output 127.5 + 150 tanh.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.networks.importing.taking import take
from nst.networks.network import Network, pad_to_multiple
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from collections.abc import Mapping


class FastStyleNet(Network):
    """The network of Johnson et al. 2016 as lengstrom/fast-style-transfer trains it.

    Args:
        tensors: Its weights, named as the docstring of this module says.

    Source:
        lengstrom/fast-style-transfer `src/transform.py`, run by TensorFlow; weights exported by reiinakano (ml5).
        Differs: pictures whose sides are no multiples of 4 are continued by their borders, and the result is cut.
    """

    family = "johnson"
    multiple = 4
    margin = 64

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.convs = nn.ParameterDict()
        self.norms = nn.ModuleDict()
        shapes = {"conv1": (32, 3, 9), "conv2": (64, 32, 3), "conv3": (128, 64, 3)}
        shapes |= {f"res{block}_conv{part}": (128, 128, 3) for block in range(1, 6) for part in (1, 2)}
        shapes |= {"up1": (128, 64, 3), "up2": (64, 32, 3), "conv_out": (3, 32, 9)}
        for name, (first, second, kernel) in shapes.items():
            key = name.replace("_conv", ".conv")
            self.convs[name] = nn.Parameter(take(tensors, f"{key}.weight", (first, second, kernel, kernel)))
            norm = InstanceNorm(second if name.startswith("up") else first, epsilon=1e-3)
            for part in ("scale", "shift"):
                getattr(norm, part).data.copy_(take(tensors, f"{key}.{part}", (norm.scale.shape[1],)))
            self.norms[name] = norm

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the stylized pictures of RGB pictures in [0, 1]."""
        x_BCHW = pad_to_multiple(images_BCHW, self.multiple) * 255.0
        for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2)):
            x_BCHW = functional.relu(self._conv(name, x_BCHW, stride))
        for block in range(1, 6):
            inner_BCHW = functional.relu(self._conv(f"res{block}_conv1", x_BCHW))
            x_BCHW = x_BCHW + self._conv(f"res{block}_conv2", inner_BCHW)
        for name in ("up1", "up2"):
            # TensorFlow's transposed SAME drops the last row and column of the full result.
            full_BCHW = functional.conv_transpose2d(x_BCHW, self.convs[name], stride=2)
            x_BCHW = functional.relu(self.norms[name](full_BCHW[..., :-1, :-1]))
        x_BCHW = self._conv("conv_out", x_BCHW)
        picture_BCHW = (127.5 + 150.0 * torch.tanh(x_BCHW)) / 255.0
        return picture_BCHW[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]

    def _conv(self, name: str, x_BCHW: Tensor, stride: int = 1) -> Tensor:
        weight = self.convs[name]
        half = weight.shape[2] // 2
        # TensorFlow's SAME with stride 2 on even sides pads one row and column after the picture, none before it.
        before = half if stride == 1 else 0
        padded_BCHW = functional.pad(x_BCHW, (before, half, before, half))
        normal_BCHW: Tensor = self.norms[name](functional.conv2d(padded_BCHW, weight, stride=stride))
        return normal_BCHW
