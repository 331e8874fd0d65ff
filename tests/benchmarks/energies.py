"""Measures the energies of features that `nst.config.energies` holds, and prints its tables.

    python tests/benchmarks/energies.py --data DIR [--size 512]

DIR holds weights and pictures; they do not ship. Every figure is a geometric mean over pictures whose long side is
`size` pixels: over the photographs of `images/content` and every third of `images/kodak`, and over the paintings of
`images/style`. The two figures behind a mean are the standard deviations of its logarithm, as factors.

Deep layers whose weights are not there are estimated; how is said beside each estimate here and in
`nst.config.energies`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from nst.backbones import build_backbone
from nst.config.architectures import layers_of
from nst.config.backbone import BackboneConfig
from nst.losses.content import content_energy
from nst.losses.gram import gram_energy, gram_statistics
from nst.ops import to_tensor
from nst.pictures.images import decode, resize_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.backbones import Backbone

CAFFE = ("vgg19_caffe_to_conv3_1.f32", "caffe", "relu3_1")
NORMALISED = ("vgg19_normalised_to_conv4_1.f32", "caffe", "relu4_1")
TORCHVISION = ("vgg19_torchvision_to_conv2_1.f32", "torchvision", "relu2_1")

PRINTED = {"content": 2091178.59375 / 5, "relu3_1": 1530.33203125, "relu4_1": 124046.3515625, "relu5_1": 6.56860304}
"""Losses that jcjohnson/neural-style@14ce513 INSTALL.md prints for its example (Tuebingen and Picasso's Seated Nude at
512 pixels) at the first step, divided by their weights 5 and 100. The picture is still grey, and the features of grey
have less than 0.1 % of the energy of the photograph's (measured up to relu3_1): the losses are the energies."""

Energies = dict[str, tuple[float, float, float]]
"""By layer: the mean square of the features of photographs, that of paintings, and |A|_F^2 of paintings."""


def main() -> None:
    """Measure, estimate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with weights/ and images/")
    parser.add_argument("--size", type=int, default=512, help="long side of the pictures in pixels")
    asked = parser.parse_args()
    images = asked.data / "images"
    photographs = [*pictures(images / "content"), *pictures(images / "kodak")[::3]]
    paintings = pictures(images / "style")
    measured = {}
    for title, (file, inputs, deepest) in {
        "Caffe's VGG-19": CAFFE,
        "normalised VGG-19": NORMALISED,
        "torchvision's VGG-19": TORCHVISION,
    }.items():
        network = load(asked.data / "weights" / f"{file}.safetensors", inputs, deepest)
        root_mean_square = network.get_buffer("conv1_1_weight").square().mean().sqrt().item()
        print(f"\n{title}: root mean square of the weights of conv1_1 {root_mean_square:.4g}")
        measured[file] = measure(network, photographs, paintings, asked.size)
    print("\nCaffe's VGG-19, estimated")
    network = load(asked.data / "weights" / f"{CAFFE[0]}.safetensors", "caffe", "relu3_1")
    tuebingen = measure(network, [images / "content" / "tubingen.jpg"], paintings[:1], asked.size, silent=True)
    estimated = deep_caffe(measured[CAFFE[0]], measured[NORMALISED[0]], tuebingen["relu3_1"][0])
    for layer, energies in estimated.items():
        print(f"  {layer}", *(f"{value:.3g}" for value in energies))


def pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder in order."""
    return sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})


def load(file: Path, inputs: str, deepest: str) -> Backbone:
    """Return a VGG-19 that returns the rectified features of every convolution up to a layer."""
    order = layers_of("vgg19")
    layers = [layer for layer in order[: order.index(deepest) + 1] if layer.startswith("relu")]
    return build_backbone(BackboneConfig(weights=str(file), input=inputs), layers, load_file(file))


def measure(
    network: Backbone, photographs: Sequence[Path], paintings: Sequence[Path], size: int, *, silent: bool = False
) -> Energies:
    """Return the energies of every layer of a network, and print them with their spread."""
    of_photographs = [features(network, path, size) for path in photographs]
    of_paintings = [features(network, path, size) for path in paintings]
    found: Energies = {}
    for layer in (layer for layer in network.order if layer in network.layers):
        columns = [
            [maps[layer][0] for maps in of_photographs],
            *([maps[layer][part] for maps in of_paintings] for part in (0, 1)),
        ]
        means = [math.exp(fmean(map(math.log, column))) for column in columns]
        spread = [math.exp(pstdev(map(math.log, column))) for column in columns]
        found[layer] = (means[0], means[1], means[2])
        if not silent:
            print(f"  {layer}", *(f"{mean:.4g} (x{factor:.2f})" for mean, factor in zip(means, spread, strict=True)))
    return found


def features(network: Backbone, path: Path, size: int) -> dict[str, tuple[float, float]]:
    """Return the mean square and |A|_F^2 of a picture's features by layer."""
    array = decode(path.read_bytes())
    height, width = array.shape[:2]
    scale = size / max(height, width)
    resized = resize_to(array, round(width * scale), round(height * scale))
    with torch.no_grad():
        maps = network(to_tensor(resized[None], torch.device("cpu"), torch.float32))
    return {
        layer: (content_energy(map_BCHW).item(), gram_energy(gram_statistics(map_BCHW)).item())
        for layer, map_BCHW in maps.items()
    }


def deep_caffe(caffe: Energies, normalised: Energies, tuebingen: float) -> Energies:
    """Return estimates for the layers that jcjohnson's example prints.

    From relu3_1 on, other pictures are taken to differ from those of the example as they do at relu3_1. How a mean
    square follows from |A|_F^2, and that of photographs from that of paintings, is taken from relu4_1 of the normalised
    VGG-19, whose filters are those of Caffe's, each with another factor.

    Args:
        caffe: Energies that were measured on Caffe's VGG-19.
        normalised: Energies that were measured on the normalised VGG-19.
        tuebingen: Mean square of relu3_1 of the example's photograph on Caffe's VGG-19.
    """
    photographs, paintings, gram = normalised["relu4_1"]
    concentration = gram / (512 * paintings) ** 2
    other_paintings = caffe["relu3_1"][2] / (PRINTED["relu3_1"] * 256**4)
    found: Energies = {}
    for layer in ("relu4_1", "relu5_1"):
        energy = PRINTED[layer] * 512**4 * other_paintings
        mean_square = math.sqrt(energy / concentration) / 512
        found[layer] = (mean_square * photographs / paintings, mean_square, energy)
    content = PRINTED["content"] * caffe["relu3_1"][0] / tuebingen
    mean_square = content * paintings / photographs
    found["relu4_2"] = (content, mean_square, concentration * (512 * mean_square) ** 2)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
