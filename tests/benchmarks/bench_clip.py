"""How steady a clip is by `gatys`, coherent in time, against the same frames each made by itself.

    python tests/benchmarks/bench_clip.py ROOT [--first 94] [--count 9] [--size 320] [--steps 80] [--dry]

The frames are those of Big Buck Bunny in `../shared/data` (or `NST_TEST_DATA`). With --dry nothing is painted, and what
is below ROOT already is measured: an interrupted run goes on where it was. The warping error is that of the rows, over
the pairs of neighbouring frames that all clips have.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from flows.order.request import Request, order_of
from nst.motion.measures import warping_error
from tasks.root import open_root
from tasks.work.clip_source import Clip, ClipSource
from tasks.work.stylize import Stylist

if TYPE_CHECKING:
    from collections.abc import Mapping

    Pictures = Mapping[int, np.ndarray]

DATA = Path(os.environ.get("NST_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
MANIFEST = """\
name: {name}
contents: {contents}
styles: {data}/images/style/starry_night_crop.jpg
method:
  name: gatys
  size: {size}
  steps: {steps}
  style_layers: [relu1_1, relu2_1, relu3_1, relu4_1]
  content_layers: [relu4_1]
  backbone: {weights}
"""


def run(name: str, contents: str, settings: argparse.Namespace) -> Any:
    """Return the plan of a sweep that is run."""
    about = vars(settings) | {"name": name, "contents": contents, "data": DATA}
    file = Path(settings.root) / f"{name}.yaml"
    file.write_text(MANIFEST.format(**about))
    prepared = order_of(Request(str(file), open_root(f"{settings.root}/out"))).prepared
    stylist = Stylist(prepared.root, "cpu")
    for batch in () if settings.dry else prepared.plan.batches():
        stylist.run(prepared.job(batch))
    return prepared


def pictures(uris: Mapping[int, str]) -> Pictures:
    return {number: np.asarray(Image.open(uri.removeprefix("file://"))) for number, uri in uris.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--first", type=int, default=94)
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--weights", default="{weights: embedded}", help="the block `backbone`")
    parser.add_argument("--dry", action="store_true")
    settings = parser.parse_args()
    frames = Path(settings.root) / "frames"
    frames.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04}.jpg" for number in range(settings.first, settings.first + settings.count)]
    for name in names:
        shutil.copyfile(DATA / "video" / "bunny_seq" / name, frames / name)
    together = run("together", "{video: frames/, rate: 24}", settings)
    alone = run("alone", "frames/*.jpg", settings)
    catalog = together.root.catalog
    wanted = ("cell_id", set(together.plan.cells.ids))
    rows = catalog.read("frames", ["cell_id", "frame", "picture_uri"], where=wanted).to_pylist()
    wanted = ("cell_id", set(alone.plan.cells.ids))
    stills = catalog.read("results", ["cell_id", "content_name", "picture_uri"], where=wanted).to_pylist()
    clips = {
        "together": pictures({row["frame"]: row["picture_uri"] for row in rows}),
        "alone": pictures({names.index(f"{row['content_name']}.jpg"): row["picture_uri"] for row in stills}),
    }
    height, width = clips["together"][0].shape[:2]
    source = ClipSource(Clip(together.plan.cells.contents[0], None, None), (width, height), "dis_medium", "cpu")
    clips["the clip itself"] = {number: source.frame(number) for number in range(settings.count)}
    known = set.intersection(*(set(each) for each in clips.values()))
    pairs = [number for number in sorted(known) if number + 1 in known]
    print(f"{len(pairs)} pairs")
    for name, clip in clips.items():
        errors = [warping_error(clip[n], clip[n + 1], *source.motion(n, n + 1)) for n in pairs]
        print(f"{name:20}{fmean(errors):10.2e}")


if __name__ == "__main__":
    main()
