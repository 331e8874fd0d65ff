"""How good are pictures that are made through a small network? Measured by networks that judge, beside other networks.

    python tests/benchmarks/bench_backbones.py --data DIR [--size 256] [--steps 50] [--pairs 6] [--only embedded,draft]
    python tests/benchmarks/bench_backbones.py --data DIR --ranks

`gatys` makes each pair with the style weights 3, 30 and 300 through every network, from the content, at one level. A
judge measures the relative style and content losses of each picture. The ratio is the picture's style loss over that of
VGG-19's own pictures at the same content loss (interpolated between the three weights, both axes logarithmic); 1 is as
good as VGG-19. No network that ships was trained on a picture of these pairs. Speed is processor time of a step.

`--ranks` compares drafts with final pictures: of a grid of four styles and four weights, the rank correlation of the
judges' style losses between pictures of `draft` and pictures of VGG-19 (Spearman).

DIR holds weights and pictures; they do not ship.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr

import nst
from nst.backbones import build_backbone
from nst.config import METHOD_CONFIGS
from nst.config.backbone import BackboneConfig
from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.methods import stylize_batch
from nst.pictures.images import Pixels, decode
from nst.workspace import Request, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

VGG_STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
PAIRS = [
    ("content/tubingen.jpg", "style/starry_night_google.jpg"),
    ("content/golden_gate.jpg", "style/wave.jpg"),
    ("kodak/kodim05.png", "style/starry_night_google.jpg"),
    ("kodak/kodim04.png", "style/composition_vii.jpg"),
    ("kodak/kodim12.png", "style/shipwreck.jpg"),
    ("kodak/kodim08.png", "style/wave.jpg"),
]
GRID = ["starry_night_google.jpg", "wave.jpg", "composition_vii.jpg", "shipwreck.jpg"]


@dataclass(frozen=True)
class Net:
    """A network that pictures are made through, or that judges them: its settings, and its layers."""

    backbone: BackboneConfig
    content: str
    style: list[str]


def network(content: str, style: list[str], **backbone: str) -> Net:
    return Net(BackboneConfig.model_validate(backbone), content, style)


NETS = {
    "vgg19": network("relu4_1", VGG_STYLE, weights="vgg19_normalised_to_conv4_1.f32.safetensors", input="caffe"),
    "embedded": network("relu4_1", VGG_STYLE, weights="embedded"),
    "draft": network("relu4_1", VGG_STYLE, weights="draft"),
    "vgg16 to relu3_3": network(
        "relu3_3",
        ["relu1_2", "relu2_2", "relu3_3"],
        name="vgg16",
        weights="vgg16_caffe_to_conv3_3.f32.safetensors",
        input="caffe",
    ),
    "wct16x": network(
        "relu4_1", VGG_STYLE, weights="wct16x_distilled_encoders.f32.safetensors", input="caffe", padding="reflect"
    ),
    "squeezenet": network(
        "fire5",
        ["relu1", "fire3", "fire5", "fire7"],
        name="squeezenet",
        weights="squeezenet1_1_torchvision.f16.safetensors",
    ),
    "random": network("relu4_1", VGG_STYLE, weights="random"),
}
JUDGES = {
    "vgg19": NETS["vgg19"],
    "vgg16 hed": network(
        "relu4_2",
        ["relu3_1", "relu4_1", "relu5_1"],
        name="vgg16",
        weights="vgg16_hed_complete.f16.safetensors",
        input="caffe",
    ),
    "squeezenet": NETS["squeezenet"],
}


def wct16x(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder of relu4_1 of Collaborative Distillation as a narrow VGG-19 of input convention `caffe`."""
    index = {"11": 0, "12": 2, "21": 5, "22": 7, "31": 10, "32": 12, "33": 14, "34": 16, "41": 19}
    net = {
        f"features.{n}.{part}": tensors[f"e4.conv{c}.{part}"] for c, n in index.items() for part in ("weight", "bias")
    }
    # conv0 makes BGR * 255 - mean of RGB in [0, 1]; `caffe` inputs are that already, up to the order of the channels.
    order = tensors["e4.conv0.weight"][:, :, 0, 0].abs().argmax(dim=1)
    turned = torch.empty_like(net["features.0.weight"])
    turned[:, order] = net["features.0.weight"]
    return net | {"features.0.weight": turned}


