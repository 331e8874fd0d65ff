"""Which scores order pairs of a good and an obviously worse picture rightly.

    python tests/benchmarks/bench_scores.py [--folder pairs] [--sheet pairs.png]

The pictures are made once and kept in the folder, or made for this run alone without one: the good ones by `gatys`,
`mrf` and `adain`, the worse ones by baselines and by settings that spoil a picture. A pair may also be one picture that
is judged with its own style and with another.
The photographs and paintings are those of the shared test data (`NST_TEST_DATA`, by default ../shared/data) and the
paintings that nst draws itself; without the data nothing is measured.

The pairs were chosen by looking at the sheet, and not by any score; where a picture that was to be good had lost its
content or its style, other settings or another content took its place. They have none of the published stylizations on
which scores were tried before. Further scores are added to `SCORES`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from nst.config import METHOD_CONFIGS
from nst.config.judgement import JUDGEMENTS
from nst.methods import stylize_batch
from nst.paintings import PAINTINGS
from nst.pictures.images import Pixels, decode, resize
from nst.pictures.metrics import METRICS, measure
from nst.workspace import NetworkFile, Request, Workspace
from tasks.inputs.uris import read_uri
from tasks.inputs.weights import packaged_uri
from tasks.models.backbone_weights import load_weights
from tasks.models.judges import build_judge, named_weights
from tasks.models.tensor_files import load_tensors
from tasks.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nst.config.backbone import BackboneConfig
    from nst.config.method import Method
    from nst.judges import Judge

DATA = Path(os.environ.get("NST_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
SIDE = 192
"""Long side of the pictures in pixels."""

LARGEST = 512
"""Long side in pixels to which photographs and paintings are reduced."""

CONTENTS = {
    "boat": "images/kodak/kodim11.png", "cat": "images/content/chelsea.png", "coffee": "images/content/coffee.png",
    "couple": "images/kodak/kodim12.png", "door": "images/kodak/kodim02.png", "flower": "images/kodak/kodim07.png",
    "hats": "images/kodak/kodim03.png", "houses": "images/kodak/kodim08.png", "lagoon": "images/kodak/kodim06.png",
    "portrait": "images/kodak/kodim04.png", "race": "images/kodak/kodim05.png", "regatta": "images/kodak/kodim09.png",
    "rocket": "images/content/rocket.jpg", "sails": "images/kodak/kodim10.png", "windows": "images/kodak/kodim01.png",
}  # fmt: skip
STYLES = {
    "composition": "images/style/composition_vii.jpg", "feathers": "images/texture/feathers.jpg",
    "monet": "masks/doodle_monet/style.png", "renoir": "masks/doodle_renoir/style.png",
    "scream": "images/style/the_scream.jpg", "shipwreck": "images/style/shipwreck.jpg",
    "starry": "images/style/starry_night_google.jpg", "udnie": "images/style/udnie.jpg",
    "wave": "images/style/wave_crop.jpg",
}  # fmt: skip
"""Files below the test data, besides the paintings of `nst.paintings`."""

GATYS = {"name": "gatys", "size": SIDE, "steps": 50, "style_weight": 60.0, "backbone": {"weights": "embedded"}}
"""Fifty steps at each of two sizes."""

SPOILT = {**GATYS, "backbone": {"weights": "draft"}}
RECIPES: dict[str, dict[str, Any]] = {
    "gatys": GATYS,
    "gatys 15": {**GATYS, "style_weight": 15.0},
    "mrf": {"name": "mrf", "size": SIDE, "steps": 50, "style_weight": 1.5, "backbone": {"weights": "embedded"}},
    "adain": {"name": "feedforward", "size": SIDE, "family": "adain"},
    "content": {"name": "baseline", "size": SIDE, "kind": "content"},
    "style": {"name": "baseline", "size": SIDE, "kind": "style"},
    "colors": {"name": "baseline", "size": SIDE, "kind": "colors"},
    "blur": {"name": "baseline", "size": SIDE, "kind": "blur", "blur_sigma": 0.03},
    "noise": {"name": "baseline", "size": SIDE, "kind": "noise", "noise_sigma": 0.3},
    "weak": {**SPOILT, "style_weight": 0.01},
    "strong": {**SPOILT, "style_weight": 1e5, "init": "noise"},
    "smooth": {**SPOILT, "tv_weight": 1e3},
    "3 steps": {**SPOILT, "steps": 3, "init": "noise"},
    "random": {
        **GATYS,
        "content_layers": "fire5",
        "style_layers": ["relu1", "fire2", "fire3", "fire4"],
        "backbone": {"name": "squeezenet", "weights": "random"},
    },
}
"""How pictures are made, by name: four good ways, five baselines, and five kinds of settings that spoil a picture."""

WRONG = "wrong style"
"""The class of pairs in which the good picture itself is judged with another style."""

PAIRS: Sequence[tuple[str, str, str, tuple[str, ...], str]] = (
    ("gatys", "hats", "composition", ("content", "blur", "random"), ""),
    ("gatys", "coffee", "starry", ("style", "noise", WRONG), "wave"),
    ("gatys", "cat", "glass", ("colors", "weak", "strong"), ""),
    ("gatys", "portrait", "scream", ("smooth", "3 steps", WRONG), "feathers"),
    ("gatys 15", "regatta", "wave", ("content", "style", "random"), ""),
    ("adain", "houses", "monet", ("blur", "noise", "strong"), ""),
    ("gatys", "flower", "udnie", ("colors", "weak", WRONG), "swirls"),
    ("gatys 15", "rocket", "shipwreck", ("smooth", "3 steps", "random"), ""),
    ("mrf", "lagoon", "renoir", ("style", "noise", WRONG), "composition"),
    ("mrf", "sails", "wave", ("colors", "blur", "3 steps"), ""),
    ("mrf", "couple", "starry", ("content", "smooth", "weak"), ""),
    ("adain", "boat", "composition", ("content", "strong", WRONG), "monet"),
    ("adain", "windows", "swirls", ("style", "colors", "smooth"), ""),
    ("adain", "race", "feathers", ("noise", "weak", "random"), ""),
    ("adain", "sails", "udnie", ("blur", "3 steps", WRONG), "watercolour"),
    ("adain", "door", "scream", ("content", "style", "strong"), ""),
)
"""Good ways of making, contents, styles, the classes of what is worse, and the other style of the wrong ones."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture with the content and the style that it is judged with, HWC uint8 RGB each."""

    name: str
    picture: np.ndarray
    content: np.ndarray
    style: np.ndarray


