"""External networks, trained by other implementations, from the tensors of their files. Knows no file system.

Two kinds can be imported; the names of the tensors decide:

- **fast-style-transfer** (lengstrom/fast-style-transfer): `conv1.weight` ... `conv_out.weight`, with `.scale` and
  `.shift` of every norm. RGB in [0, 255], zero padding like TensorFlow's SAME, strided transposed convolutions stored
  as (in, out, H, W), instance norm with epsilon 1e-3 after every convolution, output 127.5 + 150 tanh. Serves as a
  `johnson` model.
- **AdaIN** (naoto0804/pytorch-AdaIN): the decoder as `1.weight` ... `28.weight`, together with its encoder, the
  "normalised" VGG-19 up to relu4_1, as `features.0.weight` ... in the Caffe input convention. Serves as an `adain`
  model.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.backbones import VGG
from nst.errors import InputError
from nst.networks.adain import AdainNet
from nst.networks.network import Network, pad_to_multiple
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from collections.abc import Mapping

ADAIN_KEYS: Final = ("1", "5", "8", "11", "14", "18", "21", "25", "28")
"""Indices of the decoder's convolutions in the `nn.Sequential` of pytorch-AdaIN's `net.py`."""


def import_network(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Network:
    """Return the external network with these tensors.

    Args:
        metadata: Metadata of the file, for the message of an error.
        tensors: Tensors of the file.

    Raises:
        InputError: The network is none of those that can be imported, or its tensors do not fit.
    """
    if "conv_out.weight" in tensors:
        return FastStyleNet(tensors)
    if "28.weight" in tensors and "features.0.weight" in tensors:
        encoder = VGG("vgg19", ["relu4_1"], tensors, inputs="caffe", padding="reflect")
        network = AdainNet(encoder)
        for conv, key in zip(network.decoder, ADAIN_KEYS, strict=True):
            for part in ("weight", "bias"):
                getattr(conv.conv, part).data.copy_(_take(tensors, f"{key}.{part}", getattr(conv.conv, part).shape))
        return network
    if "28.weight" in tensors:
        raise InputError("an AdaIN decoder without its encoder", hint="import it together with VGG-19's weights")
    about = metadata.get("net") or ", ".join(sorted(tensors)[:3])
    raise InputError(
        f"no network that can be imported: {about}",
        hint="expected tensors of lengstrom/fast-style-transfer or naoto0804/pytorch-AdaIN",
    )


class FastStyleNet(Network):
    """The network of Johnson et al. 2016 as lengstrom/fast-style-transfer trains it.

    Args:
        tensors: Its weights, named as the module's docstring says.

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
            self.convs[name] = nn.Parameter(_take(tensors, f"{key}.weight", (first, second, kernel, kernel)))
            norm = InstanceNorm(second if name.startswith("up") else first, epsilon=1e-3)
            for part in ("scale", "shift"):
                getattr(norm, part).data.copy_(_take(tensors, f"{key}.{part}", (norm.scale.shape[1],)))
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


def _take(tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor `key` in float32, once its presence, shape and values are checked."""
    if key not in tensors:
        raise InputError(f"the weights lack {key}", hint="is the file damaged?")
    if tuple(tensors[key].shape) != tuple(shape):
        raise InputError(f"{key} has shape {tuple(tensors[key].shape)}; expected {tuple(shape)}")
    if not tensors[key].isfinite().all():
        raise InputError(f"{key} holds values that are not finite", hint="is the file damaged?")
    return tensors[key].float()
