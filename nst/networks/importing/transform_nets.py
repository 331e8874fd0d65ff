"""Transform networks of Johnson's kind that were trained with PyTorch, as `TransformNet` computes them.

Theirs take pictures in [0, 255] and return them as the last convolution leaves them. `TransformNet` takes 4 x - 2 of a
picture x in [0, 1], and returns its last convolution times `GAIN`. Both differences are linear, and go into the weights
of the first and of the last convolution; the constant part of the first may go there because reflection continues a
constant by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nst.networks.importing.taking import check_all_known, fill, take
from nst.networks.johnson import GAIN, TransformNet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from torch import Tensor

_WHITE: Final = 255.0
"""The value of white in the pictures that these networks take and return."""

_STATISTICS: Final = re.compile(r"(^|\.)(in\d+|norm_layer)\.(running_mean|running_var|num_batches_tracked)$")
"""Names of statistics that instance norms of PyTorch before 0.4 kept, and never used."""

_BLOCKS: Final = 5


def without_statistics(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without the statistics of instance norms that old files hold and no network uses."""
    return {name: tensor for name, tensor in tensors.items() if not _STATISTICS.search(name)}


def pytorch_examples(tensors: Mapping[str, Tensor]) -> TransformNet:
    """Return the network of a file of pytorch/examples: RGB, nearest upsampling before convolutions, no bound.

    Raises:
        InputError: A tensor is missing, superfluous, of another shape, or not finite.

    Source:
        pytorch/examples `fast_neural_style/neural_style/transformer_net.py` and `neural_style.py` (`stylize`). Differs:
        pictures are cut to the size of the photograph; theirs end at the next multiple of 4.
    """
    parts = {f"down.{i}.conv.conv": f"conv{i + 1}.conv2d" for i in range(3)}
    parts |= {f"down.{i}.norm": f"in{i + 1}" for i in range(3)}
    for block in range(_BLOCKS):
        for number, layer in enumerate(("first", "second"), start=1):
            parts[f"residual.{block}.{layer}.conv.conv"] = f"res{block + 1}.conv{number}.conv2d"
            parts[f"residual.{block}.{layer}.norm"] = f"res{block + 1}.in{number}"
    parts |= {f"up.{i}.conv.conv": f"deconv{i + 1}.conv2d" for i in range(2)}
    parts |= {f"up.{i}.norm": f"in{i + 4}" for i in range(2)}
    return _transform_net(tensors, parts | {"last.conv": "deconv3.conv2d"}, "nearest", bgr=False)


def rrmina(tensors: Mapping[str, Tensor]) -> TransformNet:
    """Return the network `TransformerNetwork` of a file of rrmina: BGR, transposed convolutions, no bound.

    `TransformerNetworkTanh` has the same tensors and cannot be told from it; it would be imported wrongly, and its
    pictures would be nearly black.

    Raises:
        InputError: A tensor is missing, superfluous, of another shape, or not finite.

    Source:
        rrmina/fast-neural-style-pytorch `transformer.py`, `stylize.py` and `utils.py`: OpenCV reads B, G, R. Differs:
        pictures are cut to the size of the photograph; theirs end at the next multiple of 4.
    """
    parts: dict[str, str] = {}
    for i in range(3):
        parts |= {
            f"down.{i}.conv.conv": f"ConvBlock.{2 * i}.conv_layer",
            f"down.{i}.norm": f"ConvBlock.{2 * i}.norm_layer",
        }
    for block in range(_BLOCKS):
        for number, layer in enumerate(("first", "second"), start=1):
            parts[f"residual.{block}.{layer}.conv.conv"] = f"ResidualBlock.{block}.conv{number}.conv_layer"
            parts[f"residual.{block}.{layer}.norm"] = f"ResidualBlock.{block}.conv{number}.norm_layer"
    for i in range(2):
        parts |= {
            f"up.{i}.conv": f"DeconvBlock.{2 * i}.conv_transpose",
            f"up.{i}.norm": f"DeconvBlock.{2 * i}.norm_layer",
        }
    return _transform_net(tensors, parts | {"last.conv": "DeconvBlock.4.conv_layer"}, "transposed", bgr=True)


def _transform_net(
    tensors: Mapping[str, Tensor],
    parts: Mapping[str, str],
    upsampling: Literal["nearest", "transposed"],
    *,
    bgr: bool,
) -> TransformNet:
    """Return the network, given their name of each of its parts."""
    used = without_statistics(tensors)
    network = TransformNet(upsampling=upsampling, output="linear")
    theirs, values = {}, {}
    for name, parameter in network.named_parameters():
        part, _, what = name.rpartition(".")
        theirs[name] = f"{parts[part]}.{({'scale': 'weight', 'shift': 'bias'}).get(what, what)}"
        shape = tuple(parameter.shape[1:] if what in {"scale", "shift"} else parameter.shape)
        values[name] = take(used, theirs[name], shape)
    check_all_known(used, set(theirs.values()))
    first, last = "down.0.conv.conv", "last.conv"
    weight, channels = values[f"{first}.weight"], [2, 1, 0] if bgr else [0, 1, 2]
    values[f"{first}.bias"] = values[f"{first}.bias"] + _WHITE / 2.0 * weight.sum((1, 2, 3))
    values[f"{first}.weight"] = _WHITE / 4.0 * weight[:, channels]
    for what in ("weight", "bias"):
        values[f"{last}.{what}"] = values[f"{last}.{what}"][channels] / (_WHITE * GAIN)
    fill(network, values)
    return network