@dataclass(frozen=True, eq=False)
class Pair:
    """A good picture and a worse one, and in what way that one is worse."""

    fault: str
    good: Judged
    worse: Judged


@dataclass(frozen=True)
class Score:
    """A score of pictures."""

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    """Returns the score of a picture, given the picture, the content and the style, HWC uint8 RGB each."""
    better: Literal["higher", "lower", "either"]
    """Which of two values is the better one; of `either`, the direction that orders more of the pairs rightly."""


# ---- the scores --------------------------------------------------------------------------------------------------
_KNOWN: dict[tuple[int, int, int], tuple[Mapping[str, float], Any]] = {}


def metric(name: str, picture: np.ndarray, content: np.ndarray, style: np.ndarray) -> float:
    """Return one of nst's metrics; all of them are computed at once, and kept with the arrays that they belong to."""
    key = (id(picture), id(content), id(style))
    if key not in _KNOWN:
        _KNOWN[key] = measure(picture, content, [style]), (picture, content, style)
    return _KNOWN[key][0][name]


@cache
def judge() -> Judge:
    """Return the judge of the test data's weights: SqueezeNet of torchvision, and VGG-19 of Caffe up to relu3_1."""
    store = open_store(tempfile.mkdtemp())
    files = [str(DATA / f"weights/{name}.safetensors") for name in ("squeezenet1_1_torchvision.f16", CAFFE)]
    return build_judge(named_weights(*files, "caffe", store), "cpu")[0]


def judgement(name: str, picture: np.ndarray, content: np.ndarray, style: np.ndarray) -> float:
    """Return one value of the judge; all are computed at once, and kept with the arrays that they belong to."""
    key = (id(picture), id(content), id(style))
    if key not in _JUDGED:
        images = [Pixels(hashlib.sha256(array.tobytes()).hexdigest(), array) for array in (content, style)]
        _JUDGED[key] = judge().measure(picture, images[0], images[1:]), (picture, content, style)
    return _JUDGED[key][0].get(name, float("nan"))


_JUDGED: dict[tuple[int, int, int], tuple[Mapping[str, float], Any]] = {}
CAFFE = "vgg19_caffe_to_conv3_1.f32"

_BETTER: Mapping[str, Literal["higher", "lower"]] = {
    "ssim_content": "higher", "gmsd_content": "lower", "psnr_content": "higher", "palette_distance_style": "lower",
    "histogram_distance_style": "lower", "texture_distance_style": "lower", "lpips_content": "lower",
    "content_kept": "higher", "gram_distance_style": "lower", "w2_distance_style": "lower", "style_gain": "higher",
    "transfer_score": "higher", "e_statistic": "higher",
}  # fmt: skip

SCORES: dict[str, Score] = {
    **{name: Score(partial(metric, name), _BETTER.get(name, "either")) for name in METRICS},
    **{name: Score(partial(judgement, name), _BETTER[name]) for name in JUDGEMENTS if name != "cfsd_content"},
}
"""The scores by name."""


# ---- the pictures ------------------------------------------------------------------------------------------------
@cache
def photograph(name: str) -> Pixels:
    return read(DATA / CONTENTS[name])


@cache
def painting(name: str) -> Pixels:
    return read(DATA / STYLES[name]) if name in STYLES else Pixels(name, PAINTINGS[name](LARGEST, 0))


def read(path: Path) -> Pixels:
    """Return an image, reduced to `LARGEST` pixels where it is larger."""
    data = path.read_bytes()
    array = decode(data)
    return Pixels(hashlib.sha256(data).hexdigest(), resize(array, LARGEST) if max(array.shape) > LARGEST else array)


