"""Networks as ONNX graphs, for programs that have neither torch nor nst. Needs the extra `onnx`. Knows no file system.

Every graph gives `pictures`, RGB about in [0, 1], as many and as large as wanted. What it takes, in float32:

- `johnson`, `mgan`: `images`, RGB in [0, 1], shape (B, 3, H, W).
- `conditional`: `images`; `styles`, shape (B, S): how much of each style, in the order of the network's rows.
- `adain`: `images`; `style`, shape (B, 3, any, any): a painting each; `alpha`, shape (B,), in [0, 1].
- `texture_net`: `images` if it stylizes; `noise_0` (coarse) ... `noise_n`, uniform in [0, 1], shape
  (B, 3, H / 2^(n - i), W / 2^(n - i)).
- `doodle_net`: `masks`, how much of each position is each region, in the order of the metadata's `colors`, shape
  (B, K, H, W); then noise as above.

Shape letters: B images, C channels, H rows, W columns, S styles, K regions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from nst.networks.adain import AdainNet, moments
from nst.networks.conditional import ConditionalNet
from nst.networks.doodle_net import DoodleNet
from nst.networks.texture_net import TextureNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.networks.network import Network


def to_onnx(network: Network, metadata: Mapping[str, str]) -> tuple[bytes, str]:
    """Return a trained network as an ONNX model with its weights in it, and what it takes, in words.

    Args:
        network: Of any family, ours or imported, in float32 on the CPU.
        metadata: Kept in the model's `metadata_props`.

    Raises:
        ImportError: The extra `onnx` is not installed.
    """
    graph = _graph(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            graph.module.eval(), graph.example, input_names=list(graph.inputs), output_names=["pictures"],
            dynamic_shapes=graph.shapes, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # traces of this machine's files, larger than small networks
    model.metadata_props.update(metadata)
    told = ", ".join(f"`{value.name}` {value.shape}" for value in model.graph.inputs)
    return program.model_proto.SerializeToString(), told


@dataclass(frozen=True, eq=False)
class _Graph:
    """What is traced."""

    module: nn.Module
    inputs: tuple[str, ...]
    example: tuple[Any, ...]
    shapes: tuple[Any, ...]
    """Which sizes of the inputs are free."""


def _graph(network: Network) -> _Graph:
    batch, images = Dim("batch"), torch.rand(2, 3, 64, 96)
    free = {0: batch, 2: Dim("height", min=16), 3: Dim("width", min=16)}
    if isinstance(network, ConditionalNet):
        weights = torch.ones(2, network.rows_known)
        return _Graph(_Blend(network), ("images", "styles"), (images, weights), (free, {0: batch}))
    if isinstance(network, AdainNet):
        of_style = {0: batch, 2: Dim("style_height", min=16), 3: Dim("style_width", min=16)}
        given = images, torch.rand(2, 3, 96, 80), torch.ones(2)
        return _Graph(_Exchange(network), ("images", "style", "alpha"), given, (free, of_style, {0: batch}))
    if isinstance(network, TextureNet):
        rows, columns = Dim("coarse_height", min=2), Dim("coarse_width", min=2)
        sizes = [{0: batch, 2: 2**level * rows, 3: 2**level * columns} for level in range(network.scales)]
        names = tuple(f"noise_{level}" for level in range(network.scales))
        side = 2 ** (network.scales + 1)
        noise = network.draw(side, 2 * side, [0, 1])
        if not network.guide:
            return _Graph(network, names, (noise,), (sizes,))
        guide = "masks" if isinstance(network, DoodleNet) else "images"
        guide_BCHW = torch.rand(2, network.guide, side, 2 * side)
        return _Graph(_Guided(network), (guide, *names), (guide_BCHW, noise), (sizes[-1], sizes))
    return _Graph(network, ("images",), (images,), (free,))


class _Blend(nn.Module):
    def __init__(self, network: ConditionalNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        pictures_BCHW: Tensor = self.network(images, styles / styles.sum(1, keepdim=True))
        return pictures_BCHW


class _Exchange(nn.Module):
    def __init__(self, network: AdainNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, style: Tensor, alpha: Tensor) -> Tensor:
        content_BCHW = self.network.encode(images)
        exchanged_BCHW = self.network.exchange(content_BCHW, moments(self.network.encode(style)))
        mixed_BCHW = torch.lerp(content_BCHW, exchanged_BCHW, alpha[:, None, None, None])
        return self.network.decode(mixed_BCHW)[..., : images.shape[2], : images.shape[3]]


class _Guided(nn.Module):
    def __init__(self, network: TextureNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, guide: Tensor, noise: list[Tensor]) -> Tensor:
        pictures_BCHW: Tensor = self.network(noise, guide)
        return pictures_BCHW