class Weights:
    """Tensors by the settings of a backbone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, config: BackboneConfig) -> dict[str, Tensor] | None:
        if config.weights == "random":
            return None
        if config.distilled:
            return load_file(Path(nst.__file__).parent / f"backbones/{config.weights}.safetensors")
        tensors = {name: tensor.float() for name, tensor in load_file(self._folder / config.weights).items()}
        return wct16x(tensors) if config.weights.startswith("wct") else tensors


class Judge:
    """Relative style and content losses of pictures of one pair."""

    def __init__(self, net: Net, weights: Weights, content: np.ndarray, style: np.ndarray) -> None:
        self._net = net
        layers = {net.content, *net.style}
        self._backbone = build_backbone(net.backbone, layers, weights(net.backbone))
        with torch.no_grad():
            features = self._backbone(picture(style))
            self._style = {layer: gram_statistics(features[layer]) for layer in net.style}
            self._content = self._backbone(picture(content))[net.content]

    def __call__(self, made: np.ndarray) -> tuple[float, float]:
        with torch.no_grad():
            features = self._backbone(picture(made))
        parts = []
        for layer, target in self._style.items():
            parts.append(gram_distance(gram_statistics(features[layer]), target) / gram_energy(target))
        content = (features[self._net.content] - self._content).square().sum() / self._content.square().sum()
        return float(torch.stack(parts).mean()), float(content)


def picture(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None].float() / 255


def make(
    net: Net, weights: Weights, files: Sequence[Path], style_weights: Iterable[float], settings: argparse.Namespace
) -> tuple[list[np.ndarray], float]:
    """Return the picture of each style weight, and the seconds of processor time of a step of one picture."""
    pixels = [Pixels(path.name, decode(path.read_bytes())) for path in files]
    requests = [
        Request(
            cell_id=f"{weight}",
            content=pixels[0],
            styles=(pixels[1],),
            style_weights=(1.0,),
            mix="targets",
            config=METHOD_CONFIGS["gatys"].model_validate({
                "size": settings.size, "steps": settings.steps, "style_weight": weight, "pyramid": {"levels": 1},
                "content_layers": net.content, "style_layers": net.style, "backbone": net.backbone.model_dump(),
            }),
        )
        for weight in style_weights
    ]  # fmt: skip
    times: list[float] = []
    results = stylize_batch(requests, Workspace("cpu", weights), lambda *_: times.append(time.process_time()))
    for result in results:
        assert result.image is not None, result.error
    return [r.image for r in results if r.image is not None], float(np.median(np.diff(times))) / len(requests)


def ratios(settings: argparse.Namespace, weights: Weights) -> None:
    """Print the table of networks and judges."""
    names = ["vgg19", *(name for name in settings.only or NETS if name != "vgg19")]
    measured: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, (content, style) in enumerate(PAIRS[: settings.pairs]):
        files = [settings.data / "images" / name for name in (content, style)]
        judges: dict[str, Judge] = {}
        for name in names:
            made, took = make(NETS[name], weights, files, (3.0, 30.0, 300.0), settings)
            seconds[name].append(took)
            if not judges:
                reference = [resized(file, made[0].shape) for file in files]
                judges = {judge: Judge(net, weights, *reference) for judge, net in JUDGES.items()}
            for judge, measure in judges.items():
                measured[name, judge, number] = [measure(array) for array in made]
    print(f"{settings.size} px, {settings.steps} steps, {settings.pairs} pairs; ratio: geometric mean (least to most)")
    print("| network | faster | " + " | ".join(f"by {judge}" for judge in JUDGES) + " |")
    print("|---|---|" + "---|" * len(JUDGES))
    for name in names:
        faster = np.median(np.divide(seconds["vgg19"], seconds[name]))
        cells = []
        for judge in JUDGES:
            found = []
            for number in range(settings.pairs):
                own = sorted((c, s) for s, c in measured["vgg19", judge, number])
                for s, c in measured[name, judge, number]:
                    at = np.interp(np.log(c), *np.log(np.array(own).T))
                    found.append(s / np.exp(at))
            cells.append(f"{np.exp(np.mean(np.log(found))):.2f} ({min(found):.2f} to {max(found):.2f})")
        print(f"| {name} | {faster:.1f} | " + " | ".join(cells) + " |", flush=True)


def resized(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image whose long side is that of a picture, as `style_scale` 1 has it."""
    from PIL import Image

    with Image.open(file) as image:
        rgb = image.convert("RGB")
    scale = max(shape[:2]) / max(rgb.size)
    size = (round(rgb.width * scale), round(rgb.height * scale))
    return np.array(rgb.resize(size, Image.Resampling.LANCZOS))


def ranks(settings: argparse.Namespace, weights: Weights) -> None:
    """Print the rank correlation of drafts and finals over a grid of styles and weights."""
    content = settings.data / "images/content/tubingen.jpg"
    grid = (1.0, 10.0, 100.0, 1000.0)
    found: dict[tuple[str, str], list[float]] = {}
    for style in GRID:
        for name in ("vgg19", "embedded", "draft"):
            file = settings.data / "images/style" / style
            made, _ = make(NETS[name], weights, (content, file), grid, settings)
            reference = [resized(each, made[0].shape) for each in (content, file)]
            for judge in ("vgg19", "squeezenet"):
                measure = Judge(JUDGES[judge], weights, *reference)
                for array in made:
                    s, c = measure(array)
                    found.setdefault((name, judge), []).append(s)
                    found.setdefault((name, f"{judge}, content"), []).append(c)
    for (name, judge), values in found.items():
        if name != "vgg19":
            correlation = spearmanr(values, found["vgg19", judge]).statistic
            print(f"{name} against vgg19, {len(values)} cells, by {judge}: Spearman {correlation:.2f}", flush=True)


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--only", type=lambda text: text.split(","), default=None)
    parser.add_argument("--ranks", action="store_true")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    (ranks if settings.ranks else ratios)(settings, Weights(settings.data / "weights"))


if __name__ == "__main__":
    main()