@cache
def workspace() -> Workspace:
    def weights(config: BackboneConfig) -> Mapping[str, Any]:
        uri = packaged_uri(config)
        return load_weights(config, uri, f"sha256-{hashlib.sha256(read_uri(uri)).hexdigest()}")

    return Workspace("cpu", weights)


@cache
def adain() -> NetworkFile:
    """Return the network of naoto0804/pytorch-AdaIN, its decoder and encoder together."""
    tensors: dict[str, Any] = {}
    for part in ("adain_decoder_int8dequant.f16", "vgg19_normalised_to_conv4_1.f32"):
        tensors |= load_tensors((DATA / f"weights/{part}.safetensors").read_bytes())[1]
    return NetworkFile("adain", lambda: ({}, tensors))


def make(folder: Path, recipe: str, content: str, style: str) -> np.ndarray:
    """Return a picture, from the folder if it was made before with the same settings."""
    config: Method = METHOD_CONFIGS[RECIPES[recipe]["name"]].model_validate(RECIPES[recipe])
    settings = f"{config.VERSION} {config.model_dump_json()} {photograph(content).digest} {painting(style).digest}"
    path = folder / f"{content}-{style}-{recipe}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.png".replace(
        " ", ""
    )
    if not path.is_file():
        print(f"making {path.name}", flush=True)
        network = adain() if config.RUNS_NETWORK else None
        request = Request(path.stem, photograph(content), (painting(style),), (1.0,), "targets", config, model=network)
        (result,) = stylize_batch([request], workspace())
        if result.image is None:
            raise SystemExit(f"{path.stem}: {result.error}")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(result.image).save(path)
    return np.array(Image.open(path))


def pairs(folder: Path) -> Iterator[Pair]:
    """Yield the pairs; pictures that are not in the folder are made."""
    for method, content, style, faults, other in PAIRS:
        images = photograph(content).array, painting(style).array
        good = Judged(f"{method}: {content}, {style}", make(folder, method, content, style), *images)
        for fault in faults:
            if fault == WRONG:
                yield Pair(fault, good, Judged(f"{WRONG}, {other}", good.picture, images[0], painting(other).array))
            else:
                yield Pair(fault, good, Judged(fault, make(folder, fault, content, style), *images))


# ---- the table and the sheet -------------------------------------------------------------------------------------
def ordered(score: Score, found: Sequence[Pair]) -> tuple[list[bool], str]:
    """Return for each pair whether the good picture has the strictly better score, and the direction that was taken."""
    values = [[score.of(one.picture, one.content, one.style) for one in (pair.good, pair.worse)] for pair in found]
    higher = [good > worse for good, worse in values]
    lower = [good < worse for good, worse in values]
    if score.better == "either":
        return (higher, "higher?") if sum(higher) >= sum(lower) else (lower, "lower?")
    return (higher, "higher") if score.better == "higher" else (lower, "lower")


def print_table(found: Sequence[Pair]) -> None:
    """Print for each score how many pairs of each class it orders rightly."""
    faults = list(dict.fromkeys(name for *_, names, _ in PAIRS for name in names))
    counts = {fault: sum(pair.fault == fault for pair in found) for fault in faults}
    print(f"{'score':26} {'better':8}" + "".join(f"{fault:>12}" for fault in faults) + f"{'all':>9}")
    print(f"{'pairs':26} {'':8}" + "".join(f"{counts[fault]:>12}" for fault in faults) + f"{len(found):>9}")
    for name, score in SCORES.items():
        right, direction = ordered(score, found)
        by_fault = [
            sum(good for good, pair in zip(right, found, strict=True) if pair.fault == fault) for fault in faults
        ]
        print(f"{name:26} {direction:8}" + "".join(f"{count:>12}" for count in by_fault) + f"{sum(right):>9}")
    print("better with a question mark: the direction is the one that orders more of these pairs rightly")


def draw_sheet(found: Sequence[Pair], path: Path) -> None:
    """Write a picture of all pairs: content, style, the good picture and the worse one, or the wrong style."""
    side, columns = 150, 3
    rows = -(-len(found) // columns)
    sheet = Image.new("RGB", (columns * (4 * side + 20), rows * (side + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(found):
        left, top = number % columns * (4 * side + 20), number // columns * (side + 14)
        last = pair.worse.style if pair.fault == WRONG else pair.worse.picture
        for place, array in enumerate((pair.good.content, pair.good.style, pair.good.picture, last)):
            small = Image.fromarray(array)
            small.thumbnail((side - 4, side - 4))
            sheet.paste(small, (left + place * side, top + 14))
        draw.text((left, top), f"{number}: {pair.good.name} | {pair.worse.name}", fill="black")
    sheet.save(path)


def main() -> None:
    """Make the pictures, draw the sheet if it is asked for, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--sheet", type=Path)
    settings = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: no test data at {DATA}; set NST_TEST_DATA")
        return
    with tempfile.TemporaryDirectory() as temporary:
        found = list(pairs(settings.folder or Path(temporary)))
    if settings.sheet:
        draw_sheet(found, settings.sheet)
    print_table(found)


if __name__ == "__main__":
    main()
