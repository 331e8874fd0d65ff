"""How far still parts of a clip drift while it is painted: 100 frames, most of which never move.

    python tests/benchmarks/bench_drift.py [--frames 100] [--size 96] [--steps 80] [--later 5] [--kinds object]

The picture is a photograph of scikit-image. `equal`: all frames are the same. `object`: a textured square goes to and
fro over it, two pixels a frame. `noise`: the same, and every frame has noise of its own of at most one level of 255, as
a codec leaves it. `drift` is the column of `results`: the mean change, in levels of 255, of still places since they
came to rest. The last column is the mean change of the upper third of the picture, where the square never comes, from
the first frame to the last one, without the rule of what is still.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

sys.path.insert(0, str(Path(__file__).parents[1]))
from moving_scene import texture
from orders import planned

from tasks.work.stylize import Stylist

MANIFEST = """\
name: still
contents: {{video: clip/}}
styles: style.png
method:
  {{name: gatys, size: {size}, steps: {steps}, style_weight: 30, video: {{steps: {later}}},
   backbone: {{weights: embedded}}}}
sweep: {{temporal_weight: {weights}}}
output: {{video: ffv1}}
"""


def scene(kind: str, count: int, size: int) -> list[np.ndarray]:
    """Return the frames, three quarters as high as wide."""
    width, height = size, 3 * size // 4
    photograph = np.asarray(Image.fromarray(data.coffee()).resize((width, height), Image.Resampling.LANCZOS))
    side, random = size // 5, np.random.default_rng(0)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    square = np.rint(255 * texture(x, y, seed=1)).astype(np.uint8)
    frames = []
    for number in range(count):
        frame = photograph.copy()
        if kind != "equal":
            left = abs((2 * number + width // 2) % (2 * (width - side)) - (width - side))
            frame[height // 2 : height // 2 + side, left : left + side] = square
        if kind == "noise":
            frame = (frame.astype(np.int16) + random.integers(-1, 2, frame.shape)).clip(0, 255).astype(np.uint8)
        frames.append(frame)
    return frames


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--later", type=int, default=5, help="steps of the frames after the first")
    parser.add_argument("--kinds", nargs="+", default=["equal", "object", "noise"])
    parser.add_argument("--weights", nargs="+", type=float, default=[300, 0])
    settings = parser.parse_args()
    print(f"{'':8}{'temporal_weight':>16}{'drift, levels':>15}{'warping error':>15}{'own':>10}{'first to last':>15}")
    for kind in settings.kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
            (folder / "clip").mkdir()
            for number, frame in enumerate(scene(kind, settings.frames, settings.size)):
                Image.fromarray(frame).save(folder / f"clip/{number:04}.png")
            Image.fromarray(data.astronaut()).save(folder / "style.png")
            (folder / "m.yaml").write_text(MANIFEST.format(**vars(settings)))
            prepared = planned(folder / "m.yaml", folder / "out")
            stylist = Stylist(prepared.root, "cpu")
            for batch in prepared.plan.batches():
                stylist.run(prepared.job(batch))
            for row in prepared.root.catalog.read("results").to_pylist():
                errors = [row["warping_error"], row["source_warping_error"]]
                moved = far(prepared, row["cell_id"], settings.frames)
                print(
                    f"{kind:8}{row['temporal_weight']:16g}{255 * row['drift']:15.3f}{errors[0]:15.2e}{errors[1]:10.1e}"
                    f"{moved:15.3f}",
                    flush=True,
                )


def far(prepared: object, cell: str, count: int) -> float:
    """Return the mean change of the upper third of the picture from the first frame to the last, in levels."""
    columns = ["cell_id", "frame", "picture_uri"]
    table = prepared.root.catalog.read("frames", columns, where=("cell_id", {cell})).to_pylist()  # type: ignore[attr-defined]
    uris = {row["frame"]: row["picture_uri"].removeprefix("file://") for row in table}
    first, last = (np.asarray(Image.open(uris[number]), np.int16) for number in (0, count - 1))
    return float(np.abs(last - first)[: len(first) // 3].mean())


if __name__ == "__main__":
    main()
