"""Networks as ONNX graphs, for programs that have neither torch nor nst. Needs the extra `onnx`. Knows no file system.

Every graph returns `pictures`, RGB about in [0, 1], shape (B, 3, H, W), of any number and size. The family of the
network decides the inputs, in float32 (`nst.networks.network.Network.graph`):

- `johnson`, `mgan`: `images`, RGB in [0, 1], shape (B, 3, H, W).
- `super_resolution`: `images`. Its `pictures` are larger, and have yet to be given the histograms of the images.
- `conditional`: `images`; `styles`, the weights of the styles in the order of the network's rows, shape (B, S).
- `adain`: `images`; `style`, a style image for each picture, shape (B, 3, any, any); `alpha`, strength of the style in
  [0, 1], shape (B,).
- `texture_net`: `images` if it stylizes; `noise_0` (the coarsest) ... `noise_n`, uniform in [0, 1], `noise_i` of shape
  (B, 3, H / 2^(n - i), W / 2^(n - i)).
- `doodle_net`: `masks`, the share of each position that belongs to each region, in the order of the metadata's
  `colors`, shape (B, K, H, W); then noise, as for `texture_net`.

Shape letters: B images, C channels, H rows, W columns, S styles, K regions.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from nst.config.training import refuse_to_paint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.networks.network import Network


def to_onnx(network: Network, metadata: Mapping[str, str]) -> tuple[bytes, str]:
    """Return a trained network as an ONNX model, its weights included, and a list of the model's inputs in words.

    Args:
        network: A network of any family, trained by nst or imported, in float32 on the CPU.
        metadata: Texts to keep in the model's `metadata_props`.

    Raises:
        ImportError: The extra `onnx` is not installed.
        InputError: The network makes no pictures.
    """
    refuse_to_paint(network.family)
    graph = network.graph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own parts
        program = torch.onnx.export(
            graph.module.eval(),
            graph.example,
            input_names=list(graph.inputs),
            output_names=["pictures"],
            dynamic_shapes=graph.shapes,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with this machine's paths, larger than small networks
    model.metadata_props.update(metadata)
    inputs = ", ".join(f"`{value.name}` {value.shape}" for value in model.graph.inputs)
    return program.model_proto.SerializeToString(), inputs
