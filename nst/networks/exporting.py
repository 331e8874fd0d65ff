"""Networks as ONNX graphs, for programs that have neither torch nor nst. Needs the extra `onnx`. Knows no file system.

Every graph gives `pictures`, RGB about in [0, 1], as many and as large as wanted. What it takes, in float32, is what
the network's family says (`nst.networks.network.Network.graph`):

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
from typing import TYPE_CHECKING

import torch

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
    graph = network.graph()
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
    inputs = ", ".join(f"`{value.name}` {value.shape}" for value in model.graph.inputs)
    return program.model_proto.SerializeToString(), inputs
