"""External networks, trained by other implementations, from the tensors of their files. Knows no file system.

The names of the tensors decide which layout a file has; each layout is one function, which returns the network. A file
that comes in parts, as AdaIN's decoder and encoder do, is first given names under which its parts do not meet
(`distinct_names`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from nst.networks.importing.adain import adain, encoder_tensors, is_encoder
from nst.networks.importing.microast import PARTS, microast
from nst.networks.importing.tensorflow import FastStyleNet
from nst.networks.importing.transform_nets import pytorch_examples, rrmina, without_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from nst.networks.network import Network

__all__ = ["LAYOUTS", "Layout", "distinct_names", "import_network", "layout_of"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of tensors in the files of one implementation.

    Attributes:
        source: The implementation, a repository.
        marks: Names of tensors that files of this layout have, and files of no other.
        build: Returns the network, given the tensors; raises an `InputError` where they do not fit.
        tried: Whether a file of the authors was at hand to try it on. Otherwise the layout follows their code alone.
    """

    source: str
    marks: frozenset[str]
    build: Callable[[Mapping[str, Tensor]], Network]
    tried: bool


LAYOUTS: Final = (
    Layout("lengstrom/fast-style-transfer", frozenset({"conv_out.weight", "up1.scale"}), FastStyleNet, tried=True),
    Layout("naoto0804/pytorch-AdaIN", frozenset({"28.weight", "features.0.weight"}), adain, tried=True),
    Layout(
        "pytorch/examples", frozenset({"conv1.conv2d.weight", "deconv1.conv2d.weight"}), pytorch_examples, tried=False
    ),
    Layout(
        "rrmina/fast-neural-style-pytorch",
        frozenset({"ConvBlock.0.conv_layer.weight", "DeconvBlock.0.conv_transpose.weight"}),
        rrmina,
        tried=False,
    ),
    Layout(
        "EndyWon/MicroAST",
        frozenset({"style_encoder.enc1.0.conv_layer.weight", "modulator.weight1.0.conv_layer.weight"}),
        microast,
        tried=True,
    ),
)
"""The layouts that can be imported."""


def layout_of(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Layout:
    """Return the layout of the tensors of an external network.

    Args:
        metadata: Metadata of the file, for the message of an error.
        tensors: Tensors of the file, or of all of its files, under their `distinct_names`.

    Raises:
        InputError: The layout is none of those that are known.
    """
    for layout in LAYOUTS:
        if layout.marks <= tensors.keys():
            return layout
    if "28.weight" in tensors:
        raise InputError("an AdaIN decoder without its encoder", hint="import it together with VGG-19's weights")
    some = sorted(tensors)
    found = f"tensors {', '.join(some[:3])}{', ...' if len(some) > 3 else ''}" if some else "no tensors"
    raise InputError(
        f"no network that can be imported: {metadata.get('net') or found}",
        hint=f"known are the networks of {', '.join(layout.source for layout in LAYOUTS)}",
    )


def import_network(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Network:
    """Return the external network with these tensors.

    Args:
        metadata: Metadata of the file, for the message of an error.
        tensors: Tensors of the file, or of all of its files, under their `distinct_names`.

    Raises:
        InputError: The network is none of those that can be imported, or its tensors do not fit.
    """
    return layout_of(metadata, tensors).build(tensors)


def distinct_names(tensors: Mapping[str, Tensor], stem: str = "") -> dict[str, Tensor]:
    """Return the tensors of one file under names that those of its network's other files do not have.

    AdaIN's encoder has the names of its decoder, and gets torchvision's. MicroAST's encoders have the same names, and
    get the part's name, with which the names of their files begin. Statistics that no network uses are left out.

    Args:
        tensors: Tensors of the file.
        stem: Name of the file without folders.

    Raises:
        InputError: The file is AdaIN's encoder, and lacks a tensor or holds one of another shape.
    """
    if is_encoder(tensors):
        return encoder_tensors(tensors)
    part = next((part for part in PARTS if stem.startswith(part)), "")
    if part and not any(name.startswith(f"{part}.") for name in tensors):
        return {f"{part}.{name}": tensor for name, tensor in tensors.items()}
    return without_statistics(tensors)
