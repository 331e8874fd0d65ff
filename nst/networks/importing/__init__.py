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
from nst.networks.importing.microast import MARKS, PARTS, microast
from nst.networks.importing.tensorflow import FastStyleNet
from nst.networks.importing.torch7 import NOTE, torch7_net
from nst.networks.importing.transform_nets import pytorch_examples, rrmina, without_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from nst.networks.network import Network

__all__ = ["LAYOUTS", "Layout", "distinct_names", "import_network", "layout_of"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one implementation names the tensors in its files.

    Attributes:
        source: The implementation, a repository.
        fits: Whether a file is of this layout, given its metadata and tensors.
        build: Returns the network, given the same; raises an `InputError` where they do not fit together.
        tried: Whether a file of the authors was at hand to try it on. Otherwise the layout follows their code alone.
    """

    source: str
    fits: Callable[[Mapping[str, str], Mapping[str, Tensor]], bool]
    build: Callable[[Mapping[str, str], Mapping[str, Tensor]], Network]
    tried: bool


def _by_names(
    source: str, marks: tuple[str, ...], build: Callable[[Mapping[str, Tensor]], Network], *, tried: bool
) -> Layout:
    """Return a layout of which the names `marks` are typical."""
    return Layout(
        source,
        lambda _, tensors: tensors.keys() >= set(marks),
        lambda _, tensors: build(tensors),
        tried,
    )


def _preprocesses(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata describes a network of torch7 with the way in which it takes pictures."""
    return '"preprocessing"' in metadata.get(NOTE, "")


_MEASURING: Final = (
    "features.",
    "classifier.",
    "avgpool.",
    "conv1.weight",
    "bn1.",
    *(f"layer{n}." for n in range(1, 5)),
    "fc.",
)
"""How the names begin of all tensors of torchvision's classifiers, which measure pictures."""

LAYOUTS: Final = (
    _by_names("lengstrom/fast-style-transfer", ("conv_out.weight", "up1.scale"), FastStyleNet, tried=True),
    _by_names("naoto0804/pytorch-AdaIN", ("28.weight", "features.0.weight"), adain, tried=True),
    _by_names("pytorch/examples", ("conv1.conv2d.weight", "deconv1.conv2d.weight"), pytorch_examples, tried=False),
    _by_names(
        "rrmina/fast-neural-style-pytorch",
        ("ConvBlock.0.conv_layer.weight", "DeconvBlock.0.conv_transpose.weight"),
        rrmina,
        tried=False,
    ),
    _by_names("EndyWon/MicroAST", MARKS, microast, tried=True),
    Layout("jcjohnson/fast-neural-style", lambda metadata, _: _preprocesses(metadata), torch7_net, tried=False),
    Layout("DmitryUlyanov/texture_nets", lambda metadata, _: NOTE in metadata, torch7_net, tried=False),
)
"""The layouts that can be imported. The first that fits counts."""


def layout_of(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Layout:
    """Return the layout of the tensors of an external network.

    Args:
        metadata: Metadata of the file; that of a network of torch7 describes its modules.
        tensors: Tensors of the file, or of all of its files, under their `distinct_names`.

    Raises:
        InputError: The layout is none of those that are known.
    """
    for layout in LAYOUTS:
        if layout.fits(metadata, tensors):
            return layout
    if "28.weight" in tensors:
        raise InputError("an AdaIN decoder without its encoder", hint="import it together with VGG-19's weights")
    if tensors and all(name.startswith(_MEASURING) for name in tensors):
        raise InputError(
            f"no network that paints: {metadata.get('net') or f'tensors {min(tensors)}, ...'}",
            hint="weights of a network that measures pictures are named as backbone.weights",
        )
    some = sorted(tensors)
    found = f"tensors {', '.join(some[:3])}{', ...' if len(some) > 3 else ''}" if some else "no tensors"
    raise InputError(
        f"no network that can be imported: {metadata.get('net') or found}",
        hint=f"known are the networks of {', '.join(layout.source for layout in LAYOUTS)}",
    )


def import_network(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Network:
    """Return the external network with these tensors.

    Args:
        metadata: Metadata of the file; that of a network of torch7 describes its modules.
        tensors: Tensors of the file, or of all of its files, under their `distinct_names`.

    Raises:
        InputError: The network is none of those that can be imported, or its tensors do not fit.
    """
    return layout_of(metadata, tensors).build(metadata, tensors)


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
    if part and all(".conv_layer." in name and not name.startswith(f"{part}.") for name in tensors):
        return {f"{part}.{name}": tensor for name, tensor in tensors.items()}
    return without_statistics(tensors)
