"""What the temperature of `texture_net` buys and costs: the diversity of its pictures beside their losses, over T.

    python tests/benchmarks/bench_sampling.py [--data DIR] [--size 64] [--steps 250] [--only texture,stylize]

Small networks on the smallest backbone of the package: a texture with circular padding, and the stylization of
photographs. `--data` is the shared test data; one core takes about ten minutes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from nst.config.training import TextureNetTraining
from nst.pictures.images import Pixels, decode, encode, resize_to, style_size
from nst.pictures.metrics import ssim
from nst.records import OutputFormat
from nst.training import Trainer
from nst.workspace import Workspace

DRAFT = Path(__file__).parents[2] / "nst/backbones/draft.safetensors"

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0)
"""The temperature times the number of values."""

KINDS = {
    "texture": {"mode": "texture"},
    "stylize": {"mode": "stylize", "padding": "reflect", "style_weight": 2.0},
}


def read(path: Path) -> Pixels:
    return Pixels(path.stem, decode(path.read_bytes()))


def squares(folder: Path, side: int, count: int) -> np.ndarray:
    found = [decode(path.read_bytes()) for path in sorted(folder.iterdir())[:count]]
    cut = []
    for array in found:
        start = [(length - min(array.shape[:2])) // 2 for length in array.shape[:2]]
        middle = array[start[0] :, start[1] :][: min(array.shape[:2]), : min(array.shape[:2])]
        cut.append(resize_to(middle, side, side))
    return np.stack(cut)


def independent(style: Pixels, side: int) -> float:
    """Return the root mean square distance in [0, 1] of two places of the texture that have nothing to do with each
    other: the deviation of its values times the root of two."""
    array = resize_to(style.array, *style_size(style, side)) / 255.0
    return float(np.sqrt(2.0 * array.var((0, 1)).mean()))


def row(kind: str, weight: float, settings: argparse.Namespace) -> None:
    data, side = Path(settings.data), settings.size
    stylize = kind == "stylize"
    style = read(data / "images" / ("style/wave_crop.jpg" if stylize else "texture/brick.png"))
    config = TextureNetTraining(
        **KINDS[kind], size=side, steps=settings.steps, batch_size=4, scales=4, temperature=weight / (3 * side**2),
        decay={"name": "step", "every": max(1, settings.steps // 10)}, seed=settings.seed,
        backbone={"name": "vgg19", "weights": "draft"},
    )  # fmt: skip
    photographs = squares(data / "train/flowers", side, 104) if stylize else None
    trainer = Trainer(
        config, [style], Workspace("cpu", lambda _: load_file(DRAFT)), None if photographs is None else photographs[4:]
    )
    for _ in range(config.steps):
        trainer.step()
    shown = [np.zeros((side, side, 3), np.uint8)] * 4 if photographs is None else list(photographs[:4])
    found = trainer.validate(shown)
    pairs = samples(trainer, shown)
    distance = np.mean([np.sqrt(np.square(a.astype(float) - b).mean()) / 255.0 for a, b in pairs])
    kept = np.mean([ssim(a, photograph) for (a, _), photograph in zip(pairs, shown, strict=True)]) if stylize else None
    entropy, error = found.measures["entropy"], found.measures["entropy_error"]
    losses = [found.losses[f"{part}_loss"] for part in ("style", "content")]
    last = f"{losses[1]:.3f} | {kept:.2f}" if stylize else f"{distance / independent(style, side):.2f}"
    print(
        f"| {weight:g} | {config.temperature:.2g} | {entropy:.3f} +- {error:.3f} | {distance:.3f} | {losses[0]:.3f} "
        f"| {last} |",
        flush=True,
    )
    if settings.out:
        sheet = np.hstack([np.vstack([photograph, *pair]) for photograph, pair in zip(shown, pairs, strict=True)])
        path = Path(settings.out) / f"{kind}-{weight:g}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(sheet, OutputFormat(), {}))


def samples(trainer: Trainer, shown: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two pictures of each photograph, of noise of their own."""
    pairs = []
    trainer.network.eval()
    for number, picture in enumerate(shown):
        given = trainer.lesson.tensor(picture[None]).expand(2, -1, -1, -1) if trainer.config.photographs else None
        with torch.no_grad():
            made, _ = trainer.lesson(given, [0, 0], [2 * number, 2 * number + 1])
        first, second = (made.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        pairs.append((first, second))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("NST_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--weights", default=",".join(map(str, WEIGHTS)))
    parser.add_argument("--out", default="", help="folder that receives the pictures")
    settings = parser.parse_args()
    print(f"{settings.size} px, {settings.steps} steps, batches of 4, {torch.get_num_threads()} CPU threads")
    for kind in settings.only.split(","):
        last = "content | SSIM |" if kind == "stylize" else "of unrelated places |"
        print(f"\n{kind}\n\n| T D | T | entropy a value | distance | style | {last}")
        for weight in settings.weights.split(","):
            row(kind, float(weight), settings)


if __name__ == "__main__":
    main()
